"""Settings, read from the environment once, where a process starts.

Each class is one concern; a field's name in capitals is its environment variable. The README's settings
table is checked against these classes.
"""

from typing import Annotated, Literal
from urllib.parse import urlsplit

from msgspec import Meta

from runtime.reading import Secret, Settings

_LONGEST_S = 315_360_000  # ten years: what an Aerospike server takes
_LAST_PORT = 65_535


def _is_http_url(url: str) -> bool:
    """Whether a request can go there: to what is none, an event would be sent again and again."""
    if not url.isprintable() or " " in url:
        return False
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # of a port that is no number or out of range, or half an IPv6 address
        return False


class StoreSettings(Settings, frozen=True):
    """Where trades and summaries are kept."""

    store: Annotated[str, "`sqlite:FOLDER`, or `aerospike://HOST:PORT`, with more hosts after commas"] = (
        "sqlite:.tradewind/store"
    )
    contract_record_shard_count: Annotated[
        int, Meta(ge=1, le=1_000), "Aerospike: records a ticker's summary is spread over"
    ] = 10
    event_retention: Annotated[
        int,
        Meta(ge=0, le=_LONGEST_S),
        "Aerospike: seconds a claim is kept; an event repeated later counts again; 0: for ever",
    ] = 0
    trade_retention: Annotated[
        int, Meta(ge=0, le=_LONGEST_S), "seconds a raw trade is kept; `verify` then knows less; 0: for ever"
    ] = 0


class AerospikeSettings(Settings, frozen=True):
    """Names and limits of the Aerospike adapter. The names are those of the original demo."""

    aerospike_trades_namespace: Annotated[str, "namespace of raw trades and claims"] = "test"
    aerospike_trades_set: Annotated[str, "set of raw trades"] = "trades"
    aerospike_events_set: Annotated[str, "set of claims, one record an event"] = "events"
    aerospike_notes_set: Annotated[str, "set of the ring of recent events"] = "notes"
    aerospike_dead_letters_set: Annotated[str, "set of dead letters"] = "deadLetters"
    aerospike_summary_namespace: Annotated[str, "namespace of the summaries"] = "memory_ns"
    aerospike_summary_set: Annotated[str, "set of summaries and price levels"] = "contractSummary"
    aerospike_state_set: Annotated[str, "set of one record a set of summaries: its shards and trims"] = (
        "tradewind"
    )
    aerospike_user: Annotated[str, "user, where security is on"] = ""
    aerospike_password: Annotated[Secret, "password of that user"] = Secret("")
    aerospike_timeout_ms: Annotated[
        int, Meta(ge=10, le=60_000), "total time of one store call, retries included"
    ] = 2_000
    aerospike_batch_size: Annotated[int, Meta(ge=1, le=5_000), "records in one batch call"] = 1_000


class FunctionSettings(Settings, frozen=True):
    """The door and the group commit of the event functions."""

    max_body_bytes: Annotated[int, Meta(ge=1_024), "a larger request body is refused with 413"] = (
        5 * 1024 * 1024
    )
    group_max_events: Annotated[int, Meta(ge=1, le=1_000), "events that one commit may take together"] = 64
    group_max_trades: Annotated[
        int, Meta(ge=1_000, le=32_000), "trades that one commit may take together"
    ] = 32_000
    queue_max_events: Annotated[int, Meta(ge=1), "events waiting for a commit; more are answered 503"] = 512
    deadline_ms: Annotated[
        int, Meta(ge=100), "an event not done by then is answered 503; keep it below the Trigger's timeout"
    ] = 20_000
    store_workers: Annotated[
        int, Meta(ge=1, le=64), "commits under way at once in a process (SQLite: one writer, so 1)"
    ] = 1


class QuerySettings(Settings, frozen=True):
    """What the query function needs beyond the store: only replay and the page's form use a broker."""

    k_sink: Annotated[str, "query: the broker's ingress, for replay and the page's form"] = ""
    broker_status_url: Annotated[str, "query: the local broker's `/-/status`, if any"] = ""
    query_allowed_hosts: Annotated[
        str, "query: host names, apart by blanks, from which a page may change state"
    ] = ""


class SinkSettings(Settings, frozen=True):
    """What senders trust and show. On a cluster the SinkBinding provides both."""

    k_ca_certs: Annotated[str, "certificates, in PEM, that a sink's own must come from"] = ""
    oidc_token_file: Annotated[str, "file, if it is there, with the token that a sink is shown"] = (
        "/oidc/token"  # noqa: S105 - a path, no password
    )


class GeneratorSettings(Settings, frozen=True):
    """What the generator sends, how fast, and where to."""

    k_sink: Annotated[str, "where events go; on a cluster a SinkBinding sets it"] = (
        "http://127.0.0.1:8081/tradewind/default"
    )
    profile: Annotated[Literal["nasdaq", "abc"], "symbols, their first prices and volumes"] = "nasdaq"
    symbols: Annotated[int, Meta(ge=0), "how many symbols trade; 0: all of them"] = 0
    symbols_file: Annotated[
        str, "in place of the built-in symbols: a file in the format of NASDAQ's nasdaqlisted.txt"
    ] = ""
    symbols_any_status: Annotated[
        bool, "take symbols of SYMBOLS_FILE that are bankrupt, delinquent or deficient too"
    ] = False
    symbol_skew: Annotated[
        float,
        Meta(ge=0, le=20),
        "how unevenly symbols trade, the nth by 1/n^SKEW; 0: evenly, 1: some more, 6: one is hot",
    ] = 0.0
    price_model: Annotated[
        Literal["brownian", "cent_walk"],
        "how prices move: with the time elapsed, or one cent up or down a trade",
    ] = "brownian"
    volume_model: Annotated[
        Literal["power_law", "uniform"], "many small trades and few large ones, or all sizes alike"
    ] = "power_law"
    trades_per_second: Annotated[
        float, Meta(ge=0, le=10_000_000), "asked rate; 0: as fast as the broker takes them"
    ] = 300.0
    iterations_per_second: Annotated[
        float, Meta(ge=0, le=1_000_000), "with TRADES_PER_ITERATION, in place of TRADES_PER_SECOND"
    ] = 0.0
    trades_per_iteration: Annotated[
        int, Meta(ge=0, le=1_000_000), "trades made at one instant, see ITERATIONS_PER_SECOND"
    ] = 0
    trades_per_event: Annotated[
        int, Meta(ge=1, le=1_000), "most trades in one event; 1 sends trade.executed.v1"
    ] = 500
    linger_ms: Annotated[
        int, Meta(ge=0, le=100), "longest time a trade waits for others to share its event"
    ] = 100
    max_trades: Annotated[int, Meta(ge=0), "stop after so many; 0: go on"] = 0
    seed: Annotated[int | None, "same seed, same trades; unset: another market each time"] = None
    run_id: Annotated[
        str,
        Meta(pattern=r"^[A-Za-z0-9._-]{0,64}$"),
        "to send the very events of an earlier run again; needs SEED, START_TIME_MS and equal other settings",
    ] = ""
    start_time_ms: Annotated[
        Annotated[int, Meta(ge=0, le=250_000_000_000_000)] | None,
        "time of the first trade, in ms since 1970; unset: trades carry the present time",
    ] = None
    schema_base_url: Annotated[
        str, "dataschema of an event is this and its type; empty: events carry none"
    ] = ""
    max_in_flight: Annotated[int, Meta(ge=1, le=1_024), "events sent and not yet answered"] = 16
    send_timeout_ms: Annotated[
        int, Meta(ge=10, le=600_000), "an event without an answer by then is sent again"
    ] = 30_000
    drain_timeout_ms: Annotated[
        int, Meta(ge=0, le=600_000), "how long a stopping generator waits for answers"
    ] = 10_000
    pause_file: Annotated[str, "while this file exists, no trades are made"] = ""
    metrics_address: Annotated[
        str,
        Meta(pattern=r"^(|.+:\d{1,5})$"),
        "`HOST:PORT` where the generator answers Prometheus at /metrics; empty: nowhere",
    ] = ""

    def __post_init__(self) -> None:
        if not _is_http_url(self.k_sink):
            raise ValueError(
                f"K_SINK={self.k_sink}: write http://HOST:PORT/PATH, or https, with a port up to 65535"
            )
        if self.metrics_address and int(self.metrics_address.rpartition(":")[2]) > _LAST_PORT:
            raise ValueError(f"METRICS_ADDRESS={self.metrics_address}: a port is at most {_LAST_PORT}")
        if bool(self.iterations_per_second) != bool(self.trades_per_iteration):
            raise ValueError("set ITERATIONS_PER_SECOND and TRADES_PER_ITERATION together, or neither")
        if self.run_id and (self.seed is None or self.start_time_ms is None):
            raise ValueError(
                "RUN_ID repeats the events of a run: set SEED and START_TIME_MS too, or leave RUN_ID out"
            )
        if self.symbols_file and self.profile != "nasdaq":
            raise ValueError("SYMBOLS_FILE goes with PROFILE=nasdaq only")


class LogSettings(Settings, frozen=True):
    """Logs go to standard error."""

    log_level: Annotated[Literal["debug", "info", "warning", "error"], "least level shown"] = "info"
    log_format: Annotated[Literal["auto", "json", "text"], "auto: text on a terminal, else JSON lines"] = (
        "auto"
    )


ALL_SETTINGS: tuple[type[Settings], ...] = (
    StoreSettings,
    AerospikeSettings,
    FunctionSettings,
    QuerySettings,
    SinkSettings,
    GeneratorSettings,
    LogSettings,
)
