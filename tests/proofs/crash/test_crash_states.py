"""States of the disk after a power cut: a bounded sample, and controls that must lose."""

from __future__ import annotations

import pytest

from tests.proofs.crash.blockfile import why_not
from tests.proofs.crash.explore import Recording, explore, record

_REASON = why_not()
pytestmark = [
    pytest.mark.skipif(_REASON is not None, reason=str(_REASON)),
    pytest.mark.xdist_group("crash"),
]


def _recorded(control: str = "nothing") -> Recording:
    try:
        return record("ext4", control=control)
    except (OSError, FileNotFoundError) as error:
        pytest.skip(f"no loop device with ext4 can be mounted here: {error}")


def test_nothing_acknowledged_is_lost_or_torn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MSTORE_AUTHOR", "Ada")
    tally = explore(_recorded(), subsets=2, limit=250, every=4)
    assert tally.states > 150
    assert not tally.violations, tally.wrong


@pytest.mark.parametrize("control", ["fsync", "directory fsync"])
def test_the_harness_sees_what_is_not_synced(control: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MSTORE_AUTHOR", "Ada")
    tally = explore(_recorded(control), subsets=1, limit=80, every=4)
    assert any(what.startswith("lost") for what in tally.wrong), tally
