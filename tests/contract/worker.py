"""One more worker in a process of its own: delivers all events of a seed, in an order of its own, in groups.

    python worker.py PLACE store|count SEED EVENTS ORDER

Several of these deliver the same events, so that each event is delivered by all of them.
"""

import random
import sys

from places import open_place
from samples import make_events

from trades.store import StoreUnavailable


def main(place: str, work: str, seed: int, count: int, order: int) -> None:
    store = open_place(place)
    write = store.store_trades if work == "store" else store.count_trades
    rng = random.Random(order)
    waiting = make_events(seed, count)
    rng.shuffle(waiting)
    while waiting:
        group = waiting[: rng.randrange(1, 12)]
        try:
            outcomes = write(group)
        except StoreUnavailable:
            continue
        undone = [event for event, outcome in zip(group, outcomes, strict=True) if outcome == "UNAVAILABLE"]
        waiting = waiting[len(group) :] + undone
    store.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:]))
