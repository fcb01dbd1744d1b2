"""A kubectl that writes down what it is asked, and answers what it was given. It is no program."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from subprocess import CompletedProcess
from typing import Any

COMMANDS = {"kustomize", "apply", "get", "delete", "config"}
Answer = str | Mapping[str, str]


@dataclass
class FakeKubectl:
    """`given`: by command a text, or texts by a part of the arguments. From `error` on it is a failure."""

    given: dict[str, Answer] = field(default_factory=dict)
    asked: list[list[str]] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)  # what came to its standard input

    def answers(self, **by_command: Answer) -> None:
        self.given = by_command

    def run(
        self,
        command: Sequence[str],
        *,
        input: str | None,  # noqa: A002 - as subprocess has it
        **_options: Any,
    ) -> CompletedProcess[str]:
        """In place of subprocess.run."""
        arguments = [*command[1:]]
        self.asked.append(arguments)
        if input is not None:
            self.texts.append(input)
        answer = self.given.get(next(word for word in arguments if word in COMMANDS), "")
        if not isinstance(answer, str):
            answer = next((text for key, text in answer.items() if key in " ".join(arguments)), "")
        done, failed, why = answer.partition("error")
        return CompletedProcess(command, 1 if failed else 0, done, failed + why)

    def deleted(self) -> list[list[str]]:
        """What follows `delete`, without the options that are always the same."""
        return [one[one.index("delete") + 1 :][:2] for one in self.asked if "delete" in one]
