"""uvicorn's HTTP protocol with what it leaves open: a bound on the size of a request's head."""

from itertools import count
from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD_BYTES: Final = 128 * 1024  # twice what the attributes of an event may take

_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
_request_numbers = count(1)


class BoundedProtocol(HttpToolsProtocol):
    """Refuses with 431 a request line and headers that by themselves uvicorn would gather without end."""

    _head_bytes = 0
    _in_head = True

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self._in_head:
            return
        self._head_bytes += len(data)
        if self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            self.transport.write(_TOO_LARGE)
            self.transport.close()

    def on_headers_complete(self) -> None:
        self._in_head = False
        # For want of one functions-framework draws twelve random characters: a fifth of a small event.
        self.headers.append((b"function-execution-id", b"%012x" % next(_request_numbers)))
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_head = True
        self._head_bytes = 0
        super().on_message_complete()
