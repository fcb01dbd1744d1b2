"""Builds Go programs once and keeps them in the user's cache.

Without Go, or where the modules can't be had, the tests that need them are skipped and say so, or fail with
REQUIRE_ORACLES=1. What is there but does not compile is a failure either way. A first build takes minutes: so
each step below has a bound of its own, and pytest's timeout counts the tests without their fixtures.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import pytest

DOWNLOAD_S = 600
BUILD_S = 1_800


def find_go() -> str:
    """Skips the test where Go is not installed."""
    return shutil.which("go") or without("Go is not installed (https://go.dev/doc/install)")


def without(reason: str) -> NoReturn:
    """Skip, or fail where the oracles are required."""
    if os.environ.get("REQUIRE_ORACLES") == "1":
        pytest.fail(f"REQUIRE_ORACLES=1, but {reason}")
    pytest.skip(f"NO ORACLE, NOT COMPARED: {reason}")


@contextmanager
def cache_folder(name: str, *sources: Path | str) -> Iterator[Path]:
    """A folder for what is built from these files (or of this version), held by one process at a time."""
    contents = (part.read_bytes() if isinstance(part, Path) else part.encode() for part in sources)
    digest = hashlib.sha256(b"\0".join(contents)).hexdigest()[:16]
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = home / name / digest
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder


def fetch(*words: str, cwd: Path, **environment: str) -> str:
    """A `go` command that needs the module proxy and nothing of ours; its output. Skips where it fails."""
    command = [find_go(), *words]
    try:
        done = _run(command, cwd, DOWNLOAD_S, environment)
    except subprocess.TimeoutExpired:
        without(f"{' '.join(command)} did not end within {DOWNLOAD_S} s")
    if done.returncode:
        without(f"{' '.join(command)} failed: {done.stderr.strip()[-400:]}")
    return done.stdout


def build(*words: str, cwd: Path) -> None:
    """A `go` command on our own sources, whose modules are there already."""
    done = _run([find_go(), *words], cwd, BUILD_S, {})
    assert done.returncode == 0, done.stderr


def _run(
    command: list[str], cwd: Path, timeout_s: float, environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=cwd,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
