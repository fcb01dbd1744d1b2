"""What a run did, and whether it adds up. Pure arithmetic.

The promise, once nothing waits in the broker any more:

    stored + dead letters of store-trade     ⊇  stored before + accepted by the broker for the generator
    counted + dead letters of update-summary ⊇  stored
    stored + dead letters of store-trade     ⊇  counted

They are bounds and not equations where there are dead letters, because an event may be stored and yet be a
dead letter (its last answer was lost); and `accepted` is what the generator knows, so it is too small by what
a killed generator had not told yet. Without dead letters stored = counted, exactly.

Where raw trades expire, stored is less than what was stored, and nobody counts by how much. There it is

    counted + dead letters of update-summary ⊇  counted before + accepted; and stored, as above
"""

from dataclasses import dataclass


@dataclass
class Running:
    """A counter of a process that begins at 0 again when the process does."""

    total: int = 0
    _last: int = 0

    def seen(self, value: int) -> None:
        """The process shows `value`; a smaller one than before means that it started anew."""
        self.total += value - self._last if value >= self._last else value
        self._last = value

    def restarted(self) -> None:
        """The process that showed the last value is gone."""
        self._last = 0


@dataclass(frozen=True)
class Totals:
    """Trades, except where a name says events. Stored, counted and dead letters come from the store."""

    sent: int = 0
    accepted: int = 0
    refused_events: int = 0
    previous: int = 0  # stored when the run began
    previous_counted: int = 0
    trades_expire: bool = False
    stored: int = 0
    counted: int = 0
    duplicate_events: int = 0
    retried_events: int = 0
    dead_letters: int = 0  # events that wait
    more_dead_letters: bool = False  # than could be looked at
    dead_store_trades: int = 0  # trades in waiting dead letters of store-trade
    dead_summary_trades: int = 0  # trades in waiting dead letters of update-summary
    left_in_broker: int | None = 0  # deliveries not done when the run ended; None: not known
    kept_in_broker: int = 0  # deliveries given up that the dead-letter function would not take
    generator_killed: bool = False

    @property
    def from_elsewhere(self) -> int:
        """Trades new in this run that the generator does not know of: `send`, curl, a backlog."""
        new = self.counted - self.previous_counted if self.trades_expire else self.stored - self.previous
        return max(0, new - self.accepted)

    @property
    def can_tell(self) -> bool:
        """Nothing is where nobody says how many trades it holds: in the broker, or past many dead letters."""
        return self.left_in_broker == 0 and not self.kept_in_broker and not self.more_dead_letters

    @property
    def proved(self) -> str:
        return "counted once" if self.trades_expire else "stored once and counted once"

    def problems(self) -> list[str]:
        """What contradicts the promise, in words; empty when all adds up. Only meaningful after a drain."""
        if not self.can_tell:
            return []
        found = []
        missing = self.previous + self.accepted - self.stored - self.dead_store_trades
        if missing > 0 and not self.trades_expire:
            found.append(f"{missing:,} accepted trades are neither stored nor in the dead letters")
        missing = self.previous_counted + self.accepted - self.counted - self.dead_summary_trades
        if missing > 0 and self.trades_expire:
            found.append(f"{missing:,} accepted trades are neither counted nor in the dead letters")
        uncounted = self.stored - self.counted - self.dead_summary_trades
        if uncounted > 0:
            found.append(f"{uncounted:,} stored trades are neither counted nor in the dead letters")
        unstored = self.counted - self.stored - self.dead_store_trades
        if unstored > 0 and not self.trades_expire:
            found.append(f"{unstored:,} counted trades are neither stored nor in the dead letters")
        return found

    def notes(self) -> list[str]:
        """What is not wrong, but would puzzle a reader of the numbers."""
        found = []
        if self.left_in_broker is None:
            found.append("the broker did not say what it has left; the next `tradewind up` delivers it")
        elif self.left_in_broker:
            found.append(
                f"{self.left_in_broker:,} deliveries wait in the broker, on disk, for the next `tradewind up`"
            )
        if self.kept_in_broker:
            found.append(f"{self.kept_in_broker:,} deliveries failed for good: the broker keeps them")
        if self.from_elsewhere:
            why = " or by the generator just before it was killed" if self.generator_killed else ""
            found.append(f"{self.from_elsewhere:,} trades came from elsewhere{why}, or waited in the broker")
        if self.trades_expire:
            found.append(
                "raw trades older than TRADE_RETENTION are let go: what is stored proves nothing here"
            )
        if self.dead_letters:
            more = " or more" if self.more_dead_letters else ""
            found.append(
                f"{self.dead_letters:,}{more} dead letters wait: `tradewind dlq list` shows them and why"
            )
        return found
