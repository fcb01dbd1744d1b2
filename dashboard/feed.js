// Keeps the store up to date: about twice a second, only what changed, one request at a time.

import { api } from "./api.js";
import { Poller } from "./poller.js";

const INTERVAL_MS = 500; // a trade is on the screen within a second, whenever it comes
const QUIET_AFTER_MS = 10_000; // after a longer gap a flash would tell of long ago
const STALE_AFTER_MS = 4_000;

export class Feed {
  #store;
  #onTurn;
  #cursor = "";
  #poller = new Poller(() => this.#turn(), { intervalMs: INTERVAL_MS, onFailure: (error) => this.#fail(error) });
  #adder = new Poller(() => this.#readTotals(), { intervalMs: INTERVAL_MS }); // apart: prices do not wait for it
  #freshMs = 0;
  #error = null;
  #since = Date.now();
  totals = null;

  /** `onTurn` is called after each turn, also after one that failed. */
  constructor(store, onTurn) {
    this.#store = store;
    this.#onTurn = onTurn;
  }

  start() {
    this.#poller.start();
    this.#adder.start();
  }

  /** Again now: something has just been sent. */
  hurry() {
    this.#poller.hurry();
    this.#adder.hurry();
  }

  /** {word: "connecting" | "live" | "stale" | "reconnecting", ageMs, reason} */
  state(now = Date.now()) {
    const ageMs = now - (this.#freshMs || this.#since);
    const reason = this.#error?.message ?? "";
    if (this.#error) return { word: "reconnecting", ageMs, reason };
    if (!this.#freshMs) return { word: "connecting", ageMs, reason };
    return { word: ageMs > STALE_AFTER_MS ? "stale" : "live", ageMs, reason };
  }

  async #turn() {
    const flashes = Date.now() - this.#freshMs < QUIET_AFTER_MS;
    let more = true;
    while (more) {
      const answer = await api.changes(this.#cursor);
      this.#store.merge(answer, { flashes });
      this.#cursor = answer.cursor;
      more = answer.more;
    }
    this.#freshMs = Date.now();
    this.#error = null;
    this.#onTurn();
  }

  async #readTotals() {
    this.totals = await api.totals();
    this.#onTurn();
  }

  #fail(error) {
    this.#error = error;
    this.#onTurn();
  }
}
