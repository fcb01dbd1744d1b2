// A symbol's trades, newest first, page by page. The first page is live; on others the reader is left alone.

import { arrange, element, setText } from "./dom.js";
import { formatCount, formatPreciseTime, formatPrice } from "./format.js";

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

  /** `loadMore` fetches older trades into the tape. */
  setUp(tape, loadMore, ticker) {
    this.#tape = tape;
    this.#loadMore = loadMore;
    const heads = ["Time", "Price", "Quantity", "Trade id"].map((text, place) =>
      element("th", { scope: "col", textContent: text, className: place === 1 || place === 2 ? "number" : "" }),
    );
    const caption = element("caption", { textContent: "Trades, newest first" });
    const table = element("table", {}, caption, element("thead", {}, element("tr", {}, ...heads)), this.#body);
    this.#buttons = {
      newest: this.#button("Newest", () => this.#go(0)),
      newer: this.#button("Newer", () => this.#go(this.#start - PAGE)),
      older: this.#button("Older", () => this.#go(this.#start + PAGE)),
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

  /** Draws the tape, to which `added` trades came in front, of `total` there are. */
  show(added, total) {
    this.#total = total;
    if (this.#start > 0) this.#start += added;
    this.#draw();
  }

  async #go(start) {
    this.#start = Math.max(0, start);
    if (this.#start + PAGE > this.#tape.trades.length && this.#tape.nextCursor) await this.#loadMore();
    this.#start = Math.max(0, Math.min(this.#start, this.#tape.trades.length - 1));
    this.#draw();
  }

  #draw() {
    const { trades, nextCursor, isFull } = this.#tape;
    const page = trades.slice(this.#start, this.#start + PAGE);
    this.#rows = new Map(page.map((trade) => [keyOf(trade), this.#rows.get(keyOf(trade)) ?? makeRow(trade)]));
    arrange(this.#body, [...this.#rows.values()]);
    const end = this.#start + page.length;
    setText(this.#where, page.length ? `${formatCount(this.#start + 1)}–${formatCount(end)} of ${formatCount(this.#total)}` : "none yet");
    this.#buttons.newest.disabled = this.#buttons.newer.disabled = this.#start === 0;
    this.#buttons.older.disabled = end >= trades.length && !nextCursor;
    this.#buttons.older.title = isFull ? "older ones: GET /v1/tickers/…/trades" : "";
  }
}

const keyOf = ({ source, id }) => `${source}\n${id}`;

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
