"""The functions that people attached to a pipeline: one JSON file each in DATA/attached.

The files say what should run. `tradewind attach` and `detach` write and remove them, the supervisor makes it
so (`keeper`), and the next `tradewind up` finds them again. Whoever can write here can run code as the user
who runs the pipeline, so the folder is the user's alone.
"""

import ast
import re
from collections.abc import Mapping
from pathlib import Path

import msgspec

MAX_ATTACHMENTS = 50
_NAME = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")  # of a Knative Service: a DNS label


class CannotAttach(Exception):
    """What was asked for can't be; the message says what to change."""


class Attachment(msgspec.Struct, frozen=True):
    """One function. `asked_ms` makes asking again a change: the function starts anew, from its file."""

    name: str
    source: str  # the absolute path of its file
    target: str
    asked_ms: int
    environment: Mapping[str, str] = {}


class Attachments:
    """The folder of the files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self) -> dict[str, Attachment]:
        """All of them by name; a file that is none is passed over."""
        found = {}
        for path in sorted(self._folder.glob("*.json"))[:MAX_ATTACHMENTS]:
            try:
                attachment = msgspec.json.decode(path.read_bytes(), type=Attachment)
            except (OSError, msgspec.MsgspecError):
                continue
            if attachment.name == path.stem:
                found[attachment.name] = attachment
        return found

    def write(self, attachment: Attachment) -> None:
        """Replace its file in one step. Raises CannotAttach when there are too many."""
        others = self.read().keys() - {attachment.name}
        if len(others) >= MAX_ATTACHMENTS:
            raise CannotAttach(
                f"{MAX_ATTACHMENTS} functions are attached: detach one (`tradewind detach NAME`)"
            )
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = self._path(attachment.name).with_suffix(".new")
        new.touch(mode=0o600)  # its environment may hold a secret
        new.write_bytes(msgspec.json.encode(attachment))
        new.replace(self._path(attachment.name))

    def remove(self, name: str) -> None:
        self._path(name).unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.json"


def name_of(target: str) -> str:
    """What a function is attached as if nothing else is said: a DNS label has no underscore."""
    return target.replace("_", "-").strip("-").lower()


def check_name(name: str, taken: frozenset[str]) -> str:
    """The name, if a Trigger and a Knative Service can have it. Raises CannotAttach."""
    if not _NAME.fullmatch(name):
        raise CannotAttach(
            f"{name!r} is no name: use a-z, 0-9 and '-', at most 63; begin with a letter (--name)"
        )
    if name in taken:
        raise CannotAttach(f"{name} is a part of the pipeline itself: choose another name with --name")
    return name


def find_target(place: str) -> tuple[Path, str]:
    """`FILE` or `FILE:TARGET` as the file's absolute path and the function's name.

    The file is read, not run. Without a TARGET, it is the only function there under `@event_function`.
    Raises CannotAttach.
    """
    file, _, target = place, "", ""
    if not Path(place).exists() and ":" in place:
        file, _, target = place.rpartition(":")
    path = Path(file).absolute()
    try:
        tree = ast.parse(path.read_bytes(), str(path))
    except OSError as error:
        raise CannotAttach(f"{file} can't be read ({error.strerror}): give the file of a function") from None
    except (SyntaxError, ValueError) as error:
        raise CannotAttach(f"{file} is no Python that can run: {error}") from None
    found = [
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and any(ast.unparse(decorator).endswith("event_function") for decorator in node.decorator_list)
    ]
    if target and target not in found:
        raise CannotAttach(
            f"{file} has no {target} under @event_function; it has: {', '.join(found) or 'none'}"
        )
    if not target and len(found) != 1:
        which = f"say which: {file}:{found[0]}" if found else "put @event_function before yours"
        raise CannotAttach(f"{file} has {len(found)} functions under @event_function, so {which}")
    return path, target or found[0]
