"""`python -m eventing.broker -f broker.yaml --map my-function=http://127.0.0.1:8080`"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import uvloop

from eventing.broker.engine import Limits
from eventing.broker.files import ConfigError
from eventing.broker.log import LogError
from eventing.broker.retention import Retention
from eventing.broker.server import Settings, run
from eventing.logs import FORMATS, configure_logs


def settings_of(arguments: Sequence[str], environ: dict[str, str]) -> Settings:
    """Settings from flags, or else from the environment: `--max-body` is BROKER_MAX_BODY."""
    parser = make_parser(environ)
    given = parser.parse_args(arguments)
    files = given.files or [Path(part) for part in environ.get("BROKER_FILES", "").split()]
    if not files:
        parser.error("give the YAML of a Broker and its Triggers with -f")
    configure_logs(given.log_level, given.log_format if given.log_format in FORMATS else "auto")
    return Settings(
        files=tuple(files),
        urls=dict(_pair(parser, text) for text in given.map or environ.get("BROKER_MAP", "").split()),
        map_files=tuple(given.map_file or map(Path, environ.get("BROKER_MAP_FILE", "").split())),
        allowed_hosts=frozenset(given.allow_host or environ.get("BROKER_ALLOW_HOST", "").split()),
        host=given.host,
        port=given.port,
        data=Path(given.data),
        max_body_bytes=given.max_body,
        grace_s=given.grace,
        limits=Limits(given.backlog_events, given.backlog_bytes, parallelism=given.parallelism),
        retention=Retention(given.retain_events, given.retain_bytes, given.retain_seconds * 1000 or None),
    )


def make_parser(environ: dict[str, str]) -> argparse.ArgumentParser:
    """The options; what the environment says is the default of those that are given once."""
    parser = argparse.ArgumentParser(
        prog="python -m eventing.broker",
        description="A durable local Knative broker: reads Broker and Trigger YAML, delivers CloudEvents.",
        epilog="Each option can be given in the environment instead: --max-body as BROKER_MAX_BODY, -f as "
        "BROKER_FILES and --map as BROKER_MAP (several: separated by spaces). "
        "Files are read again when they change.",
    )

    def add_many(*flags: str, text: str, metavar: str, kind: type = str) -> None:
        parser.add_argument(*flags, action="append", type=kind, metavar=metavar, help=text)

    def add(flag: str, default: object, text: str) -> None:
        name = "BROKER_" + flag.strip("-").upper().replace("-", "_")
        value = environ.get(name, default)
        kind = type(default)
        parser.add_argument(
            flag, type=kind, default=value, help=f"{text} (default: {default})", metavar=kind.__name__.upper()
        )

    add_many("-f", "--files", kind=Path, metavar="PATH", text="YAML file or folder; may be repeated")
    add_many("--map", metavar="NAME=URL", text="where the KService NAME runs; may be repeated")
    add_many("--map-file", kind=Path, metavar="PATH", text="a file of NAME=URL lines")
    add_many("--allow-host", metavar="HOST", text="a Host that may change things under /-/, beside loopback")
    add("--host", "127.0.0.1", "address to listen on")
    add("--port", 8081, "port to listen on; 0: any")
    add("--data", "broker.db", "the SQLite file")
    add("--max-body", Settings.max_body_bytes, "largest request body, in bytes")
    add("--grace", Settings.grace_s, "seconds for what is under way at SIGTERM")
    add("--parallelism", Limits.parallelism, "deliveries at a time to a trigger that does not say")
    add("--backlog-events", Limits.backlog_events, "events a trigger may be behind before 429")
    add("--backlog-bytes", Limits.backlog_bytes, "their size")
    add("--retain-events", Retention.max_events, "delivered events kept for inspection and replay")
    add("--retain-bytes", Retention.max_bytes, "their size")
    add("--retain-seconds", 0, "their age; 0: any")
    add("--log-level", "info", "debug, info, warning or error")
    add("--log-format", environ.get("LOG_FORMAT", "auto"), "json, text, or auto: text on a terminal")
    return parser


def _pair(parser: argparse.ArgumentParser, text: str) -> tuple[str, str]:
    name, _, url = text.partition("=")
    if not url:
        parser.error(f"--map {text}: expected NAME=URL")
    return name, url


def main(arguments: Sequence[str] | None = None) -> int:
    settings = settings_of(sys.argv[1:] if arguments is None else arguments, dict(os.environ))
    os.umask(0o077)  # the events in the file are nobody else's to read
    try:
        uvloop.run(run(settings))
    except (ConfigError, LogError) as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        where = f"{settings.host}:{settings.port}"
        print(f"cannot listen on {where}: {error.strerror or error}. Choose another --port", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
