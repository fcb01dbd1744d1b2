"""eventing/README.md as one reads it who wants no more than that: its example works, its tables are whole."""

import asyncio
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from eventing.broker.__main__ import settings_of
from tests.broker.conftest import BrokerProcess, free_port

README = (Path(__file__).parents[2] / "eventing" / "README.md").read_text()


def block(language: str, after: str) -> str:
    """The first code block of a language after some words."""
    found = re.search(rf"```{language}\n(.*?)```", README[README.index(after) :], re.DOTALL)
    assert found is not None
    return found[1]


def commands() -> Iterator[list[str]]:
    text = (
        block("console", "Start both")
        + block("console", "What became of it")
        + block("console", "onto a cluster")
    )
    for line in text.replace("\\\n", "").splitlines():
        if line.startswith("$ "):
            yield shlex.split(line.removeprefix("$ ").removesuffix("&"))


async def test_the_five_minutes(broker: BrokerProcess, tmp_path: Path) -> None:
    """With other ports than those of the text."""
    function_port = free_port()
    (hello := tmp_path / "hello.py").write_text(
        block("python", "`hello.py`").replace("8080", str(function_port))
    )
    start, send, run, look, dump = commands()
    assert start[:5] == ["venv/bin/python", "-m", "eventing.broker", "-f", "broker.yaml"]
    assert run == ["venv/bin/python", "hello.py"]
    flags = [word.replace("8080", str(function_port)) for word in start[5:]]
    await broker.start(block("yaml", "`broker.yaml`"), *flags)

    path = send[2].removeprefix("http://127.0.0.1:8081")
    headers = dict(send[place + 1].split(": ") for place, word in enumerate(send) if word == "-H")
    body = send[send.index("-d") + 1]
    async with broker.session.post(broker.url + path, headers=headers, data=body) as answer:
        assert answer.status == 202
    process = await asyncio.create_subprocess_exec(
        sys.executable, hello, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(60):
            assert await process.stdout.readline() == b"hello 1 world\n"
        await broker.until(lambda: _delivered(broker, look[-1].removeprefix("http://127.0.0.1:8081")))
    finally:
        process.kill()
        await process.wait()

    async with broker.session.get(broker.url + dump[-1].removeprefix("http://127.0.0.1:8081")) as answer:
        assert await answer.text() in README


async def _delivered(broker: BrokerProcess, path: str) -> bool:
    [event] = (await broker.get(path))["events"]
    return bool(event["deliveries"][0]["state"] == "DELIVERED")


def test_every_option_is_in_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        settings_of(["--help"], {})
    options = set(
        re.findall(r"--[a-z-]+", capsys.readouterr().out.partition("options:")[2].partition("Each")[0])
    )
    table = README.partition("## Settings")[2].partition("\n## ")[0]
    assert options - {"--help"} == set(re.findall(r"--[a-z][a-z-]+", table.partition("|")[2]))


def test_the_paths_are_those_of_the_door() -> None:
    table = README.partition("## Looking into it")[2].partition("\n## ")[0]
    admin = (Path(__file__).parents[2] / "eventing" / "broker" / "admin.py").read_text().partition('"""')[2]
    for path in re.findall(r"/-/[a-z-]+", admin.partition('"""')[0]):
        assert path in table
