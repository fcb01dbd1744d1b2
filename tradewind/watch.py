"""`tradewind watch`: each function's pods as they come and go, live."""

import sys
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from tradewind.cluster import NAMESPACE, Context, NoCluster
from tradewind.options import DEFAULT_DATA, Data, Json, duration, fail, print_json, table_console

if TYPE_CHECKING:
    from tradewind.cluster.board import Board

INTERVAL_S = 1.0


def watch(
    *,
    local: Annotated[
        bool, typer.Option("--local", help="The run on this machine, even if a cluster is known.")
    ] = False,
    context: Context = None,
    namespace: Annotated[
        str | None,
        typer.Option(
            "--namespace",
            "-n",
            metavar="NAME",
            help=f"Where it is on the cluster, if not in {NAMESPACE}.",
            show_default=False,
        ),
    ] = None,
    data: Data = DEFAULT_DATA,
    json: Json = False,
    once: Annotated[bool, typer.Option("--once", help="Show how it is, and end.")] = False,
    for_: Annotated[
        str | None, typer.Option("--for", help="End by itself after this time: 20s, 5m.", metavar="TIME")
    ] = None,
) -> None:
    """Watch the functions: pods wanted, there and ready, revision, what a pod is to bear, seconds until an
    idle one is gone; broker and triggers; dead letters. On a cluster, or of the run on this machine.

    With --context or --namespace it is the cluster; else the run on --data, if there is one, else the
    current cluster. Looking starts no pods: dead letters are shown while the query function is up and can be
    reached. --json prints one board a line.

    Exit code: 0; 2 if there is neither a run nor a cluster, or the cluster shows nothing at all.
    """
    if local and (context or namespace):
        raise typer.BadParameter("--local is this machine's run, --context and --namespace are of a cluster")
    seconds = duration(for_)
    ends_s = time.monotonic() + seconds if seconds is not None else float("inf")
    stop = threading.Event()
    try:
        look = _choose(local, context, namespace, data, stop, ends_s)
        if once:
            _show(look(), json)
        elif json or not sys.stdout.isatty():
            _print(look, json, ends_s)
        else:
            _draw(look, ends_s)
    except NoCluster as error:
        fail(str(error) if context or namespace else f"No pipeline runs on {data}. {error}")
    except KeyboardInterrupt:
        pass
    finally:
        stop.set()


def _choose(
    local: bool,
    context: str | None,
    namespace: str | None,
    data: "Data",
    stop: threading.Event,
    ends_s: float,
) -> "Callable[[], Board]":
    from tradewind.cluster.local import local_board
    from tradewind.laptop.folder import DataFolder

    run = None if context or namespace else DataFolder(data).find_running()
    if run is not None:
        return lambda: local_board(DataFolder(data).find_running() or run)
    if local:
        fail(f"No pipeline runs on {data}: start one with `tradewind up`, or name its folder with --data.")
    from tradewind.cluster.api import Cluster
    from tradewind.cluster.lookout import Lookout

    return Lookout(Cluster(context, namespace or NAMESPACE), context, stop, ends_s).look


def _draw(look: "Callable[[], Board]", ends_s: float) -> None:
    from rich.live import Live

    from tradewind.cluster.screen import board_view

    with Live(auto_refresh=False, screen=False) as live:
        while True:
            live.update(board_view(look(), live.console.width), refresh=True)
            if not _pause(ends_s):
                return


def _print(look: "Callable[[], Board]", json: bool, ends_s: float) -> None:
    """A board at each change, for logs and pipes."""
    before = None
    while True:
        board = look()
        if board != before:
            _show(board, json)
            before = board
        if not _pause(ends_s):
            return


def _pause(ends_s: float) -> bool:
    """Until the next look; whether there is to be one."""
    time.sleep(max(0.0, min(INTERVAL_S, ends_s - time.monotonic())))
    return time.monotonic() < ends_s


def _show(board: "Board", json: bool) -> None:
    if json:
        print_json(board)
        sys.stdout.flush()
        return
    from tradewind.cluster.screen import board_view

    console = table_console()
    console.print(board_view(board, console.width))
