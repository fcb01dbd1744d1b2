// What a function made of an event, as a mark: its name, the verdict, the number of deliveries.

import { element } from "./dom.js";

const KINDS = {
  STORED: "good",
  COUNTED: "good",
  DONE: "good", // by a function of one's own
  REPLIED: "reply", // not a delivery: what a function answered with
  DUPLICATE: "known",
  CONFLICT: "bad",
  OVERFLOW: "bad",
  BAD_REQUEST: "bad",
  UNAVAILABLE: "late",
};

export const VERDICTS = Object.keys(KINDS);

export const kindOf = (verdict) => KINDS[verdict] ?? "known";

export const nameOf = (name) => name.replaceAll("_", "-"); // as its Knative Service is called

/** `times`: how many deliveries of the event to the function were seen. */
export function makeVerdict({ function: name, verdict, reason, times = 1 }) {
  const mark = element("span", { className: "verdict", title: reason });
  mark.dataset.kind = kindOf(verdict);
  mark.append(element("span", { className: "function", textContent: nameOf(name) }), ` ${verdict}`);
  if (times > 1) mark.append(element("span", { className: "times", textContent: ` ×${times}`, title: `${times} deliveries seen` }));
  return mark;
}
