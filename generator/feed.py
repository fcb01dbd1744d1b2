"""Events of a market, each made when it is due."""

import hashlib
import logging
import secrets
import sys
import time
from datetime import UTC, datetime
from typing import Final

import msgspec

from eventing.event import Event
from eventing.identity import identity
from generator.control import Control
from generator.events import EventMaker
from generator.market import ABC, Instrument, Market, Row, list_instruments
from generator.pacing import Cut, Pace, Schedule
from generator.progress import Report
from generator.send import Outgoing
from generator.symbols import BadSymbols, load_symbols
from runtime.settings import GeneratorSettings

LOG_EVERY_TRADES: Final = 100_000

logger = logging.getLogger(__name__)


class MarketFeed:
    """Trades that a market makes, at the asked pace, until MAX_TRADES of them are made.

    Trades carry the time for which they were scheduled. With START_TIME_MS that is counted from there in
    market time, and the same settings give the same events, byte for byte.
    """

    end = "market closed"

    def __init__(self, settings: GeneratorSettings, control: Control) -> None:
        seed = secrets.randbits(32) if settings.seed is None else settings.seed
        instruments = choose_instruments(settings, seed)
        pace = choose_pace(settings)
        run_id = name_run(settings, instruments, pace)
        self.asked_per_s = pace.trades_per_second
        self._left = settings.max_trades or sys.maxsize
        self._max_trades = settings.max_trades
        self._start_time_ms = settings.start_time_ms
        self._control = control
        self._schedule = Schedule(pace, control.now_s())
        self._market = Market(
            instruments,
            seed,
            seconds_per_trade=pace.seconds_per_trade,
            price_model=settings.price_model,
            volume_model=settings.volume_model,
            skew=settings.symbol_skew,
        )
        self._events = EventMaker(
            run_id,
            (instrument.ticker for instrument in instruments),
            single=settings.trades_per_event == 1,
            schema_base_url=settings.schema_base_url,
        )
        logger.info("market open", extra={"run_id": run_id, "seed": seed, "symbols": len(instruments)})

    async def next(self) -> Outgoing | None:
        if not self._left:
            return None
        cut = self._schedule.next(self._control.now_s(), self._left)
        if not await self._control.wait_until(cut.due_s):
            return None
        self._left -= cut.trades
        event = self._events.make(self._make(cut))
        self._log_milestone(event, cut.trades)
        return Outgoing(event, cut.trades)

    def settled(self, outgoing: Outgoing, *, is_taken: bool) -> None:
        """Nothing to keep: an event that was not answered is not sent by another run."""

    def report(self) -> Report:
        if not self._max_trades:
            return {"missed_trades": self._schedule.missed_trades}
        fraction = (self._max_trades - self._left) / self._max_trades
        return {"missed_trades": self._schedule.missed_trades, "fraction": fraction}

    def _make(self, cut: Cut) -> list[Row]:
        step_ms = cut.spread_s * 1000 / max(1, cut.trades - 1)
        if self._start_time_ms is not None:
            return self._market.trades(cut.trades, self._start_time_ms + cut.market_s * 1000, step_ms)
        due_ms = (time.time() - self._control.now_s() + cut.due_s) * 1000
        return self._market.trades(cut.trades, due_ms - cut.spread_s * 1000, step_ms)

    def _log_milestone(self, event: Event, trades: int) -> None:
        """Trade 0 and each 100,000th: the event that it is in, and its place there."""
        end = self._schedule.made
        number = (end - 1) // LOG_EVERY_TRADES * LOG_EVERY_TRADES
        index = number - (end - trades)
        if index >= 0:
            logger.info("trade", extra={"number": number, "index": index, **identity(event.attributes)})


def name_run(settings: GeneratorSettings, instruments: list[Instrument], pace: Pace) -> str:
    """RUN_ID and a digest of all that shapes trades, so that one id is never sent with other content."""
    if not settings.run_id:
        return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"
    models = (settings.price_model, settings.volume_model, settings.symbol_skew)
    start_and_end = (settings.seed, settings.start_time_ms, settings.max_trades)
    shape = msgspec.json.encode((instruments, pace, models, start_and_end))
    return f"{settings.run_id}/{hashlib.sha256(shape).hexdigest()[:12]}"


def choose_instruments(settings: GeneratorSettings, seed: int) -> list[Instrument]:
    """What trades on this market. Raises BadSymbols."""
    if settings.profile == "abc":
        if settings.symbols > len(ABC):
            raise BadSymbols(f"PROFILE=abc has {len(ABC)} symbols: set SYMBOLS to at most so many")
        return list(ABC[: settings.symbols or None])
    tickers = load_symbols(settings.symbols_file, settings.symbols, any_status=settings.symbols_any_status)
    return list_instruments(tickers, seed)


def choose_pace(settings: GeneratorSettings) -> Pace:
    """The asked rate: iterations if they are set, else trades a second."""
    if not settings.iterations_per_second:
        return Pace(settings.trades_per_second, settings.trades_per_event, settings.linger_ms / 1000)
    return Pace(
        settings.iterations_per_second * settings.trades_per_iteration,
        settings.trades_per_event,
        trades_per_iteration=settings.trades_per_iteration,
    )
