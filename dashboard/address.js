// The state of the page, kept in its address: it can be sent to somebody, and back and forward work.

const DEFAULTS = {
  view: "symbols",
  q: "",
  sort: "ticker",
  order: "asc",
  rows: "all",
  page: "1",
  open: "",
  find: "",
  function: "",
  verdict: "",
};
const CHOICES = {
  view: ["symbols", "events", "letters"],
  sort: ["ticker", "name", "price", "change", "percent", "volume", "value", "trades", "time"],
  order: ["asc", "desc"],
  rows: ["25", "50", "100", "all"],
};
const MAX_LENGTH = 64;
const MAX_TICKER_LENGTH = 32;
const MAX_OPEN = 8;

// Commas part the opened symbols, so one within a symbol is escaped.
const escape = (ticker) => ticker.replaceAll("%", "%25").replaceAll(",", "%2C");
const unescape = (text) => text.replaceAll("%2C", ",").replaceAll("%25", "%");

/** What an address's query means; anything unknown or absurd is left out. */
export function parseSearch(search) {
  const given = new URLSearchParams(search);
  const state = { ...DEFAULTS };
  for (const name of Object.keys(DEFAULTS)) {
    const value = given.get(name);
    if (value !== null && (CHOICES[name]?.includes(value) ?? true)) state[name] = value.slice(0, MAX_LENGTH);
  }
  const named = (given.get("open") ?? "").split(",").map(unescape);
  const open = new Set(named.filter((ticker) => ticker && ticker.length <= MAX_TICKER_LENGTH));
  return { ...state, page: Math.max(1, Number.parseInt(state.page, 10) || 1), open: [...open].slice(-MAX_OPEN) };
}

/** The query for a state; what is as by default is left out. */
export function formatSearch(state) {
  const texts = { ...state, page: String(state.page), open: state.open.map(escape).join(",") };
  const told = Object.entries(texts).filter(([name, value]) => value !== DEFAULTS[name]);
  return told.length ? `?${new URLSearchParams(told).toString().replaceAll("%2C", ",")}` : "";
}

/** Tells "change" whenever the state is another one, whoever changed it. */
export class Address extends EventTarget {
  state = parseSearch(location.search);

  constructor() {
    super();
    window.addEventListener("popstate", () => this.#take(parseSearch(location.search)));
  }

  /** Changes parts of the state. `replaces`: without a new step for the back button. */
  set(changes, { replaces = false } = {}) {
    const state = { ...this.state, ...changes };
    const search = formatSearch(state);
    if (search === formatSearch(this.state)) return;
    history[replaces ? "replaceState" : "pushState"](null, "", search || location.pathname);
    this.#take(state);
  }

  /** Opens a symbol, or closes it. Of too many the first opened gives way. */
  toggle(ticker) {
    const others = this.state.open.filter((open) => open !== ticker);
    const isOpen = others.length < this.state.open.length;
    this.set({ open: isOpen ? others : [...others, ticker].slice(-MAX_OPEN) });
  }

  #take(state) {
    const before = this.state;
    this.state = state;
    this.dispatchEvent(new CustomEvent("change", { detail: { before } }));
  }
}
