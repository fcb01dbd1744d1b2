// The view of dead letters: what could not be handled, why, and sending it again.

import { api } from "./api.js";
import { arrange, element, setText } from "./dom.js";
import { formatCount, formatFunction, formatTime } from "./format.js";
import { makeAttributes, makeData, summarize } from "./payload.js";
import { Poller } from "./poller.js";

const STEP = 100; // letters more at a time
const MAX_LETTERS = 500; // in a request; further ones: GET /v1/dead-letters?before=…
const INTERVAL_MS = 2_000;

export class LettersView extends HTMLElement {
  #address;
  #items = new Map();
  #limit = STEP;
  #poller = new Poller(() => this.#turn(), { intervalMs: INTERVAL_MS, onFailure: (error) => this.#say(error.message, true) });
  #parts = {};

  setUp(address) {
    this.#address = address;
    for (const part of this.querySelectorAll("[data-part]")) this.#parts[part.dataset.part] = part;
    this.#parts.replayed.addEventListener("change", () => this.#poller.hurry());
    this.#parts.older.addEventListener("click", () => {
      this.#limit = Math.min(this.#limit + STEP, MAX_LETTERS);
      this.#poller.hurry();
    });
    address.addEventListener("change", () => this.#follow());
    this.#follow();
    return this;
  }

  hurry() {
    this.#poller.hurry();
  }

  #follow() {
    if (this.#address.state.view === "letters") this.#poller.start();
    else this.#poller.stop();
  }

  async #turn() {
    const isAll = this.#parts.replayed.checked;
    const limit = this.#limit;
    const { dead_letters: letters, next_cursor: next } = await api.deadLetters({ limit, replayed: isAll });
    if (isAll !== this.#parts.replayed.checked) return;
    this.#draw(letters);
    this.#showCount(letters, next !== null);
    this.#parts.older.hidden = next === null || limit >= MAX_LETTERS;
  }

  #draw(letters) {
    // What was sent again from here stays in sight, with the broker's answer.
    const keys = new Set(letters.map((letter) => letter.key));
    for (const [key, item] of this.#items) {
      if (keys.has(key)) continue;
      if (item.isKept) item.leave();
      else this.#items.delete(key);
    }
    for (const letter of letters.toReversed()) this.#itemOf(letter.key).show(letter);
    const items = [...this.#items.values()].sort((a, b) => (a.received < b.received ? 1 : -1));
    arrange(this.#parts.list, items.map((item) => item.node));
    this.#parts.empty.hidden = items.length > 0;
  }

  #showCount(letters, hasOlder) {
    const waiting = letters.filter((letter) => !letter.replayed).length;
    const among = waiting === letters.length ? "" : `${formatCount(waiting)} of `;
    this.#say(hasOlder ? `${among}the newest ${formatCount(letters.length)} waiting` : `${formatCount(waiting)} waiting`);
  }

  #itemOf(key) {
    if (!this.#items.has(key)) this.#items.set(key, new LetterItem(() => this.hurry()));
    return this.#items.get(key);
  }

  #say(text, isError = false) {
    setText(this.#parts.count, isError ? `${text} Asking again.` : text);
    this.#parts.count.classList.toggle("error", isError);
  }
}

class LetterItem {
  #letter = null;
  #onReplay;
  #time = element("time");
  #what = element("span", { className: "line" });
  #from = element("span", { className: "from" });
  #mark = element("span", { className: "verdict", textContent: "sent again", hidden: true });
  #reason = element("p", { className: "reason" });
  #answer = element("p", { className: "answer", role: "status" });
  #button = element("button", { type: "button", className: "button small", textContent: "Replay" });
  #body = element("div", { className: "event-body" });
  #details = element("details", {}, element("summary", { textContent: "Event" }), this.#body);
  #isSent = false; // from here, and taken by the broker
  isKept = false;
  node = element("li", { className: "letter" });

  constructor(onReplay) {
    this.#onReplay = onReplay;
    const head = element("div", { className: "letter-head" }, this.#time, this.#what, this.#from, this.#mark, this.#button);
    this.node.append(head, this.#reason, this.#answer, this.#details);
    this.#button.addEventListener("click", () => this.#replay());
  }

  get received() {
    return this.#letter.received;
  }

  /** It waits no longer. */
  leave() {
    this.show({ ...this.#letter, replayed: this.#letter.replayed ?? new Date().toISOString() });
  }

  show(letter) {
    const before = this.#letter;
    if (JSON.stringify(letter) === JSON.stringify(before)) return;
    this.#letter = letter;
    this.#showState(letter, before);
    const { attributes, data, destination, received, reason, status, replayed } = letter;
    setText(this.#time, formatTime(Date.parse(received)));
    this.#time.dateTime = received;
    setText(this.#what, `${attributes.type ?? "event"} ${summarize(data)}`);
    setText(this.#from, [formatFunction(destination), status && `HTTP ${status}`].filter(Boolean).join(" · "));
    this.#from.title = destination;
    setText(this.#reason, reason || "The broker gave no reason.");
    this.#button.ariaLabel = `Replay ${attributes.id ?? "this event"}`;
    setText(this.#button, replayed ? "Replay again" : "Replay");
    this.#body.replaceChildren(makeAttributes(attributes), makeData(data));
  }

  #showState({ received, replayed }, before) {
    this.node.dataset.state = replayed ? "sent" : "waiting";
    this.#mark.hidden = !replayed;
    const isBack = this.#isSent && !replayed && (before.replayed || before.received !== received);
    if (isBack) {
      this.#isSent = this.isKept = false;
      setText(this.#answer, "It failed again, and waits again.");
    } else if (replayed && !this.isKept) setText(this.#answer, `Sent again at ${formatTime(Date.parse(replayed))}.`);
  }

  async #replay() {
    this.#button.disabled = true;
    this.isKept = true;
    try {
      const { broker } = await api.replay(this.#letter.key);
      this.#isSent = true;
      setText(this.#answer, `Sent again: the broker answered ${broker.status}. If it fails again, it comes back here.`);
    } catch (error) {
      this.isKept = false;
      setText(this.#answer, error.message);
    }
    this.#button.disabled = false;
    this.#onReplay();
  }
}

customElements.define("letters-view", LettersView);
