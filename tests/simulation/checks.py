"""What must hold when all is settled, as the broker's log and the store's port show it."""

from collections import Counter
from collections.abc import Collection

from eventing.broker.schema import State
from eventing.event import Event
from tests.simulation.events import decode
from tests.simulation.world import TRIGGERS, World, is_refusal
from trades.store import Outcome, StoredTrade, TradeStore
from trades.summary import Tally, tally_events
from trades.trade import Trade, TradeEvent
from tradewind.checks.repairs import SET, repair_store


def check(world: World) -> None:
    """Accepted = done + refused, each once; the store holds what is done, and refusals as dead letters."""
    store = world.stores.make()
    stored, counted = (_check_settled(world, function) for function in TRIGGERS)
    _check_trades(store, stored)
    disputed = _tickers(_only_here(stored, counted) + _only_here(counted, stored))
    _check_summaries(store, tally_events(counted), disputed if world.repairs else set())
    _check_reader(world, store)
    _check_dead_letters(world, store)
    world.stores.check(counted)
    _check_repair(store, stored)
    store.close()


def _check_settled(world: World, function: str) -> list[TradeEvent]:
    """The events that the function has done, each once."""
    open_rows = [row for row in world.broker.rows.values() if row.state < State.DELIVERED]
    assert not open_rows, f"the broker still waits for {open_rows}"
    assert not world.settled(State.KEPT, function), "the broker could not get rid of dead letters"
    done: dict[str, TradeEvent] = {}
    done_data = set()
    for event, _ in world.settled(State.DELIVERED, function):
        trades = decode(event)
        assert trades is not None, f"{function} did what cannot be read: {event}"
        first = done.setdefault(event.id, trades)
        assert first.digest == trades.digest, f"{function} did two events of the id {event.id}"
        done_data.add((event.id, event.data))
    refused = world.settled(State.DEAD_LETTERED, function)
    refused_data = {(event.id, event.data) for event, status in refused if is_refusal(status)}
    for event, status in refused:
        if status == 400:
            assert decode(event) is None, f"{function} refused {event}, which is fine"
        elif status == 422:
            assert event.id in done, f"{function} refused {event} for an event that was not done"
        else:
            assert (event.id, event.data) in done_data | refused_data, (
                f"{function}: {event} is lost ({status})"
            )
    both = done_data & refused_data
    assert not both, f"{function} both did and refused {both}"
    return list(done.values())


def _check_trades(store: TradeStore, stored: list[TradeEvent]) -> None:
    expected = Counter(
        StoredTrade(trade, event.source, event.id, event.place(index))
        for event in stored
        for index, trade in enumerate(event.trades)
    )
    found = Counter(store.scan_trades())
    assert found == expected, f"raw trades: missing {expected - found}, too many {found - expected}"


def _check_summaries(store: TradeStore, tallies: dict[str, Tally], but: Collection[str] = ()) -> None:
    """`but`: not of these tickers."""
    assert set(store.scan_tickers()) - set(but) == set(tallies) - set(but)
    for ticker in sorted(tallies.keys() - set(but)):
        tally = tallies[ticker]
        assert store.read_summary(ticker) == tally.summary, f"{ticker}: expected {tally.summary}"
        assert store.read_levels(ticker) == tally.levels, f"{ticker}: expected {tally.levels}"


def _check_reader(world: World, store: TradeStore) -> None:
    """It missed no change. A ticker that a repair took away may stay on its page."""
    world.reader.read()
    for ticker in sorted(store.scan_tickers()):
        assert world.reader.table[ticker] == store.read_summary(ticker), f"a reader missed {ticker}"


def _check_dead_letters(world: World, store: TradeStore) -> None:
    """Every event that was given up can be read again, whole."""
    letters = store.read_dead_letters(10_000, waiting_only=False)
    kept = {(letter.destination, letter.attributes["id"], letter.data) for letter in letters}
    for function in TRIGGERS:
        for event, status in world.settled(State.DEAD_LETTERED, function):
            assert _entry(function, event) in kept, (
                f"the dead letter of {event} for {function} is lost ({status})"
            )


def _check_repair(store: TradeStore, stored: list[TradeEvent]) -> None:
    """Repaired, the summaries are those of the raw trades, and what is counted later adds to them."""
    report = repair_store(store, lambda: True)
    left_alone = {ticker for ticker, what in report.items() if what != SET}
    _check_summaries(store, tally_events(stored), left_alone)
    trades = [
        Trade(ticker, price, 1, 1) for ticker in sorted(_tickers(stored)) for price in (1, 20_000, 10_001)
    ]
    later = TradeEvent.of("/later", "1", trades, is_batch=True)
    if trades:
        assert store.count_trades([later]) == [Outcome.COUNTED]
    _check_summaries(store, tally_events([*stored, later]), left_alone)


def _only_here(mine: list[TradeEvent], others: list[TradeEvent]) -> list[TradeEvent]:
    digests = {event.digest for event in others}
    return [event for event in mine if event.digest not in digests]


def _tickers(events: list[TradeEvent]) -> set[str]:
    return {trade.ticker for event in events for trade in event.trades}


def _entry(function: str, event: Event) -> tuple[str, str, bytes]:
    return function, event.id, event.data or b""
