"""By which names a server may be called: the answer to DNS rebinding.

A page of another site can have its own name lead to 127.0.0.1, and then asks this server as if it were its
own: no browser stops that. But the Host header still says the foreign name. Addresses and localhost can't be
made to lead elsewhere, so a server that listens for this machine only is known by nothing else.
"""

from functools import lru_cache
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

ANY_HOST: Final = "*"
MAX_HOST_LENGTH: Final = 260  # a name has at most 253 characters, a port 6


def is_host_allowed(host: str, allowed: frozenset[str] | tuple[str, ...]) -> bool:
    """Whether the Host header `host` is an address, localhost, or one of `allowed` ("*": any)."""
    return ANY_HOST in allowed or (len(host) <= MAX_HOST_LENGTH and _is_known(host, allowed))


@lru_cache(maxsize=256)
def _is_known(host: str, allowed: frozenset[str] | tuple[str, ...]) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    return name in allowed or name == "localhost" or name.endswith(".localhost") or _is_address(name)


@lru_cache(maxsize=64)
def is_loopback(host: str) -> bool:
    """Whether a server that listens on `host` is reached from this machine only."""
    return host == "localhost" or (_is_address(host) and ip_address(host).is_loopback)


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
