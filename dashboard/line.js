// The line of a symbol's prices, from the trades that are loaded.

import { element, setText, svg } from "./dom.js";
import { formatCount, formatPreciseTime, formatPrice } from "./format.js";

const WIDTH = 400;
const HEIGHT = 200;
const PAD = 2;

export class PriceLine extends HTMLElement {
  #points = [];
  #count = 0; // of trades: one is drawn as two points
  #pointerX = null; // while the pointer is over the line
  #caption = element("figcaption");
  #area = svg("path", { class: "area" });
  #line = svg("path", { class: "line", "vector-effect": "non-scaling-stroke" });
  #end = svg("path", { class: "end", "vector-effect": "non-scaling-stroke" });
  #mark = svg("line", { class: "mark", y1: 0, y2: HEIGHT, "vector-effect": "non-scaling-stroke" });
  #drawing = svg(
    "svg",
    { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" },
    this.#area,
    this.#line,
    this.#end,
    this.#mark,
  );
  #high = element("span", { className: "high" });
  #low = element("span", { className: "low" });
  #from = element("span");
  #to = element("span");

  setUp() {
    const frame = element("div", { className: "frame" }, this.#drawing, this.#high, this.#low);
    const times = element("div", { className: "times" }, this.#from, this.#to);
    this.append(element("figure", {}, this.#caption, frame, times));
    frame.addEventListener("pointermove", ({ clientX }) => this.#point(clientX));
    frame.addEventListener("pointerleave", () => this.#point(null));
    this.#point(null);
    return this;
  }

  /** Trades, newest first. */
  show(trades) {
    const points = trades.map((trade) => ({ ms: Date.parse(trade.time), price: Number(trade.price) })).reverse();
    if (!points.length) return;
    this.#points = place(points);
    this.#count = points.length;
    const path = this.#points.map(({ x, y }, index) => `${index ? "L" : "M"}${x} ${y}`).join("");
    this.#line.setAttribute("d", path);
    this.#area.setAttribute("d", `${path}L${this.#points.at(-1).x} ${HEIGHT}L${this.#points[0].x} ${HEIGHT}Z`);
    const { x, y } = this.#points.at(-1);
    this.#end.setAttribute("d", `M${x} ${y}h0`); // a round dot, however the drawing is stretched
    const prices = points.map(({ price }) => price);
    setText(this.#high, formatPrice(Math.max(...prices)));
    setText(this.#low, formatPrice(Math.min(...prices)));
    setText(this.#from, formatPreciseTime(points[0].ms));
    setText(this.#to, formatPreciseTime(points.at(-1).ms));
    this.#drawing.setAttribute(
      "aria-label",
      `Prices of ${points.length} trades, from ${this.#low.textContent} to ${this.#high.textContent}`,
    );
    this.#point(this.#pointerX);
  }

  /** Tells the price at the pointer, or, when it is elsewhere, what the line is. */
  #point(clientX) {
    this.#pointerX = clientX;
    if (clientX === null || !this.#count) return this.#unpoint();
    const { left, width } = this.#drawing.getBoundingClientRect();
    const x = ((clientX - left) / width) * WIDTH;
    const nearest = this.#points.reduce((best, point) => (Math.abs(point.x - x) < Math.abs(best.x - x) ? point : best));
    this.#mark.setAttribute("x1", nearest.x);
    this.#mark.setAttribute("x2", nearest.x);
    this.#mark.removeAttribute("visibility");
    setText(this.#caption, `Price ${formatPrice(nearest.price)} at ${formatPreciseTime(nearest.ms)}`);
  }

  #unpoint() {
    this.#mark.setAttribute("visibility", "hidden");
    const which = this.#count === 1 ? "the one trade" : `latest ${formatCount(this.#count)} trades`;
    setText(this.#caption, this.#count ? `Price, ${which}` : "Price");
  }
}

/** Each point with its place in the drawing. One point becomes a level line. */
function place(points) {
  const spread = points.length === 1 ? [{ ...points[0], ms: points[0].ms - 1 }, points[0]] : points;
  const times = spread.map(({ ms }) => ms);
  const prices = spread.map(({ price }) => price);
  const [start, low] = [Math.min(...times), Math.min(...prices)];
  const duration = Math.max(...times) - start || 1;
  const span = Math.max(...prices) - low;
  return spread.map(({ ms, price }) => ({
    ms,
    price,
    x: Math.round(((ms - start) / duration) * WIDTH * 10) / 10,
    y: span ? Math.round((HEIGHT - PAD - ((price - low) / span) * (HEIGHT - 2 * PAD)) * 10) / 10 : HEIGHT / 2,
  }));
}

customElements.define("price-line", PriceLine);
