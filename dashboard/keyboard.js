// Keys in the list: arrows, Home, End, page up and down move; Enter opens (the row's button does); Esc closes.

const STEPS = {
  ArrowDown: (at) => at + 1,
  ArrowUp: (at) => at - 1,
  PageDown: (at, table) => at + table.capacity,
  PageUp: (at, table) => at - table.capacity,
  Home: () => 0,
  End: (_at, table) => table.list.length - 1,
};

/** One row's button is in the order of focus, the last that was used: `active`. */
export class ListKeys {
  #table;
  #address;
  #active = "";

  constructor(table, address) {
    this.#table = table;
    this.#address = address;
    table.addEventListener("keydown", (press) => this.#press(press));
    table.addEventListener("focusin", ({ target }) => this.#activate(target.closest(".row")));
  }

  /** Into the list, to where the user was, or its first row. */
  enter() {
    this.#go(Math.max(0, this.#table.indexOf(this.#active)));
  }

  #activate(row) {
    if (!row) return;
    this.#table.querySelector(".expander[tabindex='0']")?.setAttribute("tabindex", "-1");
    row.querySelector(".expander").tabIndex = 0;
    this.#active = row.dataset.ticker;
  }

  #press(press) {
    const { key, target } = press;
    const panel = target.closest("[data-panel]");
    if (key === "Escape") {
      const ticker = panel?.dataset.panel ?? this.#active;
      if (!this.#address.state.open.includes(ticker)) return;
      this.#address.toggle(ticker);
      this.#go(this.#table.indexOf(ticker));
    } else if (!panel && STEPS[key] && !press.ctrlKey && !press.metaKey && !press.altKey) {
      const at = this.#table.indexOf(this.#active);
      this.#go(STEPS[key](at, this.#table));
    } else {
      return;
    }
    press.preventDefault();
    press.stopPropagation();
  }

  #go(index) {
    const { list } = this.#table;
    const entry = list[Math.max(0, Math.min(list.length - 1, index))];
    const row = entry && this.#table.reveal(entry.ticker);
    row?.expander.focus({ preventScroll: true });
  }
}
