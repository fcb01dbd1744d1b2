"""compose.yaml and `tradewind up` run the same programs: have they the same settings?"""

import tempfile
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from tests.unit.knative.conftest import REPOSITORY
from tradewind.laptop.folder import DataFolder
from tradewind.laptop.program import FUNCTIONS, Ports, generator_program, server_programs

SERVICES = yaml.safe_load((REPOSITORY / "compose.yaml").read_text())["services"]
NOT_IN_A_CONTAINER = {"HOST"}  # of the image
ADDRESSES = {"K_SINK", "BROKER_STATUS_URL"}
PORTS = Ports({name: port for port, name in enumerate((*FUNCTIONS, "broker"), 8080)})


def test_functions_have_all_settings_that_they_have_on_a_laptop() -> None:
    folder = DataFolder(Path(tempfile.gettempdir()))
    for program in server_programs(folder, "aerospike://aerospike:3000", PORTS):
        if program.name == "broker":
            continue
        given = SERVICES[program.name]["environment"]
        assert given["FUNCTION_TARGET"] == program.environment["FUNCTION_TARGET"]
        assert set(program.environment) - NOT_IN_A_CONTAINER <= set(given)
        for name in ADDRESSES:
            assert urlsplit(given[name]).path == urlsplit(program.environment[name]).path
            assert urlsplit(given[name]).netloc == "broker:8081"


def test_the_generator_sends_where_the_functions_replay_to() -> None:
    assert SERVICES["generator"]["environment"]["K_SINK"] == SERVICES["query"]["environment"]["K_SINK"]
    assert "K_SINK" in generator_program(PORTS, {}).environment
