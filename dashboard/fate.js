// What becomes of one event that was sent from here: the broker's answer, then the functions' verdicts.

import { ApiError } from "./api.js";
import { element, setText } from "./dom.js";
import { formatPreciseTime } from "./format.js";
import { seen } from "./poller.js";
import { deliveryKey } from "./tail.js";
import { makeVerdict } from "./verdict.js";

const EXPECTED = ["store_trade", "update_summary"]; // the functions that get every trade
const IN_DOUBT = 504; // the broker was asked, and gave no answer
const LATE = "UNAVAILABLE"; // the broker tries again
const PAUSE_MS = 200; // at first
const MAX_PAUSE_MS = 2_000;
const PATIENCE_MS = 30_000; // functions may have to start first

export class Fate {
  #event;
  #kind;
  #address;
  #before = new Set();
  #steps = element("ol");
  #state = element("span", { className: "where", role: "status" });
  node;
  settled = Promise.resolve(); // when no more verdicts are waited for

  constructor(event, kind, address) {
    this.#event = event;
    this.#kind = kind;
    this.#address = address;
    const { ticker, price, volume } = event.data;
    const title = element("h4", { textContent: `${kind}: ${ticker} ${volume} @ ${price}` });
    this.node = element("li", { className: "fate" }, element("header", {}, title, this.#state), this.#steps);
    this.node.dataset.kind = kind;
  }

  /** Returns when the broker has answered: whether it took the event. Verdicts are shown as they come after that. */
  async send(api) {
    this.#say("sending …", "sending");
    const isSent = await this.#post(api);
    if (isSent) this.settled = this.#watch(api);
    else this.#say("not sent", "done");
    return isSent;
  }

  /** False when there was no answer, or a refusal. */
  async #post(api) {
    try {
      if (this.#kind !== "valid") this.#before = new Set((await this.#deliveries(api)).map(deliveryKey));
      const started = performance.now();
      const { status, text } = await api.send(this.#event);
      const ms = Math.max(1, Math.round(performance.now() - started));
      this.#step(`The broker answered ${status}, after ${ms} ms`, text);
      if (status === 202) return true;
    } catch (error) {
      const isUnsent = error instanceof ApiError && error.status !== IN_DOUBT;
      this.#step(isUnsent ? "It could not be sent" : "No answer came: it may have been taken all the same", error.message);
    }
    return false;
  }

  async #watch(api) {
    this.#say("waiting for verdicts …", "waiting");
    const found = new Map();
    const done = () => [...found.values()].filter(({ verdict }) => verdict !== LATE).map(({ function: name }) => name);
    const isComplete = () => EXPECTED.every((name) => done().includes(name));
    const deadline = performance.now() + PATIENCE_MS;
    let pauseMs = PAUSE_MS;
    while (!isComplete() && performance.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
      await seen();
      pauseMs = Math.min(MAX_PAUSE_MS, pauseMs * 1.5);
      for (const delivery of await this.#deliveries(api).catch(() => [])) {
        const key = deliveryKey(delivery);
        if (this.#before.has(key) || found.has(key)) continue;
        found.set(key, delivery);
        this.#showVerdict(delivery);
      }
    }
    this.#showWhereNext([...found.values()]);
    this.#say(isComplete() ? "done" : "no more verdicts were seen", "done");
  }

  #say(text, state) {
    setText(this.#state, text);
    this.node.dataset.state = state;
  }

  async #deliveries(api) {
    const { source, id } = this.#event;
    const { events } = await api.events({ source, id });
    return events.reverse();
  }

  #showVerdict(delivery) {
    const time = element("time", { textContent: formatPreciseTime(Date.parse(delivery.time)) });
    const item = element("li", {}, makeVerdict(delivery), " ", time);
    if (delivery.reason) item.append(element("p", { className: "reason", textContent: delivery.reason }));
    this.#steps.append(item);
  }

  #showWhereNext(deliveries) {
    const isRefused = deliveries.some(({ verdict }) => ["BAD_REQUEST", "CONFLICT", "OVERFLOW"].includes(verdict));
    const { ticker } = this.#event.data;
    const changes = isRefused ? { view: "letters" } : { view: "symbols", q: ticker, open: [ticker] };
    const button = element("button", { type: "button", className: "link" });
    button.textContent = isRefused ? "See it in the dead letters" : `See ${ticker}`;
    button.addEventListener("click", () => this.#address.set(changes));
    if (deliveries.length) this.#steps.append(element("li", {}, button));
  }

  #step(text, reason = "") {
    const item = element("li", { textContent: text });
    if (reason) item.append(element("p", { className: "reason", textContent: reason }));
    this.#steps.append(item);
  }
}
