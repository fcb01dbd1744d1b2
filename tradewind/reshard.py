"""`tradewind reshard`: over how many records each ticker's summary is spread."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Annotated

import typer

from tradewind.options import DEFAULT_DATA, Data, Json, StoreUrl, fail, print_json, store_url


def reshard(
    *,
    to: Annotated[int, typer.Option("--to", min=1, max=1_000, metavar="N", help="How many shards.")],
    store: StoreUrl = None,
    data: Data = DEFAULT_DATA,
    json: Json = False,
) -> None:
    """Spread each ticker's summary over N records from now on: more, or fewer.

    More cost nothing. For fewer, the shards beyond the Nth are added to the first, record by record, while
    trades go on coming in and being read. It may be broken off anywhere: run it again, and it goes on.

    First set CONTRACT_RECORD_SHARD_COUNT=N for the functions: a process that starts with more makes more.

    Exit code: 0 done; 2 could not begin, or not end: run it again.
    """
    from trades.store import StoreError, StoreMisconfigured
    from tradewind.ledger import open_existing

    url = store_url(store, data)
    try:
        with closing(open_existing(url)) as opened, record_counter() as count:
            done = opened.reshard(to, count)
    except StoreMisconfigured as error:
        fail(f"tradewind reshard: {error}")
    except StoreError as error:
        fail(f"tradewind reshard: {error}\nRun it again to go on.")
    if json:
        print_json({"store": url, **(done._asdict() if done else {"shards": None, "folded_records": 0})})
    elif done is None:
        print(f"Nothing to do: {url} keeps each summary in one record.")
    else:
        numbers = ", ".join(map(str, done.shards))
        print(f"{len(done.shards):,} shards: {numbers}. {done.folded_records:,} records were folded away.")


@contextmanager
def record_counter() -> Iterator[Callable[[int], None]]:
    """How many records were looked at, on a terminal only."""
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda records: None
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TextColumn("{task.completed:,.0f} records"))
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("looking for what to fold", total=None)
        yield lambda records: progress.advance(task, records)
