"""A few seconds of what `python -m tests.fuzz` does for minutes, and every request that once was a defect."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.conditions import check_filters, make_filters
from tests.fuzz.inputs import BODIES, Case, Message, make_case, make_message
from tests.fuzz.properties import check_codec
from tests.fuzz.servers import Server, running
from trades.codec import TRADE_BATCH, TRADE_EXECUTED, BadTrade, decode_event

SEEDS = sorted(Path(__file__).with_name("seeds").glob("*.request"))
SEEDS_OF_FILTERS = sorted(Path(__file__).with_name("seeds").glob("*.filters"))
REQUESTS = 150


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Server]]:
    with running(tmp_path_factory.mktemp("fuzz")) as started:
        yield started


@given(st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=300)
def test_the_codec(random: Random) -> None:
    check_codec(make_message(random))


headers = st.lists(st.tuples(st.sampled_from([b"ce-id", b"ce-x", b"content-type"]), st.binary(max_size=40)))


@given(headers, st.binary(max_size=200))
@settings(deadline=None, max_examples=300)
def test_the_codec_with_anything(more: list[tuple[bytes, bytes]], body: bytes) -> None:
    event = [(b"ce-specversion", b"1.0"), (b"ce-id", b"1"), (b"ce-source", b"/s"), (b"ce-type", b"t")]
    check_codec(Message([*event, *more], body))


def test_what_is_made_is_taken_as_well_as_refused() -> None:
    random = Random(1)
    seen = Counter(check_codec(make_message(random)) for _ in range(200))
    assert min(seen["taken"], seen["refused"]) > 20


@given(st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=300)
def test_the_filters(random: Random) -> None:
    check_filters(make_filters(random), random)


def test_filters_that_are_made_are_taken_as_well_as_refused() -> None:
    random = Random(1)
    seen = Counter(check_filters(make_filters(random), random) for _ in range(300))
    assert min(seen["taken"], seen["refused"]) > 30


@pytest.mark.parametrize("type_", [TRADE_EXECUTED, TRADE_BATCH])
def test_data_that_is_no_trade(type_: str) -> None:
    for body in [*BODIES, b'{"trades":' * 5_000]:
        with pytest.raises(BadTrade):
            decode_event(type_, "/s", "1", body)


def test_the_servers(servers: list[Server]) -> None:
    random = Random(1)
    statuses = Counter[int | None]()
    for number in range(REQUESTS):
        server = servers[number % len(servers)]
        case = server.make(random) if server.make else make_case(random, server.path)
        statuses[server.talk(case)] += 1
    for server in servers:
        server.check()
    assert {202, 400} <= statuses.keys()


@pytest.mark.parametrize("seed", SEEDS, ids=lambda seed: seed.stem)
def test_what_once_was_a_defect(servers: list[Server], seed: Path) -> None:
    for server in servers:
        server.talk(Case((seed.read_bytes(),), whole=True))
        server.check()


@pytest.mark.parametrize("seed", SEEDS_OF_FILTERS, ids=lambda seed: seed.stem)
def test_filters_that_once_were_a_defect(seed: Path) -> None:
    check_filters(json.loads(seed.read_text()), Random(1))


def test_there_are_seeds() -> None:
    assert SEEDS
