"""The Dockerfile: does it copy all that is imported, and do its steps work in a clean folder?"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from eventing.hosts import is_loopback

REPOSITORY = Path(__file__).parents[3]
DOCKERFILE = REPOSITORY / "knative" / "Dockerfile"
UV = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))

BASE_MB = 130  # python:3.12-slim-bookworm, unpacked
MAX_IMAGE_MB = 250
Step = tuple[str, str]


def stages() -> list[list[Step]]:
    """Instructions and their words, a list for each FROM; comments and line ends taken away."""
    text = re.sub(r"\\\n", " ", re.sub(r"(?m)^#.*\n", "", DOCKERFILE.read_text()))
    found: list[list[Step]] = []
    for line in filter(None, map(str.strip, text.splitlines())):
        instruction, _, rest = line.partition(" ")
        if instruction == "FROM":
            found.append([])
        found[-1].append((instruction, rest.strip()))
    return found


def values(stage: list[Step], instruction: str) -> list[str]:
    return [rest for name, rest in stage if name == instruction]


def test_the_final_image_runs_as_nobody_and_keeps_nothing_of_the_build() -> None:
    build, final = stages()
    assert values(final, "USER") == ["65532:65532"]
    assert values(final, "COPY") == ["--from=build /app /app"]
    assert not values(final, "RUN")
    assert "HOME=/tmp" in values(final, "ENV")[0]
    assert all("--no-dev" in step for step in values(build, "RUN") if "uv sync" in step)
    assert all("--locked" in step for step in values(build, "RUN") if "uv sync" in step)


def test_what_builds_is_pinned_and_nothing_is_imported_from_where_it_runs() -> None:
    build, final = stages()
    (install,) = (step for step in values(build, "RUN") if "pip install" in step)
    assert re.fullmatch(r"pip install --no-cache-dir uv==[\d.]+", install)
    assert re.search(r'requires = \["hatchling==[\d.]+"\]', (REPOSITORY / "pyproject.toml").read_text())
    assert "PYTHONSAFEPATH=1" in shlex.split(values(final, "ENV")[0])


def test_its_functions_answer_by_the_names_that_a_cluster_gives_them() -> None:
    """A server that listens on loopback is called by an address or localhost only, any other by any name."""
    (environment,) = values(stages()[1], "ENV")
    assert not is_loopback(dict(word.split("=", 1) for word in shlex.split(environment))["HOST"])


def test_every_room_is_copied() -> None:
    copied = {step.split()[0] for step in values(stages()[0], "COPY")}
    packages = re.search(r"packages = \[(.*?)\]", (REPOSITORY / "pyproject.toml").read_text())
    assert packages is not None
    for room in re.findall(r'"(\w+)"', packages[1]):
        assert room in {name.split("/")[0] for name in copied}
    ignored = (REPOSITORY / ".dockerignore").read_text().split()
    assert not copied & set(ignored)


@pytest.mark.skipif(UV is None, reason="uv is not on PATH: the image's steps can't be executed")
@pytest.mark.timeout(600)
def test_its_steps_make_something_that_runs(tmp_path: Path) -> None:
    """What RUN and COPY do, in an empty folder, with /app and /src below it; then the image's command."""
    places = {"/src": tmp_path / "src", "/app": tmp_path / "app"}
    build, _ = stages()
    environment = {"PATH": f"{Path(str(UV)).parent}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    passed = [name for name in os.environ if name.startswith(("PIP_", "SSL_", "UV_CACHE", "UV_INDEX"))]
    environment |= {name: os.environ[name] for name in passed}
    environment["UV_CACHE_DIR"] = cache_folder()
    environment["UV_PYTHON"] = sys.executable
    here = tmp_path
    for instruction, rest in build:
        if instruction == "ENV":
            pairs = dict(word.split("=", 1) for word in shlex.split(rest))
            environment |= {name: relocated(value, places) for name, value in pairs.items()}
        elif instruction == "WORKDIR":
            here = places[rest]
            here.mkdir()
        elif instruction == "COPY":
            *sources, target = rest.split()
            for source in sources:
                copy(REPOSITORY / source, here / target)
        elif instruction == "RUN" and "pip install" not in rest:  # uv is here already
            subprocess.run(["sh", "-c", rest], cwd=here, env=environment, check=True, timeout=500)
    shutil.rmtree(places["/src"])  # nothing of the image may lead back to it

    (home := tmp_path / "home").mkdir()
    run = {
        "PATH": f"{places['/app']}/.venv/bin:/usr/bin:/bin",
        "HOME": str(home),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONSAFEPATH": "1",
    }
    check = "import functions.main, generator, tradewind.cli, sys; print(functions.main.__file__, sys.prefix)"
    said = subprocess.run(
        ["python", "-c", check], cwd=home, env=run, check=True, capture_output=True, text=True, timeout=60
    ).stdout
    assert said.count(str(places["/app"])) == 2
    for module in ("pytest", "ruff", "mypy", "hypothesis"):
        missing = subprocess.run(
            ["python", "-c", f"import {module}"],
            cwd=home,
            env=run,
            capture_output=True,
            check=False,
            timeout=60,
        )
        assert missing.returncode == 1, f"{module} is in the image"
    size_mb = sum(path.lstat().st_size for path in places["/app"].rglob("*") if path.is_file()) / 1e6
    print(f"/app: {size_mb:.0f} MB, on top of the base image's {BASE_MB} MB")
    assert BASE_MB + size_mb < MAX_IMAGE_MB
    print(f"cold import of functions.main: {import_cpu_ms(run, home):.0f} ms by -X importtime")


def relocated(value: str, places: dict[str, Path]) -> str:
    for place, folder in places.items():
        if value.startswith(f"{place}/"):
            return f"{folder}{value.removeprefix(place)}"
    return value


def copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
    else:
        shutil.copy(source, target)


def cache_folder() -> str:
    """The user's own, so that nothing is fetched twice."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return os.environ.get("UV_CACHE_DIR") or str(home / "uv")


def import_cpu_ms(environment: dict[str, str], folder: Path) -> float:
    """The sum of what -X importtime says of each module by itself."""
    told = subprocess.run(
        ["python", "-X", "importtime", "-c", "import functions.main"],
        cwd=folder,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    ).stderr
    own_us = re.findall(r"import time:\s+(\d+) \|", told)
    assert len(own_us) > 50
    return sum(map(int, own_us)) / 1000
