# Everything runs in .venv, which is made on first use and remade when pyproject.toml changes.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: help demo test test-quick test-slow check bench clean
.PHONY: crash posix faults mutants race interleavings stateful flips peers proof

help:
	@echo "make demo        train for a minute, commit, diff, check out, load, compare bit for bit"
	@echo "make test        all tests (make test-quick: those that need no torch)"
	@echo "make check       ruff, mypy --strict, import-linter"
	@echo "make bench       measure, interleaved with cp; writes docs/benchmarks.md"
	@echo "make proof       every figure of docs/durability.md: crash posix faults race interleavings"
	@echo "                 stateful flips mutants peers, each a target of its own (hours; some need root)"

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("mstore needs Python 3.11 or later; run make PYTHON=python3.11") if sys.version_info < (3, 11) else 0'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[dev]"
	@touch $@

demo: $(READY)
	$(BIN)/python examples/demo.py $(if $(MODEL),--model $(MODEL))

test: $(READY)
	$(BIN)/python -m pytest tests/test_architecture.py tests/unit tests/property tests/conformance tests/damage tests/compat tests/cli tests/bad_inputs tests/faults tests/crash tests/race tests/mutants -n 2
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

# The figures of docs/durability.md, in their long form.

crash: $(READY)
	$(BIN)/python -m tests.crash.explore --rounds 8 --subsets 24
	$(BIN)/python -m tests.crash.explore --rounds 8 --subsets 24 --seed 1 --options noauto_da_alloc,data=writeback
	$(BIN)/python -m tests.crash.explore --rounds 1 --subsets 2 --control fsync
	$(BIN)/python -m tests.crash.explore --rounds 1 --subsets 2 --control "directory fsync"
	if command -v mkfs.xfs; then $(BIN)/python -m tests.crash.explore --file-system xfs --rounds 4 --subsets 24; fi
	if command -v mkfs.btrfs; then $(BIN)/python -m tests.crash.explore --file-system btrfs --rounds 1 --subsets 2; fi

posix: $(READY)
	$(BIN)/python -m tests.crash.posix --rounds 2 --subsets 8

faults: $(READY)
	$(BIN)/python -m tests.faults.sweep

race: $(READY)
	$(BIN)/python -m tests.race.storm --processes 16 --commits 1000

interleavings: $(READY)
	$(BIN)/python -m pytest tests/race/test_interleave.py -m "slow or not slow"
	$(BIN)/python -m tests.race.interleave --actors "writer 1,writer 2"
	$(BIN)/python -m tests.race.interleave --preemptions 1 --keeper gc
	$(BIN)/python -m tests.race.interleave --preemptions 1 --keeper repack

stateful: $(READY)
	STATEFUL_EXAMPLES=5000 STATEFUL_STEPS=100 $(BIN)/python -m pytest tests/faults/test_state_with_faults.py

flips: $(READY)
	$(BIN)/python -m tests.damage.flips

mutants: $(READY)
	$(BIN)/python -m tests.mutants.run

peers: $(READY)
	$(BIN)/python -m tests.crash.peers

proof: crash posix faults race interleavings stateful flips mutants peers

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
