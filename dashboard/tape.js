// A symbol's trades as far as they are loaded, newest first.

const MAX_TRADES = 2_000;

/** Ids are unique within a source only. */
export const keyOf = ({ source, id }) => `${source}\n${id}`;

export class Tape {
  trades = [];
  nextCursor = null;

  /** Takes the newest page again. Where more came than a page holds, what was loaded before is dropped. */
  renew({ trades, next_cursor: nextCursor }) {
    const joint = trades.length ? this.indexOf(keyOf(trades.at(-1))) : -1;
    const older = joint < 0 ? [] : this.trades.slice(joint + 1);
    this.#take([...trades, ...older], older.length ? this.nextCursor : nextCursor);
  }

  /** Takes the page that follows. */
  extend({ trades, next_cursor: nextCursor }) {
    const known = new Set(this.trades.map(keyOf));
    this.#take([...this.trades, ...trades.filter((trade) => !known.has(keyOf(trade)))], nextCursor);
  }

  indexOf(key) {
    return this.trades.findIndex((trade) => keyOf(trade) === key);
  }

  /** A cursor goes on after the last trade, so a tape that was cut has none. */
  #take(trades, nextCursor) {
    this.trades = trades.slice(0, MAX_TRADES);
    this.nextCursor = this.isFull ? null : nextCursor;
  }

  get isFull() {
    return this.trades.length >= MAX_TRADES;
  }
}
