"""How settings are read: from the environment, within their bounds, or with a message that helps."""

import os
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, Self, get_origin

import msgspec


class BadSettings(ValueError):
    """A variable has a value that its setting does not take; the message names both, and what is taken."""


class Secret(str):
    """A password: shown to nobody who prints the settings that hold it."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Secret('…')"


class About(NamedTuple):
    """One setting, for help and documentation."""

    name: str
    type: Any
    default: Any
    description: str


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Called, the defaults and what is given. `read` is for where a process starts."""

    @classmethod
    def read(cls, **given: Any) -> Self:
        """What the environment says, and what is given instead of it. Raises BadSettings.

        A word out of several may be in capitals too: LOG_LEVEL=INFO.
        """
        said = {
            name: os.environ[name.upper()] for name in cls.__struct_fields__ if name.upper() in os.environ
        }
        values = said | given
        words = {
            one.name: values[one.name].lower()
            for one in cls.about()
            if one.name in values and get_origin(one.type) is Literal
        }
        try:
            return msgspec.convert(
                values | words, cls, strict=False, dec_hook=lambda kind, value: kind(value)
            )
        except msgspec.ValidationError as error:
            raise BadSettings(_explain(cls, values, str(error))) from None

    @classmethod
    def about(cls) -> tuple[About, ...]:
        """Each setting of this class."""
        return tuple(
            About(one.name, one.type.__origin__, one.default, one.type.__metadata__[-1])
            for one in msgspec.structs.fields(cls)
        )


def _explain(settings: type[Settings], values: Mapping[str, Any], message: str) -> str:
    """msgspec says "Expected `int` >= 1 - at `$.symbols`"; readers know the variable, not the code."""
    problem, _, path = message.partition(" - at ")
    for one in settings.about():
        if path == f"`$.{one.name}`":
            problem = problem.partition(", got ")[0]  # a variable is always text
            return f"{one.name.upper()}={values[one.name]}: {problem} ({one.description})"
    return problem
