// The heading of the list: each column's name is the button that sorts by it.

import { COLUMNS } from "./columns.js";
import { element } from "./dom.js";
import { firstOrder } from "./order.js";

export class Heading {
  #address;
  #cells = new Map();
  node = element("thead");

  constructor(address) {
    this.#address = address;
    const first = element("th", { scope: "col", className: "cell-expander" });
    first.append(element("span", { className: "unseen", textContent: "Open" }));
    this.node.append(element("tr", { ariaRowIndex: "1" }, first, ...COLUMNS.map((column) => this.#cell(column))));
  }

  /** How many columns there is room for. */
  get shownColumns() {
    return [...this.node.rows[0].cells].filter((cell) => cell.offsetWidth > 0).length;
  }

  #cell({ key, label, hint, sort, isNumber }) {
    const cell = element("th", { scope: "col", className: `cell-${key}${isNumber ? " number" : ""}` });
    if (hint) cell.title = hint;
    if (!sort) {
      cell.append(element("span", { className: "label", textContent: label }));
      return cell;
    }
    const button = element("button", { type: "button", className: "sort" });
    button.append(element("span", { textContent: label }), element("span", { className: "direction", ariaHidden: "true" }));
    button.addEventListener("click", () => this.#sort(sort));
    cell.append(button);
    this.#cells.set(sort, cell);
    return cell;
  }

  #sort(column) {
    const { sort, order } = this.#address.state;
    const other = order === "asc" ? "desc" : "asc";
    this.#address.set({ sort: column, order: sort === column ? other : firstOrder(column), page: 1 });
  }

  /** Marks the column that the list is sorted by. */
  show({ sort, order }) {
    for (const [column, cell] of this.#cells) {
      const isSorted = column === sort;
      cell.ariaSort = isSorted ? (order === "asc" ? "ascending" : "descending") : "none";
      cell.querySelector(".direction").textContent = isSorted ? (order === "asc" ? "↑" : "↓") : "";
    }
  }
}
