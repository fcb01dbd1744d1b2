"""The files of the page: HTML, style, ES modules, images.

Under `/assets/`, as the Flask app of functions-framework, which is around ours, keeps `/static/` to itself.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

from flask import Response, request
from werkzeug.exceptions import NotFound
from werkzeug.security import safe_join

from functions.query.bodies import Body

MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".webmanifest": "application/manifest+json",
    ".txt": "text/plain; charset=utf-8",
}
_MAX_KEPT = 256


class Pages:
    """Files of one folder, kept in memory until they change."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()
        self._kept: dict[Path, tuple[tuple[int, int], Body]] = {}

    def pages(self) -> Iterator[tuple[str, str, Callable[..., Response]]]:
        """Routes: path, name, view."""
        yield "/", "page", lambda: self._send("index.html")
        yield "/assets/<path:name>", "assets", self._send

    def _send(self, name: str) -> Response:
        return self._load(name).to_response(request)

    def _load(self, name: str) -> Body:
        """Only known kinds of file, only inside the folder, also when a link leads out. Raises NotFound."""
        joined = safe_join(str(self._folder), name)
        path = Path(joined or self._folder)
        media_type = MEDIA_TYPES.get(path.suffix)
        try:
            if media_type is None or not path.resolve().is_relative_to(self._folder):
                raise NotFound
            stat = path.stat()
            version = (stat.st_mtime_ns, stat.st_size)
            kept = self._kept.get(path)
            if kept is None or kept[0] != version:
                kept = (version, Body(path.read_bytes(), media_type))
                if len(self._kept) >= _MAX_KEPT:
                    self._kept.clear()
                self._kept[path] = kept
        except (OSError, ValueError):
            raise NotFound from None
        return kept[1]
