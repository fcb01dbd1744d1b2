"""Context attributes: which names and values an event may carry (CloudEvents 1.0.2, section 3).

Where the specification leaves room, the rule is that of Knative's ingress: what passes here passes there.
"""

import re
from collections.abc import Mapping
from datetime import date
from functools import lru_cache
from typing import Final

from eventing.event import BadEvent

MAX_ATTRIBUTES_BYTES: Final = 64 * 1024
MAX_CONTENT_TYPE_LENGTH: Final = 1_024
SPEC_VERSIONS: Final = ("1.0", "0.3")

CORE: Final = frozenset(
    ("specversion", "id", "source", "type", "time", "subject", "dataschema", "datacontenttype", "schemaurl")
)

_REQUIRED = ("specversion", "id", "source", "type")
# `data` is a member of the JSON format; 0.3's `datacontentencoding` changes what the data's bytes mean.
_RESERVED = {
    "data": "it is the name of the event's data, not of an attribute",
    "datacontentencoding": "it belongs to 0.3; send specversion 1.0 with data_base64 or binary mode",
}
_NONCHARACTERS = "".join(chr(plane << 16 | low) for plane in range(17) for low in (0xFFFE, 0xFFFF))
_FORBIDDEN = re.compile(f"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef{_NONCHARACTERS}]")
_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d+)?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)",
    re.ASCII,
)
_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 - RFC 9110's token, not a secret
_QUOTED = r'"(?:[^"\\]|\\.)*"'
_MEDIA_TYPE = re.compile(
    rf"({_TOKEN}/{_TOKEN})(?:[ \t]*;[ \t]*{_TOKEN}=(?:{_TOKEN}|{_QUOTED}))*[ \t]*+;?[ \t]*"
)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_COLON_FIRST = re.compile(r"[^/?#]*:")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


def check(attributes: Mapping[str, str]) -> None:
    """Raise BadEvent unless these are the attributes of an event (strings, names in lower case)."""
    for name in _REQUIRED:
        value = attributes.get(name)
        if value is None:
            raise BadEvent(f"attribute {name} is missing: every event needs {', '.join(_REQUIRED)}")
        if not value.strip():
            raise BadEvent(f"attribute {name} is empty: give it a value")
    version = attributes["specversion"]
    if version not in SPEC_VERSIONS:
        raise BadEvent(f"specversion {version[:20]!r} is unknown: send 1.0")
    for name in attributes:
        if name not in CORE:
            check_name(name)
    text = "".join(attributes.values())
    if not (text.isascii() and text.isprintable()):
        for name, value in attributes.items():
            check_text(name, value)
    size_bytes = len(text.encode()) + sum(map(len, attributes))
    if size_bytes > MAX_ATTRIBUTES_BYTES:
        raise BadEvent(
            f"attributes take {size_bytes} bytes, more than {MAX_ATTRIBUTES_BYTES}: move them to data", 413
        )
    if "time" in attributes:
        check_time(attributes["time"])
    if "datacontenttype" in attributes:
        media_type(attributes["datacontenttype"])
    if "subject" in attributes and not attributes["subject"].strip():
        raise BadEvent("attribute subject is empty: give it a value or leave it out")
    check_uri("source", attributes["source"])
    if "dataschema" in attributes and version == "1.0":
        check_uri("dataschema", attributes["dataschema"])


def check_name(name: str) -> None:
    """Names are a-z and 0-9 (section 3.1); none may be one that the format itself uses."""
    if not (name.isascii() and name.isalnum()) or name != name.lower():
        raise BadEvent(f"attribute name {name[:40]!r} is not allowed: use only the letters a-z and digits")
    if name in _RESERVED:
        raise BadEvent(f"attribute name {name!r} is not allowed: {_RESERVED[name]}")


def check_text(name: str, value: str) -> None:
    """Strings hold no control characters, surrogates or noncharacters (section 3.1, String)."""
    found = _FORBIDDEN.search(value)
    if found:
        raise BadEvent(
            f"attribute {name} holds the character U+{ord(found[0]):04X}, which is not allowed: remove it"
        )


def check_time(value: str) -> None:
    """RFC 3339 with an upper-case T and Z, as Go's parser and so Knative wants it; no leap seconds."""
    match = _TIME.fullmatch(value)
    try:
        if match:
            date.fromisoformat(match[1])
            return
    except ValueError:
        pass
    raise BadEvent(f"time {value[:40]!r} is not an RFC 3339 timestamp: write it like 2026-01-31T09:30:00.25Z")


def check_uri(name: str, value: str) -> None:
    """A URI-reference for `source`, an absolute URI for `dataschema` (RFC 3986), as Go's net/url checks it.

    Spaces and characters outside ASCII pass: senders that do not encode their headers produce them.
    """
    if _SCHEME.match(value):
        return
    if _COLON_FIRST.match(value):
        raise BadEvent(
            f"{name} {value[:80]!r} is not a URI: a colon must follow a scheme such as https or urn"
        )
    if name == "dataschema":
        raise BadEvent(
            f"dataschema {value[:80]!r} is not an absolute URI: start it with a scheme such as https:"
        )


def check_escapes(name: str, value: str) -> None:
    """In a URI as sent, a percent sign starts two hexadecimal digits (RFC 3986, section 2.1)."""
    if "%" in value and _BAD_ESCAPE.search(value):
        raise BadEvent(f"{name} {value[:80]!r} is not a URI: write a percent sign as %25")


@lru_cache(maxsize=256)
def media_type(content_type: str) -> str:
    """The media type in lower case, without parameters (RFC 2046). Raises BadEvent when it is none."""
    match = len(content_type) <= MAX_CONTENT_TYPE_LENGTH and _MEDIA_TYPE.fullmatch(content_type.strip())
    if not match:
        raise BadEvent(
            f"content type {content_type[:80]!r} is not a media type: write it like application/json"
        )
    return match[1].lower()


@lru_cache(maxsize=256)
def is_json(content_type: str) -> bool:
    """Whether data of this type is JSON: subtype json or suffix +json (JSON Event Format, section 3.1)."""
    subtype = media_type(content_type).partition("/")[2]
    return subtype == "json" or subtype.endswith("+json")
