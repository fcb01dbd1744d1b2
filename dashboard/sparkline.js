// A small line of the prices that this page has seen.

import { svg } from "./dom.js";

const WIDTH = 88;
const HEIGHT = 20;
const PAD = 2;

export class Sparkline {
  #line = svg("polyline", { class: "spark-line" });
  #end = svg("circle", { class: "spark-end", r: 1.6 });
  #drawn = "";
  node = svg(
    "svg",
    { class: "spark", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, width: WIDTH, height: HEIGHT, "aria-hidden": "true" },
    this.#line,
    this.#end,
  );

  draw(points) {
    const places = placePoints(points);
    const text = places.map((place) => place.join(",")).join(" ");
    if (text === this.#drawn) return;
    this.#drawn = text;
    this.#line.setAttribute("points", text);
    const [x, y] = places.at(-1);
    this.#end.setAttribute("cx", x);
    this.#end.setAttribute("cy", y);
  }
}

function placePoints(points) {
  const low = Math.min(...points);
  const span = Math.max(...points) - low;
  const step = (WIDTH - 2 * PAD) / Math.max(1, points.length - 1);
  const inner = HEIGHT - 2 * PAD;
  const place = (price, index) => [
    round(points.length === 1 ? WIDTH - PAD : PAD + index * step),
    round(span ? HEIGHT - PAD - ((price - low) / span) * inner : HEIGHT / 2),
  ];
  const places = points.map(place);
  return places.length === 1 ? [[PAD, HEIGHT / 2], ...places] : places;
}

const round = (number) => Math.round(number * 10) / 10;
