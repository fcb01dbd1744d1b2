"""The list of tickers: sorted, searched, page by page, or only what changed."""

from collections.abc import Callable
from hashlib import blake2b
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from functions.query.bodies import Body
from functions.query.cursor import CURSOR_PATTERN, Cursor, parse_cursor
from functions.query.operation import Operation
from functions.query.services import Services
from functions.query.table import Row, TickerTable
from functions.query.views import Count, TickerRow

DEFAULT_LIMIT = 50
MAX_CHANGES = 10_000  # rows in an answer to changed_since, if no limit is given

Column = Literal[
    "ticker", "name", "exchange", "price", "volume", "value", "trade_count", "high", "low", "last_trade_time"
]


class TickersQuery(msgspec.Struct, frozen=True):
    """Which tickers, in which order."""

    q: Annotated[
        str,
        Meta(
            max_length=64,
            description="part of a symbol or name, in any case; without `sort`, "
            "symbols that start with it come first",
        ),
    ] = ""
    sort: (
        Annotated[Column, Meta(description="column; numbers sort as numbers; default: ticker")] | UnsetType
    ) = UNSET
    order: Annotated[Literal["asc", "desc"], Meta(description="equal ones go by ticker, ascending")] = "asc"
    limit: (
        Annotated[
            int,
            Meta(
                ge=1, le=1_000, description=f"rows; default {DEFAULT_LIMIT}, with changed_since {MAX_CHANGES}"
            ),
        ]
        | UnsetType
    ) = UNSET
    offset: Annotated[int, Meta(ge=0, le=10_000_000, description="rows to leave out")] = 0
    changed_since: (
        Annotated[
            str,
            Meta(
                pattern=CURSOR_PATTERN,
                max_length=64,
                description="only rows that changed since: the `cursor` of the answer before, or empty "
                "to start. Rows come in order of change: sort, order and offset have no effect.",
            ),
        ]
        | UnsetType
    ) = UNSET


class TickerList(msgspec.Struct):
    """A page of the list, or what changed in it."""

    tickers: list[TickerRow]
    total: Annotated[Count, Meta(description="tickers that match `q`, on all pages")]
    cursor: Annotated[str, Meta(description="ask with `changed_since=` this for what changes from now on")]
    more: Annotated[bool, Meta(description="there is more: ask again at once")]
    reset: Annotated[
        bool, Meta(description="with changed_since: forget your rows, these are the first of all there are")
    ]


def list_tickers(services: Services, query: TickersQuery) -> Body:
    cursor = None if query.changed_since is UNSET else parse_cursor(query.changed_since)
    if cursor is not None:
        return services.table.read(query, lambda table: _changes(table, query, cursor))
    return services.table.read(query, lambda table: _page(table, query))


def _changes(table: TickerTable, query: TickersQuery, cursor: Cursor) -> Body:
    text = query.q.casefold()
    limit = MAX_CHANGES if query.limit is UNSET else query.limit
    rows, here, more, reset = table.changes(
        cursor, limit, (lambda row: _matches(row, text)) if text else None
    )
    total = len(_search(table, text)) if text else len(table)
    data = _encode(rows, total, here, more, reset)
    # Nobody asks with the same cursor again once there are changes: no cache need keep the answer.
    return Body(data, cache_control="no-store") if query.changed_since else _body(data, table, query)


def _page(table: TickerTable, query: TickersQuery) -> Body:
    text = query.q.casefold()
    found = _search(table, text)
    _sort(found, query, text)
    end = query.offset + (DEFAULT_LIMIT if query.limit is UNSET else query.limit)
    rows = found[query.offset : end]
    data = _encode(rows, len(found), table.here(), end < len(found), reset=False)
    return _body(data, table, query)


def _body(data: bytes, table: TickerTable, query: TickersQuery) -> Body:
    """The cursor is another after each refresh; but one from an answer with the same rows serves as well."""
    here = table.here()
    asked = blake2b(repr(query).encode(), digest_size=8).hexdigest()
    return Body(data, version=f"{here.epoch}-{here.change}-{asked}")


def _encode(rows: list[Row], total: int, cursor: Cursor, more: bool, reset: bool) -> bytes:
    """A TickerList, put together from the rows' own JSON."""
    tail = msgspec.json.encode({"total": total, "cursor": str(cursor), "more": more, "reset": reset})
    return b'{"tickers":[%b],%b' % (b",".join([row.json for row in rows]), tail[1:])


def _matches(row: Row, text: str) -> bool:
    return text in row.search_ticker or text in row.search_name


def _search(table: TickerTable, text: str) -> list[Row]:
    return [row for row in table.rows() if _matches(row, text)] if text else table.rows()


def _sort(rows: list[Row], query: TickersQuery, text: str) -> None:
    rows.sort(key=lambda row: row.ticker)
    if query.sort is not UNSET:
        rows.sort(key=_SORT_KEYS[query.sort], reverse=query.order == "desc")
    elif query.order == "desc":
        rows.reverse()
    if text and query.sort is UNSET:
        rows.sort(key=lambda row: (row.search_ticker != text, not row.search_ticker.startswith(text)))


_SORT_KEYS: dict[str, Callable[[Row], Any]] = {
    "ticker": lambda row: row.ticker,
    "name": lambda row: row.search_name,
    "exchange": lambda row: row.listing.exchange if row.listing else "",
    "price": lambda row: row.summary.latest.price_ticks,
    "volume": lambda row: row.summary.volume,
    "value": lambda row: row.summary.notional_ticks,
    "trade_count": lambda row: row.summary.trade_count,
    "high": lambda row: row.summary.highest_ticks,
    "low": lambda row: row.summary.lowest_ticks,
    "last_trade_time": lambda row: row.summary.latest.time_ms,
}


OPERATIONS = (
    Operation(
        "listTickers",
        "/v1/tickers",
        "The tickers: sort, search, page, or only those that changed since",
        list_tickers,
        TickerList,
        TickersQuery,
        tag="tickers",
    ),
)
