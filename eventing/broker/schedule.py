"""What a trigger delivers next: its window on the backlog, held in memory. No I/O and no clock of its own.

The backlog itself is on disk, in the order of acceptance. A window of it is here:

    disk:  1 2 3 ... cursor | cursor+1 ... head
           taken already    | still to be read, `read_after()` says when

Items taken are `ready` (in order), `waiting` (for their due time, so they don't hold up the ones behind them)
or in flight. An item with a key waits behind the one before it with that key, until that is settled. While
nothing is left on disk (cursor = head), newly accepted events go straight into the window.
"""

import heapq
from collections import deque
from dataclasses import dataclass

from eventing.broker.schema import State, Stored

WINDOW = 1_000
WINDOW_BYTES = 16 << 20
MAX_HELD = 50_000


@dataclass(slots=True, eq=False)
class Item:
    """One delivery: the numbers, and the event while it is wanted in memory."""

    seq: int
    received_ms: int
    size: int
    key: str | None = None
    stored: Stored | None = None
    state: State = State.PENDING
    attempts: int = 0
    status: int | None = None
    error: bytes | None = None


class Schedule:
    """Times are milliseconds of one clock, which the caller reads.

    Memory is bounded: `window` items that are ready, `window_bytes` of events that are ready and again of
    events in flight (one is always let through), `max_held` items in all. Those that wait for their due time
    are held without their events.
    """

    def __init__(
        self,
        cursor: int = 0,
        head: int = 0,
        *,
        window: int = WINDOW,
        window_bytes: int = WINDOW_BYTES,
        max_held: int = MAX_HELD,
    ) -> None:
        self.cursor = cursor
        self.head = head
        self.held: dict[int, Item] = {}
        self.held_bytes = 0
        self.flying_bytes = 0
        self._window, self._window_bytes, self._max_held = window, window_bytes, max_held
        self._ready: deque[Item] = deque()
        self._waiting: list[tuple[int, int, Item]] = []
        self._behind: dict[str, deque[Item]] = {}
        self._reading = self._rewound = False
        self._settled: set[int] = set()  # since the read began: it may have found them open
        self._taken_to = 0  # where the cursor was before it was set back

    # -- in --------------------------------------------------------------------------------------------------

    def offer(self, item: Item) -> None:
        """An event has just been accepted: take it if all before it has been taken and there is room."""
        if item.seq <= self.head:  # a read was quicker
            return
        if self.cursor == self.head and self._room():
            self.cursor = item.seq
            self._take_in(item, 0)
        self.head = item.seq

    def read_after(self) -> int | None:
        """The number after which the backlog is to be read now, or None."""
        wanted = not self._reading and self.cursor < self.head
        return self.cursor if wanted and len(self._ready) * 2 <= self._window and self._room() else None

    @property
    def is_set_back(self) -> bool:
        """Whether the next read may meet what was settled before: that must be on disk when it reads."""
        return self.cursor < self._taken_to

    def begin_read(self) -> None:
        """What is settled from now on may be found open all the same."""
        self._reading, self._rewound = True, False
        self._settled.clear()

    def fill(self, items: list[tuple[int, Item]], read_to: int, now_ms: int) -> None:
        """What the read found, each with its due time, in order; all up to `read_to` has been looked at."""
        for due_ms, item in items:
            if item.seq not in self.held and item.seq not in self._settled:
                self._take_in(item, due_ms if due_ms > now_ms else 0)
        if self._rewound:  # the next read begins where that says
            self._taken_to = max(self._taken_to, read_to)
        else:
            self.cursor = max(self.cursor, read_to)
            self.head = max(self.head, self.cursor)
        self.end_read()

    def end_read(self) -> None:
        """The read is over, whether it found something or broke off."""
        self._reading = False
        self._settled.clear()

    def rewind(self, first: int, last: int) -> None:
        """Look again at the backlog: something between two numbers is to be delivered once more."""
        self._taken_to = max(self._taken_to, self.cursor)
        self._rewound = True
        self.cursor = min(self.cursor, first - 1)
        self.head = max(self.head, last)

    # -- out -------------------------------------------------------------------------------------------------

    def take(self, now_ms: int) -> Item | None:
        """The next item to deliver. It stays held until `done` or `retry`.

        None, too, while what is in flight leaves it no room: an event that has waited is read again for it.
        """
        is_due = bool(self._waiting) and self._waiting[0][0] <= now_ms
        if not is_due and not self._ready:
            return None
        item = self._waiting[0][2] if is_due else self._ready[0]
        if self.flying_bytes and self.flying_bytes + item.size > self._window_bytes:
            return None
        if is_due:
            heapq.heappop(self._waiting)
        else:
            self._ready.popleft()
        self.flying_bytes += item.size
        return item

    def next_due_ms(self) -> int | None:
        return self._waiting[0][0] if self._waiting else None

    def retry(self, item: Item, due_ms: int) -> None:
        """Deliver it again, not before `due_ms`. Its event is let go and has to be read again."""
        self.flying_bytes -= item.size
        self._release(item)
        heapq.heappush(self._waiting, (due_ms, item.seq, item))

    def done(self, item: Item) -> None:
        """It is settled; the next of its key may go."""
        self.flying_bytes -= item.size
        self._release(item)
        del self.held[item.seq]
        if self._reading:
            self._settled.add(item.seq)
        if item.key is None:
            return
        behind = self._behind[item.key]
        if behind:
            self._ready.append(behind.popleft())
        else:
            del self._behind[item.key]

    def oldest_ms(self) -> int | None:
        """When the oldest item held was accepted."""
        return min((item.received_ms for item in self.held.values()), default=None)

    # -- inside ----------------------------------------------------------------------------------------------

    def _room(self) -> bool:
        return (
            len(self._ready) < self._window
            and self.held_bytes < self._window_bytes
            and len(self.held) < self._max_held
        )

    def _take_in(self, item: Item, due_ms: int) -> None:
        self.held[item.seq] = item
        if item.key is not None:
            if item.key in self._behind:
                if self.held_bytes * 2 < self._window_bytes:
                    self.held_bytes += item.size
                else:
                    item.stored = None  # one slow key must not take all the room: read it again
                self._behind[item.key].append(item)
                return
            self._behind[item.key] = deque()
        if due_ms:
            item.stored = None
            heapq.heappush(self._waiting, (due_ms, item.seq, item))
        else:
            self.held_bytes += item.size
            self._ready.append(item)

    def _release(self, item: Item) -> None:
        if item.stored is not None:
            item.stored = None
            self.held_bytes -= item.size
