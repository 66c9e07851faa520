"""Power cuts on a disk that keeps only what POSIX promises."""

from __future__ import annotations

import os

import pytest

from tests.proofs.crash.posix import explore

pytestmark = pytest.mark.skipif(
    not os.path.isdir("/proc/self/fd"), reason="tells paths of descriptors by /proc"
)


def test_what_is_synced_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MSTORE_AUTHOR", "Ada")
    tally = explore(subsets=0)
    assert tally.states > 100
    assert not tally.violations, tally.wrong


@pytest.mark.parametrize("control", ["fsync", "directory fsync"])
def test_the_model_sees_what_is_not_synced(control: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MSTORE_AUTHOR", "Ada")
    assert explore(control=control, subsets=0, stop=True).wrong
