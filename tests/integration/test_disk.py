"""A disk that is full, or may only be read: a real one, small, mounted where nobody else sees it."""

import errno
import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.conftest import Up, run
from tradewind.client import Answer, ask, path

MEGABYTES = 96
TRADE = b'{"ticker": "DISK", "price": "32.10", "volume": 100, "timestamp": "2026-01-31T09:30:00Z"}'


class SmallDisk:
    """A tmpfs on `folder` in a mount namespace of its own, which a process holds."""

    def __init__(self, folder: Path) -> None:
        """Raises OSError where this user may make none."""
        folder.mkdir()
        self.folder = folder
        mount = f"mount -t tmpfs -o size={MEGABYTES}m tmpfs '{folder}' && echo mounted && exec sleep 600"
        self._holder = subprocess.Popen(
            ["unshare", "--mount", "--map-root-user", "sh", "-c", mount],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert self._holder.stdout is not None
        said = self._holder.stdout.readline()
        if said != b"mounted\n":
            self.close()
            raise OSError(said.decode())
        enter = f"nsenter --target {self._holder.pid} --user --mount --preserve-credentials"
        self.within = enter.split()
        self._filler = self.seen(folder / "filler")

    def seen(self, file: Path) -> Path:
        """How a file of the disk is reached by who does not see it."""
        return Path(f"/proc/{self._holder.pid}/root{file}")

    def fill(self) -> None:
        """To the last byte."""
        with self._filler.open("ab", buffering=0) as file:
            for size in (1 << 20, 4096, 1):
                try:
                    while True:
                        file.write(bytes(size))
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise

    def make_room(self) -> None:
        self._filler.unlink()

    def make_read_only(self) -> None:
        subprocess.run([*self.within, "mount", "-o", "remount,ro", str(self.folder)], check=True)

    def close(self) -> None:
        self._holder.kill()
        self._holder.wait()
        if self._holder.stdout is not None:
            self._holder.stdout.close()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    try:
        disk = SmallDisk(tmp_path / "disk")
    except OSError as error:
        pytest.skip(f"NO SMALL DISK, NOT TESTED: a namespace with a mount is needed ({error})")
    yield disk
    disk.close()


@pytest.fixture
def start(disk: SmallDisk) -> Iterator["Start"]:
    start = Start(disk)
    yield start
    for up in start.started:
        if up.process.poll() is None:
            up.process.kill()
            up.process.wait()


class Start:
    """`start(data, "--for", "5s")`, where the disk is seen."""

    def __init__(self, disk: SmallDisk) -> None:
        self.started: list[Up] = []
        self._within = disk.within

    def __call__(self, data: Path, *arguments: str) -> Up:
        up = Up(data, *arguments, within=self._within)
        self.started.append(up)
        return up


def post(up: Up, id_: str) -> Answer:
    """Our own trade, to where the pipeline said that events go."""
    ingress = up.output.splitlines()[1].split()[-1]
    headers = {
        "ce-specversion": "1.0",
        "ce-id": id_,
        "ce-source": "/disk",
        "ce-type": "trade.executed.v1",
        "content-type": "application/json",
    }
    return ask(ingress, method="POST", headers=headers, body=TRADE)


def our_trades(up: Up) -> int:
    """How many of our own were counted."""
    answer = ask(f"http://127.0.0.1:{up.port}{path('v1', 'tickers', 'DISK')}")
    return int(answer.json["trade_count"]) if answer.status == 200 else 0


@pytest.mark.timeout(240)
def test_what_is_not_on_disk_is_not_acknowledged_and_all_goes_on_when_there_is_room(
    disk: SmallDisk, start: Start
) -> None:
    """Even a process that died meanwhile comes back."""
    data = disk.folder / "data"
    up = start(data, "--rate", "300", "--seed", "7")
    up.until_counted()
    taken = [id_ for id_ in map(str, range(5)) if post(up, id_).status == 202]
    assert len(taken) == 5
    up.until(lambda: our_trades(up) == 5, "our trades are counted")

    disk.fill()
    up.until(lambda: "the broker takes no events" in up.output, "it says that the disk is full")
    refused = [post(up, f"full-{number}") for number in range(5)]
    assert {answer.status for answer in refused} == {503}
    assert "disk" in refused[0].reason
    assert our_trades(up) == 5
    processes = json.loads(disk.seen(data / "run.json").read_text())["processes"]
    os.kill(processes["update-summary"]["pid"], signal.SIGKILL)
    up.until(lambda: "update-summary died (killed by SIGKILL)" in up.output, "it is told")

    disk.make_room()
    up.until(lambda: "the broker takes events again" in up.output, "it says so")
    up.until_counted(300)
    assert {post(up, f"full-{number}").status for number in range(5)} == {202}
    up.until(lambda: our_trades(up) == 10, "each of our trades is counted")
    assert up.stop() == 0, up.output
    assert "All adds up" in up.output, up.output
    verified = run("verify", "--json", data=data, within=disk.within)
    assert json.loads(verified.stdout)["differences"] == {}, verified


@pytest.mark.timeout(240)
def test_when_only_the_store_is_full_the_broker_keeps_what_comes(
    disk: SmallDisk, start: Start, tmp_path: Path
) -> None:
    """Other than above it may acknowledge: it has the events on a disk of its own."""
    up = start(tmp_path / "data", "--no-generator", "--store", f"sqlite:{disk.folder}/store")
    up.until(lambda: " sent " in up.output, "everything is ready")
    assert post(up, "first").status == 202
    up.until(lambda: our_trades(up) == 1, "our trade is counted")

    disk.fill()
    assert {post(up, f"full-{number}").status for number in range(5)} == {202}
    up.until(lambda: retried(up) > 5, "deliveries are made again")
    assert our_trades(up) == 1

    disk.make_room()
    up.until(lambda: our_trades(up) == 6, "all are counted")
    assert up.stop() == 0, up.output
    assert up.totals()["stored"] == up.totals()["counted"] == 6
    assert up.totals()["dead letters"] == 0


def retried(up: Up) -> int:
    status = ask(up.run["broker_url"] + "/-/status").json
    return sum(int(trigger["retried"]) for trigger in status["triggers"])


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("spoil", "why"),
    [(SmallDisk.fill, "No space left on device"), (SmallDisk.make_read_only, "Read-only file system")],
)
def test_a_disk_that_takes_nothing_from_the_start(
    disk: SmallDisk, spoil: Callable[[SmallDisk], None], why: str
) -> None:
    spoil(disk)
    ended = run("up", "--for", "1s", data=disk.folder / "data", within=disk.within)
    assert ended.returncode == 2
    assert f"{disk.folder}/data can't be written: {why}" in ended.stderr
    assert "--data FOLDER" in ended.stderr
