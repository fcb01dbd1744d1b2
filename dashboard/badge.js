// Says whether an opened symbol's trades and its aggregate agree; checks again, unhurried, as trades come.

import { api } from "./api.js";
import { check, MAX_TRADES } from "./consistency.js";
import { element, setText } from "./dom.js";
import { formatCount } from "./format.js";

const LEAST_MS = 4_000; // between two checks
const MS_PER_TRADE = 4; // more for symbols with more trades

const SAYS = {
  checking: () => ["…", "adding up the trades"],
  consistent: ({ count }) => ["✓", `${formatCount(count)} trade${count === 1 ? "" : "s"} add up to the aggregate`],
  differs: ({ count, expected, differences }) => [
    "≠",
    `${differences.join(", ")} differ: ${formatCount(count)} trades stored, ${formatCount(expected)} counted`,
  ],
  moving: () => ["…", "trades come too fast to compare here"],
  capped: ({ expected }) => ["–", `not added up here: ${formatCount(expected)} trades, more than ${formatCount(MAX_TRADES)}`],
  failed: ({ reason }) => ["?", `could not be checked: ${reason}`],
};
const HINTS = {
  differs: "It may be on its way: the two are written by two functions. tradewind verify compares everything.",
  capped: "tradewind verify adds up everything, however many there are.",
  consistent: "Number, volume and value of the raw trades are those of the aggregate.",
};

export class ConsistencyBadge extends HTMLElement {
  #ticker;
  #sign = element("span", { className: "sign", ariaHidden: "true" });
  #text = element("span");
  #isChecking = false;
  #checkedTrades = -1;
  #wanted = 0;
  #dueMs = 0;

  setUp(ticker) {
    this.#ticker = ticker;
    this.className = "badge";
    this.append(this.#sign, this.#text);
    this.#say({ state: "checking" });
    return this;
  }

  /** The aggregate counts `trades` now. */
  renew(trades, now = Date.now()) {
    this.#wanted = trades;
    if (this.#isChecking || trades === this.#checkedTrades || now < this.#dueMs) return;
    this.#check();
  }

  async #check() {
    this.#isChecking = true;
    const trades = this.#wanted;
    try {
      this.#say(await check(api, this.#ticker));
      this.#checkedTrades = trades;
    } catch (error) {
      this.#say({ state: "failed", reason: error.message });
    }
    this.#dueMs = Date.now() + LEAST_MS + MS_PER_TRADE * Math.min(trades, MAX_TRADES);
    this.#isChecking = false;
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
