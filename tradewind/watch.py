"""`tradewind watch`: each function's pods as they come and go, live."""

import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from tradewind.cluster import NAMESPACE, Context, Namespace
from tradewind.options import DEFAULT_DATA, Data, Json, duration, fail, print_json

if TYPE_CHECKING:
    from tradewind.cluster.api import Cluster
    from tradewind.cluster.board import Board

INTERVAL_S = 1.0


def watch(
    *,
    local: Annotated[
        bool, typer.Option("--local", help="The run on this machine, even if a cluster is known.")
    ] = False,
    context: Context = None,
    namespace: Namespace = NAMESPACE,
    data: Data = DEFAULT_DATA,
    json: Json = False,
    once: Annotated[bool, typer.Option("--once", help="Show how it is, and end.")] = False,
    for_: Annotated[
        str | None, typer.Option("--for", help="End by itself after this time: 20s, 5m.", metavar="TIME")
    ] = None,
) -> None:
    """Watch the functions: pods wanted, there and ready, revision, what a pod is to bear, seconds until an
    idle one is gone; broker and triggers; dead letters. On a cluster, or of the run on this machine.

    Without --local and --context it is the run on --data, if there is one, else the current cluster. Looking
    starts no pods: dead letters are shown while the query function is up. --json prints one board a line.

    Exit code: 0; 2 if there is neither a run nor a cluster.
    """
    stop = threading.Event()
    look = _choose(local, context, namespace, data, stop)
    seconds = duration(for_)
    ends_s = time.monotonic() + seconds if seconds is not None else float("inf")
    try:
        if once:
            _show(look(), json)
        elif json or not sys.stdout.isatty():
            _print(look, json, ends_s)
        else:
            _draw(look, ends_s)
    except KeyboardInterrupt:
        pass
    finally:
        stop.set()


def _choose(
    local: bool, context: str | None, namespace: str, data: "Data", stop: threading.Event
) -> "Callable[[], Board]":
    from tradewind.cluster.api import Cluster, NoClient
    from tradewind.cluster.local import local_board
    from tradewind.folder import DataFolder

    run = None if context else DataFolder(data).find_running()
    if run is not None:
        return lambda: local_board(DataFolder(data).find_running() or run)
    if local:
        fail(f"No pipeline runs on {data}: start one with `tradewind up`, or name its folder with --data.")
    try:
        return _watch_cluster(Cluster(context, namespace), stop)
    except NoClient as error:
        fail(f"No pipeline runs on {data}, and no cluster can be looked at. {error}")


def _watch_cluster(cluster: "Cluster", stop: threading.Event) -> "Callable[[], Board]":
    from tradewind.cluster.api import PATHS
    from tradewind.cluster.board import cluster_board
    from tradewind.cluster.letters import Letters
    from tradewind.cluster.mirror import Mirror, follow

    mirror = Mirror()
    for source in cluster.sources():
        threading.Thread(target=follow, args=(source, mirror, stop), daemon=True).start()
    letters = Letters(cluster)
    grace_period_s = cluster.grace_period_s()
    where = f"{cluster.name}, namespace {cluster.namespace}"

    def look() -> "Board":
        while not mirror.has(PATHS) and not stop.wait(0.05):
            pass
        return cluster_board(
            where, mirror, datetime.now(UTC), grace_period_s, letters.count(mirror.of("Pod"))
        )

    return look


def _draw(look: "Callable[[], Board]", ends_s: float) -> None:
    from rich.live import Live

    from tradewind.cluster.screen import board_view

    with Live(auto_refresh=False, screen=False) as live:
        while time.monotonic() < ends_s:
            live.update(board_view(look()), refresh=True)
            time.sleep(INTERVAL_S)


def _print(look: "Callable[[], Board]", json: bool, ends_s: float) -> None:
    """A board at each change, for logs and pipes."""
    before = None
    while time.monotonic() < ends_s:
        board = look()
        if board != before:
            _show(board, json)
            before = board
        time.sleep(INTERVAL_S)


def _show(board: "Board", json: bool) -> None:
    if json:
        print_json(board)
        sys.stdout.flush()
        return
    from rich.console import Console

    from tradewind.cluster.screen import board_view
    from tradewind.options import PIPED_WIDTH

    console = Console() if sys.stdout.isatty() else Console(width=PIPED_WIDTH)
    console.print(board_view(board))
