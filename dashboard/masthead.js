// The top of the page: how fast trades come, how many there are, how old the data is.

import { setText } from "./dom.js";
import { formatAge, formatCompact, formatCount, formatRate, formatValue } from "./format.js";

const TICK_MS = 500;

export class Masthead {
  #feed;
  #parts = new Map();
  #received = 0; // when the totals came, by this machine's clock
  #totals = null;

  constructor(feed, root = document) {
    this.#feed = feed;
    for (const part of root.querySelectorAll("[data-total]")) this.#parts.set(part.dataset.total, part);
    setInterval(() => document.hidden || this.#showAge(), TICK_MS);
    document.addEventListener("visibilitychange", () => this.#showAge());
  }

  show() {
    const { totals } = this.#feed;
    if (totals && totals !== this.#totals) {
      this.#totals = totals;
      this.#received = Date.now();
      this.#showTotals(totals);
    }
    this.#showAge();
  }

  #showTotals(totals) {
    const letters = formatCount(totals.dead_letters_waiting);
    this.#set("rate", formatRate(totals.trades_per_second));
    this.#set("trades", formatCount(totals.trades_counted), `${formatCount(totals.trades_stored)} raw trades stored`);
    this.#set("volume", formatCompact(totals.volume), `${formatCount(totals.volume)} shares`);
    this.#set("value", `$${formatCompact(totals.value)}`, `$${formatValue(totals.value)}`);
    this.#set("symbols", formatCount(totals.tickers));
    this.#set("letters", letters);
    this.#set("letters-tab", letters);
    for (const name of ["letters", "letters-tab"]) {
      this.#parts.get(name).classList.toggle("some", totals.dead_letters_waiting > 0);
    }
  }

  #showAge() {
    const { word, ageMs, reason } = this.#feed.state();
    const pill = this.#parts.get("state");
    pill.dataset.state = word;
    pill.title = reason;
    this.#set("word", word);
    this.#set("age", word === "live" || word === "connecting" ? "" : formatAge(ageMs));
    if (!this.#totals) return;
    const { server_time: server, latest_trade_time: latest } = this.#totals;
    const sinceMs = latest && Date.parse(server) - Date.parse(latest) + Date.now() - this.#received;
    this.#set("latest", latest ? `${formatAge(sinceMs)} ago` : "–", latest ?? "");
  }

  #set(name, text, title = null) {
    const part = this.#parts.get(name);
    setText(part, text);
    if (title !== null) part.title = title;
  }
}
