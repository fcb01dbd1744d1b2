// The tickers as this page knows them: what the server says, and what changed since the page opened.

import { setFlash } from "./flash.js";
import { Trail } from "./trail.js";

export class TickerStore {
  #entries = new Map();
  #seen = null; // tickers of an answer that starts over, until its last part has come
  version = 0; // grows with every change
  isLoaded = false; // the server has told all symbols

  get size() {
    return this.#entries.size;
  }

  get(ticker) {
    return this.#entries.get(ticker);
  }

  entries() {
    return [...this.#entries.values()];
  }

  /**
   * Takes an answer to changed_since. `flashes` false: price changes are taken silently, as after a long pause.
   */
  merge({ tickers, more, reset }, { now = Date.now(), flashes = true } = {}) {
    if (reset) this.#seen = new Set();
    for (const row of tickers) {
      this.#seen?.add(row.ticker);
      const entry = this.#entries.get(row.ticker);
      if (!entry) this.#entries.set(row.ticker, makeEntry(row));
      else update(entry, row, flashes ? now : null);
    }
    if (tickers.length) this.version += 1;
    if (!more) this.#finish();
  }

  /** All of an answer has come: what it started over without is gone. */
  #finish() {
    if (this.isLoaded && !this.#seen) return;
    this.isLoaded = true;
    this.version += 1;
    for (const ticker of this.#entries.keys()) if (this.#seen?.has(ticker) === false) this.#entries.delete(ticker);
    this.#seen = null;
  }
}

function makeEntry(row) {
  const price = Number(row.price);
  return {
    ticker: row.ticker,
    name: row.name,
    exchange: row.exchange ?? "",
    search: `${row.ticker}\n${row.name}`.toLowerCase(),
    opening: price, // the first price that this page saw
    trail: new Trail(price),
    flash: 0,
    flashUntil: 0,
    ...measure(row, price, price),
  };
}

function update(entry, row, flashAt) {
  const before = entry.price;
  Object.assign(entry, measure(row, Number(row.price), entry.opening));
  if (entry.price === before) return;
  entry.trail.add(entry.price);
  if (flashAt !== null) setFlash(entry, Math.sign(entry.price - before), flashAt);
}

/** Numbers to sort by, beside the strings to show: a double keeps a price exactly, but not every sum. */
function measure(row, price, opening) {
  const change = Math.round((price - opening) * 1e4) / 1e4;
  return {
    price,
    priceText: row.price,
    high: row.high,
    low: row.low,
    volume: row.volume,
    value: Number(row.value),
    valueText: row.value,
    trades: row.trade_count,
    time: Date.parse(row.last_trade_time),
    timeText: row.last_trade_time,
    change,
    percent: (change / opening) * 100,
  };
}
