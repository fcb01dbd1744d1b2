"""When the next event is due, and how many trades it has. Pure: what time it is, is an argument.

The schedule is open-loop: trade n has its time whether or not the trades before it were answered, so a slow
broker shows as lag instead of hiding in a lower rate. Times are seconds of any steady clock.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

MAX_CATCH_UP_S: Final = 5.0
FLAT_OUT_TRADES_PER_SECOND: Final = 300.0


@dataclass(frozen=True)
class Pace:
    """What was asked: a steady rate, or a number of trades at one instant, so many times a second.

    `trades_per_second` 0 is flat out. A steady rate fills an event with what `linger_s` seconds bring, at
    most `trades_per_event`. The trades of one iteration share events among themselves only.
    """

    trades_per_second: float
    trades_per_event: int
    linger_s: float = 0.1
    trades_per_iteration: int = 0  # 0: steady

    @property
    def seconds_per_trade(self) -> float:
        """Market time from a trade to the next. Flat out, a market second is 300 trades."""
        return 1 / (self.trades_per_second or FLAT_OUT_TRADES_PER_SECOND)

    def event_size(self, made: int) -> int:
        """Trades of the event that comes after `made` trades."""
        if self.trades_per_iteration:
            return min(self.trades_per_event, self.trades_per_iteration - made % self.trades_per_iteration)
        if not self.trades_per_second:
            return self.trades_per_event
        return max(1, min(self.trades_per_event, int(self.trades_per_second * self.linger_s)))

    def time_s(self, n: int) -> float:
        """Market time of trade number `n` (the first is 0)."""
        if self.trades_per_iteration:
            n -= n % self.trades_per_iteration
        return n * self.seconds_per_trade


class Cut(NamedTuple):
    """One event to be made: at `due_s`, of trades that happened over the `spread_s` before that."""

    trades: int
    due_s: float
    spread_s: float
    market_s: float  # market time of its first trade


class Schedule:
    """Cuts a run into events. At the same pace the cuts are the same, however late each of them is made."""

    def __init__(self, pace: Pace, start_s: float) -> None:
        self.pace = pace
        self.made = 0
        self.missed_s = 0.0
        self._start_s = start_s

    @property
    def missed_trades(self) -> int:
        """Trades that should have been made by now and never will: what a longer stall cost."""
        return int(self.missed_s * self.pace.trades_per_second)

    def next(self, now_s: float, at_most: int) -> Cut:
        """The next event, of no more than `at_most` trades.

        A schedule that is late catches up by making events at once; what it is late by more than
        MAX_CATCH_UP_S is given up and counted as missed.
        """
        pace = self.pace
        trades = min(pace.event_size(self.made), at_most)
        first_s, last_s = pace.time_s(self.made), pace.time_s(self.made + trades - 1)
        self.made += trades
        if not pace.trades_per_second:
            return Cut(trades, now_s, 0.0, first_s)
        lost_s = now_s - (self._start_s + last_s) - MAX_CATCH_UP_S
        if lost_s > 0:
            self._start_s += lost_s
            self.missed_s += lost_s
        return Cut(trades, self._start_s + last_s, last_s - first_s, first_s)
