// What opens below a symbol: its numbers, its price line, its volume by price, its trades. Asks only when the
// list says that the symbol has traded, and again while the answers are behind what it says.

import { api } from "./api.js";
import "./badge.js";
import { BUCKETS } from "./bars.js";
import { element, setText } from "./dom.js";
import { formatCount, formatPrice, formatValue } from "./format.js";
import "./line.js";
import { Poller } from "./poller.js";
import { Renewal } from "./renewal.js";
import { Tape } from "./tape.js";
import "./trade-list.js";

const PAGE = 200; // trades in a request
const INTERVAL_MS = 500;
const PRICES_LEAST_MS = 2_000;

const FACTS = [
  ["High", (entry) => formatPrice(entry.high)],
  ["Low", (entry) => formatPrice(entry.low)],
  ["VWAP", (entry) => formatPrice(entry.value / entry.volume), "volume-weighted average price: value / volume"],
  ["Volume", (entry) => formatCount(entry.volume)],
  ["Value $", (entry) => formatValue(entry.valueText)],
  ["Trades", (entry) => formatCount(entry.trades)],
];

export class SymbolPanel extends HTMLElement {
  #ticker;
  #entry;
  #poller = new Poller(() => this.#turn(), { intervalMs: INTERVAL_MS, onFailure: (error) => this.#say(`${error.message} Asking again.`) });
  #trades = new Renewal();
  #prices = new Renewal();
  #tape = new Tape();
  #facts = FACTS.map(() => element("dd"));
  #title = element("h3");
  #error = element("p", { className: "error", hidden: true });
  #line = document.createElement("price-line").setUp();
  #bars = document.createElement("volume-bars").setUp();
  #badge;
  #list;

  constructor(ticker) {
    super();
    this.#ticker = ticker;
    this.#badge = document.createElement("consistency-badge").setUp(ticker);
    this.#list = document.createElement("trade-list").setUp(this.#tape, () => this.#loadOlder(), ticker);
  }

  connectedCallback() {
    this.#poller.start();
    if (this.firstChild) return;
    this.role = "region";
    this.ariaLabel = `${this.#ticker}: trades and prices`;
    const facts = FACTS.map(([label, , hint = ""], place) =>
      element("div", { title: hint }, element("dt", { textContent: label }), this.#facts[place]),
    );
    const head = element("header", {}, this.#title, element("dl", {}, ...facts), this.#badge);
    this.append(head, this.#error, element("div", { className: "parts" }, this.#line, this.#bars, this.#list));
  }

  disconnectedCallback() {
    this.#poller.stop();
  }

  connectedMoveCallback() {} // stays as it is when its row moves

  /** The symbol as it is now. */
  show(entry) {
    this.#entry = entry;
    setText(this.#title, [entry.name || entry.ticker, entry.exchange].filter(Boolean).join(" · "));
    FACTS.forEach(([, text], place) => setText(this.#facts[place], text(entry)));
  }

  async #turn() {
    if (!this.checkVisibility()) return; // another view is shown
    const { trades, time } = this.#entry;
    this.#badge.renew(trades);
    const asked = [];
    if (this.#trades.isDue(trades)) asked.push(this.#renewTrades(trades, time));
    if (this.#prices.isDue(trades)) asked.push(this.#renewPrices(trades));
    await Promise.all(asked);
    if (asked.length) this.#error.hidden = true;
  }

  /** A trade may be counted before it is stored: up to date is what has the last one, or as many. */
  async #renewTrades(count, time) {
    const newest = await api.trades(this.#ticker, PAGE);
    this.#tape.renew(newest);
    this.#list.show(this.#entry.trades);
    this.#line.show(this.#tape.trades);
    const isLastThere = Date.parse(newest.trades[0]?.time) >= time;
    this.#trades.note(isLastThere && (newest.next_cursor !== null || newest.trades.length >= count));
  }

  async #renewPrices(count) {
    const prices = await api.prices(this.#ticker, BUCKETS);
    this.#bars.show(prices, this.#entry.price);
    const counted = prices.prices.reduce((sum, row) => sum + row.trade_count, 0);
    this.#prices.note(counted >= count, { leastMs: PRICES_LEAST_MS });
  }

  async #loadOlder() {
    const cursor = this.#tape.nextCursor;
    try {
      const older = await api.trades(this.#ticker, PAGE, cursor);
      if (cursor === this.#tape.nextCursor) this.#tape.extend(older); // else the tape ends elsewhere now
      this.#line.show(this.#tape.trades);
      this.#error.hidden = true;
      return true;
    } catch (error) {
      this.#say(error.message);
      return false;
    }
  }

  #say(text) {
    this.#error.hidden = false;
    setText(this.#error, text);
  }
}

customElements.define("symbol-panel", SymbolPanel);
