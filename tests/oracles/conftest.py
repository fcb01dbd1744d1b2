"""Builds the Go programs of this folder once, and runs Knative's own code beside ours."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from tests.broker.conftest import free_port
from tests.oracles.building import build, cache_folder, fetch

HERE = Path(__file__).parent
TEST_S = 300


KUSTOMIZE = "sigs.k8s.io/kustomize/kustomize/v5@v5.7.1"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What a test itself takes is bounded here, the building of programs for it is in `building`."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.oracle)
            item.add_marker(pytest.mark.timeout(TEST_S, func_only=True))


@pytest.fixture(scope="session")
def oracles() -> Path:
    """The folder of the built programs, kept in the user's cache under a digest of their sources."""
    sources = sorted(path for pattern in ("go.*", "*/*.go") for path in HERE.glob(pattern))
    with cache_folder("knative-oracles", *sources) as folder:
        if not (folder / "knlocal").exists():
            fetch("list", "-deps", "-test", "./...", cwd=HERE)
            build("build", "-o", f"{folder}/", "./knvalidate", "./filter-oracle", cwd=HERE)
            part = folder / "knlocal.part"
            build("test", "-c", "-o", str(part), "./knlocal", cwd=HERE)
            part.rename(folder / "knlocal")  # last, so that a build that broke off is done again
    return folder


@pytest.fixture(scope="session")
def kustomize() -> Path:
    """The program, built once into the user's cache; what `kubectl apply -k` has inside."""
    with cache_folder("kustomize", KUSTOMIZE) as folder:
        if not (folder / "kustomize").exists():
            fetch("install", KUSTOMIZE, cwd=folder, GOBIN=str(folder))
    return folder / "kustomize"


Knlocal = Callable[..., AbstractAsyncContextManager[str]]


@pytest.fixture
def knlocal(oracles: Path) -> Knlocal:
    """`async with knlocal(SUBSCRIBER=url, ...) as ingress`: Knative's broker, set as its source says."""

    @asynccontextmanager
    async def run(**settings: str) -> AsyncIterator[str]:
        ingress, channel, filter_ = (str(free_port()) for _ in range(3))
        url = f"http://127.0.0.1:{ingress}/default/default"
        process = await asyncio.create_subprocess_exec(
            oracles / "knlocal",
            *("-test.run", "TestServe", "-test.timeout", "0"),
            env=os.environ
            | {"FOR": "10m", "INGRESS": ingress, "CHANNEL": channel, "FILTER": filter_}
            | settings,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            await _answers(process, url)
            yield url
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()

    return run


async def _answers(process: asyncio.subprocess.Process, url: str) -> None:
    async with aiohttp.ClientSession() as client:
        for _ in range(200):
            if process.returncode is not None:
                pytest.fail("knlocal ended at once: run it by hand to see why")
            try:
                async with client.options(url) as response:
                    assert response.status == 200
                    return
            except aiohttp.ClientConnectionError:
                await asyncio.sleep(0.05)
    pytest.fail("knlocal does not answer")
