// The columns of the list of symbols.

import { formatChange, formatCount, formatPercent, formatPrice, formatTime, formatValue } from "./format.js";

/** `sort`: the entry's member to sort by. Texts are written into a row's cell of the same `key`. */
export const COLUMNS = [
  { key: "symbol", label: "Symbol", sort: "ticker", text: (entry) => entry.ticker },
  { key: "name", label: "Name", sort: "name", text: (entry) => entry.name },
  { key: "price", label: "Price", sort: "price", text: (entry) => formatPrice(entry.priceText), isNumber: true },
  {
    key: "change",
    label: "Change",
    hint: "since this page was opened",
    sort: "change",
    text: (entry) => formatChange(entry.change),
    isNumber: true,
  },
  {
    key: "percent",
    label: "Change %",
    hint: "since this page was opened",
    sort: "percent",
    text: (entry) => formatPercent(entry.percent),
    isNumber: true,
  },
  { key: "trend", label: "Trend", hint: "prices that this page has seen" },
  { key: "volume", label: "Volume", sort: "volume", text: (entry) => formatCount(entry.volume), isNumber: true },
  {
    key: "value",
    label: "Value $",
    hint: "sum of price × volume",
    sort: "value",
    text: (entry) => formatValue(entry.valueText),
    isNumber: true,
  },
  { key: "trades", label: "Trades", sort: "trades", text: (entry) => formatCount(entry.trades), isNumber: true },
  { key: "time", label: "Last trade", sort: "time", text: (entry) => formatTime(entry.time), isNumber: true },
];
