# Two commands set themselves up on a machine with Python (3.11 or later), pip and make:
#   make demo    watch 300 requests survive a server that refuses, resets and stalls
#   make test    run the tests; about two minutes on two cores
# Before a release: make test-all also runs the bulk tests, and checks the branch coverage.
# PYTHON=/path/to/python selects the interpreter; VENV=folder keeps several side by side.

PYTHON ?= python3
VENV ?= .venv
OPTIONS ?=
BIN := $(VENV)/bin
PYTEST := $(BIN)/python -m pytest --numprocesses=auto --dist=worksteal

.PHONY: demo test bulk covered test-all lint types format bench chart simulate rescue clean

demo: $(VENV)/.installed
	$(BIN)/typed-async-client demo

test: $(VENV)/.installed
	$(PYTEST) -m 'not bulk' $(OPTIONS)

bulk: $(VENV)/.installed
	$(PYTEST) -m bulk

# Coverage makes the bulk tests several times slower and they reach no other code, so they run without it.
test-all: OPTIONS = --cov --cov-report=term
test-all: test covered bulk

covered:
	@$(BIN)/coverage report --fail-under=95 >/dev/null || { echo "coverage is below 95 %"; exit 1; }
	@$(BIN)/coverage report --include='*/policies/*,*/engine/*' --fail-under=100 >/dev/null || \
		{ echo "policies/ and engine/ are not fully covered"; exit 1; }

lint: $(VENV)/.linters
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(VENV)/.linters
	$(BIN)/mypy
	$(BIN)/mypy tests/conftest.py
	$(BIN)/basedpyright --level error --pythonpath $(BIN)/python tests/client/test_types.py
	PATH="$(abspath $(BIN)):$$PATH" basedpyright --verifytypes typed_async_client --ignoreexternal

format: $(VENV)/.linters
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.peers
	$(BIN)/python benchmarks/engine.py
	$(BIN)/python benchmarks/compare.py
	$(BIN)/python benchmarks/bodies.py

chart: $(BIN)/python
	$(BIN)/python benchmarks/chart.py build/compare.json docs/benchmark.svg

simulate: $(VENV)/.installed
	$(BIN)/python benchmarks/simulate.py

rescue: $(VENV)/.peers
	$(BIN)/python benchmarks/rescue.py --chart docs/rescue.svg

clean:
	rm -rf $(VENV) build dist

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or later is needed, this is " \
		+ sys.version.split()[0] + ": name another one, as in make PYTHON=python3.12")'
	@echo "installing into $(VENV) ..."
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	touch $@

$(VENV)/.peers: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --editable '.[bench]'
	touch $@

$(VENV)/.linters: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --editable '.[lint]'
	touch $@
