// The recent events, put together from deliveries: what each function made of each event, and how often it
// was seen to get it.

const MAX_EVENTS = 300;

const keyOf = ({ attributes }) => `${attributes.source ?? ""}\n${attributes.id ?? ""}`;
const deliveryKey = ({ function: name, time, verdict }) => `${name}\n${time}\n${verdict}`;

export class Tail {
  #events = new Map(); // by source and id, the one that was delivered last at the end

  /** Takes an answer to /events; what is known already changes nothing. Gives how many deliveries were new. */
  merge(deliveries) {
    let added = 0;
    for (const delivery of deliveries.toReversed()) added += Number(this.#add(delivery));
    for (const key of this.#events.keys()) {
      if (this.#events.size <= MAX_EVENTS) break;
      this.#events.delete(key);
    }
    return added;
  }

  #add(delivery) {
    const key = keyOf(delivery);
    const event = this.#events.get(key) ?? { key, deliveries: new Map() };
    const known = deliveryKey(delivery);
    if (event.deliveries.has(known)) return false;
    event.deliveries.set(known, delivery);
    Object.assign(event, { latest: delivery, search: null });
    this.#events.delete(key);
    this.#events.set(key, event);
    return true;
  }

  clear() {
    this.#events.clear();
  }

  get(key) {
    return this.#events.get(key);
  }

  /** Newest first. */
  events() {
    return [...this.#events.values()].reverse();
  }
}

/** Whether the text is somewhere in the event: its attributes, data, verdicts, reasons. */
export function matches(event, text) {
  event.search ??= [...event.deliveries.values()]
    .map(({ function: name, attributes, data, verdict, reason }) =>
      [name, ...Object.values(attributes), data.text ?? "", verdict, reason].join("\n"),
    )
    .join("\n")
    .toLowerCase();
  return event.search.includes(text.trim().toLowerCase());
}

/** The functions that got an event, each with its last verdict and the number of deliveries that were seen. */
export function verdictsOf(event) {
  const functions = new Map();
  for (const delivery of event.deliveries.values()) {
    const times = (functions.get(delivery.function)?.times ?? 0) + 1;
    functions.set(delivery.function, { ...delivery, times });
  }
  return [...functions.values()].sort((a, b) => (a.function < b.function ? -1 : 1));
}
