// Which symbols, in which order.

const TEXT = new Set(["ticker", "name"]);
const byTicker = (a, b) => (a.ticker < b.ticker ? -1 : a.ticker > b.ticker ? 1 : 0);
const names = new Intl.Collator("en", { sensitivity: "base", numeric: true });

/** The order that a column has when it is first chosen: text from A, numbers from the largest. */
export const firstOrder = (column) => (TEXT.has(column) ? "asc" : "desc");

/**
 * The entries that contain `q` in symbol or name, sorted. Equal ones go by symbol. While the list is in its
 * plain order, the symbol that was typed comes first, then those that begin with it.
 */
export function select(entries, { q, sort, order }) {
  const text = q.trim().toLowerCase();
  const found = text ? entries.filter((entry) => entry.search.includes(text)) : [...entries];
  found.sort(comparison(sort, order));
  if (!text || sort !== "ticker" || order !== "asc") return found;
  const rank = (entry) => {
    const ticker = entry.ticker.toLowerCase();
    return ticker === text ? 0 : ticker.startsWith(text) ? 1 : 2;
  };
  return found.sort((a, b) => rank(a) - rank(b));
}

function comparison(sort, order) {
  const sign = order === "desc" ? -1 : 1;
  if (sort === "ticker") return (a, b) => sign * byTicker(a, b);
  if (sort === "name") return (a, b) => compareNames(a, b, sign) || byTicker(a, b);
  return (a, b) => sign * (a[sort] - b[sort]) || byTicker(a, b);
}

/** Symbols without a name come last, in either order. */
function compareNames(a, b, sign) {
  if (!a.name || !b.name) return Number(!a.name) - Number(!b.name);
  return sign * names.compare(a.name, b.name);
}
