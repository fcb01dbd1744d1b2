"""`tradewind reshard`: over how many records each ticker's summary is spread."""

from contextlib import closing
from typing import Annotated

import typer

from tradewind.options import DEFAULT_DATA, Data, Json, StoreUrl, fail, print_json, store_url
from tradewind.words import plural


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
    from tradewind.laptop.ledger import open_existing
    from tradewind.progress import progress_bar

    url = store_url(store, data)
    try:
        with (
            closing(open_existing(url)) as opened,
            progress_bar("looking at records, for what to fold", lambda: None) as count,
        ):
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
        folded = plural(done.folded_records, "record")
        print(f"{plural(len(done.shards), 'shard')}: {numbers}. {folded} folded away.")
