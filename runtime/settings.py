"""Settings, read from the environment once, where a process starts.

Each class is one concern; a field's name in capitals is its environment variable. The README's settings
table is checked against these classes.
"""

import os
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator


class _Settings(BaseModel):
    """Made of the environment, and of what is given instead of it.

    pydantic-settings does this and much more, for a tenth of a second of every cold start.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    def __init__(self, **given: Any) -> None:
        names = type(self).model_fields
        read = {name: os.environ[name.upper()] for name in names if name.upper() in os.environ}
        super().__init__(**read | given)


class StoreSettings(_Settings):
    """Where trades and summaries are kept."""

    store: str = Field(
        "sqlite:.tradewind/store",
        description="`sqlite:FOLDER`, or `aerospike://HOST:PORT`, with more hosts after commas",
    )
    contract_record_shard_count: Annotated[int, Field(ge=1, le=1_000)] = Field(
        10, description="Aerospike: records a ticker's summary is spread over"
    )
    event_retention: Annotated[int, Field(ge=0)] = Field(
        0,
        description="Aerospike: seconds a claim is kept; an event repeated later counts again; 0: for ever",
    )
    trade_retention: Annotated[int, Field(ge=0)] = Field(
        0, description="seconds a raw trade is kept; `verify` then knows less; 0: for ever"
    )


class AerospikeSettings(_Settings):
    """Names and limits of the Aerospike adapter. The names are those of the original demo."""

    aerospike_trades_namespace: str = Field("test", description="namespace of raw trades and claims")
    aerospike_trades_set: str = Field("trades", description="set of raw trades")
    aerospike_events_set: str = Field("events", description="set of claims, one record an event")
    aerospike_summary_namespace: str = Field("memory_ns", description="namespace of the summaries")
    aerospike_summary_set: str = Field("contractSummary", description="set of summaries and price levels")
    aerospike_user: str = Field("", description="user, where security is on")
    aerospike_password: SecretStr = Field(SecretStr(""), description="password of that user")
    aerospike_timeout_ms: Annotated[int, Field(ge=10, le=60_000)] = Field(
        2_000, description="total time of one store call, retries included"
    )
    aerospike_batch_size: Annotated[int, Field(ge=1, le=5_000)] = Field(
        1_000, description="records in one batch call"
    )


class FunctionSettings(_Settings):
    """The door and the group commit of the event functions."""

    max_body_bytes: Annotated[int, Field(ge=1_024)] = Field(
        5 * 1024 * 1024, description="a larger request body is refused with 413"
    )
    group_max_events: Annotated[int, Field(ge=1, le=1_000)] = Field(
        64, description="events that one commit may take together"
    )
    group_max_trades: Annotated[int, Field(ge=1_000, le=32_000)] = Field(
        32_000, description="trades that one commit may take together"
    )
    queue_max_events: Annotated[int, Field(ge=1)] = Field(
        512, description="events waiting for a commit; more are answered 503"
    )
    deadline_ms: Annotated[int, Field(ge=100)] = Field(
        20_000, description="an event not done by then is answered 503; keep it below the Trigger's timeout"
    )
    store_workers: Annotated[int, Field(ge=1, le=64)] = Field(
        1, description="commits under way at once in a process (SQLite: one writer, so 1)"
    )


class QuerySettings(_Settings):
    """What the query function needs beyond the store: only replay and the page's form use a broker."""

    k_sink: str = Field("", description="query: the broker's ingress, for replay and the page's form")
    broker_status_url: str = Field("", description="query: the local broker's `/-/status`, if any")
    query_allowed_hosts: str = Field(
        "", description="query: host names, apart by blanks, from which a page may change state"
    )


class SinkSettings(_Settings):
    """What senders trust and show. On a cluster the SinkBinding provides both."""

    k_ca_certs: str = Field("", description="certificates, in PEM, that a sink's own must come from")
    oidc_token_file: str = Field(
        "/oidc/token", description="file, if it is there, with the token that a sink is shown"
    )


class GeneratorSettings(_Settings):
    """What the generator sends, how fast, and where to."""

    k_sink: str = Field(
        "http://127.0.0.1:8081/tradewind/default",
        pattern="^https?://",
        description="where events go; on a cluster a SinkBinding sets it",
    )
    profile: Literal["nasdaq", "abc"] = Field("nasdaq", description="symbols, their first prices and volumes")
    symbols: Annotated[int, Field(ge=0)] = Field(0, description="how many symbols trade; 0: all of them")
    symbols_file: str = Field(
        "", description="in place of the built-in symbols: a file in the format of NASDAQ's nasdaqlisted.txt"
    )
    symbols_any_status: bool = Field(
        False, description="take symbols of SYMBOLS_FILE that are bankrupt, delinquent or deficient too"
    )
    symbol_skew: Annotated[float, Field(ge=0, le=20)] = Field(
        0.0,
        description="how unevenly symbols trade, the nth by 1/n^SKEW; 0: evenly, 1: some more, 6: one is hot",
    )
    price_model: Literal["brownian", "cent_walk"] = Field(
        "brownian", description="how prices move: with the time elapsed, or one cent up or down a trade"
    )
    volume_model: Literal["power_law", "uniform"] = Field(
        "power_law", description="many small trades and few large ones, or all sizes alike"
    )
    trades_per_second: Annotated[float, Field(ge=0, le=10_000_000)] = Field(
        300.0, description="asked rate; 0: as fast as the broker takes them"
    )
    iterations_per_second: Annotated[float, Field(ge=0, le=1_000_000)] = Field(
        0.0, description="with TRADES_PER_ITERATION, in place of TRADES_PER_SECOND"
    )
    trades_per_iteration: Annotated[int, Field(ge=0, le=1_000_000)] = Field(
        0, description="trades made at one instant, see ITERATIONS_PER_SECOND"
    )
    trades_per_event: Annotated[int, Field(ge=1, le=1_000)] = Field(
        500, description="most trades in one event; 1 sends trade.executed.v1"
    )
    linger_ms: Annotated[int, Field(ge=0, le=100)] = Field(
        100, description="longest time a trade waits for others to share its event"
    )
    max_trades: Annotated[int, Field(ge=0)] = Field(0, description="stop after so many; 0: go on")
    seed: int | None = Field(None, description="same seed, same trades; unset: another market each time")
    run_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{0,64}$")] = Field(
        "", description="to send the very events of an earlier run again; needs SEED and START_TIME_MS"
    )
    start_time_ms: int | None = Field(
        None,
        ge=0,
        le=250_000_000_000_000,
        description="time of the first trade, in ms since 1970; unset: trades carry the present time",
    )
    schema_base_url: str = Field(
        "", description="dataschema of an event is this and its type; empty: events carry none"
    )
    max_in_flight: Annotated[int, Field(ge=1, le=1_024)] = Field(
        16, description="events sent and not yet answered"
    )
    send_timeout_ms: Annotated[int, Field(ge=10, le=600_000)] = Field(
        30_000, description="an event without an answer by then is sent again"
    )
    drain_timeout_ms: Annotated[int, Field(ge=0, le=600_000)] = Field(
        10_000, description="how long a stopping generator waits for answers"
    )
    pause_file: str = Field("", description="while this file exists, no trades are made")
    metrics_address: Annotated[str, Field(pattern=r"^(|.+:\d{1,5})$")] = Field(
        "", description="`HOST:PORT` where the generator answers Prometheus at /metrics; empty: nowhere"
    )

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if bool(self.iterations_per_second) != bool(self.trades_per_iteration):
            raise ValueError("set ITERATIONS_PER_SECOND and TRADES_PER_ITERATION together, or neither")
        if self.run_id and (self.seed is None or self.start_time_ms is None):
            raise ValueError(
                "RUN_ID repeats the events of a run: set SEED and START_TIME_MS too, or leave RUN_ID out"
            )
        if self.symbols_file and self.profile != "nasdaq":
            raise ValueError("SYMBOLS_FILE goes with PROFILE=nasdaq only")
        return self


class LogSettings(_Settings):
    """Logs go to standard error."""

    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="least level shown")
    log_format: Literal["auto", "json", "text"] = Field(
        "auto", description="auto: text on a terminal, else JSON lines"
    )


ALL_SETTINGS: tuple[type[_Settings], ...] = (
    StoreSettings,
    AerospikeSettings,
    FunctionSettings,
    QuerySettings,
    SinkSettings,
    GeneratorSettings,
    LogSettings,
)
