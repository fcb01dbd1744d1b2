"""Options that several commands share, and how options are read."""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from tradewind.durations import parse_duration
from tradewind.exits import UNUSABLE
from tradewind.laptop.folder import DEFAULT_DATA, DataFolder, Run
from tradewind.words import printable

if TYPE_CHECKING:
    from rich.console import Console

Data = Annotated[
    Path, typer.Option("--data", help="Folder of the pipeline's data.", file_okay=False, show_default=True)
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
QueryUrl = Annotated[
    str | None,
    typer.Option(
        "--url", help="The query function, if not that of the pipeline running here.", metavar="URL"
    ),
]
StoreUrl = Annotated[
    str | None,
    typer.Option(
        "--store",
        envvar="STORE",
        metavar="URL",
        help="sqlite:FOLDER or aerospike://HOST:PORT. Default: the store of the pipeline in --data.",
    ),
]

PIPED_WIDTH = 200  # of tables that no terminal shows

__all__ = [
    "DEFAULT_DATA",
    "Data",
    "Json",
    "QueryUrl",
    "StoreUrl",
    "absolute",
    "data_option",
    "duration",
    "fail",
    "is_store_of",
    "print_json",
    "query_base",
    "running",
    "store_url",
    "table_console",
]


def duration(text: str | None) -> float | None:
    """For Typer: seconds from `20s` or `5m`."""
    if text is None:
        return None
    try:
        return parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def fail(text: str, code: int = UNUSABLE) -> NoReturn:
    """End with a message on standard error. What others may have put into its lines is made printable."""
    print(*(printable(line.expandtabs()) for line in text.split("\n")), sep="\n", file=sys.stderr)
    raise typer.Exit(code)


def data_option(data: Path) -> str:
    """What a command that we tell people to type needs, to be of the same folder: ` --data FOLDER`."""
    return "" if data == DEFAULT_DATA else f" --data {shlex.quote(str(data))}"


def running(data: Path) -> Run:
    """The pipeline that runs on this folder, or a message that helps."""
    run = DataFolder(data).find_running()
    if run is None:
        fail(
            f"No pipeline runs on {data}. Start one with `tradewind up` (or `make up`) in another terminal, "
            "or say where one is: --data FOLDER, or the URL of its query function or broker (see --help)."
        )
    return run


def query_base(url: str | None, data: Path) -> str:
    """The query function asked for, else that of the pipeline running here."""
    return (url or running(data).query_url).rstrip("/")


def store_url(store: str | None, data: Path) -> str:
    """The store asked for, else that of the pipeline which runs on the folder, else the folder's own."""
    folder = DataFolder(data)
    run = folder.find_running()
    return store or (run.store if run else folder.store_url)


def is_store_of(run: Run, store: str | None) -> bool:
    """Whether a store asked for, however it is spelled, is that of a run. None asks for no other."""
    return not store or absolute(store) == absolute(run.store)


def absolute(store: str) -> str:
    """The URL of a store as it is the same in every folder."""
    scheme, _, place = store.partition(":")
    return f"sqlite:{Path(place).resolve()}" if scheme == "sqlite" and place else store.rstrip("/")


def table_console() -> "Console":
    """For tables: as wide as the terminal, or wide enough where there is none."""
    from rich.console import Console

    return Console() if sys.stdout.isatty() else Console(width=PIPED_WIDTH)


def print_json(value: Any) -> None:
    """One line a value, decimals and times as they came; what a terminal would obey as JSON's escapes."""
    import json

    import msgspec

    text = msgspec.json.encode(value).decode()
    if not text.isprintable():
        text = "".join(each if each.isprintable() else json.dumps(each)[1:-1] for each in text)
    print(text)
