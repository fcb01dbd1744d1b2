// The list of symbols: of thousands of rows only those in sight exist.

import { arrange, element } from "./dom.js";
import { Heading } from "./heading.js";
import { Layout } from "./layout.js";
import { SymbolPanel } from "./panel.js";
import { Row } from "./row.js";

const OVERSCAN_PX = 200;
const PANEL_PX = 430; // until it is measured
const MAX_SPARE_ROWS = 60;

export class SymbolTable extends HTMLElement {
  #address;
  #heading;
  #rows = new Map(); // by symbol, those in sight
  #spare = [];
  #panels = new Map(); // by symbol, {node, panel} of what is open
  #heights = new Map();
  #list = [];
  #first = 0; // place of the list's first entry, in all pages
  #rowHeight = 32;
  #frame = 0;
  #above = spacer();
  #below = spacer();
  #body = element("tbody");
  #table = element("table", { className: "symbols" });
  #sizes = new ResizeObserver((changes) => this.#measure(changes));

  setUp(address) {
    this.#address = address;
    this.#heading = new Heading(address);
    const caption = element("caption", { className: "unseen", textContent: "Live prices, one row for each symbol" });
    this.#table.append(caption, this.#heading.node, this.#body);
    this.tabIndex = 0;
    this.role = "region";
    this.ariaLabel = "Symbols";
    this.append(this.#table);
    this.addEventListener("scroll", () => this.#schedule(), { passive: true });
    this.addEventListener("click", (click) => this.#open(click));
    this.#sizes.observe(this);
    return this;
  }

  get list() {
    return this.#list;
  }

  indexOf(ticker) {
    return this.#list.findIndex((entry) => entry.ticker === ticker);
  }

  /**
   * Shows these entries. What is open in sight stays where it is on the screen, even if its place in the list
   * is another; `toTop` shows the beginning instead.
   */
  show(list, { first = 0, total = list.length, toTop = false } = {}) {
    const held = toTop ? null : this.#openInSight();
    this.#list = list;
    this.#first = first;
    this.#table.ariaRowCount = String(total + 1);
    this.#heading.show(this.#address.state);
    this.#dropClosed();
    if (toTop) this.scrollTop = 0;
    else if (held) this.#hold(held);
    this.#draw();
  }

  /** Scrolls so that a row can be seen, and gives it; null when it is not in the list. */
  reveal(ticker, place = "nearest") {
    const index = this.indexOf(ticker);
    if (index < 0) return null;
    const top = this.#layout().top(index);
    const room = this.clientHeight - this.#headHeight();
    if (place === "start" || top < this.scrollTop) this.scrollTop = top;
    else if (top + this.#rowHeight > this.scrollTop + room) this.scrollTop = top + this.#rowHeight - room;
    this.#draw();
    return this.#rows.get(ticker);
  }

  /** How many rows fit. */
  get capacity() {
    return Math.max(1, Math.floor((this.clientHeight - this.#headHeight()) / this.#rowHeight) - 1);
  }

  #schedule() {
    this.#frame ||= requestAnimationFrame(() => this.#draw());
  }

  #draw() {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    const layout = this.#layout();
    const top = this.scrollTop;
    const [start, end] = layout.range(top - OVERSCAN_PX, top + this.clientHeight + OVERSCAN_PX);
    const shown = this.#list.slice(start, end);
    this.#recycle(new Set(shown.map((entry) => entry.ticker)));
    const nodes = shown.flatMap((entry, place) => this.#nodesOf(entry, start + place));
    arrange(this.#body, [this.#above, ...nodes, this.#below]);
    this.#span([this.#above, this.#below, ...nodes]);
    setHeight(this.#above, layout.top(start));
    setHeight(this.#below, layout.height - layout.top(end));
    // A row that has the focus and is moved would be scrolled to.
    if (this.#body.contains(document.activeElement) && this.scrollTop !== top) this.scrollTop = top;
    const height = shown.length && this.#rows.get(shown[0].ticker).node.offsetHeight;
    if (height && height !== this.#rowHeight) {
      this.#rowHeight = height;
      this.#schedule();
    }
  }

  /** Cells that go across have as many columns as can be seen; more would make room for them. */
  #span(nodes) {
    const columns = this.#heading.shownColumns;
    for (const { cells } of nodes) if (cells.length === 1) cells[0].colSpan = columns;
  }

  #nodesOf(entry, index) {
    const isOpen = this.#isOpen(entry.ticker);
    const row = this.#rows.get(entry.ticker) ?? this.#spare.pop() ?? new Row();
    this.#rows.set(entry.ticker, row);
    row.show(entry, this.#first + index, isOpen);
    return isOpen ? [row.node, this.#panelOf(entry)] : [row.node];
  }

  #panelOf(entry) {
    let panel = this.#panels.get(entry.ticker);
    if (!panel) {
      const content = new SymbolPanel(entry.ticker);
      panel = { content, node: element("tr", { className: "panel-row" }, element("td", {}, content)) };
      panel.node.dataset.panel = entry.ticker;
      this.#panels.set(entry.ticker, panel);
      this.#sizes.observe(panel.node);
    }
    panel.content.show(entry);
    return panel.node;
  }

  #recycle(wanted) {
    for (const [ticker, row] of this.#rows) {
      if (wanted.has(ticker)) continue;
      if (row.node.contains(document.activeElement)) this.focus({ preventScroll: true });
      this.#rows.delete(ticker);
      row.node.remove(); // else those that stay would be moved past it
      if (this.#spare.length < MAX_SPARE_ROWS) this.#spare.push(row);
    }
    for (const [ticker, { node }] of this.#panels) {
      if (!wanted.has(ticker) && node.contains(document.activeElement)) this.focus({ preventScroll: true });
    }
  }

  #dropClosed() {
    for (const [ticker, { node }] of this.#panels) {
      if (this.#isOpen(ticker)) continue;
      this.#sizes.unobserve(node);
      this.#panels.delete(ticker);
      this.#heights.delete(ticker);
    }
  }

  #isOpen(ticker) {
    return this.#address.state.open.includes(ticker);
  }

  #layout() {
    const panels = this.#address.state.open
      .map((ticker) => ({ index: this.indexOf(ticker), height: this.#heights.get(ticker) ?? PANEL_PX }))
      .filter((panel) => panel.index >= 0);
    return new Layout(this.#list.length, this.#rowHeight, panels.sort((a, b) => a.index - b.index));
  }

  #headHeight() {
    return this.#heading.node.offsetHeight;
  }

  /** An opened symbol in sight, the one that is worked in if any, and where it stands on the screen. */
  #openInSight() {
    const layout = this.#layout();
    const ends = this.scrollTop + this.clientHeight - this.#headHeight();
    const isUsed = ([, { node }]) => node.contains(document.activeElement);
    const panels = [...this.#panels].sort((a, b) => isUsed(b) - isUsed(a));
    for (const [ticker] of panels) {
      const index = this.indexOf(ticker);
      const top = layout.top(index);
      if (index >= 0 && top < ends && layout.top(index + 1) > this.scrollTop) return { ticker, offset: top - this.scrollTop };
    }
    return null;
  }

  #hold({ ticker, offset }) {
    const index = this.indexOf(ticker);
    if (index < 0 || !this.#isOpen(ticker)) return;
    const layout = this.#layout();
    setHeight(this.#below, layout.height); // so that there is room to scroll before the rows are drawn
    const top = layout.top(index) - offset;
    if (Math.abs(top - this.scrollTop) >= 1) this.scrollTop = top;
  }

  #open(click) {
    const node = click.target.closest(".row");
    if (!node || isSelectedIn(node)) return;
    this.#address.toggle(node.dataset.ticker);
  }

  #measure(changes) {
    for (const { target } of changes) {
      const ticker = target.dataset.panel;
      if (ticker && target.isConnected) this.#heights.set(ticker, target.offsetHeight);
    }
    this.#schedule();
  }
}

/** Whether somebody has marked some of its text, as to copy it. */
function isSelectedIn(node) {
  const selection = getSelection();
  return !selection.isCollapsed && selection.containsNode(node, true);
}

function spacer() {
  return element("tr", { className: "spacer", ariaHidden: "true" }, element("td"));
}

function setHeight(node, height) {
  node.firstElementChild.style.height = `${height}px`;
}

customElements.define("symbol-table", SymbolTable);
