"""The stores that a benchmark uses: where they are, how they become empty, and whether they are right."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from urllib.parse import urlsplit

# Sets of their own in Aerospike, so that a benchmark may empty them: what else is in the server stays.
BENCH_SETS = {
    "AEROSPIKE_TRADES_SET": "benchTrades",
    "AEROSPIKE_EVENTS_SET": "benchEvents",
    "AEROSPIKE_SUMMARY_SET": "benchSummary",
}
SETS = (("test", "benchTrades"), ("test", "benchEvents"), ("memory_ns", "benchSummary"))
EMPTY_TIMEOUT_S = 60.0


def store_url(text: str) -> str:
    """`sqlite:` stands for a new folder a run."""
    return {"sqlite": "sqlite:", "aerospike": "aerospike://127.0.0.1:3000"}.get(text, text)


def server_port(url: str) -> int | None:
    """Of the Aerospike server, whose use is measured if it runs on this machine."""
    return None if url.startswith("sqlite") else urlsplit(url).port or 3000


def empty(url: str) -> None:
    """Remove the benchmarks' sets from an Aerospike server, and wait until that is done."""
    import aerospike

    client = aerospike.client({"hosts": [(urlsplit(url).hostname, server_port(url))]})
    for namespace, set_ in SETS:
        client.truncate(namespace, set_, 0)
    deadline_s = time.monotonic() + EMPTY_TIMEOUT_S
    while any(_objects(client.info_all(f"sets/{namespace}/{set_}")) for namespace, set_ in SETS):
        if time.monotonic() > deadline_s:
            raise SystemExit(f"{url} did not remove the benchmark's sets")
        time.sleep(0.1)
    client.close()


def _objects(answers: Mapping[str, tuple[object, str | None]]) -> int:
    """Records of a set, from the `objects=...` of each node."""
    texts = [text or "" for _, text in answers.values()]
    return sum(int(text.partition("objects=")[2].partition(":")[0] or 0) for text in texts)


def verify(url: str, environment: Mapping[str, str], trades: int) -> None:
    """`tradewind verify`: no summary may differ from the raw trades, and all trades sent must be there."""
    command = [sys.executable, "-m", "tradewind.cli", "verify", "--store", url, "--json"]
    done = subprocess.run(command, env={**os.environ, **environment}, stdout=subprocess.PIPE, check=False)  # noqa: S603
    found = json.loads(done.stdout) if done.stdout else {}
    if done.returncode or found.get("trades") != trades:
        raise SystemExit(f"the run is not right: {trades} trades were sent, verify says {found}")
