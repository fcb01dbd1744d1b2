"""A CloudEvent as it travels: context attributes in their canonical string form, and the data's bytes."""

from collections.abc import Mapping
from dataclasses import dataclass


class BadEvent(ValueError):
    """What came is not an event that may pass. `status` is the HTTP answer it deserves: 400, 413 or 415."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Event:
    """One event, checked by `eventing.codec` (CloudEvents 1.0, section 3) and never changed afterwards.

    Attributes are held as the canonical strings of the type system (section 3.1), `specversion` included,
    so that binary and structured forms of one event compare equal. `data` is the payload as it came:
    bytes, or None when the event has no data.
    """

    attributes: Mapping[str, str]
    data: bytes | None = None

    @property
    def id(self) -> str:
        return self.attributes["id"]

    @property
    def source(self) -> str:
        return self.attributes["source"]

    @property
    def type(self) -> str:
        return self.attributes["type"]

    @property
    def subject(self) -> str | None:
        return self.attributes.get("subject")

    def with_attributes(self, **extra: str) -> "Event":
        """This event with some attributes added or replaced; the data is shared, not copied."""
        return Event({**self.attributes, **extra}, self.data)
