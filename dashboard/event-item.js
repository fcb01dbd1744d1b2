// One event in the tail. Opens to all that is known of it.

import { element, setText } from "./dom.js";
import { formatCount, formatPreciseTime } from "./format.js";
import { makeAttributes, makeData, summarize } from "./payload.js";
import { verdictsOf } from "./tail.js";
import { makeVerdict } from "./verdict.js";

export class EventItem {
  #event = null;
  #count = 0;
  #time = element("time");
  #type = element("span", { className: "type" });
  #line = element("span", { className: "line" });
  #id = element("span", { className: "id" });
  #verdicts = element("span", { className: "verdicts" });
  #body = element("div", { className: "event-body" });
  node = element(
    "details",
    { className: "event" },
    element("summary", {}, this.#time, this.#type, this.#line, this.#id, this.#verdicts),
    this.#body,
  );

  constructor() {
    this.node.addEventListener("toggle", () => this.#fill());
  }

  show(event) {
    if (event === this.#event && event.count === this.#count) return;
    this.#event = event;
    this.#count = event.count;
    const { attributes, data, time } = event.latest;
    this.#time.dateTime = time;
    setText(this.#time, formatPreciseTime(Date.parse(time)));
    setText(this.#type, attributes.type ?? "no type");
    setText(this.#line, summarize(data));
    setText(this.#id, attributes.id ?? "no id");
    this.#id.title = `${attributes.source ?? ""} ${attributes.id ?? ""}`;
    this.#verdicts.replaceChildren(...verdictsOf(event).map(makeVerdict));
    this.#fill();
  }

  #fill() {
    if (!this.node.open) return this.#body.replaceChildren();
    const { attributes, data } = this.#event.latest;
    this.#body.replaceChildren(makeAttributes(attributes), makeData(data), makeDeliveries(this.#event));
  }
}

function makeDeliveries(event) {
  const list = element("ol", { className: "deliveries" });
  for (const delivery of event.deliveries.values()) {
    const item = element("li", {}, element("time", { textContent: formatPreciseTime(Date.parse(delivery.time)) }), makeVerdict(delivery));
    if (delivery.reason) item.append(element("p", { className: "reason", textContent: delivery.reason }));
    list.append(item);
  }
  const left = event.count - event.deliveries.size;
  const heading = `Deliveries seen${left ? `, the last ${event.deliveries.size} of ${formatCount(event.count)}` : ""}`;
  return element("div", {}, element("h4", { textContent: heading }), list);
}
