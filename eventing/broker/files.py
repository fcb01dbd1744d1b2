"""The files that the broker is given: Kubernetes YAML, and maps of local URLs."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

MAX_FILE_BYTES = 4 << 20
MAX_FILE_VALUES = 100_000  # with every alias written out

Document = dict[str, Any]


class ConfigError(Exception):
    """Something in the YAML or the map can't be used; the message says where, and what to do."""


def files_of(paths: Iterable[Path]) -> list[Path]:
    """The YAML files of `paths`: files, or folders without their subfolders. Raises ConfigError."""
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            files += sorted(
                f for f in path.iterdir() if f.suffix in (".yaml", ".yml") and f.stem != "kustomization"
            )
        elif path.exists():
            files.append(path)
        else:
            raise ConfigError(f"{path}: no such file or folder")
    return files


def read_map(file: Path) -> dict[str, str]:
    """A map file: `name=url` a line, `#` for comments. Raises ConfigError."""
    urls = {}
    try:
        lines = file.read_text().splitlines()
    except (OSError, ValueError) as error:
        raise ConfigError(f"{file}: {error}") from error
    for number, line in enumerate(lines, 1):
        text = line.partition("#")[0].strip()
        if text:
            name, _, url = text.partition("=")
            if not url:
                raise ConfigError(f"{file}:{number}: expected name=url, not {text!r}")
            urls[name.strip()] = url.strip()
    return urls


def read_yaml(file: Path) -> list[Any]:
    """The documents of a file. Raises ConfigError, also for one that is small and stands for a lot."""
    try:
        if file.stat().st_size > MAX_FILE_BYTES:
            raise ConfigError(f"{file}: is larger than {MAX_FILE_BYTES} bytes: split it")
        parts = list(yaml.safe_load_all(file.read_text()))
        size = sum(map(_Expanded().size, parts))
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        raise ConfigError(f"{file}: {error}") from error
    if size > MAX_FILE_VALUES:
        raise ConfigError(f"{file}: stands for more than {MAX_FILE_VALUES} values: use fewer aliases")
    return parts


class _Expanded:
    """Counts values with each alias written out; each object is looked at once, however often it is named."""

    def __init__(self) -> None:
        self._sizes: dict[int, int] = {}

    def size(self, value: object) -> int:
        """Raises ValueError for what holds itself."""
        if not isinstance(value, dict | list):
            return 1
        size = self._sizes.get(id(value))
        if size == 0:
            raise ValueError("an alias stands within what it names")
        if size is None:
            self._sizes[id(value)] = 0
            held = value.values() if isinstance(value, dict) else value
            size = self._sizes[id(value)] = 1 + sum(map(self.size, held))
        return size


def documents_of(files: Iterable[Path]) -> list[tuple[str, Document]]:
    """(where, document) of each Broker and Trigger in the files. Raises ConfigError."""
    found: list[tuple[str, Document]] = []
    for file in files:
        parts = read_yaml(file)
        for number, part in enumerate(parts, 1):
            if isinstance(part, dict) and part.get("kind") in ("Broker", "Trigger"):
                if str(part.get("apiVersion", "")).partition("/")[0] == "eventing.knative.dev":
                    found.append((f"{file} (document {number})", part))
            elif part is not None and not (isinstance(part, dict) and "kind" in part):
                raise ConfigError(f"{file} (document {number}): not a Kubernetes object: it has no `kind`")
    return found
