"""Kill, stop and slow down every process of a running pipeline, then count: `make chaos`.

    python -m tests.chaos --minutes 30                       # SQLite
    python -m tests.chaos --minutes 30 --store aerospike     # a server of its own (`asd` on PATH), faulty too
    python -m tests.chaos --minutes 5 --seed 7               # the same faults and events again

The seed fixes which process meets with what, the pauses, and what the producer makes; not how the machine
schedules it all. Exit code: 0 if everything adds up; 1 if not: then the folder stays.
"""

import argparse
import asyncio
import secrets
import shutil
import sys
import tempfile
from pathlib import Path

from tests.chaos.chaos import Account, Wishes, run
from tests.chaos.schedule import Kind

MAX_SHOWN = 20


def main() -> int:
    options = _parse()
    wishes = Wishes(
        options.seed if options.seed is not None else secrets.randbelow(1_000_000),
        options.minutes * 60,
        options.store == "aerospike",
        options.rate,
    )
    folder = Path(tempfile.mkdtemp(prefix="tradewind-chaos-", dir=options.folder))
    print(f"seed {wishes.seed}, {options.minutes:g} minutes on {options.store}, in {folder}", flush=True)
    account = asyncio.run(run(wishes, folder))
    for line in describe(account):
        print(line)
    if not account.problems:
        shutil.rmtree(folder)
        print(f"All adds up. Seed {wishes.seed}.")
        return 0
    print(f"\nSeed {wishes.seed}: {len(account.problems):,} problems. What there is stays in {folder}.")
    for problem in account.problems[:MAX_SHOWN]:
        print(f"  {problem}")
    return 1


def describe(account: Account) -> list[str]:
    """The account for people."""
    names = sorted({victim for victim, _ in account.faults})
    width = max([*map(len, names), 16])
    lines = [f"\n{'process':{width}}" + "".join(f"{kind:>10}" for kind in Kind)]
    lines += [
        f"{name:{width}}" + "".join(f"{account.faults[name, kind]:10,}" for kind in Kind) for name in names
    ]
    lines.append("\nsent by our producer, and taken")
    lines += [f"{count:10,}  {sort}" for sort, count in account.sent.most_common()]
    lines.append("\ndeliveries, over all lives of the broker")
    lines += [f"{count:10,}  {name} {how}" for (name, how), count in sorted(account.deliveries.items())]
    lines.append(f"{account.attempts:10,}  attempts for them")
    lines += [
        f"\n{account.events:,} events of {account.trades:,} trades taken, generators' included; beside them "
        f"{account.refused_events:,} that no function takes",
        f"{account.given_up:,} dead letters after too many attempts, sent again at the end",
        f"{account.starts} starts of `tradewind up`",
        f"longest time without an event taken {account.longest_accept_stall_s:.1f} s, "
        f"without a trade counted {account.longest_count_stall_s:.1f} s",
    ]
    if account.server_loss:
        lines.append(f"the server killed under load: {account.server_loss}")
    return lines


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--minutes", type=float, default=30, help="of faults; what follows takes a few more")
    parser.add_argument("--seed", type=int, help="of a former run (default: a new one)")
    parser.add_argument("--store", choices=["sqlite", "aerospike"], default="sqlite")
    parser.add_argument("--rate", type=float, default=1_000, help="trades a second (default 1000)")
    parser.add_argument("--folder", type=Path, help="where the run's folder goes")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
