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
from eventing.broker.config import AddressMap, Config, load
from eventing.broker.engine import Engine, Limits
from eventing.broker.files import ConfigError, documents_of, files_of, read_map
from eventing.broker.ingress import MAX_BODY_BYTES, Ingress
from eventing.broker.log import Log, LogError
from eventing.broker.metrics import Metrics
from eventing.broker.retention import Retention, Sweeper
from eventing.broker.traced import TracedEngine, traced_post
from eventing.broker.web import Disconnected, Problem, Receive, Response, Scope, Send
from eventing.client import Client
from eventing.tracing import make_tracer

logger = logging.getLogger(__name__)

RELOAD_S = 0.5  # a change is used once two looks see the same
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
    """The YAML files and the map, read again when one of them changes.

    Use: `if is_new(): read()`, and `use()` once what was read runs.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._seen: object = None
        self._used: object = None

    def is_new(self) -> bool:
        """Whether the files are not those in use, and have not changed since the last call.

        A file that is being written is none to read yet.
        """
        before, self._seen = self._seen, self._look()
        return before == self._seen != self._used

    def is_used(self) -> bool:
        """Whether the files, when they were last looked at, were those in use."""
        return self._seen == self._used

    def use(self) -> None:
        """What was seen last is in use."""
        self._used = self._seen

    def _look(self) -> object:
        try:
            files = [*files_of(self._settings.files), *self._settings.map_files]
            return [(file, file.stat().st_mtime_ns, file.stat().st_size) for file in files]
        except (ConfigError, OSError) as error:
            return str(error)

    def read(self) -> Config:
        """Raises ConfigError."""
        urls: dict[str, str] = {}
        for file in self._settings.map_files:
            urls |= read_map(file)
        addresses = AddressMap(urls | dict(self._settings.urls))
        documents = documents_of(files_of(self._settings.files))
        return load(documents, addresses, parallelism=self._settings.limits.parallelism)


async def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT. Raises ConfigError, LogError or OSError when it can't start."""
    source = Source(settings)
    source.is_new()
    config = source.read()
    source.use()
    metrics = Metrics()
    log = Log(settings.data, on_group=metrics.group)
    with socket.create_server((settings.host, settings.port), backlog=BACKLOG) as listener:
        await log.open()
        client = Client(settings.max_body_bytes)
        tracer = make_tracer("broker")
        post = traced_post(client.post, tracer) if tracer else client.post
        engine = Engine(log, post, settings.limits)
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

    engine.log.writing.add_done_callback(lambda _: stop())  # without it every event would wait for ever
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
    """Hot reload. A change that can't be used is told once and tried until it can; what ran goes on."""
    while True:
        await asyncio.sleep(RELOAD_S)
        if not await asyncio.to_thread(source.is_new):
            if source.is_used():
                admin.config_error = None  # a change that could not be used was undone
            continue
        try:
            await engine.apply(await asyncio.to_thread(source.read))
        except Exception as error:  # whatever it is, it may pass, and the next change must be seen
            is_plain = isinstance(error, ConfigError | LogError)
            text = str(error) if is_plain else f"{type(error).__name__}: {error}"
            if text != admin.config_error:
                admin.config_error = text
                logger.error(  # noqa: TRY400 - a plain text says it all
                    "kept the former configuration: %s", text, exc_info=not is_plain
                )
            continue
        source.use()
        admin.config_error = None
        logger.info("read the changed configuration: %d triggers run", len(engine.dispatchers))


class Application:
    """ASGI: events to the ingress, the rest to the administration."""

    def __init__(self, ingress: Ingress, admin: Admin) -> None:
        self._ingress, self._admin = ingress, admin

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            handler = self._admin if self._admin.owns(scope["path"]) else self._ingress
            await handler(scope, receive, send)
        except Problem as problem:
            await problem.response().send(send)
        except Disconnected:
            pass
        except Exception:
            logger.exception("a request failed", extra={"method": scope["method"], "path": scope["path"]})
            await Response(500, b"the broker failed: see its log\n", "text/plain").send(send)
