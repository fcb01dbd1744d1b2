// One symbol's row. The table keeps one for each symbol in sight, and uses it again for another.

import { COLUMNS } from "./columns.js";
import { element, setText } from "./dom.js";
import { flashOf } from "./flash.js";
import { Sparkline } from "./sparkline.js";

export class Row {
  #cells = new Map();
  #spark = new Sparkline();
  #arrow = element("span", { className: "arrow", ariaHidden: "true" });
  #price = element("span");
  #name = element("span", { className: "under", ariaHidden: "true" }); // where there is no column for it
  #symbol = element("span", { className: "ticker" });
  #timer;
  expander = element("button", { type: "button", className: "expander", tabIndex: -1 });
  node = element("tr", { className: "row" });

  constructor() {
    this.node.append(element("td", { className: "cell-expander" }, this.expander));
    for (const { key, isNumber } of COLUMNS) {
      const isHeader = key === "symbol";
      const cell = element(isHeader ? "th" : "td", { className: `cell-${key}${isNumber ? " number" : ""}` });
      if (isHeader) cell.scope = "row";
      this.#cells.set(key, cell);
      this.node.append(cell);
    }
    this.#cells.get("symbol").append(this.#symbol, this.#name);
    this.#cells.get("price").append(this.#arrow, this.#price);
    this.#cells.get("trend").append(this.#spark.node);
  }

  /** Shows this symbol. `index` counts all rows of the list. */
  show(entry, index, isOpen) {
    this.node.dataset.ticker = entry.ticker;
    this.node.ariaRowIndex = String(index + 2); // the heading is the first
    this.node.classList.toggle("open", isOpen);
    this.expander.ariaExpanded = String(isOpen);
    this.expander.ariaLabel = `${entry.ticker}: trades and prices`;
    this.#showTexts(entry);
    this.#spark.draw(entry.trail.prices);
    this.#showFlash(entry);
  }

  #showTexts(entry) {
    for (const { key, text } of COLUMNS) {
      if (key === "symbol") setText(this.#symbol, text(entry));
      else if (key === "price") setText(this.#price, text(entry));
      else if (text) setText(this.#cells.get(key), text(entry));
    }
    setText(this.#name, entry.name);
    this.#cells.get("name").title = entry.name;
    this.#cells.get("time").title = entry.timeText;
    this.node.classList.toggle("gain", entry.change > 0);
    this.node.classList.toggle("loss", entry.change < 0);
  }

  #showFlash(entry) {
    clearTimeout(this.#timer);
    const direction = flashOf(entry);
    this.node.classList.toggle("rose", direction > 0);
    this.node.classList.toggle("fell", direction < 0);
    setText(this.#arrow, direction > 0 ? "▲" : direction < 0 ? "▼" : "");
    if (direction) this.#timer = setTimeout(() => this.#showFlash(entry), entry.flashUntil - Date.now() + 10);
  }
}
