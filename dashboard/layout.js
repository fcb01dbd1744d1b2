// Where rows and opened panels stand in a long list, of which only a part is drawn. All in pixels.

export class Layout {
  #count;
  #rowHeight;
  #panels;

  /** `panels`: [{index, height}], one below each opened row, by index. */
  constructor(count, rowHeight, panels = []) {
    this.#count = count;
    this.#rowHeight = rowHeight;
    this.#panels = panels;
  }

  get height() {
    return this.top(this.#count);
  }

  /** The upper edge of a row. */
  top(index) {
    const above = this.#panels.filter((panel) => panel.index < index);
    return index * this.#rowHeight + above.reduce((sum, panel) => sum + panel.height, 0);
  }

  /** The row at a height; a panel belongs to the row above it. */
  at(y) {
    let above = 0;
    for (const panel of this.#panels) {
      const top = (panel.index + 1) * this.#rowHeight + above;
      if (y < top) break;
      if (y < top + panel.height) return panel.index;
      above += panel.height;
    }
    return Math.max(0, Math.min(this.#count - 1, Math.floor((y - above) / this.#rowHeight)));
  }

  /** The rows to draw, [start, end), so that [from, to] is covered. */
  range(from, to) {
    return this.#count ? [this.at(from), this.at(to) + 1] : [0, 0];
  }
}
