"""Ports and programs."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tradewind.laptop import program
from tradewind.laptop.folder import DataFolder
from tradewind.laptop.program import FUNCTIONS, PortBusy, choose_ports, generator_program, server_programs


@pytest.fixture
def busy_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_ports_differ_and_are_free() -> None:
    ports, _ = choose_ports(None, None)
    numbers = list(ports.numbers.values())
    assert len(set(numbers)) == len(numbers) == len(FUNCTIONS) + 1
    for number in numbers:
        socket.create_server(("127.0.0.1", number)).close()


def test_two_that_choose_at_once_get_different_ports() -> None:
    """Nothing listens yet: only that they were chosen keeps them from being chosen again."""
    mine, _ = choose_ports(None, None)
    others, _ = choose_ports(None, None)
    assert not set(mine.numbers.values()) & set(others.numbers.values())


def test_a_busy_usual_port_is_replaced_and_told(busy_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "QUERY_PORT", busy_port)
    ports, messages = choose_ports(None, None)
    assert ports.numbers["query"] != busy_port
    assert any(str(busy_port) in text and str(ports.numbers["query"]) in text for text in messages)


def test_a_busy_port_that_was_asked_for_is_an_error(busy_port: int) -> None:
    with pytest.raises(PortBusy, match=rf"port {busy_port} \(query\).*--port"):
        choose_ports(busy_port, None)
    with pytest.raises(PortBusy, match=r"--broker-port"):
        choose_ports(None, busy_port)


def test_the_broker_knows_where_each_function_is(tmp_path: Path) -> None:
    ports, _ = choose_ports(None, None)
    folder = DataFolder(tmp_path)
    programs = {each.name: each for each in server_programs(folder, "sqlite:x", ports)}
    arguments = programs["broker"].arguments
    for name in FUNCTIONS:
        assert f"{name}={programs[name].url}" in arguments
        assert programs[name].environment["PORT"] == str(ports.numbers[name])
        assert programs[name].environment["STORE"] == "sqlite:x"
    manifests = Path(arguments[arguments.index("-f") + 1])
    assert (manifests / "broker.yaml").exists()


def test_the_generator_sends_to_this_broker_whatever_else_is_set() -> None:
    ports, _ = choose_ports(None, None)
    generator = generator_program(ports, {"SEED": "7", "K_SINK": "http://elsewhere"})
    assert generator.environment["K_SINK"] == ports.ingress_url
    assert generator.environment["SEED"] == "7"
    assert generator.may_finish
