"""Writers, repack and gc at once, killed all the while: what was acknowledged is reachable, exactly."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.proofs.race.storm import storm


def test_what_was_acknowledged_is_reachable(tmp_path: Path) -> None:
    """Bad inputs 67 to 70: kill −9 anywhere, gc beside commits, two to a branch."""
    result = storm(tmp_path / "storm", processes=16, commits=6, kill_every_s=0.1)
    assert not result.violations, result
    assert result.acknowledged == 96
    assert result.kills > 0


@pytest.mark.slow
def test_a_long_storm(tmp_path: Path) -> None:
    result = storm(tmp_path / "storm", processes=16, commits=100, kill_every_s=0.1, seed=1)
    assert not result.violations, result
