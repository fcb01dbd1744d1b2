"""An event's data as JSON can carry it."""

from codecs import getincrementaldecoder
from typing import Annotated

import msgspec
from msgspec import Meta

_utf8 = getincrementaldecoder("utf-8")


class Payload(msgspec.Struct):
    """Data as text where it is UTF-8, else as base64."""

    text: Annotated[str | None, Meta(description="the data as it came, if it is UTF-8 text")]
    base64: Annotated[
        bytes | None,
        Meta(description="the data, if it is not text", extra_json_schema={"contentEncoding": "base64"}),
    ]
    size: Annotated[int, Meta(ge=0, description="bytes of the whole data")]
    is_cut: Annotated[bool, Meta(description="only the first bytes are here")]


def view_payload(data: bytes, size: int) -> Payload:
    """`data` may be cut, also within a character."""
    is_cut = size > len(data)
    try:
        return Payload(_utf8().decode(data, final=not is_cut), None, size, is_cut)
    except UnicodeDecodeError:
        return Payload(None, data, size, is_cut)
