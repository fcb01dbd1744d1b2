// An event's data, for people: one line, or the whole of it.

import { element } from "./dom.js";
import { formatBytes, formatCount } from "./format.js";

const TICKERS_TOLD = 4;

/** One line: the trade, or the symbols of a batch. */
export function summarize({ text, size, is_cut: isCut }) {
  const data = parse(text);
  if (data?.ticker !== undefined) return `${data.ticker} ${data.volume ?? "?"} @ ${data.price ?? "?"}`;
  const tickers = [...(text ?? "").matchAll(/"ticker"\s*:\s*"([^"]{1,32})"/g)].map(([, ticker]) => ticker);
  if (!tickers.length) return text ? text.slice(0, 80) : formatBytes(size);
  const told = tickers.slice(0, TICKERS_TOLD).join(", ");
  const count = `${formatCount(tickers.length)}${isCut ? "+" : ""} trades`;
  return `${count}: ${told}${tickers.length > TICKERS_TOLD ? " …" : ""}`;
}

/** The whole data, indented where it is JSON. */
export function makeData({ text, base64, size, is_cut: isCut }) {
  const data = parse(text);
  const shown = data === undefined ? (text ?? base64 ?? "").replaceAll(/(\[|},){/g, "$1\n{") : JSON.stringify(data, null, 2);
  const note = isCut ? `the first ${formatBytes((text ?? base64 ?? "").length)} of ${formatBytes(size)}` : formatBytes(size);
  return element(
    "div",
    { className: "data" },
    element("h4", { textContent: `Data, ${note}${text === null ? ", base64" : ""}` }),
    element("pre", { tabIndex: 0, role: "region", ariaLabel: "Data" }, element("code", { textContent: shown || "none" })),
  );
}

/** The context attributes, those of the specification first. */
export function makeAttributes(attributes) {
  const list = element("dl", { className: "attributes" });
  for (const [name, value] of Object.entries(attributes)) {
    list.append(element("div", {}, element("dt", { textContent: name }), element("dd", { textContent: value })));
  }
  return element("div", {}, element("h4", { textContent: "Attributes" }), list);
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
