"""Orders of the steps of writers, a reader and who tends the store."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.proofs.race.interleave import World, search

PAIRS = [
    ("writer 1", "writer 2"),
    ("keeper", "writer 1"),
    ("keeper", "reader"),
    ("keeper", "writer 1", "reader"),
]


@pytest.mark.parametrize("keeper", ["gc", "repack"])
@pytest.mark.parametrize("names", PAIRS, ids=" and ".join)
def test_one_preemption(tmp_path: Path, names: tuple[str, ...], keeper: str) -> None:
    """Every order in which one actor is made to wait once."""
    tally = search(World(tmp_path, keeper), names, preemptions=1)
    assert not tally.violations, tally.violations[0]
    assert tally.complete and tally.runs > 20


@pytest.mark.slow
@pytest.mark.parametrize("keeper", ["gc", "repack"])
@pytest.mark.parametrize("names", PAIRS[:3], ids=" and ".join)
def test_two_preemptions(tmp_path: Path, names: tuple[str, ...], keeper: str) -> None:
    tally = search(World(tmp_path, keeper), names, preemptions=2)
    assert not tally.violations, tally.violations[0]


def test_the_search_sees_a_lost_update(tmp_path: Path) -> None:
    """A control: without the lock around a move, two writers lose one."""
    import contextlib
    from unittest import mock

    from tests.proofs.race.interleave import SteppingBackend

    def compare_and_swap(
        self: SteppingBackend, key: str, expected: bytes | None, content: bytes | None
    ) -> bool:
        return bool(
            self.step(
                "swap", key, lambda: self.inner.compare_and_swap(key, self.inner.kept.get(key), content)
            )
        )

    with (
        mock.patch.object(SteppingBackend, "lock", lambda *_, **__: contextlib.nullcontext()),
        mock.patch.object(SteppingBackend, "compare_and_swap", compare_and_swap),
    ):
        tally = search(World(tmp_path, "gc"), ("writer 1", "writer 2"), preemptions=1)
    assert tally.violations
