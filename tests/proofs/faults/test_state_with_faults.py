"""The repository as a state machine, as in tests/property, on a disk that fails now and then.

A fault is drawn before an operation and meets one of its mutating calls. An
operation that fails has changed nothing that can be seen, and does what it
should when it is tried again.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import rule

from mstore.api.repository import Repository
from mstore.errors import StorageFailed
from tests.proofs.faults.shim import Fault, Shim
from tests.property.test_repository_state import Machine, read

FAULTS = (Fault.EIO, Fault.ENOSPC, Fault.EDQUOT, Fault.EINTR, Fault.SHORT)
_WRITES = frozenset(
    {"commit", "checkout", "make_branch", "delete_branch", "note", "undo", "repack", "gc"}
)


class _Shim(Shim):
    """Leaves alone the syncs of folders: when one fails after a rename, what happened is not known."""

    def _around(
        self, name: str, call: Callable[..., Any], args: tuple[Any, ...], named: dict[str, Any]
    ) -> Any:
        if name == "fsync" and stat.S_ISDIR(os.fstat(args[0]).st_mode):
            return call(*args, **named)
        return super()._around(name, call, args, named)


class _OnABadDisk:
    """A repository whose next operation meets a fault, if one is armed."""

    def __init__(self, repo: Repository, machine: FaultyMachine) -> None:
        self._repo, self._machine = repo, machine

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._repo, name)
        if name not in _WRITES:
            return method

        def tried(*args: Any, **named: Any) -> Any:
            armed, self._machine.armed = self._machine.armed, None
            if armed is None:
                return method(*args, **named)
            before = read(self._machine.folder)
            shim = _Shim(*armed, self._machine.root)
            step_aside = shim.install()
            try:
                return method(*args, **named)
            except StorageFailed:
                pass
            finally:
                step_aside()
            assert shim.happened, "failed without a fault"
            assert self._repo.branches() == self._machine.branches, shim.calls[-1]
            assert read(self._machine.folder) == before, shim.calls[-1]
            return method(*args, **named)

        return tried


class FaultyMachine(Machine):
    armed: tuple[int, Fault] | None = None

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "repo" and isinstance(value, Repository):
            value = _OnABadDisk(value, self)
        super().__setattr__(name, value)

    @rule(at=st.integers(0, 45), fault=st.sampled_from(FAULTS))
    def arm(self, at: int, fault: Fault) -> None:
        self.armed = (at, fault)

    def nothing_is_left_lying(self) -> None:
        """Staging folders of which the removal failed stay until the next checkout sweeps them."""

    @rule(now=st.booleans())
    def tend(self, now: bool) -> None:
        """gc with what the reflogs remember: every version of the model stays."""
        self.repo.repack() if now else self.repo.gc()


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="tells paths of descriptors by /proc")
class TestWithFaults(FaultyMachine.TestCase):  # type: ignore[valid-type,misc]  # made by hypothesis
    settings = settings(
        max_examples=int(os.environ.get("STATEFUL_EXAMPLES", "12")),
        stateful_step_count=int(os.environ.get("STATEFUL_STEPS", "30")),
        deadline=None,
    )
