// The read API. An answer that is no success becomes an ApiError with the server's own words.

const TIMEOUT_MS = 10_000;
const BROKER_TIMEOUT_MS = 15_000; // the server itself waits 10 s for the broker, and then says so

export class ApiError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function ask(path, options) {
  const answer = await fetch(path, { signal: AbortSignal.timeout(TIMEOUT_MS), ...options });
  const isJson = (answer.headers.get("content-type") ?? "").includes("json");
  const body = isJson ? await answer.json() : null;
  if (!answer.ok) throw new ApiError(answer.status, body?.detail ?? `the server answered ${answer.status}`);
  return body;
}

const query = (parameters) => {
  const given = Object.entries(parameters).filter(([, value]) => value !== undefined && value !== "");
  return given.length ? `?${new URLSearchParams(given)}` : "";
};

/** A symbol of dots alone would be a step up in a URL; with a blank it is none, and no symbol has one. */
const segment = (ticker) => encodeURIComponent(/^\.{1,2}$/.test(ticker) ? `${ticker} ` : ticker);
const ofTicker = (ticker, what) => `/v1/tickers/${segment(ticker)}${what}`;

export const api = {
  changes: (cursor) => ask(`/v1/tickers?changed_since=${encodeURIComponent(cursor)}`),
  totals: () => ask("/v1/totals"),
  ticker: (ticker) => ask(ofTicker(ticker, "")),
  trades: (ticker, limit, cursor) => ask(ofTicker(ticker, `/trades${query({ limit, cursor })}`)),
  prices: (ticker, buckets) => ask(ofTicker(ticker, `/prices${query({ buckets })}`)),
  events: (parameters) => ask(`/v1/events${query(parameters)}`),
  deadLetters: (parameters) => ask(`/v1/dead-letters${query(parameters)}`),
  replay: (key) =>
    ask(`/v1/dead-letters/${encodeURIComponent(key)}/replay`, {
      method: "POST",
      signal: AbortSignal.timeout(BROKER_TIMEOUT_MS),
      headers: { "content-type": "application/json" },
      body: "{}",
    }),
  send: (event) =>
    ask("/v1/events", {
      method: "POST",
      signal: AbortSignal.timeout(BROKER_TIMEOUT_MS),
      headers: { "content-type": "application/cloudevents+json" },
      body: JSON.stringify(event),
    }),
};
