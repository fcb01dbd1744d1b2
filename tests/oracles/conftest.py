"""Builds the Go programs of this folder once, and runs Knative's own code beside ours."""

import asyncio
import hashlib
import os
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

HERE = Path(__file__).parent
INGRESS = "http://127.0.0.1:8900/default/default"
BUILD_S = 1200


@pytest.fixture(scope="session")
def oracles() -> Path:
    """The folder of the built programs, kept in the user's cache under a digest of their sources."""
    go = shutil.which("go")
    if go is None:
        pytest.skip(
            "Go is not installed: Knative's own code cannot be compared with (https://go.dev/doc/install)"
        )
    sources = sorted(path for pattern in ("go.*", "*/*.go") for path in HERE.glob(pattern))
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:16]
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = home / "knative-oracles" / digest
    if not (folder / "knlocal").exists():
        folder.mkdir(parents=True, exist_ok=True)
        programs = [go, "build", "-o", f"{folder}/", "./knvalidate", "./filter-oracle"]
        subprocess.run(programs, cwd=HERE, check=True, timeout=BUILD_S)
        tests = [go, "test", "-c", "-o", f"{folder}/knlocal.part", "./knlocal"]
        subprocess.run(tests, cwd=HERE, check=True, timeout=BUILD_S)
        (folder / "knlocal.part").rename(
            folder / "knlocal"
        )  # last, so that a build that broke off is done again
    return folder


KUSTOMIZE = "sigs.k8s.io/kustomize/kustomize/v5@v5.7.1"


@pytest.fixture(scope="session")
def kustomize() -> Path:
    """The program, built once into the user's cache; what `kubectl apply -k` has inside."""
    go = shutil.which("go")
    if go is None:
        pytest.skip("Go is not installed: kustomize cannot be built (https://go.dev/doc/install)")
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = home / "kustomize" / KUSTOMIZE.rpartition("@")[2]
    if not (folder / "kustomize").exists():
        folder.mkdir(parents=True, exist_ok=True)
        environment = os.environ | {"GOBIN": str(folder)}
        subprocess.run([go, "install", KUSTOMIZE], env=environment, check=True, timeout=BUILD_S)
    return folder / "kustomize"


Knlocal = Callable[..., AbstractAsyncContextManager[str]]


@pytest.fixture
def knlocal(oracles: Path) -> Knlocal:
    """`async with knlocal(SUBSCRIBER=url, ...) as ingress`: Knative's broker, set as its source says."""

    @asynccontextmanager
    async def run(**settings: str) -> AsyncIterator[str]:
        _ports_are_free()
        process = await asyncio.create_subprocess_exec(
            oracles / "knlocal",
            *("-test.run", "TestServe", "-test.timeout", "0"),
            env=os.environ | {"FOR": "10m"} | settings,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            await _answers(process)
            yield INGRESS
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()

    return run


def _ports_are_free() -> None:
    for port in (8900, 8901, 8902):
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind(("127.0.0.1", port))
            except OSError as error:
                pytest.fail(f"knlocal needs port {port}: {error}")


async def _answers(process: asyncio.subprocess.Process) -> None:
    async with aiohttp.ClientSession() as client:
        for _ in range(200):
            if process.returncode is not None:
                pytest.fail("knlocal ended at once: run it by hand to see why")
            try:
                async with client.options(INGRESS) as response:
                    assert response.status == 200
                    return
            except aiohttp.ClientConnectionError:
                await asyncio.sleep(0.05)
    pytest.fail("knlocal does not answer")
