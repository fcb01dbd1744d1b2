"""A market made of chance: which symbol trades next, at what price, how many. Pure, from a seed.

The seed fixes the order of trades, their tickers, prices and volumes; a symbol's first price follows from its
name. Timestamps are the caller's: for its prices the market has a time of its own, which passes by the same
amount with each trade.
"""

import random
import struct
from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate, repeat
from math import sqrt
from operator import getitem
from statistics import NormalDist
from typing import Final, Literal, NamedTuple

from trades.ticks import MAX_PRICE_TICKS, TICKS_PER_DOLLAR
from trades.trade import MAX_NOTIONAL_TICKS

PriceModel = Literal["brownian", "cent_walk"]
VolumeModel = Literal["power_law", "uniform"]
Row = tuple[str, int, int, int]  # the fields of a `trades.trade.Trade`, without the cost of making one

SECONDS_PER_DAY: Final = 86_400.0
MIN_PRICE_TICKS: Final = TICKS_PER_DOLLAR // 100

# Chance is drawn in bulk, 16 bits a draw, and looked up in a table of the distribution's quantiles: a tenth
# of the cost of random.gauss or random.paretovariate a trade.
_DRAWS: Final = 1 << 16


class Instrument(NamedTuple):
    """A symbol and how it trades: first price, standard deviation of a day's move, bounds of a volume."""

    ticker: str
    price_ticks: int
    sd_ticks_per_day: float
    min_volume: int
    max_volume: int

    @property
    def ceiling_ticks(self) -> float:
        return float(min(MAX_PRICE_TICKS, MAX_NOTIONAL_TICKS // self.max_volume))


ABC: Final = (
    Instrument("A.COM", 32 * TICKS_PER_DOLLAR, 0.3 * TICKS_PER_DOLLAR, 50, 10_000),
    Instrument("B.COM", 124 * TICKS_PER_DOLLAR, 0.2 * TICKS_PER_DOLLAR, 500, 50_000),
    Instrument("C.COM", 75 * TICKS_PER_DOLLAR, 0.1 * TICKS_PER_DOLLAR, 700, 100_000),
)


def list_instruments(tickers: Sequence[str], seed: int) -> list[Instrument]:
    """Plausible instruments for these tickers, in an order that has nothing to do with the alphabet.

    Prices of 1 to 2,000 dollars, half of them below 25; a day's standard deviation of 1 to 4 percent. They
    follow from the ticker alone: a symbol's price does not jump from one run, or replica, to the next.
    """
    found = [_make_instrument(ticker, random.Random(ticker)) for ticker in tickers]  # noqa: S311
    random.Random(seed).shuffle(found)  # noqa: S311 - a market, not a secret
    return found


def _make_instrument(ticker: str, rng: random.Random) -> Instrument:
    dollars = min(max(rng.lognormvariate(3.2, 1.1), 1.0), 2_000.0)
    price_ticks = round(dollars * 100) * MIN_PRICE_TICKS
    return Instrument(ticker, price_ticks, price_ticks * rng.uniform(0.01, 0.04), 10, 50_000)


class Market:
    """Trades without end. `seconds_per_trade` is how much market time passes from one trade to the next.

    The nth instrument trades in proportion to 1/n^skew. Prices are either Brownian, by the market time since
    the symbol traded last, or walk one cent up or down a trade; they are reflected at one cent and at the
    largest price that `trades` admits for the symbol's largest volume.
    """

    def __init__(
        self,
        instruments: Sequence[Instrument],
        seed: int,
        *,
        seconds_per_trade: float,
        price_model: PriceModel = "brownian",
        volume_model: VolumeModel = "power_law",
        skew: float = 0.0,
    ) -> None:
        self._rng = random.Random(seed)  # noqa: S311 - a market, not a secret
        self._tickers = [instrument.ticker for instrument in instruments]
        self._indexes = range(len(instruments))
        self._weights = list(accumulate((n + 1) ** -skew for n in self._indexes)) if skew else None
        per_trade = sqrt(seconds_per_trade / SECONDS_PER_DAY)
        self._sds = [instrument.sd_ticks_per_day * per_trade for instrument in instruments]
        # A price moves by less than a tick a trade, so it is kept finer than it is shown.
        self._levels = [float(instrument.price_ticks) for instrument in instruments]
        self._ceilings = [instrument.ceiling_ticks for instrument in instruments]
        self._volumes = [
            volume_quantiles(volume_model, instrument.min_volume, instrument.max_volume)
            for instrument in instruments
        ]
        self._last_made = [0] * len(instruments)
        self._made = 0
        self._move = self._walk if price_model == "cent_walk" else self._diffuse

    def trades(self, count: int, first_ms: float, step_ms: float = 0.0) -> list[Row]:
        """The next `count` trades, the first at `first_ms` since 1970, then one each `step_ms`."""
        picks = self._rng.choices(self._indexes, cum_weights=self._weights, k=count)
        prices = self._move(picks, self._draw(count))
        volumes = map(getitem, map(self._volumes.__getitem__, picks), self._draw(count))
        times = [int(first_ms + n * step_ms) for n in range(count)] if step_ms else repeat(int(first_ms))
        return list(zip(map(self._tickers.__getitem__, picks), prices, volumes, times, strict=False))

    def _draw(self, count: int) -> tuple[int, ...]:
        return struct.unpack(f"<{count}H", self._rng.randbytes(2 * count))

    def _diffuse(self, picks: list[int], draws: tuple[int, ...]) -> list[int]:
        levels, sds, ceilings, last_made = self._levels, self._sds, self._ceilings, self._last_made
        normal, made = normal_quantiles(), self._made
        prices = []
        for pick, draw in zip(picks, draws, strict=True):
            made += 1
            level = levels[pick] + sds[pick] * normal[draw] * sqrt(made - last_made[pick])
            last_made[pick] = made
            if not MIN_PRICE_TICKS <= level <= ceilings[pick]:
                level = _reflect(level, ceilings[pick])
            levels[pick] = level
            prices.append(int(level + 0.5))
        self._made = made
        return prices

    def _walk(self, picks: list[int], draws: tuple[int, ...]) -> list[int]:
        levels, ceilings = self._levels, self._ceilings
        prices = []
        for pick, draw in zip(picks, draws, strict=True):
            level = levels[pick] + (MIN_PRICE_TICKS if draw & 1 else -MIN_PRICE_TICKS)
            if not MIN_PRICE_TICKS <= level <= ceilings[pick]:
                level = _reflect(level, ceilings[pick])
            levels[pick] = level
            prices.append(int(level))
        return prices


def _reflect(level: float, ceiling: float) -> float:
    mirrored = 2 * (MIN_PRICE_TICKS if level < MIN_PRICE_TICKS else ceiling) - level
    return min(max(mirrored, float(MIN_PRICE_TICKS)), ceiling)


@lru_cache(maxsize=1)
def normal_quantiles() -> tuple[float, ...]:
    """Values of the standard normal distribution, all equally likely; the extreme ones are ±4.3."""
    inverse = NormalDist().inv_cdf
    upper = [inverse((n + 0.5) / _DRAWS) for n in range(_DRAWS // 2, _DRAWS)]
    return (*(-value for value in reversed(upper)), *upper)


@lru_cache(maxsize=16)
def volume_quantiles(model: VolumeModel, least: int, most: int) -> tuple[int, ...]:
    """Volumes from `least` to `most`, equally likely. Power law: the density falls with the size's square."""
    if model == "uniform":
        return tuple(least + n * (most - least + 1) // _DRAWS for n in range(_DRAWS))
    # F(v) = (1/least - 1/v) / (1/least - 1/top), solved for v and cut to a whole number, so top is most + 1.
    top = most + 1
    return tuple(int(least * top / (top - n / _DRAWS * (top - least))) for n in range(_DRAWS))
