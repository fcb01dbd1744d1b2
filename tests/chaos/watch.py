"""How long nothing was counted, from the store itself: the query function meets with faults, too."""

import asyncio
import time

from trades.store import StoreError, TradeStore

INTERVAL_S = 0.5


class CountedWatch:
    """Use: `run()` as a task."""

    def __init__(self, store: TradeStore) -> None:
        self.longest_stall_s = 0.0
        self._store = store
        self._counts: dict[str, int] = {}
        self._cursor = 0

    async def run(self) -> None:
        """Look for ever."""
        counted, grew_s = 0, time.monotonic()
        while True:
            now = await asyncio.to_thread(self._count)
            if now > counted:
                counted, grew_s = now, time.monotonic()
            self.longest_stall_s = max(self.longest_stall_s, time.monotonic() - grew_s)
            await asyncio.sleep(INTERVAL_S)

    def _count(self) -> int:
        try:
            changed = self._store.read_changed_summaries(self._cursor)
        except StoreError:
            return 0
        self._cursor = changed.next_cursor
        self._counts |= {ticker: row.trade_count for ticker, row in changed.summaries.items()}
        return sum(self._counts.values())
