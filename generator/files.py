"""A file's content, plain, gzip or zstd, and what tells it from another's."""

import gzip
import importlib
import logging
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import IO, Final, NamedTuple, cast

_CHUNK_BYTES: Final = 1 << 20

logger = logging.getLogger(__name__)


class BadFile(ValueError):
    """The file cannot be replayed; the message says why and what to do."""


class Fingerprint(NamedTuple):
    """What tells one file's content from another's, compressed or not."""

    digest: str
    size_bytes: int


def open_file(path: Path) -> IO[bytes]:
    """The content, unpacked if its first bytes say that it is packed. Raises BadFile."""
    if not path.exists():
        raise BadFile(f"there is no file {path}")
    if not path.is_file():
        raise BadFile(f"{path} is not a file: it is read twice, so a pipe will not do")
    try:
        with path.open("rb") as packed:
            magic = packed.read(4)
        if magic.startswith(b"\x1f\x8b"):
            return cast(IO[bytes], gzip.open(path))
        if magic == b"\x28\xb5\x2f\xfd":
            return _open_zstd(path)
        return path.open("rb")
    except OSError as error:
        raise BadFile(f"{path} cannot be read: {error.strerror}") from None


def _open_zstd(path: Path) -> IO[bytes]:
    for module in ("compression.zstd", "backports.zstd"):  # the first is part of Python 3.14
        with suppress(ImportError):
            return cast(IO[bytes], importlib.import_module(module).ZstdFile(path))
    raise BadFile("to read zstd files, `pip install backports.zstd` or use Python 3.14, or unpack them first")


def fingerprint(path: Path) -> Fingerprint:
    """Reads the whole file once. Raises BadFile."""
    digest, size_bytes = blake2b(digest_size=16), 0
    with open_file(path) as content:
        logger.info("reading the file for its digest", extra={"file": str(path)})
        try:
            while chunk := content.read(_CHUNK_BYTES):
                digest.update(chunk)
                size_bytes += len(chunk)
        except Exception as error:  # what gzip, zlib and zstd raise has no common base
            raise BadFile(f"{path} is damaged: {error}") from None
    return Fingerprint(digest.hexdigest(), size_bytes)
