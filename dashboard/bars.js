// A symbol's volume by price: highest price on top, a bar for each price or range of prices.

import { element, setText, svg } from "./dom.js";
import { formatCount, formatPrice } from "./format.js";

export const BUCKETS = 12;

export class VolumeBars extends HTMLElement {
  #caption = element("caption", { textContent: "Volume by price" });
  #body = element("tbody");

  setUp() {
    const heads = ["Price", "Share", "Volume", "Trades"].map((text, place) =>
      element("th", { scope: "col", textContent: text, className: place === 1 ? "" : "number" }),
    );
    const head = element("thead", {}, element("tr", {}, ...heads));
    this.append(element("div", { className: "scroll" }, element("table", {}, this.#caption, head, this.#body)));
    return this;
  }

  /** An answer to /prices, and the latest price. */
  show({ prices, total }, price) {
    const most = Math.max(...prices.map((row) => row.volume));
    setText(this.#caption, prices.length < total ? `Volume by price, ${formatCount(total)} prices in ${prices.length} ranges` : "Volume by price");
    this.#body.replaceChildren(...prices.toReversed().map((row) => makeBar(row, most, price)));
  }
}

function makeBar(row, most, price) {
  const isLast = price >= Number(row.price) && price <= Number(row.price_to);
  const width = `${(100 * row.volume) / most}%`;
  const bar = svg("svg", { class: "bar", "aria-hidden": "true" }, svg("rect", { width, height: "100%", rx: 2 }));
  const isRange = row.price !== row.price_to;
  const text = isRange ? `${formatPrice(row.price)} – ${formatPrice(row.price_to)}` : formatPrice(row.price);
  const label = element("th", { scope: "row", className: "number", textContent: text });
  const node = element(
    "tr",
    { className: isLast ? "last" : "" },
    label,
    element("td", { className: "share" }, bar),
    element("td", { className: "number", textContent: formatCount(row.volume) }),
    element("td", { className: "number", textContent: formatCount(row.trade_count) }),
  );
  if (isLast) node.title = "the latest price";
  return node;
}

customElements.define("volume-bars", VolumeBars);
