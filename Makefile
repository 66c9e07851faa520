# Everything runs in .venv, which is made on first use and brought up to date when pyproject.toml
# or the lock changes. The lock says which version of each dependency that is.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
LOCK := tests/requirements.lock
# COVERAGE=1 records which lines and branches of mstore the tests run, in processes that they start
# too; `make coverage` reports. Not in proofs: mutants are copies of mstore, and would be counted.
RECORDED := $(BIN)/$(if $(COVERAGE),coverage run,python) -m pytest

PROOFS := proof-crash proof-posix proof-faults proof-race proof-interleavings \
          proof-stateful proof-flips proof-mutants proof-peers

# One after the other, also under `make -j`: tests bring their own parallelism, proofs want the machine.
.NOTPARALLEL:
.PHONY: help demo test test-quick test-proofs test-hf test-slow check coverage dist lock bench clean proof $(PROOFS)

help:
	@echo "make demo        train for a minute, commit, diff, check out, load, compare bit for bit"
	@echo "make test        all tests, the quick ones first (alone: test-quick, test-proofs, test-hf)"
	@echo "make test T=tests/unit/store/test_refs.py::test_no_reflog"
	@echo "                 just that; T is anything that pytest takes"
	@echo "make check       ruff, codespell, mypy (strict in mstore), import-linter"
	@echo "make coverage    what was recorded by: make test COVERAGE=1"
	@echo "make dist        builds a source distribution and a wheel, tries each in an empty environment"
	@echo "make lock        bring $(LOCK) in line with pyproject.toml; UPGRADE=1 raises all versions"
	@echo "make bench       measure, interleaved with cp; writes docs/benchmarks.md"
	@echo "make proof       every figure of docs/durability.md (hours; some need root); one alone:"
	@printf '                 %s\n' $(PROOFS)

$(READY): pyproject.toml $(LOCK)
	@$(PYTHON) -c 'import sys; sys.exit("mstore needs Python 3.11 or later; run make PYTHON=python3.11") if sys.version_info < (3, 11) else 0'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[dev]" --constraint $(LOCK)
	@touch $@

demo: $(READY)
	$(BIN)/python examples/demo.py $(if $(MODEL),--model $(MODEL))

# Quick ones first; what is not in the first run has a run of its own (a test holds this).
ifdef T
test: $(READY)
	$(BIN)/python -m pytest $(T)
else
test: test-quick test-proofs test-hf
endif

test-quick: $(READY)
	$(if $(COVERAGE),$(BIN)/coverage erase)
	$(RECORDED) tests --ignore=tests/proofs --ignore=tests/hf --ignore=tests/dist -n 2

test-proofs: $(READY)
	$(BIN)/python -m pytest tests/proofs -n 2

test-hf: $(READY)
	$(RECORDED) tests/hf

test-slow: $(READY)
	$(BIN)/python -m pytest tests -m slow

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell
	$(BIN)/mypy
	$(BIN)/lint-imports

# What `make test COVERAGE=1` recorded; fails below the floor in pyproject.toml.
coverage: $(READY)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

# The wheel is built from the source distribution, as it would be elsewhere.
dist: $(READY)
	rm -rf dist
	$(BIN)/python -m build
	$(BIN)/python -m pytest tests/dist

# For all platforms and Pythons at once, with one version for all where there is one: checks then
# say the same on each. uv has an environment of its own: what cannot be installed by the old lock
# can still be locked anew.
lock:
	$(PYTHON) -m venv build/lock
	build/lock/bin/python -m pip install --quiet --disable-pip-version-check uv
	build/lock/bin/uv pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest \
		--no-emit-index-url --custom-compile-command "make lock" --extra dev \
		$(if $(UPGRADE),--upgrade) \
		--output-file $(LOCK) pyproject.toml

bench: $(READY)
	$(BIN)/python benchmarks/run.py

# The figures of docs/durability.md, in their long form; `make test` runs a bounded form of each.

proof-crash: $(READY)
	$(BIN)/python -m tests.proofs.crash.explore --rounds 8 --subsets 24
	$(BIN)/python -m tests.proofs.crash.explore --rounds 8 --subsets 24 --seed 1 --options noauto_da_alloc,data=writeback
	$(BIN)/python -m tests.proofs.crash.explore --rounds 1 --subsets 2 --control fsync
	$(BIN)/python -m tests.proofs.crash.explore --rounds 1 --subsets 2 --control "directory fsync"
	if command -v mkfs.xfs; then $(BIN)/python -m tests.proofs.crash.explore --file-system xfs --rounds 4 --subsets 24; fi
	if command -v mkfs.btrfs; then $(BIN)/python -m tests.proofs.crash.explore --file-system btrfs --rounds 1 --subsets 2; fi

proof-posix: $(READY)
	$(BIN)/python -m tests.proofs.crash.posix --rounds 2 --subsets 8

proof-faults: $(READY)
	$(BIN)/python -m tests.proofs.faults.sweep

proof-race: $(READY)
	$(BIN)/python -m tests.proofs.race.storm --processes 16 --commits 1000

proof-interleavings: $(READY)
	$(BIN)/python -m pytest tests/proofs/race/test_interleave.py -m "slow or not slow"
	$(BIN)/python -m tests.proofs.race.interleave --actors "writer 1,writer 2"
	$(BIN)/python -m tests.proofs.race.interleave --preemptions 1 --keeper gc
	$(BIN)/python -m tests.proofs.race.interleave --preemptions 1 --keeper repack

proof-stateful: $(READY)
	STATEFUL_EXAMPLES=5000 STATEFUL_STEPS=100 $(BIN)/python -m pytest tests/proofs/faults/test_state_with_faults.py

proof-flips: $(READY)
	$(BIN)/python -m tests.proofs.damage.flips

proof-mutants: $(READY)
	$(BIN)/python -m tests.proofs.mutants.run

proof-peers: $(READY)
	$(BIN)/python -m tests.proofs.crash.peers

proof: $(PROOFS)

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
