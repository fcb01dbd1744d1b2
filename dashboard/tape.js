// A symbol's trades as far as they are loaded, newest first.

const MAX_TRADES = 2_000;

export class Tape {
  trades = [];
  nextCursor = null;

  /**
   * Takes the newest page again. Gives how many trades are new before the rest, so that a reader of older
   * ones can stay where he is. Where more came than a page holds, what was loaded before is dropped.
   */
  renew({ trades, next_cursor: nextCursor }) {
    const lastId = trades.at(-1)?.id;
    const joint = this.trades.findIndex((trade) => trade.id === lastId);
    const before = this.trades.length;
    if (joint < 0) {
      this.trades = trades;
      this.nextCursor = nextCursor;
      return 0;
    }
    const older = this.trades.slice(joint + 1);
    this.trades = [...trades, ...older].slice(0, MAX_TRADES);
    return Math.max(0, this.trades.length - before);
  }

  /** Takes the page that follows. */
  extend({ trades, next_cursor: nextCursor }) {
    const known = new Set(this.trades.map((trade) => trade.id));
    this.trades = [...this.trades, ...trades.filter((trade) => !known.has(trade.id))];
    this.nextCursor = this.trades.length < MAX_TRADES ? nextCursor : null;
  }

  get isFull() {
    return this.trades.length >= MAX_TRADES;
  }
}
