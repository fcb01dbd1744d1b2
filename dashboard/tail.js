// The recent events, put together from deliveries: what each function made of each event, and how often it
// was seen to get it.

const MAX_EVENTS = 300;
const MAX_DELIVERIES = 20; // of an event; the broker may try for days

const keyOf = ({ attributes }) => `${attributes.source ?? ""}\n${attributes.id ?? ""}`;

export const deliveryKey = ({ function: name, time, verdict }) => `${name}\n${time}\n${verdict}`;

export class Tail {
  #events = new Map(); // by source and id, the one that was delivered last at the end

  /** Takes an answer to /events; what is known already changes nothing. */
  merge(deliveries) {
    for (const delivery of deliveries.toReversed()) this.#add(delivery);
    for (const key of this.#events.keys()) {
      if (this.#events.size <= MAX_EVENTS) break;
      this.#events.delete(key);
    }
  }

  #add(delivery) {
    const key = keyOf(delivery);
    const event = this.#events.get(key) ?? { key, deliveries: new Map(), verdicts: new Map(), count: 0 };
    if (!note(event, delivery)) return;
    this.#events.delete(key);
    this.#events.set(key, event);
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
export function verdictsOf({ verdicts }) {
  return [...verdicts.values()].sort((a, b) => (a.function < b.function ? -1 : 1));
}

/** Adds a delivery to its event. False for one that is known: there, or older than the last ones that are kept. */
function note(event, delivery) {
  const { deliveries, verdicts } = event;
  const [oldest] = deliveries.values();
  const isForgotten = deliveries.size === MAX_DELIVERIES && delivery.time <= oldest.time;
  if (isForgotten || deliveries.has(deliveryKey(delivery))) return false;
  if (deliveries.size === MAX_DELIVERIES) deliveries.delete(deliveryKey(oldest));
  deliveries.set(deliveryKey(delivery), delivery);
  const times = (verdicts.get(delivery.function)?.times ?? 0) + 1;
  verdicts.set(delivery.function, { ...delivery, times });
  Object.assign(event, { latest: delivery, count: event.count + 1, search: null });
  return true;
}
