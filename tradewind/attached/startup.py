"""How a function is brought up beside a running pipeline, and taken down: its process by the supervisor, its
Trigger by the broker.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import msgspec

from tradewind.attached.attachment import Attachment, Attachments, CannotAttach
from tradewind.attached.trigger import NAMESPACE, Trigger
from tradewind.client import Answer, Unreachable, ask, path
from tradewind.laptop.folder import DataFolder, LogFile, Run, RunningProcess
from tradewind.laptop.program import PARTS

START_DEADLINE_S = 60.0
TRIGGER_DEADLINE_S = 10.0  # the broker reads its map again each second
MAX_SAID = 16_384  # characters of what a file says when it can't be loaded
_POLL_S = 0.1


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def try_loading(source: Path, target: str, environment: Mapping[str, str]) -> None:
    """Load the file as functions-framework will, in a process that ends: what is wrong is said at once, and a
    function that runs is not stopped for one that can't. Raises CannotAttach.
    """
    script = (
        "import os, sys, functions_framework; functions_framework.create_app(*sys.argv[1:]); "
        "os._exit(0)"  # a thread that the file started would keep it
    )
    with tempfile.TemporaryFile() as said:  # no pipe, which a process that the file started would keep open
        tried = subprocess.Popen(  # noqa: S603 - the user's own file is what is to run
            [sys.executable, "-P", "-c", script, target, str(source)],
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=said,
            start_new_session=True,
        )
        try:
            problem = f"{source} can't be loaded:" if tried.wait(START_DEADLINE_S) else ""
        except subprocess.TimeoutExpired:
            problem = (
                f"{source} was not loaded within {START_DEADLINE_S:g} s: "
                "move what takes long, or waits, from the file's top level into the function"
            )
        finally:
            with suppress(ProcessLookupError):
                os.killpg(tried.pid, signal.SIGKILL)
            tried.wait()
        if problem:
            said.seek(0)
            text = said.read().decode("utf-8", "replace").strip()[-MAX_SAID:]
            raise CannotAttach(f"{problem}\n{text}".rstrip())


def bring_up(run: Run, wish: Attachment, trigger: Trigger) -> str:
    """Return when the function is ready and gets its events: the path of its log. Raises CannotAttach.

    The process comes first, so that no event finds it missing. What is new and fails is taken back; what
    replaces a former one stays, with the former Trigger, to be attached again.
    """
    files = Attachments(DataFolder(Path(run.data)).attached)
    is_new = wish.name not in files.read()
    files.write(wish)
    try:
        process = _until_ready(run, wish)
        _add_trigger(run, trigger)
    except CannotAttach:
        if is_new:
            files.remove(wish.name)
        raise
    return process.log


def take_down(run: Run, name: str) -> int:
    """Return when it is gone: how many events the broker keeps for it. Raises CannotAttach."""
    files = Attachments(DataFolder(Path(run.data)).attached)
    attached = files.read()
    if name in PARTS or (name not in attached and name not in _triggers(run)):
        there = f"`tradewind detach NAME` takes one of: {', '.join(attached)}" if attached else "nothing is"
        raise CannotAttach(f"{name} is not attached: {there}")
    answer = _ask_broker(run, path("-", "triggers", NAMESPACE, name), method="DELETE")
    if answer.status not in (200, 404):
        raise CannotAttach(answer.reason)
    files.remove(name)
    deadline_s = time.monotonic() + START_DEADLINE_S
    while _process(run, name) is not None and time.monotonic() < deadline_s:
        time.sleep(_POLL_S)
    parked: dict[str, int] = _ask_broker(run, "/-/status").json["parked"]
    return parked.get(f"{NAMESPACE}/{name}", 0)


def _until_ready(run: Run, wish: Attachment) -> RunningProcess:
    deadline_s = time.monotonic() + START_DEADLINE_S
    process = None
    while time.monotonic() < deadline_s:
        process = _process(run, wish.name)
        if process is not None and process.asked_ms == wish.asked_ms:
            if process.failed:
                break
            if _is_ready(process.url):
                return process
        time.sleep(_POLL_S)
    why = "does `tradewind up` still run?"
    if process is not None:
        lines = "\n".join(f"    {line}" for line in LogFile(Path(process.log)).tail())
        why = f"the end of {process.log}:\n{lines}"
    raise CannotAttach(f"{wish.target} of {wish.source} did not start; {why}")


def _is_ready(url: str) -> bool:
    try:
        return ask(url + "/readyz").status == 200
    except Unreachable:
        return False


def _add_trigger(run: Run, trigger: Trigger) -> None:
    """It may take a second until the broker knows where the function is. Raises CannotAttach."""
    deadline_s = time.monotonic() + TRIGGER_DEADLINE_S
    while True:
        answer = _ask_broker(run, "/-/triggers", method="POST", body=msgspec.json.encode(trigger))
        not_yet = answer.status == 422 and "has no local URL" in answer.reason
        if answer.status == 201:
            return
        if not not_yet or time.monotonic() > deadline_s:
            raise CannotAttach(f"the broker refused the Trigger: {answer.reason}")
        time.sleep(_POLL_S)


def _triggers(run: Run) -> set[str]:
    """Names of the Triggers that are attached."""
    found = _ask_broker(run, "/-/triggers").json["triggers"]
    return {str(each["name"]).partition("/")[2] for each in found if each["attached"]}


def _ask_broker(run: Run, place: str, *, method: str = "GET", body: bytes | None = None) -> Answer:
    try:
        return ask(
            run.broker_url + place, method=method, headers={"content-type": "application/json"}, body=body
        )
    except Unreachable as error:
        raise CannotAttach(str(error)) from None


def _process(run: Run, name: str) -> RunningProcess | None:
    """As the supervisor says it now."""
    now = DataFolder(Path(run.data)).read_run()
    return now.processes.get(name) if now else None
