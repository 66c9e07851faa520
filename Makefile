# Everything runs in .venv, which is made on first use and remade when pyproject.toml changes.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: help demo test test-quick test-slow check bench clean

help:
	@echo "make demo        train for a minute, commit, diff, check out, load, compare bit for bit"
	@echo "make test        all tests (make test-quick: those that need no torch)"
	@echo "make check       ruff, mypy --strict, import-linter"
	@echo "make bench       measure, interleaved with cp; writes docs/benchmarks.md"

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("mstore needs Python 3.11 or later; run make PYTHON=python3.11") if sys.version_info < (3, 11) else 0'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[dev]"
	@touch $@

demo: $(READY)
	$(BIN)/python examples/demo.py $(if $(MODEL),--model $(MODEL))

test: $(READY)
	$(BIN)/python -m pytest tests/test_architecture.py tests/unit tests/property tests/conformance tests/damage tests/compat tests/cli tests/bad_inputs -n 2
	$(BIN)/python -m pytest tests/hf

test-quick: $(READY)
	$(BIN)/python -m pytest tests --ignore=tests/hf -n 2

test-slow: $(READY)
	$(BIN)/python -m pytest tests -m slow

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(READY)
	$(BIN)/python benchmarks/run.py

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
