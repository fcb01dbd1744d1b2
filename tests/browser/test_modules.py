"""The page's pure modules, by themselves, in the browser that runs them."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import Tab

pytestmark = pytest.mark.browser
DASHBOARD = Path(__file__).parents[2] / "dashboard"


@pytest.fixture
def run(tab: Tab) -> Any:
    """`run("layout", "({ Layout }) => ...", argument)`: with a module of the page."""
    page = tab.open("/?q=no-rows-to-draw")
    folder = page.locator("script[type=module]").get_attribute("src").rsplit("/", 1)[0]

    def call(module: str, function: str, argument: object = None) -> Any:
        code = f"async (given) => ({function})(await import('{folder}/{module}.js'), given)"
        return page.evaluate(code, argument)

    return call


def test_rows_and_panels_stand_where_they_are_found(run: Any) -> None:
    wrong = run(
        "layout",
        """({ Layout }) => {
          const wrong = [];
          for (const panels of [[], [[0, 100]], [[3, 50], [4, 70], [99, 10]], [[50, 400]]]) {
            const layout = new Layout(100, 32, panels.map(([index, height]) => ({ index, height })));
            for (let index = 0; index < 100; index += 1) {
              const [top, next] = [layout.top(index), layout.top(index + 1)];
              if (layout.at(top) !== index || layout.at(next - 1) !== index) wrong.push([panels, index]);
            }
            const [start, end] = layout.range(1_000, 1_500);
            if (layout.top(start) > 1_000 || layout.top(end) <= 1_500) wrong.push([panels, start, end]);
          }
          return wrong;
        }""",
    )
    assert wrong == []
    edges = "({ Layout }) => [new Layout(0, 32).range(0, 9), new Layout(5, 32).range(-99, 9999)]"
    assert run("layout", edges) == [[0, 0], [0, 5]]


MERGE = """({ TickerStore }, answers) => {
  const store = new TickerStore();
  const row = ([ticker, price]) => ({ ticker, name: "", price, volume: 1, value: "1.0000", trade_count: 1,
    high: price, low: price, last_trade_time: "2026-01-31T09:30:00.000Z" });
  return answers.map(({ rows, ...rest }, now) => {
    store.merge({ tickers: rows.map(row), more: false, reset: false, ...rest }, { now });
    return [store.version, store.entries().map(({ ticker, change, flash, trail }) =>
      [ticker, change, flash, trail.length])];
  });
}"""


def test_changes_are_counted_from_what_the_page_saw_first(run: Any) -> None:
    answers = [
        {"rows": [["A", "1.0000"], ["B", "2.0000"]], "reset": True},
        {"rows": [["A", "1.1000"]]},
        {"rows": [["A", "1.1000"], ["C", "5.0000"]]},
        {"rows": []},
        {"rows": [["A", "0.9000"]]},
    ]
    told = run("store", MERGE, answers)
    assert [entries for _, entries in told] == [
        [["A", 0, 0, 1], ["B", 0, 0, 1]],
        [["A", 0.1, 1, 2], ["B", 0, 0, 1]],
        [["A", 0.1, 1, 2], ["B", 0, 0, 1], ["C", 0, 0, 1]],
        [["A", 0.1, 1, 2], ["B", 0, 0, 1], ["C", 0, 0, 1]],
        [["A", -0.1, -1, 3], ["B", 0, 0, 1], ["C", 0, 0, 1]],
    ]
    versions = [version for version, _ in told]
    assert versions[2] == versions[3]  # nothing to draw
    assert len(set(versions)) == len(versions) - 1


def test_starting_over_keeps_the_first_prices_and_drops_what_is_gone(run: Any) -> None:
    answers = [
        {"rows": [["A", "1.0000"], ["B", "2.0000"]], "reset": True},
        {"rows": [["C", "1.0000"]], "reset": True, "more": True},
        {"rows": []},
    ]
    told = run("store", MERGE, answers)
    assert [version for version, _ in told] == sorted({version for version, _ in told})
    assert [entries for _, entries in told][2] == [["C", 0, 0, 1]]
    answers[2] = {"rows": [["A", "1.5000"]]}
    assert run("store", MERGE, answers)[2][1] == [["A", 0.5, 1, 2], ["C", 0, 0, 1]]


def test_only_the_last_prices_are_remembered(run: Any) -> None:
    prices = """({ Trail }, prices) => {
      const trail = new Trail(prices[0]);
      for (const price of prices.slice(1)) trail.add(price);
      return trail.prices;
    }"""
    assert run("trail", prices, [1.5, 2.25]) == [1.5, 2.25]
    assert run("trail", prices, list(range(100))) == list(range(52, 100))


TAPE = """({ Tape }, pages) => {
  const tape = new Tape();
  const page = (ids, next = null) => ({ trades: ids.map((id) => ({ source: "s", id })), next_cursor: next });
  return pages.map(([verb, ids, next]) => {
    tape[verb](page(ids, next));
    return [tape.trades.map(({ id }) => id), tape.nextCursor];
  });
}"""


def test_the_tape_joins_new_trades_to_those_that_are_there(run: Any) -> None:
    pages = [
        ["renew", [5, 4, 3], "c3"],
        ["extend", [2, 1], None],
        ["renew", [7, 6, 5], "c5"],
        ["renew", [7, 6, 5.5], "c5"],  # one came late, and its page ends before what is known
        ["renew", [7, 6, 5.5, 5], "x"],
    ]
    assert run("tape", TAPE, pages) == [
        [[5, 4, 3], "c3"],
        [[5, 4, 3, 2, 1], None],
        [[7, 6, 5, 4, 3, 2, 1], None],
        [[7, 6, 5.5], "c5"],
        [[7, 6, 5.5, 5], "x"],
    ]


def test_a_tape_that_was_cut_leads_to_no_older_trades(run: Any) -> None:
    pages = [
        ["renew", list(range(1_999, 0, -1)), "c1"],
        ["renew", list(range(2_001, 100, -1)), "c101"],
    ]
    before, after = run("tape", TAPE, pages)
    assert before[1] == "c1"
    assert after == [list(range(2_001, 1, -1)), None]  # c1 leads past the one that was cut


def test_trades_of_two_sources_with_one_id_are_two(run: Any) -> None:
    told = run(
        "tape",
        """({ Tape }) => {
          const tape = new Tape();
          const make = (text) => [...text].map((source) => ({ source, id: "1" }));
          tape.renew({ trades: make("dcb"), next_cursor: "b" });
          tape.extend({ trades: make("a"), next_cursor: null });
          tape.renew({ trades: make("edc"), next_cursor: "c" });
          return tape.trades.map(({ source }) => source).join("");
        }""",
    )
    assert told == "edcba"


RENEWAL = """({ Renewal }, answers) => {
  const renewal = new Renewal();
  const asked = [];
  for (let now = 0; now <= 600_000; now += 500) {
    const [version, isUpToDate, leastMs = 0] = answers(now);
    if (!renewal.isDue(version, now)) continue;
    asked.push(now / 1_000);
    renewal.note(isUpToDate, { leastMs, now });
  }
  return asked;
}"""


@pytest.mark.parametrize(
    ("answers", "asked"),
    [
        ("() => [1, true]", [0]),
        ("(now) => [1, now >= 3_000]", [0, 1, 3]),
        ("() => [1, false]", [0, 1, 3, 7, 15, 31, *range(63, 601, 60)]),
        ("(now) => [now < 100_000 ? 1 : 2, now >= 101_000]", [0, 1, 3, 7, 15, 31, 63, 100, 101]),
        ("(now) => [Math.min(now, 5_000), true, 2_000]", [0, 2, 4, 6]),
    ],
)
def test_what_is_behind_is_asked_for_again_ever_more_seldom(run: Any, answers: str, asked: list[int]) -> None:
    assert run("renewal", f"(module) => ({RENEWAL})(module, {answers})") == asked


TAIL = """({ Tail, matches, verdictsOf }, deliveries) => {
  const tail = new Tail();
  const make = ([id, name, time, verdict]) => ({ function: name, time, verdict, reason: "",
    attributes: { source: "s", id }, data: { text: "{}" } });
  for (const some of deliveries) tail.merge(some.map(make));
  const events = tail.events().map((event) => [event.latest.attributes.id,
    verdictsOf(event).map((delivery) => [delivery.function, delivery.verdict, delivery.times])]);
  const kept = tail.events().map((event) => [event.count, event.deliveries.size]);
  return { kept, events, found: tail.events().filter((event) => matches(event, " DUPL ")).length };
}"""


def test_the_tail_puts_deliveries_of_an_event_together(run: Any) -> None:
    first = [
        ["2", "store", "t2", "STORED"],
        ["1", "count", "t1", "COUNTED"],
        ["1", "store", "t0", "UNAVAILABLE"],
    ]
    later = [["1", "store", "t3", "STORED"], *first, ["2", "count", "t1", "DUPLICATE"]]
    told = run("tail", TAIL, [first, first, later])
    assert told["kept"] == [[3, 3], [2, 2]]
    assert told["events"] == [
        ["1", [["count", "COUNTED", 1], ["store", "STORED", 2]]],
        ["2", [["count", "DUPLICATE", 1], ["store", "STORED", 1]]],
    ]
    assert told["found"] == 1


def test_of_an_event_that_is_delivered_for_ever_the_last_deliveries_are_kept(run: Any) -> None:
    late = [["1", "count", f"t{place:02}", "UNAVAILABLE"] for place in range(60, 10, -1)]
    stored = ["1", "store", "t01", "STORED"]
    told = run("tail", TAIL, [[*late[20:], stored], [*late, stored], [*late, stored]])
    assert told["kept"] == [[51, 20]]
    assert told["events"] == [["1", [["count", "UNAVAILABLE", 50], ["store", "STORED", 1]]]]


@pytest.mark.parametrize(
    "search",
    [
        "",
        "?q=a%26b&sort=volume&order=desc&open=A,B%2FC",
        "?view=events&find=x&verdict=STORED",
        "?rows=25&page=3",
        "?open=A%252CB,C%2525,%25252C",
    ],
)
def test_an_address_means_the_same_after_it_was_read_and_written(run: Any, search: str) -> None:
    assert (
        run("address", "({ parseSearch, formatSearch }, s) => formatSearch(parseSearch(s))", search) == search
    )


def test_only_so_many_symbols_are_open(run: Any) -> None:
    search = "?open=" + ",".join(f"S{place}" for place in range(20))
    opened = run("address", "({ parseSearch }, s) => parseSearch(s).open", search)
    assert opened == [f"S{place}" for place in range(12, 20)]


ADDRESS_OF_OPEN = """({ parseSearch, formatSearch }, open) =>
  parseSearch(formatSearch({ ...parseSearch(""), open })).open"""


@pytest.mark.parametrize("open_", [["A,B", "C"], [",", "%2C", "%", "%25", "%252C"], ["A&open=B#", "+", "/"]])
def test_any_symbol_can_be_open(run: Any, open_: list[str]) -> None:
    assert run("address", ADDRESS_OF_OPEN, open_) == open_


CHECK = """({ check }, [counts, trades]) => {
  const answers = [...counts];
  const rows = Array.from({ length: trades }, () => ({ price: "0.1000", volume: 3 }));
  const aggregate = (count) => ({ trade_count: count, volume: 3 * count,
    value: (0.3 * count).toFixed(4) });
  const api = {
    ticker: async () => aggregate(answers.length > 1 ? answers.shift() : answers[0]),
    trades: async () => ({ trades: rows, next_cursor: null }),
  };
  return check(api, "X", { pauseMs: 1 }).then(({ state, count, expected }) => [state, count, expected]);
}"""


@pytest.mark.parametrize(
    ("counts", "trades", "told"),
    [
        ([7], 7, ["consistent", 7, 7]),
        ([8, 8, 7], 7, ["consistent", 7, 7]),  # the next attempt finds them equal
        ([8], 7, ["differs", 7, 8]),
        ([1, 2, 3, 4, 5, 6, 8, 9, 10], 7, ["moving", 7, 8]),
        ([5_001], 7, ["capped", 5_000, 5_001]),
    ],
)
def test_trades_are_compared_with_their_aggregate(
    run: Any, counts: list[int], trades: int, told: list[object]
) -> None:
    assert run("consistency", CHECK, [counts, trades]) == told


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("formatPrice", "1234567890123.4567", "1,234,567,890,123.4567"),  # more digits than a double has
        ("formatValue", "0.0050", "0.01"),
        ("formatChange", -0.5, "\u22120.5000"),
        ("formatPercent", 0, "0.00%"),
        ("formatPercent", -0.004, "0.00%"),
        ("formatCompact", "5846999.5", "5.847M"),
        ("formatCompact", 282_000_000, "282.0M"),
        ("formatCompact", 5, "5"),
        ("formatRate", 301, "301.0"),
        ("formatPercent", 12.345, "+12.35%"),
        ("formatAge", 400, "0.4 s"),
        ("formatAge", 12_300, "12 s"),
        ("formatAge", 7_200_000, "2 h"),
        ("formatBytes", 2_048, "2 KB"),
        ("formatFunction", "http://store-trade.tradewind.svc.cluster.local/", "store-trade"),
        ("formatFunction", "http://127.0.0.1:9/x", "127.0.0.1:9"),
        ("formatFunction", "http://[::1]:9/x", "[::1]:9"),
        ("formatFunction", "", ""),
    ],
)
def test_numbers_are_written_for_people(run: Any, name: str, value: object, text: str) -> None:
    assert run("format", f"(format, value) => format.{name}(value)", value) == text


@pytest.mark.parametrize("name", ["formatTime", "formatPreciseTime"])
def test_times_of_another_day_have_their_date(run: Any, name: str) -> None:
    code = f"""({{ {name} }}) => {{
      const noon = new Date(2026, 0, 31, 12, 0, 5, 7).getTime();
      return [noon, noon + 3_600_000, noon + 86_400_000].map((now) => {name}(noon, now));
    }}"""
    clock = "12:00:05.007" if name == "formatPreciseTime" else "12:00:05"
    assert run("format", code) == [clock, clock, f"2026-01-31 {clock}"]


def test_commands_to_copy_survive_any_symbol(run: Any) -> None:
    event = "makeEvent('i', { ticker: \"O'X\", price: '1', volume: 1 })"
    command = run("sample", f"({{ makeEvent, toCurl }}) => toCurl({event}, 'http://h')")
    assert "O'\\''X" in command


def test_the_page_names_all_its_modules_so_that_they_load_at_once() -> None:
    html = (DASHBOARD / "index.html").read_text()
    named = re.findall(r'<link rel="modulepreload" href="/\w+/([\w-]+\.js)">', html)
    assert sorted([*named, "app.js"]) == sorted(path.name for path in DASHBOARD.glob("*.js"))


@pytest.mark.parametrize("path", sorted(DASHBOARD.glob("*.*")), ids=lambda path: path.name)
def test_files_are_small_and_ask_nobody_else(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) < 300
    assert not re.findall(r"innerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", text)
    addresses = set(re.findall(r"https?://[^\s\"'`]+", text))
    assert addresses <= {"http://www.w3.org/2000/svg"}
