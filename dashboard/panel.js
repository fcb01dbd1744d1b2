// What opens below a symbol: its numbers, its price line, its volume by price, its trades. Asks only when the
// list says that the symbol has traded.

import { api } from "./api.js";
import "./badge.js";
import { BUCKETS } from "./bars.js";
import { element, setText } from "./dom.js";
import { formatCount, formatPrice, formatValue } from "./format.js";
import "./line.js";
import { Tape } from "./tape.js";
import "./trade-list.js";

const PAGE = 200; // trades in a request

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
  #asked = 0; // trades counted when we last asked
  #isAsking = false;
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
    if (this.firstChild) return;
    this.role = "region";
    this.ariaLabel = `${this.#ticker}: trades and prices`;
    const facts = FACTS.map(([label, , hint = ""], place) =>
      element("div", { title: hint }, element("dt", { textContent: label }), this.#facts[place]),
    );
    const head = element("header", {}, this.#title, element("dl", {}, ...facts), this.#badge);
    this.append(head, this.#error, element("div", { className: "parts" }, this.#line, this.#bars, this.#list));
  }

  connectedMoveCallback() {} // stays as it is when its row moves

  /** The symbol as it is now. */
  show(entry) {
    this.#entry = entry;
    setText(this.#title, [entry.name || entry.ticker, entry.exchange].filter(Boolean).join(" · "));
    FACTS.forEach(([, text], place) => setText(this.#facts[place], text(entry)));
    this.#badge.renew(entry.trades);
    if (entry.trades !== this.#asked && !this.#isAsking) this.#refresh();
  }

  async #refresh() {
    this.#isAsking = true;
    const { trades } = this.#entry;
    try {
      const [newest, prices] = await Promise.all([api.trades(this.#ticker, PAGE), api.prices(this.#ticker, BUCKETS)]);
      const added = this.#tape.renew(newest);
      this.#list.show(added, this.#entry.trades);
      this.#line.show(this.#tape.trades);
      this.#bars.show(prices, this.#entry.price);
      // A trade may be counted a moment before it is stored: then ask once more.
      this.#asked = newest.next_cursor || newest.trades.length >= trades ? trades : this.#asked;
      this.#error.hidden = true;
    } catch (error) {
      this.#error.hidden = false;
      setText(this.#error, `${error.message} Asking again.`);
    }
    this.#isAsking = false;
  }

  async #loadOlder() {
    try {
      this.#tape.extend(await api.trades(this.#ticker, PAGE, this.#tape.nextCursor));
    } catch (error) {
      this.#error.hidden = false;
      setText(this.#error, error.message);
    }
  }
}

customElements.define("symbol-panel", SymbolPanel);
