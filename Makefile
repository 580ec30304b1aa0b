# Everything that a person runs here. `make` alone lists it.

PYTHON ?= python3
PORT ?= 8000
VENV ?= .venv
BIN := $(VENV)/bin

# Tests of streams wait for groups to form, so more of them than there are cores
AT_ONCE ?= --numprocesses 4 --dist worksteal
# These measure times and memory, or take the whole machine
ALONE := $(patsubst %,tests/services/test_%.py,signals chaos fuzz soak)

.DEFAULT_GOAL := help
.PHONY: help demo test test-unit test-services bench bench-gate lint format requirements clean

help:  ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/base.stamp  ## A site with a simulated Fink stream; PORT=8000, ONCE=1 ends by itself
	@$(BIN)/python -m fink_tom_site.demo --port $(PORT) $(if $(ONCE),--once)

test: $(VENV)/dev.stamp  ## The default tests, on SQLite and on PostgreSQL
	$(BIN)/python -m pytest $(AT_ONCE)
	TEST_DATABASE=postgresql $(BIN)/python -m pytest $(AT_ONCE) tests/db

test-unit: $(VENV)/dev.stamp  ## The tests that need no database
	$(BIN)/python -m pytest $(AT_ONCE) tests/unit

test-services: $(VENV)/dev.stamp  ## The tests that need Apache Kafka, Chromium or Docker
	TEST_DATABASE=postgresql $(BIN)/python -m pytest -m services --numprocesses 2 --dist loadfile tests \
	  $(addprefix --ignore ,$(ALONE))
	TEST_DATABASE=postgresql $(BIN)/python -m pytest -m services $(ALONE)

bench: $(VENV)/dev.stamp  ## Measure against Apache Kafka and PostgreSQL; CASES="decode steady" RUNS=3 JSON=out.json
	$(BIN)/python -m bench $(CASES) $(if $(RUNS),--runs $(RUNS)) $(if $(JSON),--json $(JSON)) $(BENCH_OPTIONS)

bench-gate: $(VENV)/dev.stamp  ## A small bench that fails where a ratio is under its line
	$(BIN)/python -m bench --gate $(CASES) $(if $(RUNS),--runs $(RUNS)) $(if $(JSON),--json $(JSON)) $(BENCH_OPTIONS)

lint: $(VENV)/dev.stamp  ## Lint and check the format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(VENV)/dev.stamp  ## Mend what the linter can and format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

requirements:  ## Pin requirements/ anew from pyproject.toml (needs uv)
	uv pip compile pyproject.toml --extra site --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-header --no-strip-extras --upgrade --quiet --output-file requirements/base.txt
	uv pip compile pyproject.toml --extra site --group dev --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-header --no-strip-extras --upgrade --quiet --output-file requirements/dev.txt

clean:  ## Remove the environment, the collected files and the demo's database
	rm -rf $(VENV) _static state/demo

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
	  { echo "This site needs Python 3.11 to 3.13; say which with make PYTHON=python3.13"; exit 1; }
	$(PYTHON) -m venv $(VENV)

# The stamps say which requirements the environment has.
$(VENV)/base.stamp: requirements/base.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements/base.txt
	@touch $@

$(VENV)/dev.stamp: requirements/dev.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements/dev.txt
	@touch $@ $(VENV)/base.stamp
