// The view of all symbols: search, sort and pages above the list.

import { COLUMNS } from "./columns.js";
import { element, setText } from "./dom.js";
import { formatCount } from "./format.js";
import { ListKeys } from "./keyboard.js";
import { firstOrder, select } from "./order.js";
import { makeEvent, makeId, toCurl } from "./sample.js";
import "./table.js";

const ORDER_OF = ["q", "sort", "order", "rows", "page"];

export class SymbolsView extends HTMLElement {
  #store;
  #address;
  #table;
  #keys;
  #revealed = false;
  #search;
  #rows;
  #sort;
  #pager;
  #count;
  #breadth;
  #empty;
  #drawn = -1; // the store's version
  #page = 1; // that is shown: an address may name one past the last

  setUp(store, address) {
    this.#store = store;
    this.#address = address;
    const find = (name) => this.querySelector(`[data-part="${name}"]`);
    [this.#search, this.#rows, this.#sort] = ["search", "rows", "sort"].map(find);
    [this.#pager, this.#count, this.#breadth, this.#empty] = ["pager", "count", "breadth", "empty"].map(find);
    this.#table = document.createElement("symbol-table").setUp(address);
    this.#keys = new ListKeys(this.#table, address);
    this.#empty.before(this.#table);
    this.#sort.append(...COLUMNS.filter(({ sort }) => sort).map(({ sort, label }) => new Option(label, sort)));
    this.#listen();
    address.addEventListener("change", ({ detail }) => this.#follow(detail.before));
    return this;
  }

  #listen() {
    this.#search.addEventListener("input", () => {
      // The first letter is a step for the back button, the others are not.
      const replaces = this.#address.state.q !== "" && this.#search.value !== "";
      this.#address.set({ q: this.#search.value, page: 1 }, { replaces });
    });
    this.#search.addEventListener("keydown", (press) => {
      if (press.key === "Escape" && this.#search.value) this.#address.set({ q: "", page: 1 });
      else if (press.key === "Escape") this.#search.blur();
      else if (press.key === "ArrowDown" || press.key === "Enter") this.#keys.enter();
      else return;
      press.preventDefault();
    });
    this.#rows.addEventListener("change", () => this.#address.set({ rows: this.#rows.value, page: 1 }));
    this.#sort.addEventListener("change", () => {
      this.#address.set({ sort: this.#sort.value, order: firstOrder(this.#sort.value), page: 1 });
    });
    this.#pager.addEventListener("click", ({ target }) => {
      const step = Number(target.closest("[data-step]")?.dataset.step ?? 0);
      if (step) this.#address.set({ page: this.#page + step });
    });
  }

  search() {
    this.#search.focus();
    this.#search.select();
  }

  #follow(before) {
    const { state } = this.#address;
    this.show({ toTop: ORDER_OF.some((name) => before[name] !== state[name]) });
  }

  /** Draws the list again if anything has changed. */
  renew() {
    if (this.#store.version !== this.#drawn) this.show();
  }

  /** Draws the list as the store and the address say. */
  show({ toTop = false } = {}) {
    const { state } = this.#address;
    if (state.view !== "symbols") return;
    this.#drawn = this.#store.version;
    for (const [field, value] of [[this.#search, state.q], [this.#rows, state.rows], [this.#sort, state.sort]]) {
      if (field.value !== value) field.value = value; // a field that is in use is left alone
    }
    const found = select(this.#store.entries(), state);
    const size = state.rows === "all" ? Math.max(1, found.length) : Number(state.rows);
    const pages = Math.max(1, Math.ceil(found.length / size));
    const page = (this.#page = Math.min(state.page, pages));
    const first = (page - 1) * size;
    this.#showPager(page, pages);
    this.#showCount(found.length);
    this.#showBreadth(found);
    this.#showEmpty(found.length);
    this.#table.show(found.slice(first, first + size), { first, total: found.length, toTop });
    this.#revealOpened();
  }

  /** An address with opened symbols shows the first of them. */
  #revealOpened() {
    if (this.#revealed || !this.#store.size) return;
    this.#revealed = true;
    const [ticker] = this.#address.state.open;
    if (ticker) this.#table.reveal(ticker, "start");
  }

  #showPager(page, pages) {
    this.#pager.hidden = pages === 1;
    const [back, on] = this.#pager.querySelectorAll("button");
    back.disabled = page === 1;
    on.disabled = page === pages;
    setText(this.#pager.querySelector("span"), `${formatCount(page)} of ${formatCount(pages)}`);
  }

  #showCount(found) {
    const all = this.#store.size;
    const text = found === all ? `${formatCount(all)} symbols` : `${formatCount(found)} of ${formatCount(all)} symbols`;
    setText(this.#count, this.#store.isLoaded ? text : "");
  }

  #showBreadth(found) {
    const rose = found.filter(({ change }) => change > 0).length;
    const fell = found.filter(({ change }) => change < 0).length;
    const [up, down] = this.#breadth.children;
    this.#breadth.hidden = rose + fell === 0;
    setText(up, `▲ ${formatCount(rose)} up`);
    setText(down, `▼ ${formatCount(fell)} down`);
  }

  #showEmpty(found) {
    const { q } = this.#address.state;
    const state = found ? "" : !this.#store.isLoaded ? "loading" : this.#store.size ? `nothing ${q}` : "none";
    this.#table.hidden = !found;
    this.#empty.hidden = Boolean(found);
    if (this.#empty.dataset.state === state) return;
    this.#empty.dataset.state = state;
    if (state === "none") this.#empty.replaceChildren(...sayNone());
    else if (state === "loading") this.#empty.replaceChildren(element("p", { textContent: "Loading the symbols …" }));
    else if (found === 0) this.#empty.replaceChildren(...this.#sayNothingFound(q));
  }

  #sayNothingFound(q) {
    const clear = element("button", { type: "button", className: "button", textContent: "Clear the search" });
    clear.addEventListener("click", () => this.#address.set({ q: "" }));
    const said = element("h3", { textContent: `No symbol or name contains “${q}”` });
    return [said, element("p", { textContent: "Symbols are shown from their first trade on." }), clear];
  }
}

/** What to do when no trade has come yet. */
function sayNone() {
  const event = makeEvent(makeId(), { ticker: "ASPS", price: "32.1000", volume: 100 });
  return [
    element("h2", { textContent: "No trade has been counted yet" }),
    element("p", { textContent: "Start a generator with tradewind generate, or send a trade yourself:" }),
    element("pre", { tabIndex: 0 }, element("code", { textContent: toCurl(event) })),
    element("p", {}, "Or fill in the form under ", viewLink("events", "Events"), "."),
  ];
}

function viewLink(view, text) {
  return element("a", { href: `?view=${view}`, "data-view": view, textContent: text });
}

customElements.define("symbols-view", SymbolsView);
