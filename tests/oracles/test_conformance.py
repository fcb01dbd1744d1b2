"""The CloudEvents project's own conformance features and tool, against the broker's ingress and a function's
door: module github.com/cloudevents/conformance, of which `conformance/go.mod` names the version.
"""

import asyncio
import base64
import json
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import pytest
import yaml

from eventing.codec import decode
from eventing.event import Event
from tests.broker.conftest import BrokerProcess
from tests.functions.conftest import FunctionProcess
from tests.oracles.building import cache_folder, fetch

MODULE = "github.com/cloudevents/conformance"
FOLDER = Path(__file__).with_name("conformance")
OWN_FUNCTIONS = Path(__file__).parents[1] / "functions" / "own_functions.py"


class Scenario(NamedTuple):
    """A request as it stands in a feature, and the event that it is."""

    name: str
    head: str
    body: bytes
    attributes: dict[str, str]
    data: Any

    @property
    def headers(self) -> list[tuple[str, str]]:
        lines = self.head.splitlines()[1:]
        return [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]


class Conformance(NamedTuple):
    tool: Path
    source: Path


@pytest.fixture(scope="session")
def conformance() -> Conformance:
    """The tool, built once and kept in the user's cache, and the module's files."""
    with cache_folder("cloudevents-conformance", FOLDER / "go.sum") as cache:
        tool = cache / "cloudevents"
        if not tool.exists():
            part = tool.with_suffix(".part")
            fetch("build", "-o", str(part), f"{MODULE}/cmd/cloudevents", cwd=FOLDER)
            part.rename(tool)
    found = fetch("mod", "download", "-json", MODULE, cwd=FOLDER)
    return Conformance(tool, Path(json.loads(found)["Dir"]))


# The features: Gherkin, of which they use outlines with one table of examples


def scenarios_of(feature: str) -> Iterator[Scenario]:
    for outline in feature.split("Scenario Outline:")[1:]:
        steps, _, examples = outline.partition("Examples:")
        _, *values = [line.strip().strip("|").strip() for line in examples.strip().splitlines()]
        for value in values:
            filled = steps.replace("<contentType>", value)
            request, expected = map(undent, re.findall(r'"""\n(.*?)\n *"""', filled, re.DOTALL))
            head, _, body = request.partition("\n\n")
            rows = re.findall(r"^ *\| *(\w+) *\| *(.*?) *\|$", filled, re.MULTILINE)
            attributes = {name: text for name, text in rows if name != "key"}
            yield Scenario(
                filled.splitlines()[0].strip(), head, body.encode(), attributes, json.loads(expected)
            )


def undent(text: str) -> str:
    """Without the blanks that its first line begins with."""
    lines = text.splitlines()
    margin = len(lines[0]) - len(lines[0].lstrip())
    return "\n".join(line[margin:] for line in lines)


@pytest.fixture(scope="session")
def scenarios(conformance: Conformance) -> list[Scenario]:
    found = list(
        scenarios_of((conformance.source / "features" / "http-protocol-binding.feature").read_text())
    )
    assert [len(scenario.attributes) for scenario in found] == [6, 6, 6, 6]
    return found


def assert_is(scenario: Scenario, event: Event) -> None:
    assert dict(event.attributes) == scenario.attributes, scenario.name
    assert json.loads(event.data or b"") == scenario.data, scenario.name


def test_the_codec(scenarios: list[Scenario]) -> None:
    for scenario in scenarios:
        (event,) = decode(scenario.headers, scenario.body)
        assert_is(scenario, event)


# The same over HTTP, byte for byte as the feature has it


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[BrokerProcess]:
    async with aiohttp.ClientSession() as session:
        made = BrokerProcess(tmp_path, session)
        await made.start(BrokerProcess.yaml())
        yield made
        await made.stop()


@pytest.fixture(scope="module")
def echo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FunctionProcess]:
    """A function that answers with the event it got."""
    folder = tmp_path_factory.mktemp("conformance") / "store"
    function = FunctionProcess("echo", folder, FUNCTION_SOURCE=str(OWN_FUNCTIONS))
    function.wait_until_ready()
    yield function
    function.kill()


async def exchange(port: int, path: str, scenario: Scenario) -> tuple[int, list[tuple[str, str]], bytes]:
    """Send the request as it stands, to another host and path, and read the answer."""
    head = scenario.head.replace("/someresource", path, 1).replace("Host: example.com", "Host: localhost", 1)
    head = head.replace("\n", "\r\n")
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(head.encode() + b"\r\nConnection: close\r\n\r\n" + scenario.body)
        answer = await asyncio.wait_for(reader.read(), 30)
    finally:
        writer.close()
    first, *lines = answer.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
    headers = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]
    return int(first.split()[1]), headers, answer.partition(b"\r\n\r\n")[2]


async def taken(broker: BrokerProcess) -> list[Event]:
    """What the broker has, oldest first, without what it adds."""
    events = []
    for entry in (await broker.get("/-/events?after=0&limit=1000"))["events"]:
        (event,) = decode(
            [("content-type", "application/cloudevents+json")], json.dumps(entry["event"]).encode()
        )
        attributes = {name: text for name, text in event.attributes.items() if name != "knativearrivaltime"}
        events.append(Event(attributes, event.data))
    return events


async def test_the_ingress(broker: BrokerProcess, scenarios: list[Scenario]) -> None:
    for scenario in scenarios:
        status, _, body = await exchange(broker.port, "/test/default", scenario)
        assert (status, body) == (202, b""), scenario.name
    for scenario, event in zip(scenarios, await taken(broker), strict=True):
        assert_is(scenario, event)


async def test_a_function(echo: FunctionProcess, scenarios: list[Scenario]) -> None:
    for scenario in scenarios:
        status, headers, body = await exchange(echo.port, "/", scenario)
        assert status == 200, (scenario.name, body)
        (event,) = decode(headers, body)
        assert_is(scenario, event)


# The tool: it sends the events of its YAML files, and fails at an answer that is not 2xx


async def invoke(conformance: Conformance, url: str) -> None:
    files = str(conformance.source / "yaml")
    process = await asyncio.create_subprocess_exec(
        conformance.tool,
        *("invoke", url, "-R", "-f", files),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, output.decode()


def events_of(conformance: Conformance) -> list[dict[str, Any]]:
    documents = [
        document
        for file in sorted((conformance.source / "yaml").rglob("*.yaml"))
        for document in yaml.load_all(file.read_text(), yaml.BaseLoader)
        if document
    ]
    assert len(documents) >= 10
    return documents


async def test_the_tool_and_the_ingress(broker: BrokerProcess, conformance: Conformance) -> None:
    await invoke(conformance, broker.url + "/test/default")
    sent = sorted(
        (each["ContextAttributes"]["specversion"], each["ContextAttributes"]["id"], each["Data"].strip())
        for each in events_of(conformance)
    )
    events = [entry["event"] for entry in (await broker.get("/-/events?after=0&limit=1000"))["events"]]
    assert sorted((event["specversion"], event["id"], text_of(event)) for event in events) == sent


def text_of(event: dict[str, Any]) -> str:
    """The data as it was sent: text, JSON, or base64 of what the JSON format would change."""
    if "data_base64" in event:
        return base64.b64decode(event["data_base64"]).decode().strip()
    data = event["data"]
    return data.strip() if isinstance(data, str) else json.dumps(data, separators=(",", ":"))


async def test_the_tool_and_a_function(echo: FunctionProcess, conformance: Conformance) -> None:
    before = echo.metric('tradewind_events_total{function="echo",verdict="DONE"}')
    await invoke(conformance, f"http://127.0.0.1:{echo.port}/")
    done = echo.metric('tradewind_events_total{function="echo",verdict="DONE"}') - before
    assert done == len(events_of(conformance))
