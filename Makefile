# Two commands to begin with: `make up` and `make test`. Each sets up what it needs, in .venv, the first time.
#
# With uv on PATH, uv does it (and finds a Python by itself). Without, Python 3.11 or later with its venv module
# is enough: uv is then installed into .venv by pip.

VENV := .venv
PYTHON ?= python3
ARGS ?=
UV := $(or $(shell command -v uv 2>/dev/null),$(VENV)/bin/uv)
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help setup up test test-long lint types check format clean simulate fuzz chaos soak bench \
  page-paint page-fifty page-memory audit sbom
SEEDS ?= 10000
STORE ?= sqlite
JOBS ?= 2
.DELETE_ON_ERROR:

help: ## Say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo 'Options of a command go into ARGS: make up ARGS="--for 20s", make test ARGS="tests/unit -k money"'

up: $(READY) ## Run the whole pipeline on this machine, until Ctrl-C
	@$(VENV)/bin/tradewind up $(ARGS)

test: $(READY) ## Run the tests, files in JOBS=2 processes at a time
	@$(VENV)/bin/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder $(ARGS)

test-long: $(READY) ## Run the stores' tests at full length: a million trades a ticker, 50 kills, long freezes, 400 power cuts
	@CONTRACT_BIG=1 LONG_TESTS=1 SQLITE_KILLS=50 SQLITE_POWER_CUTS=400 $(VENV)/bin/python -m pytest \
	  tests/contract/test_hot_ticker.py tests/integration/sqlite tests/integration/test_aerospike_server.py \
	  tests/broker/test_power_cut.py $(ARGS)

lint: $(READY) ## Look for mistakes and for code that is not formatted
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .

types: $(READY) ## Check the types
	@$(VENV)/bin/mypy

check: lint types test ## All three

simulate: $(READY) ## Run SEEDS schedules of faults through the real code, make simulate SEEDS=1000000
	@$(VENV)/bin/python -m tests.simulation --seeds $(SEEDS) $(ARGS)

fuzz: $(READY) ## Send odd requests for ten minutes
	@$(VENV)/bin/python -m tests.fuzz --minutes 10 $(ARGS)

chaos: $(READY) ## Kill, stop and slow down every process for half an hour, from a seed, then verify
	@$(VENV)/bin/python -m tests.chaos $(ARGS)

soak: $(READY) ## Run for half an hour: memory, descriptors, threads and latency must stay flat
	@$(VENV)/bin/python -m benchmarks.soak $(ARGS)

bench: $(READY) ## Measure the whole pipeline; STORE=aerospike for the server at 127.0.0.1:3000
	@$(VENV)/bin/python -m benchmarks.pipeline --store $(STORE) $(ARGS)

page-paint: $(READY) ## First paint of 4,000 rows; a trade from curl to the screen
	@$(VENV)/bin/python -m benchmarks.page paint $(ARGS)

page-fifty: $(READY) ## The query function under fifty pages for two minutes
	@$(VENV)/bin/python -m benchmarks.page fifty $(ARGS)

page-memory: $(READY) ## Memory of open pages over ten minutes
	@$(VENV)/bin/python -m benchmarks.page memory $(ARGS)

audit: $(READY) ## Look each locked package up among known vulnerabilities (needs the network)
	@$(UV) audit --locked --no-dev

sbom: $(READY) ## Write what is in the lock as CycloneDX, dist/sbom.cdx.json
	@mkdir -p dist && $(UV) export --locked --no-dev --format cyclonedx1.5 --quiet -o dist/sbom.cdx.json

format: $(READY) ## Format the code, and mend what can be mended
	@$(VENV)/bin/ruff check --fix .
	@$(VENV)/bin/ruff format .

setup: $(READY) ## Only set up

clean: ## Remove the environment and all caches, but no data
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --inexact: a uv that pip put into .venv stays there.
$(READY): pyproject.toml uv.lock $(if $(findstring $(VENV)/,$(UV)),$(UV))
	@UV_PROJECT_ENVIRONMENT=$(VENV) $(UV) sync --locked --inexact --quiet
	@touch $@

$(VENV)/bin/uv:
	@command -v $(PYTHON) >/dev/null || { \
	  echo "$(PYTHON) is missing. On Debian or Ubuntu: apt install python3 python3-venv" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Python 3.11 or later is needed; $(PYTHON) is `$(PYTHON) -V 2>&1`." \
	    "Name another (make PYTHON=python3.12 up), or install uv, which brings one." >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
	  echo "Python's venv module is missing. On Debian or Ubuntu: apt install python3-venv" >&2; exit 1; }
	@echo "Setting up $(VENV): this takes a minute, once."
	@$(PYTHON) -m venv $(VENV)
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check uv
