"""The composition root: what each function is made of, made at its first use and so after any fork."""

import atexit
import os
import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from eventing.logs import configure_logs
from eventing.tracing import Tracer, make_tracer
from functions.door import Door, Handle
from functions.metrics import StoreMeasures
from functions.notes import Notes
from functions.once import Once
from functions.probes import Probes, Readiness
from functions.stores import open_store
from runtime.settings import (
    AerospikeSettings,
    FunctionSettings,
    LogSettings,
    QuerySettings,
    SinkSettings,
    StoreSettings,
)
from trades.store import TradeStore

if TYPE_CHECKING:
    from flask import Flask

__all__ = ["dead_letter", "open_store", "own_function", "query", "store", "store_trade", "update_summary"]


@cache
def tracer() -> Tracer | None:
    """This process's tracer, if traces are asked for."""
    made = make_tracer(os.environ.get("FUNCTION_TARGET", "functions").replace("_", "-"))
    if made:
        atexit.register(made.close)
    return made


@cache
def store() -> TradeStore:
    """This process's store."""
    settings = StoreSettings.read()
    made = open_store(settings.store, settings, AerospikeSettings.read(), StoreMeasures(tracer()))
    atexit.register(made.close)
    return made


@cache
def store_trade() -> Door:
    from functions.store_trade import make_store_trade

    handler = make_store_trade(store(), FunctionSettings.read(), tracer())
    return _door("store_trade", handler, handler.close)


@cache
def update_summary() -> Door:
    from functions.update_summary import make_update_summary

    handler = make_update_summary(store(), FunctionSettings.read(), tracer())
    return _door("update_summary", handler, handler.close)


@cache
def dead_letter() -> Door:
    from functions.dead_letter import DeadLetterHandler

    handler = DeadLetterHandler(store(), FunctionSettings.read(), tracer())
    return _door("dead_letter", handler, handler.close)


def _door(function: str, handle: Handle, close: Callable[[], None]) -> Door:
    _configure_logs(function)
    readiness = Readiness(store().ping)
    notes = Notes(function, store().add_notes)
    for part_close in (notes.close, readiness.close, close):  # run in the opposite order
        atexit.register(part_close)
    return Door(
        function, handle, FunctionSettings.read(), probes=Probes(readiness), notes=notes, tracer=tracer()
    )


def _configure_logs(function: str) -> None:
    settings = LogSettings.read()
    configure_logs(settings.log_level, settings.log_format, function=function)


def own_function(function: str, handle: Handle) -> Door:
    """The door of a function that people wrote: one event a request, its JSON checked, no store needed."""
    _configure_logs(function)
    notes = Notes(function, lambda notes: store().add_notes(notes))
    atexit.register(notes.close)
    return Door(
        function,
        handle,
        FunctionSettings.read(),
        probes=Probes(None),
        notes=notes,
        tracer=tracer(),
        max_events=1,
        check_json_data=True,
    )


@Once
def query() -> "Flask":
    """The query's app."""
    from eventing.credentials import Credentials
    from functions.query.app import create_app

    _configure_logs("query")
    settings, sink = QuerySettings.read(), SinkSettings.read()
    return create_app(
        store(),
        broker_url=settings.k_sink or None,
        broker_status_url=settings.broker_status_url or None,
        credentials=Credentials(sink.k_ca_certs, Path(sink.oidc_token_file)),
        allowed_hosts=tuple(settings.query_allowed_hosts.split()),
        run_aside=lambda work: threading.Thread(target=work, name="refresh", daemon=True).start(),
    )
