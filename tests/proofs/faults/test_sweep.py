"""Faults at every mutating call of every command: a sample here, all of them by `make proof-faults`."""

from __future__ import annotations

import os

import pytest

from tests.proofs.faults.commands import COMMANDS, Command
from tests.proofs.faults.shim import Fault
from tests.proofs.faults.sweep import sweep

pytestmark = pytest.mark.skipif(
    not os.path.isdir("/proc/self/fd"), reason="tells paths of descriptors by /proc"
)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda c: c.name)
def test_a_fault_leaves_all_as_it_was_or_as_it_should_be(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bad inputs 65 to 67: a prime stride, so that every fault meets every kind of call."""
    monkeypatch.setenv("MSTORE_AUTHOR", "Ada")
    tally = sweep(command, tuple(Fault), every=61 if command.name.startswith("init") else 17)
    assert tally.cases > 0
    assert not tally.wrong, "\n".join(tally.wrong[:10])
