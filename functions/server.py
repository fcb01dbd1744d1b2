"""The HTTP protocol of the event functions."""

from itertools import count

from eventing.bounded_http import BoundedProtocol

_request_numbers = count(1)


class FunctionProtocol(BoundedProtocol):
    """Gives each request the number that functions-framework wants.

    For want of one it draws twelve random characters: a fifth of a small event.
    """

    def begin(self) -> None:
        self.headers.append((b"function-execution-id", b"%012x" % next(_request_numbers)))
        super().begin()
