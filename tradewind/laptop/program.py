"""What `tradewind up` runs: which programs, with which settings, on which ports."""

import errno
import socket
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from runtime.settings import ALL_SETTINGS, GeneratorSettings
from tradewind.attached.attachment import Attachment
from tradewind.laptop.folder import DataFolder

HOST = "127.0.0.1"
QUERY_PORT = 8080
BROKER_PORT = 8081
FUNCTION_PORTS = range(
    8082, 8582
)  # below the ports that systems give to outgoing connections (Linux: 32768 up)
BROKER_PATH = "/tradewind/default"  # as on a cluster: /NAMESPACE/NAME
FUNCTIONS = ("store-trade", "update-summary", "dead-letter", "query")
PARTS = frozenset((*FUNCTIONS, "broker", "generator"))


class PortBusy(Exception):
    """A port that the user asked for is taken; the message says which and what to do."""


@dataclass(frozen=True)
class Program:
    """One process to run: `python -m MODULE ARGUMENTS`, with `environment` added to ours."""

    name: str
    module: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    url: str = ""  # empty: it serves nothing
    may_finish: bool = False
    tells_progress: bool = False  # JSON lines on standard output
    asked_ms: int = 0  # of an attached function: when


@dataclass(frozen=True)
class Ports:
    """One port a server, by its name."""

    numbers: Mapping[str, int]

    def url(self, name: str) -> str:
        return f"http://{HOST}:{self.numbers[name]}"

    @property
    def ingress_url(self) -> str:
        return self.url("broker") + BROKER_PATH


def choose_ports(query: int | None, broker: int | None) -> tuple[Ports, list[str]]:
    """Ports for all servers, ours from now on, and what to tell the user. None: any, the usual first.

    Raises PortBusy when a port that was asked for is taken.
    """
    numbers: dict[str, int] = {}
    messages = []
    for name, asked, usual in (("query", query, QUERY_PORT), ("broker", broker, BROKER_PORT)):
        if asked is not None and not _take(asked):
            option = "--port" if name == "query" else "--broker-port"
            raise PortBusy(
                f"port {asked} ({name}) is taken: stop what listens there, or give another {option}"
            )
        if asked is None and not _take(usual):
            numbers[name] = next_free({*numbers.values(), query, broker})
            messages.append(f"port {usual} is taken, so the {name} listens on {numbers[name]}")
        else:
            numbers[name] = usual if asked is None else asked
    for name in FUNCTIONS:
        if name != "query":
            numbers[name] = next_free(numbers.values())
    return Ports(numbers), messages


def next_free(taken: Collection[int | None]) -> int:
    """A port of the range that nobody has; now it is ours. Raises PortBusy."""
    for port in FUNCTION_PORTS:
        if port not in taken and _take(port):
            return port
    raise PortBusy(f"no free port from {FUNCTION_PORTS.start} to {FUNCTION_PORTS.stop - 1} on {HOST}")


def usual_or_free(usual: int, taken: Collection[int | None]) -> int:
    """The usual port, or another where somebody has that."""
    return usual if _take(usual) else next_free(taken)


def _take(port: int) -> bool:
    """Whether nobody has it. If so it is ours until this process ends, also while its server restarts.

    Two that look at the same moment both see a free port, and one would send its events to the other's
    functions. Its number in UDP, which none of our servers uses, settles who may have it.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if not _binds(probe, port):
            return False
    claim = socket.socket(type=socket.SOCK_DGRAM)
    if _binds(claim, port):
        claim.detach()  # stays open, and nobody closes it
        return True
    claim.close()
    return False


def _binds(probe: socket.socket, port: int) -> bool:
    try:
        probe.bind((HOST, port))
    except OSError as error:
        if error.errno in (errno.EADDRINUSE, errno.EACCES):
            return False
        raise
    return True


def check_settings(generator: Mapping[str, str] | None) -> None:
    """Say now what each program would find wrong in the environment. Raises BadSettings.

    `generator`: the settings that it is given, which come before the environment's; None: it does not run.
    """
    for settings in ALL_SETTINGS:
        if settings is not GeneratorSettings:
            settings.read()
    if generator is not None:
        given = {name.lower(): value for name, value in generator.items()}
        GeneratorSettings.read(k_sink=GeneratorSettings().k_sink, **given)


def server_programs(folder: DataFolder, store: str, ports: Ports) -> list[Program]:
    """The functions and the broker."""
    common = _surroundings(store, ports)
    functions = [
        Program(
            name,
            "functions",
            (),
            {**common, "FUNCTION_TARGET": name.replace("-", "_"), "PORT": str(ports.numbers[name])},
            ports.url(name),
        )
        for name in FUNCTIONS
    ]
    maps = [text for name in FUNCTIONS for text in ("--map", f"{name}={ports.url(name)}")]
    maps += ["--map-file", str(folder.attached_map)]
    manifests = Path(__file__).parents[2] / "knative" / "base"
    arguments = ("-f", str(manifests), *maps, "--port", str(ports.numbers["broker"]))
    broker = Program(
        "broker",
        "eventing.broker",
        (*arguments, "--data", str(folder.broker_file)),
        common,
        ports.url("broker"),
    )
    return [*functions, broker]


def attached_program(
    attachment: Attachment, folder: DataFolder, store: str, ports: Ports, port: int
) -> Program:
    """A function of the user's own, served as ours are, with a folder of its own to keep things in."""
    return Program(
        attachment.name,
        "functions",
        (),
        {
            **_surroundings(store, ports),
            "FUNCTION_DATA": str(folder.attached / attachment.name),
            **attachment.environment,
            "FUNCTION_SOURCE": attachment.source,
            "FUNCTION_TARGET": attachment.target,
            "PORT": str(port),
        },
        f"http://{HOST}:{port}",
        asked_ms=attachment.asked_ms,
    )


def _surroundings(store: str, ports: Ports) -> dict[str, str]:
    """What each function is told, by the names of the environment variables."""
    return {
        "STORE": store,
        "K_SINK": ports.ingress_url,
        "BROKER_STATUS_URL": ports.url("broker") + "/-/status",
        "HOST": HOST,
        "LOG_FORMAT": "json",
    }


def generator_program(ports: Ports, settings: Mapping[str, str]) -> Program:
    """The generator; `settings` by the names of their environment variables."""
    return Program(
        "generator",
        "generator",
        ("--progress", "json"),
        {
            "LOG_FORMAT": "json",
            "SCHEMA_BASE_URL": ports.url("query") + "/v1/schemas",
            **settings,
            "K_SINK": ports.ingress_url,
        },
        may_finish=True,
        tells_progress=True,
    )
