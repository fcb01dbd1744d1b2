// What becomes of one event that was sent from here: the broker's answer, then the functions' verdicts.

import { element, setText } from "./dom.js";
import { formatPreciseTime } from "./format.js";
import { makeVerdict } from "./verdict.js";

const EXPECTED = ["store_trade", "update_summary"]; // the functions that get every trade
const PAUSE_MS = 250;
const MAX_TURNS = 40;
const LIMIT = 500;

const deliveryKey = ({ function: name, time, verdict }) => `${name} ${time} ${verdict}`;

export class Fate {
  #event;
  #kind;
  #address;
  #before = new Set();
  #steps = element("ol");
  #state = element("span", { className: "where", role: "status" });
  node;

  constructor(event, kind, address) {
    this.#event = event;
    this.#kind = kind;
    this.#address = address;
    const { ticker, price, volume } = event.data;
    const title = element("h4", { textContent: `${kind}: ${ticker} ${volume} @ ${price}` });
    this.node = element("li", { className: "fate" }, element("header", {}, title, this.#state), this.#steps);
    this.node.dataset.kind = kind;
  }

  /** False when there was no answer, or a refusal. */
  async send(api) {
    setText(this.#state, "sending …");
    try {
      if (this.#kind !== "valid") this.#before = new Set((await this.#deliveries(api)).map(deliveryKey));
      const started = performance.now();
      const { status, text } = await api.send(this.#event);
      const ms = Math.max(1, Math.round(performance.now() - started));
      this.#step(`The broker answered ${status}, after ${ms} ms`, text);
      if (status === 202) return true;
    } catch (error) {
      this.#step("It could not be sent", error.message);
    }
    setText(this.#state, "not sent");
    return false;
  }

  /** Shows verdicts as they come. */
  async watch(api) {
    setText(this.#state, "waiting for verdicts …");
    const seen = new Map();
    const isComplete = () => EXPECTED.every((name) => seen.has(name));
    for (let turn = 0; turn < MAX_TURNS && !isComplete(); turn += 1) {
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
      for (const delivery of await this.#deliveries(api).catch(() => [])) {
        if (this.#before.has(deliveryKey(delivery)) || seen.has(delivery.function)) continue;
        seen.set(delivery.function, delivery);
        this.#showVerdict(delivery);
      }
    }
    setText(this.#state, isComplete() ? "done" : "no more verdicts were seen");
    this.#showWhereNext([...seen.values()]);
  }

  async #deliveries(api) {
    const { events } = await api.events({ limit: LIMIT });
    const { source, id } = this.#event;
    return events.filter(({ attributes }) => attributes.id === id && attributes.source === source).reverse();
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
