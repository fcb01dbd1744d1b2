"""One source and id are one content, whatever the generator is told."""

import pytest

from generator.control import Control
from generator.feed import MarketFeed
from generator.replay import name_source
from generator.rows import TimestampUnit
from runtime.settings import GeneratorSettings

KNOBS = {
    "run_id": "again",
    "seed": 1,
    "start_time_ms": 1_700_000_000_000,
    "profile": "abc",
    "trades_per_second": 0,
    "max_trades": 700,
    "trades_per_event": 500,
}


async def events(**knobs):
    feed = MarketFeed(GeneratorSettings(**{**KNOBS, **knobs}), Control())
    made = {}
    while len(made) < 3 and (outgoing := await feed.next()):
        made[outgoing.event.source, outgoing.event.id] = outgoing.event.data
    return made


@pytest.mark.parametrize(
    ("knob", "value"),
    [
        ("max_trades", 5_000),
        ("symbol_skew", 1.0),
        ("symbols", 2),
        ("seed", 2),
        ("start_time_ms", 1_700_000_000_001),
        ("price_model", "cent_walk"),
        ("volume_model", "uniform"),
        ("trades_per_event", 400),
        ("trades_per_second", 1_000_000),
    ],
)
async def test_a_run_told_otherwise_has_another_source(knob, value):
    assert not (await events()).keys() & (await events(**{knob: value})).keys()


@pytest.mark.parametrize(("knob", "value"), [("max_in_flight", 1), ("k_sink", "http://x/"), ("seed", 1)])
async def test_what_shapes_no_trade_does_not_count(knob, value):
    made = await events()
    assert made == await events(**{knob: value})
    source, _ = next(iter(made))
    assert source.startswith("/tradewind/generator/again/")


def test_a_file_read_by_another_unit_is_another_source():
    sources = [name_source("d1", unit) for unit in (None, *TimestampUnit)]
    assert sources == [f"/tradewind/replay/d1{rest}" for rest in ("", "/s", "", "/us", "/ns")]
