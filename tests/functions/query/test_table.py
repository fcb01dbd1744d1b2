"""The merged table: a client that polls has in the end what the store has, whatever happens between."""

from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.query.cursor import START, Cursor, parse_cursor
from functions.query.table import MAX_AGE_MS, REFRESH_INTERVAL_MS, RELOAD_INTERVAL_MS, Row, TickerTable
from trades.listings import Listing
from trades.store import ChangedSummaries, StoreUnavailable
from trades.summary import Latest, Summary

LISTINGS = {"A": Listing("A", "Alpha", "NYSE")}
TICKERS = "ABCDE"


def make_summary(count: int) -> Summary:
    return Summary(count, count * 100, count * 1_000_000, 10_000, 10_000, Latest(count, f"e{count}", 10_000))


class ModelStore:
    """Summaries with the place of their last change. Its cursors stay `lag` changes behind, as those of a
    store do that goes by time, and not always equally; a read names everything at or after its cursor, so
    some rows come again."""

    def __init__(self, lag: int = 0) -> None:
        self.lag = lag
        self.place = 0
        self.rows: dict[str, tuple[int, Summary]] = {}
        self.reads: list[int] = []
        self.failure: Exception | None = None

    def change(self, ticker: str) -> None:
        self.place += 1
        self.rows[ticker] = (self.place, make_summary(self.place))

    def read_changed(self, cursor: int) -> ChangedSummaries:
        self.reads.append(cursor)
        if self.failure:
            raise self.failure
        rows = {ticker: row for ticker, (place, row) in self.rows.items() if place >= cursor}
        return ChangedSummaries(rows, max(cursor, self.place + 1 - self.lag))


class Clock:
    def __init__(self) -> None:
        self.now_ms = 1_000_000

    def __call__(self) -> int:
        return self.now_ms


def count_epochs() -> Iterator[str]:
    number = 0
    while True:
        number += 1
        yield f"{number:08x}"


class Client:
    """Keeps rows and a cursor, and does as the answers say."""

    def __init__(self, ticker: str | None = None) -> None:
        self.rows: dict[str, bytes] = {}
        self.cursor = ""
        self.resets = 0
        self.received = 0
        self._ticker = ticker

    def poll(self, table: TickerTable, limit: int = 100) -> bool:
        cursor = parse_cursor(self.cursor)
        wanted: Callable[[Row], bool] | None = None
        if self._ticker:
            wanted = lambda row: row.ticker == self._ticker  # noqa: E731
        changes = table.read(
            (cursor, limit, self._ticker), lambda table: table.changes(cursor, limit, wanted)
        )
        if changes.reset:
            self.rows.clear()
            self.resets += 1
        assert len(changes.rows) <= limit
        self.rows.update({row.ticker: row.json for row in changes.rows})
        self.received += len(changes.rows)
        self.cursor = str(changes.cursor)
        return changes.more

    def poll_all(self, table: TickerTable, limit: int = 100) -> None:
        for _ in range(100):
            if not self.poll(table, limit):
                return
        raise AssertionError("the pages have no end")


@pytest.fixture
def model() -> ModelStore:
    return ModelStore()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def make_table(model: ModelStore, clock: Clock) -> Callable[[], TickerTable]:
    epochs = count_epochs()
    return lambda: TickerTable(model.read_changed, LISTINGS, clock, lambda: next(epochs))


def rows_of(table: TickerTable) -> dict[str, bytes]:
    table.refresh()
    return {row.ticker: row.json for row in table.rows()}


polls = st.tuples(st.integers(0, 2), st.integers(1, 4))
kinds = st.sampled_from(
    ["change"] * 6 + ["wait"] * 4 + ["refresh"] * 4 + ["lag"] + ["poll"] * 3 + ["poll all"] * 6 + ["restart"]
)
values = {
    "change": st.sampled_from(TICKERS),
    "wait": st.sampled_from([1, REFRESH_INTERVAL_MS, REFRESH_INTERVAL_MS, 2 * REFRESH_INTERVAL_MS]),
    "lag": st.integers(0, 3),
    "refresh": st.integers(0, 2),
    "restart": st.integers(0, 2),
    "poll": polls,
    "poll all": polls,
}
actions = kinds.flatmap(lambda kind: st.tuples(st.just(kind), values[kind]))


@settings(max_examples=300)
@given(actions=st.lists(actions, max_size=60), last=st.integers(0, 2))
def test_a_polling_client_misses_nothing(actions: list[tuple[str, object]], last: int) -> None:
    """Through three tables (pods) that start anew at times, with small pages, in any interleaving."""
    model, clock, epochs = ModelStore(), Clock(), count_epochs()

    def make() -> TickerTable:
        return TickerTable(model.read_changed, LISTINGS, clock, lambda: next(epochs))

    for ticker in TICKERS:
        model.change(ticker)
    tables = [make(), make(), make()]
    for table in tables:
        table.refresh()
    everything, only_a = Client(), Client("A")
    for action, value in actions:
        match action, value:
            case "change", str(ticker):
                model.change(ticker)
            case "wait", int(ms):
                clock.now_ms += ms
            case "lag", int(lag):
                model.lag = lag
            case "refresh", int(place):
                tables[place].refresh()
            case "restart", int(place):
                tables[place] = make()
            case "poll", (int(place), int(limit)):
                everything.poll(tables[place], limit)
                only_a.poll(tables[place], limit)
            case "poll all", (int(place), int(limit)):
                everything.poll_all(tables[place], limit)
    clock.now_ms += REFRESH_INTERVAL_MS
    everything.poll_all(tables[last], 2)
    only_a.poll_all(tables[last], 2)
    expected = rows_of(make())
    assert everything.rows == expected
    assert only_a.rows == {ticker: row for ticker, row in expected.items() if ticker == "A"}


def test_only_changed_rows_are_sent(
    model: ModelStore, clock: Clock, make_table: Callable[[], TickerTable]
) -> None:
    table, client = make_table(), Client()
    for ticker in TICKERS:
        model.change(ticker)
    client.poll_all(table)
    assert (client.received, client.resets) == (5, 1)
    clock.now_ms += REFRESH_INTERVAL_MS
    client.poll_all(table)
    assert client.received == 5
    model.change("C")
    clock.now_ms += REFRESH_INTERVAL_MS
    client.poll_all(table)
    assert (client.received, client.resets) == (6, 1)


def test_another_pod_sends_little(
    model: ModelStore, clock: Clock, make_table: Callable[[], TickerTable]
) -> None:
    """A client that is moved between pods that have run for a while does not get everything each time."""
    one, other, client = make_table(), make_table(), Client()
    for ticker in TICKERS:
        model.change(ticker)
    one.refresh()
    other.refresh()
    client.poll_all(one)
    assert client.received == 5
    for table in (other, one, other, one):
        model.change("C")
        clock.now_ms += REFRESH_INTERVAL_MS
        one.refresh()
        client.poll_all(table)
    assert client.resets == 1
    assert client.received <= 5 + 4 * 2


def test_another_pod_that_is_a_little_behind_waits_until_it_is_not(
    model: ModelStore, clock: Clock, make_table: Callable[[], TickerTable]
) -> None:
    one, other, client = make_table(), make_table(), Client()
    for ticker in TICKERS:
        model.change(ticker)
    one.refresh()
    other.refresh()
    client.poll_all(one)
    model.change("C")
    clock.now_ms += REFRESH_INTERVAL_MS
    one.refresh()
    client.poll_all(one)
    shown = dict(client.rows)
    behind = other.changes(parse_cursor(client.cursor), 10)
    assert (behind.rows, str(behind.cursor), behind.reset) == ([], client.cursor, False)
    clock.now_ms += REFRESH_INTERVAL_MS
    client.poll_all(other)
    assert (client.rows, client.resets) == (shown, 1)


def test_a_cursor_of_another_store_is_not_waited_for(
    model: ModelStore, clock: Clock, make_table: Callable[[], TickerTable]
) -> None:
    model.change("A")
    table = make_table()
    table.refresh()
    clock.now_ms += 1
    ahead = Cursor("0" * 8, 1, 1_000, clock.now_ms)
    assert not table.changes(ahead, 10).reset
    clock.now_ms += MAX_AGE_MS + REFRESH_INTERVAL_MS
    assert table.changes(ahead, 10).reset


def test_another_pod_knows_what_it_saw_long_ago(
    model: ModelStore, clock: Clock, make_table: Callable[[], TickerTable]
) -> None:
    one, other, client = make_table(), make_table(), Client()
    for ticker in TICKERS:
        model.change(ticker)
    one.refresh()
    other.refresh()
    client.poll_all(one)
    for ticker in "ABC":
        model.change(ticker)
        clock.now_ms += REFRESH_INTERVAL_MS
        other.refresh()
    client.poll_all(other)
    assert client.rows == rows_of(other)
    assert (client.received, client.resets) == (5 + 3, 1)


def test_another_pod_whose_reads_overlap(
    model: ModelStore, clock: Clock, make_table: Callable[[], TickerTable]
) -> None:
    """A row that a pod saw before, and that the store names again, may be new to a client from elsewhere."""
    one, other, client = make_table(), make_table(), Client()
    for ticker in TICKERS:
        model.change(ticker)
    one.refresh()
    other.refresh()
    client.poll_all(one)
    model.change("A")
    model.lag = 3
    for _ in range(3):
        clock.now_ms += REFRESH_INTERVAL_MS
        other.refresh()
    client.poll_all(other)
    assert client.rows == rows_of(other)
    assert client.resets == 1


def test_a_restart_sends_everything_once(
    model: ModelStore, clock: Clock, make_table: Callable[[], TickerTable]
) -> None:
    client = Client()
    model.change("A")
    client.poll_all(make_table())
    clock.now_ms += 1
    restarted = make_table()
    client.poll_all(restarted)
    clock.now_ms += REFRESH_INTERVAL_MS
    client.poll_all(restarted)
    assert (client.received, client.resets) == (2, 2)


def test_reads_the_store_at_most_once_an_interval(
    model: ModelStore, clock: Clock, make_table: Callable[[], TickerTable]
) -> None:
    table = make_table()
    for _ in range(10):
        table.refresh()
    assert len(model.reads) == 1
    clock.now_ms += REFRESH_INTERVAL_MS - 1
    table.refresh()
    assert len(model.reads) == 1
    clock.now_ms += 1
    table.refresh()
    assert len(model.reads) == 2


def test_a_clock_set_back_does_not_stop_refreshes(
    model: ModelStore, clock: Clock, make_table: Callable[[], TickerTable]
) -> None:
    table = make_table()
    table.refresh()
    clock.now_ms -= 3_600_000
    model.change("A")
    assert set(rows_of(table)) == {"A"}


def test_a_failing_store_is_not_asked_by_every_request(
    model: ModelStore, clock: Clock, make_table: Callable[[], TickerTable]
) -> None:
    table = make_table()
    model.failure = StoreUnavailable("down")
    for _ in range(5):
        with pytest.raises(StoreUnavailable, match="down"):
            table.refresh()
    assert len(model.reads) == 1
    model.failure = None
    model.change("A")
    clock.now_ms += REFRESH_INTERVAL_MS
    assert set(rows_of(table)) == {"A"}


def test_a_removed_ticker_disappears(
    model: ModelStore, clock: Clock, make_table: Callable[[], TickerTable]
) -> None:
    table, client, late = make_table(), Client(), Client()
    model.change("A")
    model.change("B")
    client.poll_all(table)
    late.poll_all(table)
    del model.rows["A"]
    clock.now_ms += RELOAD_INTERVAL_MS
    client.poll_all(table)
    assert set(client.rows) == {"B"}
    assert (table.trade_count, len(table)) == (model.rows["B"][1].trade_count, 1)
    for _ in range(3):
        clock.now_ms += REFRESH_INTERVAL_MS
        table.refresh()
    late.poll_all(table)
    assert late.rows == client.rows == rows_of(make_table())


def test_the_latest_time_is_one_that_is_there(clock: Clock) -> None:
    """Also after a repair has taken out the trade that was the latest."""

    def at(time_ms: int) -> ChangedSummaries:
        return ChangedSummaries({"A": Summary(1, 1, 1, 1, 1, Latest(time_ms, "x", 1))}, 1)

    answers = iter([at(9_000), at(1_000)])
    table = TickerTable(lambda _: next(answers), {}, clock, lambda: "0" * 8)
    table.refresh()
    assert table.latest_ms == 9_000
    clock.now_ms += RELOAD_INTERVAL_MS
    table.refresh()
    assert table.latest_ms == 1_000


def test_another_store_with_the_same_tickers(
    model: ModelStore, clock: Clock, make_table: Callable[[], TickerTable]
) -> None:
    table, client = make_table(), Client()
    for _ in range(10):
        model.change("A")
    client.poll_all(table)
    model.place = 0
    model.change("A")
    clock.now_ms += REFRESH_INTERVAL_MS
    client.poll_all(table)
    clock.now_ms += RELOAD_INTERVAL_MS
    client.poll_all(table)
    assert client.rows == rows_of(make_table())
    assert client.resets == 2


def test_another_store_in_its_place(
    model: ModelStore, clock: Clock, make_table: Callable[[], TickerTable]
) -> None:
    """A fresh store starts its cursors anew; clients that kept their page open start over."""
    client = Client()
    for _ in range(10):
        model.change("A")
    client.poll_all(make_table())
    model.__init__()  # type: ignore[misc]
    model.change("B")
    clock.now_ms += 1
    restarted = make_table()
    restarted.refresh()
    for _ in range(20):
        model.change("C")
    clock.now_ms += REFRESH_INTERVAL_MS
    restarted.refresh()
    client.poll_all(restarted)
    assert set(client.rows) == {"B", "C"}


def test_a_cursor_from_the_future_gets_everything(
    model: ModelStore, clock: Clock, make_table: Callable[[], TickerTable]
) -> None:
    table = make_table()
    model.change("A")
    table.refresh()
    clock.now_ms += REFRESH_INTERVAL_MS
    table.refresh()
    for cursor in (Cursor("0" * 8, 0, 10**18, 10**18), Cursor("00000001", 99, 0, 0), START):
        changes = table.changes(cursor, 100)
        assert changes.reset
        assert [row.ticker for row in changes.rows] == ["A"]


@given(changes=st.lists(st.sampled_from(TICKERS), max_size=30))
def test_sums_are_those_of_the_rows(changes: list[str]) -> None:
    model, clock = ModelStore(), Clock()
    table = TickerTable(model.read_changed, LISTINGS, clock, lambda: "0" * 8)
    for ticker in changes:
        model.change(ticker)
        clock.now_ms += REFRESH_INTERVAL_MS
        table.refresh()
    table.refresh()
    summaries = [summary for _, summary in model.rows.values()]
    assert table.trade_count == sum(summary.trade_count for summary in summaries)
    assert table.volume == sum(summary.volume for summary in summaries)
    assert table.notional_ticks == sum(summary.notional_ticks for summary in summaries)
    assert table.latest_ms == max((summary.latest.time_ms for summary in summaries), default=None)


@pytest.mark.parametrize("text", ["x", "0-0", "00000000-1-1", "00000000-1-1-x", "00000000-1-1-1\n", "ÿ"])
def test_what_was_never_a_cursor(text: str) -> None:
    with pytest.raises(ValueError, match="changed_since"):
        parse_cursor(text)


@given(cursor=st.builds(Cursor, st.from_regex(r"\A[0-9a-f]{8}\Z"), *[st.integers(0, 10**18)] * 3))
def test_cursors_survive_their_text(cursor: Cursor) -> None:
    assert parse_cursor(str(cursor)) == cursor


class Aside:
    """Work that was handed over, and not done yet."""

    def __init__(self) -> None:
        self.work: list[Callable[[], None]] = []

    def do_it(self) -> None:
        (work,) = self.work
        self.work.clear()
        work()


def test_a_refresh_aside_keeps_no_reader_waiting() -> None:
    """But for the first, and where what is there is too old."""
    model, clock, aside = ModelStore(), Clock(), Aside()
    table = TickerTable(model.read_changed, LISTINGS, clock, lambda: "0" * 8, aside.work.append)

    def counts(key: str) -> int:
        return table.read(key, lambda table: table.trade_count)

    model.change(TICKERS[0])
    first = counts("a")
    assert first > 0
    assert aside.work == []
    model.change(TICKERS[0])
    clock.now_ms += REFRESH_INTERVAL_MS
    assert counts("b") == first
    assert counts("c") == first, "while it is on its way no second one begins"
    aside.do_it()
    second = counts("d")
    assert second > first
    model.change(TICKERS[0])
    clock.now_ms += MAX_AGE_MS
    assert counts("e") > second
    assert aside.work == []


def test_what_fails_aside_is_told_to_the_next(model: ModelStore, clock: Clock) -> None:
    aside = Aside()
    table = TickerTable(model.read_changed, LISTINGS, clock, lambda: "0" * 8, aside.work.append)
    model.change(TICKERS[0])
    table.read("a", len)
    model.failure = StoreUnavailable("down")
    clock.now_ms += REFRESH_INTERVAL_MS
    table.read("b", len)
    aside.do_it()
    with pytest.raises(StoreUnavailable, match="down"):
        table.read("c", len)
    model.failure = None
    clock.now_ms += REFRESH_INTERVAL_MS
    assert table.read("d", len) == 1
