"""What all tests share: a real Aerospike server, if there is one.

AEROSPIKE_HOSTS=host:port uses that server; else `asd` on PATH is started with its own folder and ports; else
the tests that need one are skipped, or fail with REQUIRE_AEROSPIKE=1.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.aerospike_server import AerospikeServer, find_asd
from tests.integration.shop import Shop

# A noisy machine is slow at times, and a filter meets bad luck: that is no failure.
settings.register_profile(
    "any machine",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
settings.load_profile("any machine")

BROWSER = Path(__file__).with_name("browser")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests in a browser come last: Playwright keeps an event loop running in the main thread to the end."""
    items.sort(key=lambda item: item.path.is_relative_to(BROWSER))


def _no_server(reason: str) -> None:
    if os.environ.get("REQUIRE_AEROSPIKE") == "1":
        pytest.fail(f"REQUIRE_AEROSPIKE=1, but {reason}")
    pytest.skip(f"NO AEROSPIKE, NOT TESTED: {reason}")


@pytest.fixture(scope="session")
def aerospike_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address, "host:port", of a server that takes writes."""
    hosts = os.environ.get("AEROSPIKE_HOSTS")
    if hosts:
        yield hosts.split(",")[0]
        return
    if find_asd() is None:
        _no_server(
            "AEROSPIKE_HOSTS is not set and there is no asd on PATH; `docker compose up -d` starts one"
        )
    server = AerospikeServer(tmp_path_factory.mktemp("aerospike"))
    server.start()
    yield server.address
    server.stop()


@pytest.fixture
def own_aerospike_server(tmp_path: Path) -> Iterator[Callable[..., AerospikeServer]]:
    """Makes servers for one test alone, to be frozen and killed: `make(stop_writes_used_pct=2)`."""
    if find_asd() is None:
        _no_server("there is no asd on PATH, and this test kills its server")
    servers: list[AerospikeServer] = []

    def make(**options: int) -> AerospikeServer:
        folder = tmp_path / f"aerospike{len(servers)}"
        folder.mkdir()
        server = AerospikeServer(folder, **options)
        servers.append(server)
        server.start()
        return server

    yield make
    for server in servers:
        server.kill()


@pytest.fixture
def shop(aerospike_server: str) -> Iterator[Shop]:
    """Stores and events on sets of this test alone, on the shared server."""
    host, _, port = aerospike_server.partition(":")
    shop = Shop((host, int(port)))
    yield shop
    shop.clear()
