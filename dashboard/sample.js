// Trades to send: one that is right, and the ways to be wrong.

const SOURCE = "/tradewind/page";

/** No two pages make the same id. */
export const makeId = () => `page-${Date.now().toString(36)}-${crypto.getRandomValues(new Uint32Array(1))[0].toString(36)}`;

/** A CloudEvent in structured mode. */
export function makeEvent(id, { ticker, price, volume }, now = new Date()) {
  return {
    specversion: "1.0",
    type: "trade.executed.v1",
    source: SOURCE,
    id,
    subject: ticker,
    time: now.toISOString(),
    datacontenttype: "application/json",
    data: { ticker, price, volume, timestamp: now.toISOString() },
  };
}

/** The same event once more, by id and content. */
export const makeDuplicate = (event) => structuredClone(event);

/** The same source and id, but another trade. */
export function makeConflict(event) {
  return { ...event, data: { ...event.data, volume: event.data.volume + 1 } };
}

/** An event that is well-formed, with a trade in it that is not. */
export function makeBroken(event) {
  return { ...event, data: { ...event.data, price: "-1" } };
}

/** The same from a terminal. */
export function toCurl(event, origin = location.origin) {
  const body = JSON.stringify(event).replaceAll("'", "'\\''");
  return `curl ${origin}/v1/events \\\n  -H 'content-type: application/cloudevents+json' \\\n  -d '${body}'`;
}
