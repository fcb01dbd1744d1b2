// Whether a symbol's raw trades add up to its aggregate: the two are written by two functions that know
// nothing of each other.

import { parseTicks } from "./format.js";

export const MAX_TRADES = 5_000;
const PAGE = 1_000;
const ATTEMPTS = 4;
const PAUSE_MS = 400;

/** Sums of raw trades as an aggregate has them. */
export function sum(trades) {
  const total = { count: 0, volume: 0n, valueTicks: 0n };
  for (const trade of trades) {
    total.count += 1;
    total.volume += BigInt(trade.volume);
    total.valueTicks += parseTicks(trade.price) * BigInt(trade.volume);
  }
  return total;
}

/** What differs between an aggregate and the sums: names of members. */
export function compare(aggregate, { count, volume, valueTicks }) {
  const pairs = { trades: [aggregate.trade_count, count], volume: [BigInt(aggregate.volume), volume], value: [parseTicks(aggregate.value), valueTicks] };
  return Object.keys(pairs).filter((name) => pairs[name][0] !== pairs[name][1]);
}

/**
 * {state: "consistent" | "differs" | "capped" | "moving", count, expected, differences}. Trades that come while
 * we read make the two differ for a moment, so a difference counts only if it stays; "moving" when nothing
 * ever stood still long enough.
 */
export async function check(api, ticker, { pauseMs = PAUSE_MS } = {}) {
  let found;
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    if (attempt) await new Promise((resolve) => setTimeout(resolve, pauseMs));
    const before = await api.ticker(ticker);
    if (before.trade_count > MAX_TRADES) return { state: "capped", count: MAX_TRADES, expected: before.trade_count };
    const sums = sum(await readAll(api, ticker));
    const differences = compare(before, sums);
    found = { count: sums.count, expected: before.trade_count, differences };
    if (!differences.length) return { state: "consistent", ...found };
    const after = await api.ticker(ticker);
    found.state = after.trade_count === before.trade_count ? "differs" : "moving";
  }
  return found;
}

async function readAll(api, ticker) {
  const trades = [];
  let cursor;
  do {
    const page = await api.trades(ticker, PAGE, cursor);
    trades.push(...page.trades);
    cursor = page.next_cursor ?? undefined;
  } while (cursor && trades.length <= MAX_TRADES);
  return trades;
}
