"""A worker to be killed: stores and counts events in groups, and says on standard output which are done.

python writer.py FOLDER SEED EVENTS
"""

import random
import sys
from pathlib import Path

from trades.stores.sqlite import SqliteStore, database, levels, raw_trades
from trades.trade import Trade, TradeEvent

TRADES_PER_EVENT = 50
MAX_WAITING_TRADES = 600  # small, so that new runs and checkpoints are among what a kill interrupts
MAX_YOUNG_LEVELS = 600
CHECKPOINT_PAGES = 100


def make_events(seed: int, count: int, trades_per_event: int = TRADES_PER_EVENT) -> list[TradeEvent]:
    rng = random.Random(seed)
    events = []
    for number in range(count):
        trades = [
            Trade(
                f"T{rng.randrange(40)}", rng.randrange(100, 150), rng.randrange(1, 100), rng.randrange(1_000)
            )
            for _ in range(trades_per_event)
        ]
        events.append(TradeEvent.of("/writer", f"e{number}", trades, is_batch=True))
    return events


def main(folder: str, seed: int, count: int) -> None:
    raw_trades.MAX_WAITING_TRADES = MAX_WAITING_TRADES
    levels.MAX_YOUNG_LEVELS = MAX_YOUNG_LEVELS
    database.CHECKPOINT_PAGES = CHECKPOINT_PAGES
    store = SqliteStore(Path(folder))
    events = make_events(seed, count)
    while events:
        group, events = events[:4], events[4:]
        store.store_trades(group)
        print("stored", *(event.id for event in group), flush=True)
        store.count_trades(group)
        print("counted", *(event.id for event in group), flush=True)
    print("end", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
