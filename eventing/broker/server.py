"""The broker as a process: opens the log, reads the config and watches it, serves, stops cleanly."""

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import uvicorn

from eventing.bounded_http import BoundedProtocol
from eventing.broker.admin import Admin
from eventing.broker.client import Client
from eventing.broker.config import AddressMap, Config, ConfigError, documents_of, files_of, load, read_map
from eventing.broker.engine import Engine, Limits
from eventing.broker.ingress import MAX_BODY_BYTES, Ingress
from eventing.broker.log import Log
from eventing.broker.metrics import Metrics
from eventing.broker.retention import Retention, Sweeper
from eventing.broker.traced import TracedEngine, traced_post
from eventing.broker.web import Answer, Disconnected, Problem, Receive, Scope, Send
from eventing.tracing import make_tracer

logger = logging.getLogger(__name__)

RELOAD_S = 1.0
MAX_CONNECTIONS = 2_000
BACKLOG = 2_048


@dataclass(frozen=True)
class Settings:
    """How the process runs. Sizes in bytes, times in seconds."""

    files: tuple[Path, ...]
    urls: Mapping[str, str] = field(default_factory=dict)
    map_files: tuple[Path, ...] = ()
    host: str = "127.0.0.1"
    port: int = 8081
    data: Path = Path("broker.db")
    max_body_bytes: int = MAX_BODY_BYTES
    grace_s: float = 10.0
    allowed_hosts: frozenset[str] = frozenset()
    limits: Limits = field(default_factory=Limits)
    retention: Retention = field(default_factory=Retention)


class Source:
    """The YAML files and the map, read again when one of them changes."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._seen: object = None

    def changed(self) -> bool:
        """Whether a file is newer, or there is another file, than at the last call."""
        try:
            files = [*files_of(self._settings.files), *self._settings.map_files]
            seen: object = [(file, file.stat().st_mtime_ns, file.stat().st_size) for file in files]
        except (ConfigError, OSError) as error:
            seen = str(error)
        changed, self._seen = seen != self._seen, seen
        return changed

    def read(self) -> tuple[Config, AddressMap]:
        """Raises ConfigError."""
        urls: dict[str, str] = {}
        for file in self._settings.map_files:
            urls |= read_map(file)
        addresses = AddressMap(urls | dict(self._settings.urls))
        documents = documents_of(files_of(self._settings.files))
        return load(documents, addresses, parallelism=self._settings.limits.parallelism), addresses


async def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT. Raises ConfigError, LogError or OSError when it can't start."""
    source = Source(settings)
    source.changed()
    config, addresses = source.read()
    metrics = Metrics()
    log = Log(settings.data, on_group=metrics.group)
    with socket.create_server((settings.host, settings.port), backlog=BACKLOG) as listener:
        await log.open()
        client = Client(settings.max_body_bytes)
        tracer = make_tracer("broker")
        post = traced_post(client.post, tracer) if tracer else client.post
        engine = Engine(log, post, addresses, settings.limits)
        metrics.watch(engine)
        await engine.apply(config)
        admin = Admin(engine, metrics, settings.allowed_hosts)
        app = Application(
            Ingress(TracedEngine(engine, tracer) if tracer else engine, settings.max_body_bytes), admin
        )
        helpers = (
            asyncio.create_task(_watch(source, engine, admin)),
            asyncio.create_task(Sweeper(log, settings.retention).run()),
        )
        await _serve(app, settings, listener, engine, admin)
        for helper in helpers:
            helper.cancel()
        await asyncio.gather(*helpers, return_exceptions=True)
        await engine.stop(settings.grace_s)
        await client.close()
        await log.close()
        if tracer:
            await asyncio.to_thread(tracer.close)
    logger.info("stopped: %d events accepted since the start", engine.accepted)


async def _serve(
    app: "Application", settings: Settings, listener: socket.socket, engine: Engine, admin: Admin
) -> None:
    server = _Server(
        uvicorn.Config(
            app,
            host=settings.host,
            http=type("Protocol", (BoundedProtocol,), {"allowed_hosts": settings.allowed_hosts}),
            ws="none",
            lifespan="off",
            interface="asgi3",
            access_log=False,
            log_config=None,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=MAX_CONNECTIONS,
            timeout_graceful_shutdown=max(int(settings.grace_s), 1),
        )
    )

    def stop() -> None:
        admin.stopping.set()
        server.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    host, port = listener.getsockname()[:2]
    with contextlib.suppress(OSError):  # it may go to a full disk
        for broker in engine.brokers:
            print(f"Broker {broker}: http://{host}:{port}/{broker}", flush=True)
    await server.serve(sockets=[listener])


class _Server(uvicorn.Server):
    """Signals are ours: uvicorn would raise them again when it has stopped, before the log is flushed."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _watch(source: Source, engine: Engine, admin: Admin) -> None:
    """Hot reload. A change that can't be used is told, and what ran goes on."""
    while True:
        await asyncio.sleep(RELOAD_S)
        if not await asyncio.to_thread(source.changed):
            continue
        try:
            config, engine.addresses = await asyncio.to_thread(source.read)
            await engine.apply(config)
            admin.config_error = None
            logger.info("read the changed configuration: %d triggers run", len(engine.dispatchers))
        except ConfigError as error:
            admin.config_error = str(error)
            logger.error("kept the former configuration: %s", error)  # noqa: TRY400 - the text says it all
        except Exception as error:  # whatever it is, the next change must be seen
            admin.config_error = f"{type(error).__name__}: {error}"
            logger.exception("kept the former configuration")


class Application:
    """ASGI: events to the ingress, the rest to the administration."""

    def __init__(self, ingress: Ingress, admin: Admin) -> None:
        self._ingress, self._admin = ingress, admin

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            handler = self._admin if self._admin.owns(scope["path"]) else self._ingress
            await handler(scope, receive, send)
        except Problem as problem:
            await problem.answer().send(send)
        except Disconnected:
            pass
        except Exception:
            logger.exception("a request failed", extra={"method": scope["method"], "path": scope["path"]})
            await Answer(500, b"the broker failed: see its log\n", "text/plain").send(send)
