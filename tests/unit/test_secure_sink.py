"""All that send events, against a sink with a certificate of its own that wants to know who sends.

It stands for a Broker with `transport-encryption: strict`, OIDC and an EventPolicy, as in overlay `secure`.
"""

import asyncio
import json
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from typer.testing import CliRunner

from eventing.credentials import Credentials
from eventing.event import Event
from eventing.sender import Sender
from functions.query.outgoing import Broker, Unreachable
from generator.control import Control
from generator.feed import MarketFeed
from generator.run import transfer
from runtime.settings import GeneratorSettings
from tradewind.cli import app

EVENT = Event({"specversion": "1.0", "id": "1", "source": "/s", "type": "t"}, b"{}")
TOKEN = "the.right.token"
OPENSSL = shutil.which("openssl")

pytestmark = pytest.mark.skipif(OPENSSL is None, reason="NO openssl ON PATH, TLS NOT TESTED")


class Sink:
    """Takes events over TLS, of who shows the token. `refuse`: so many are told 401 before."""

    url = ""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.refused = 0
        self.refuse = 0

    async def handle(self, request: web.Request) -> web.Response:
        if self.refuse or request.headers.get("authorization") != f"Bearer {TOKEN}":
            self.refuse = max(self.refuse - 1, 0)
            self.refused += 1
            return web.Response(status=401)
        self.taken.append(request.headers["ce-id"])
        return web.Response(status=202)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for localhost, with its key and other files beside it, which are no certificates."""
    folder = tmp_path_factory.mktemp("tls")
    command = [str(OPENSSL), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    command += ["-days", "2", "-subj", "/CN=sink", "-addext", "subjectAltName=DNS:localhost"]
    command += ["-addext", "keyUsage=critical,digitalSignature,keyCertSign"]
    command += ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return folder / "cert.pem"


@pytest.fixture
async def sink(certificate: Path) -> AsyncIterator[Sink]:
    made = Sink()
    application = web.Application()
    application.router.add_post("/", made.handle)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate, certificate.with_name("key.pem"))
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    made.url = f"https://localhost:{runner.addresses[0][1]}/"
    yield made
    await runner.cleanup()


@pytest.fixture
def token(tmp_path: Path) -> Path:
    file = tmp_path / "token"
    file.write_text(TOKEN)
    return file


@pytest.fixture
def bound(certificate: Path, token: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of a process that a SinkBinding has bound."""
    monkeypatch.setenv("K_CA_CERTS", certificate.read_text())
    monkeypatch.setenv("OIDC_TOKEN_FILE", str(token))


@pytest.fixture
def credentials(certificate: Path, token: Path) -> Credentials:
    return Credentials(certificate.read_text(), token)


async def test_the_sender_shows_and_trusts(sink: Sink, credentials: Credentials) -> None:
    async with Sender(credentials=credentials) as sender:
        assert (await sender.post(sink.url, EVENT)).status == 202


async def test_who_shows_no_token_is_not_let_in(sink: Sink, certificate: Path, tmp_path: Path) -> None:
    unknown = Credentials("", tmp_path / "none", trust_folder=certificate.parent)
    async with Sender(credentials=unknown) as sender:
        assert (await sender.post(sink.url, EVENT)).status == 401


async def test_a_bundle_of_the_cluster_is_trusted(sink: Sink, certificate: Path, token: Path) -> None:
    async with Sender(credentials=Credentials("", token, trust_folder=certificate.parent)) as sender:
        assert (await sender.post(sink.url, EVENT)).status == 202


async def test_a_sink_that_is_not_trusted_gets_nothing(sink: Sink, token: Path) -> None:
    async with Sender(credentials=Credentials("", token)) as sender:
        answer = await sender.post(sink.url, EVENT)
    assert answer.status is None
    assert "certificate" in answer.error.lower()
    assert sink.taken == []
    assert sink.refused == 0


def market(sink: Sink) -> tuple[MarketFeed, GeneratorSettings, Control]:
    settings = GeneratorSettings(
        k_sink=sink.url, max_trades=20, trades_per_event=1, trades_per_second=0, symbols=3, seed=1
    )
    control = Control()
    return MarketFeed(settings, control), settings, control


@pytest.mark.usefixtures("bound")
async def test_the_generator(sink: Sink) -> None:
    totals = await transfer(*market(sink), show=lambda _: None)
    assert totals.accepted_trades == len(set(sink.taken)) == 20
    assert sink.refused == totals.refused_events == 0


@pytest.mark.usefixtures("bound")
async def test_the_generator_gives_up_no_event_because_it_was_not_let_in(sink: Sink) -> None:
    """A token that ended a moment ago, a policy that the cluster does not know of yet: both pass."""
    sink.refuse = 5
    totals = await transfer(*market(sink), show=lambda _: None)
    assert totals.accepted_trades == len(set(sink.taken)) == 20
    assert (totals.refused_events, totals.resent) == (0, 5)


async def test_replay_and_the_pages_form(sink: Sink, credentials: Credentials) -> None:
    """What the query function sends."""
    headers = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/s", "ce-type": "t"}
    answer = await asyncio.to_thread(Broker(sink.url, credentials=credentials).send, headers, b"{}")
    assert answer.status == 202
    with pytest.raises(Unreachable):
        await asyncio.to_thread(Broker(sink.url).send, headers, b"{}")


def invoke(*words: str) -> tuple[int, Any]:
    result = CliRunner().invoke(app, [*words, "--json"])
    return result.exit_code, json.loads(result.stdout) if result.stdout else result.stderr


@pytest.mark.usefixtures("bound")
async def test_tradewind_send(sink: Sink) -> None:
    code, report = await asyncio.to_thread(invoke, "send", "ASPS", "13.37", "100", "--sink", sink.url)
    assert (code, report["status"]) == (0, 202)
    assert sink.taken == [report["id"]]


async def test_tradewind_send_to_who_is_not_trusted(sink: Sink) -> None:
    code, report = await asyncio.to_thread(invoke, "send", "ASPS", "13.37", "100", "--sink", sink.url)
    assert (code, report["status"]) == (2, None)
    assert "certificate" in report["reason"].lower()
