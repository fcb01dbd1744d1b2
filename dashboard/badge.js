// Says whether an opened symbol's trades and its aggregate agree; checks again, unhurried, as trades come, and
// while they do not.

import { api } from "./api.js";
import { check, MAX_TRADES } from "./consistency.js";
import { element, setText } from "./dom.js";
import { formatCount } from "./format.js";
import { Renewal } from "./renewal.js";

const LEAST_MS = 4_000; // between two checks
const MS_PER_TRADE = 4; // more for symbols with more trades
const LONG_MS = 15_000; // what is only on its way has come by then
const SETTLED = new Set(["consistent", "capped"]);

const SAYS = {
  checking: () => ["…", "adding up the trades"],
  consistent: ({ count }) => ["✓", `${formatCount(count)} trade${count === 1 ? "" : "s"} add up to the aggregate`],
  differs: ({ count, expected, differences }) => [
    "≠",
    `${differences.join(", ")} differ: ${formatCount(count)} trades stored, ${formatCount(expected)} counted`,
  ],
  fewer: ({ count, expected }) => [
    "≠",
    `${formatCount(count)} of ${formatCount(expected)} trades stored: older ones may have been let go`,
  ],
  moving: () => ["…", "trades come too fast to compare here"],
  capped: ({ expected }) => ["–", `not added up here: ${formatCount(expected)} trades, more than ${formatCount(MAX_TRADES)}`],
  failed: ({ reason }) => ["?", `could not be checked: ${reason}`],
};
const HINTS = {
  differs: "It may be on its way: the two are written by two functions. tradewind verify compares everything.",
  fewer: "With TRADE_RETENTION raw trades are let go, and stay counted. tradewind verify compares everything.",
  capped: "tradewind verify adds up everything, however many there are.",
  consistent: "Number, volume and value of the raw trades are those of the aggregate.",
};

export class ConsistencyBadge extends HTMLElement {
  #ticker;
  #sign = element("span", { className: "sign", ariaHidden: "true" });
  #text = element("span");
  #isChecking = false;
  #renewal = new Renewal();
  #differsSinceMs = null;

  setUp(ticker) {
    this.#ticker = ticker;
    this.className = "badge";
    this.append(this.#sign, this.#text);
    this.#say({ state: "checking" });
    return this;
  }

  /** The aggregate counts `trades` now. */
  renew(trades, now = Date.now()) {
    if (!this.#isChecking && this.#renewal.isDue(trades, now)) this.#check(trades);
  }

  async #check(trades) {
    this.#isChecking = true;
    const found = await check(api, this.#ticker).catch(({ message }) => ({ state: "failed", reason: message }));
    this.#say({ ...found, state: this.#stateOf(found) });
    const leastMs = LEAST_MS + MS_PER_TRADE * Math.min(trades, MAX_TRADES);
    this.#renewal.note(SETTLED.has(found.state), { leastMs });
    this.#isChecking = false;
  }

  #stateOf({ state, count, expected }, now = Date.now()) {
    if (SETTLED.has(state)) this.#differsSinceMs = null;
    if (state !== "differs") return state;
    this.#differsSinceMs ??= now;
    return count < expected && now - this.#differsSinceMs > LONG_MS ? "fewer" : state;
  }

  #say(found) {
    const [sign, text] = SAYS[found.state](found);
    this.dataset.state = found.state;
    this.title = HINTS[found.state] ?? "";
    setText(this.#sign, sign);
    setText(this.#text, text);
  }
}

customElements.define("consistency-badge", ConsistencyBadge);
