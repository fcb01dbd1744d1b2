"""The request as it came from the server: slashes within a segment of the path, and who reads the body."""

from io import BytesIO
from typing import Any
from urllib.parse import unquote_to_bytes

PATH_SLASH = "\x1f"  # stands for an encoded slash while the path is routed; no ticker has this character


def take_parameter(name: str, value: str) -> str:
    """A parameter of the path as it was meant: with its slashes, and a ticker without a blank at its end.

    URL parsers resolve `..` (and `%2E%2E`) wherever they see it, so such a ticker is asked for as `..%20`.
    """
    value = value.replace(PATH_SLASH, "/")
    return value.removesuffix(" ") if name == "ticker" else value


def take_request(environ: dict[str, Any]) -> dict[str, Any]:
    """A WSGI environment of our own whose path has PATH_SLASH in place of `%2F`; the body goes with it.

    WSGI gives the path decoded (PEP 3333), where `A%2FB` and `A/B` look the same. Servers add the raw one
    under a name of their own, gunicorn and Werkzeug as RAW_URI. Without it a ticker with a slash is not
    found. And functions-framework reads what a function left of the body into memory, whatever its size.
    """
    raw_path = environ.get("RAW_URI", "").partition("?")[0]
    path_info = environ.get("PATH_INFO", "").replace(PATH_SLASH, "\x1e")
    if raw_path.startswith("/") and "%2f" in raw_path.lower() and not environ.get("SCRIPT_NAME"):
        segments = [unquote_to_bytes(segment).decode("latin-1") for segment in raw_path.split("/")]
        path_info = "/".join(
            segment.replace(PATH_SLASH, "\x1e").replace("/", PATH_SLASH) for segment in segments
        )
    ours = environ | {"PATH_INFO": path_info}
    environ["wsgi.input"], environ["CONTENT_LENGTH"] = BytesIO(), "0"
    return ours
