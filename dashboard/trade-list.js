// A symbol's trades, newest first, page by page. The first page is live; on others the reader is left alone.

import { arrange, element, setText } from "./dom.js";
import { formatCount, formatPreciseTime, formatPrice } from "./format.js";
import { keyOf } from "./tape.js";

const PAGE = 10;

export class TradeList extends HTMLElement {
  #tape;
  #loadMore;
  #start = 0;
  #total = 0;
  #rows = new Map(); // of the page shown, by trade: a row stays while somebody copies from it
  #body = element("tbody");
  #where = element("span", { className: "where" });
  #buttons;

  /** `loadMore` fetches older trades into the tape, and says whether it could. */
  setUp(tape, loadMore, ticker) {
    this.#tape = tape;
    this.#loadMore = loadMore;
    const heads = ["Time", "Price", "Quantity", "Trade id"].map((text, place) =>
      element("th", { scope: "col", textContent: text, className: place === 1 || place === 2 ? "number" : "" }),
    );
    const caption = element("caption", { textContent: "Trades, newest first" });
    const table = element("table", {}, caption, element("thead", {}, element("tr", {}, ...heads)), this.#body);
    this.#buttons = {
      newest: this.#button("Newest", () => this.#step(-Infinity)),
      newer: this.#button("Newer", () => this.#step(-PAGE)),
      older: this.#button("Older", () => this.#step(PAGE)),
    };
    const { newest, newer, older } = this.#buttons;
    const pager = element("div", { className: "pager", role: "group", ariaLabel: `Pages of ${ticker}'s trades` });
    pager.append(newest, newer, this.#where, older);
    this.append(element("div", { className: "scroll" }, table), pager);
    return this;
  }

  #button(label, press) {
    const button = element("button", { type: "button", className: "button small", textContent: label });
    button.addEventListener("click", press);
    return button;
  }

  /** Draws the tape as it is now, of `total` trades. A reader of older ones stays at those. */
  show(total) {
    this.#total = total;
    if (this.#start > 0) {
      const [first] = this.#rows.keys();
      const place = this.#tape.indexOf(first);
      this.#start = place < 0 ? Math.min(this.#start, this.#lastStart) : place;
    }
    this.#draw();
  }

  get #lastStart() {
    return Math.max(0, this.#tape.trades.length - PAGE);
  }

  /** So many trades on, from where the reader is once they are loaded. */
  async #step(by) {
    const isLoaded = this.#start + by + PAGE <= this.#tape.trades.length;
    if (!isLoaded && this.#tape.nextCursor && !(await this.#loadMore())) return;
    this.#start = Math.max(0, Math.min(this.#start + by, this.#tape.trades.length - 1));
    this.#draw();
  }

  #draw() {
    const { trades, nextCursor, isFull } = this.#tape;
    const page = trades.slice(this.#start, this.#start + PAGE);
    this.#rows = new Map(page.map((trade) => [keyOf(trade), this.#rows.get(keyOf(trade)) ?? makeRow(trade)]));
    arrange(this.#body, [...this.#rows.values()]);
    const end = this.#start + page.length;
    const where = `${formatCount(this.#start + 1)}–${formatCount(end)} of ${formatCount(Math.max(end, this.#total))}`;
    setText(this.#where, page.length ? where : "none stored");
    this.#buttons.newest.disabled = this.#buttons.newer.disabled = this.#start === 0;
    this.#buttons.older.disabled = end >= trades.length && !nextCursor;
    this.#buttons.older.title = isFull ? "older ones: GET /v1/tickers/…/trades" : "";
  }
}

function makeRow(trade) {
  const ms = Date.parse(trade.time);
  const time = element("time", { dateTime: trade.time, title: trade.time, textContent: formatPreciseTime(ms) });
  const id = element("td", { className: "id", title: `${trade.source} ${trade.id}` });
  id.append(element("span", { textContent: trade.id }));
  return element(
    "tr",
    {},
    element("td", {}, time),
    element("td", { className: "number", textContent: formatPrice(trade.price) }),
    element("td", { className: "number", textContent: formatCount(trade.volume) }),
    id,
  );
}

customElements.define("trade-list", TradeList);
