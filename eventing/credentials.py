"""What a sender trusts and how it shows who it is, as a Knative SinkBinding provides both (eventing 0.50).

| what                                  | where the SinkBinding puts it                                      |
|---------------------------------------|--------------------------------------------------------------------|
| certificates of the sink's authority  | K_CA_CERTS, in PEM; those of the cluster in /knative-custom-certs  |
| an OIDC token for the sink's audience | /oidc/token; a new one before the hour of the old is over          |
"""

import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

TOKEN_FILE: Final = Path("/oidc/token")
TRUST_FOLDER: Final = Path("/knative-custom-certs")
# A new token is there five minutes before the old one ends; the kubelet takes up to two of them to mount it.
READ_AGAIN_S: Final = 10.0
MAX_TOKEN_BYTES: Final = 64 * 1024


class BadCredentials(ValueError):
    """K_CA_CERTS that are none."""


class Credentials:
    """Made once a process. `tls` is None where nothing beyond the system's authorities is to be trusted."""

    def __init__(
        self,
        ca_certs: str = "",
        token_file: Path = TOKEN_FILE,
        *,
        trust_folder: Path = TRUST_FOLDER,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """`ca_certs`: certificates in PEM. Raises BadCredentials."""
        bundles = trust_folder.iterdir() if trust_folder.is_dir() else ()
        self.tls = _trust(ca_certs, sorted(file for file in bundles if file.is_file()))
        self._token_file, self._clock_s = token_file, clock_s
        self._token = ""
        self._read_s: float | None = None

    def headers(self) -> dict[str, str]:
        """`Authorization` with the token, read again every READ_AGAIN_S; nothing where there is no file."""
        now_s = self._clock_s()
        if self._read_s is None or now_s - self._read_s >= READ_AGAIN_S:
            self._read_s = now_s
            self._read()
        return {"authorization": f"Bearer {self._token}"} if self._token else {}

    def _read(self) -> None:
        try:
            with self._token_file.open("rb") as file:
                token = file.read(MAX_TOKEN_BYTES).decode("ascii").strip()
        except (OSError, UnicodeDecodeError):
            return  # for a moment, while it is replaced, or for good: the token that was good last is kept
        if token.isprintable():
            self._token = token


def _trust(ca_certs: str, bundles: list[Path]) -> ssl.SSLContext | None:
    """The system's authorities and these. A bundle that holds none is passed over, as Knative does."""
    if not ca_certs.strip() and not bundles:
        return None
    context = ssl.create_default_context()
    try:
        if ca_certs.strip():
            context.load_verify_locations(cadata=ca_certs)
    except (ssl.SSLError, TypeError) as error:
        raise BadCredentials(f"K_CA_CERTS holds no certificates in PEM: {error}") from None
    for bundle in bundles:
        with suppress(ssl.SSLError):
            context.load_verify_locations(cafile=bundle)
    return context
