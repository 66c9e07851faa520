"""What a check has found, while it runs and as a value."""

from __future__ import annotations

import dataclasses

import pytest

from mstore.maintain.findings import Findings, FsckResult, Problem, result_of


def test_findings_become_a_value_with_all_counts() -> None:
    findings = Findings(packs_seen=1, objects=2, commits=3, bytes_read=4, quick=True)
    findings.problem("pack", "is torn", "look")
    findings.warnings.append(Problem("x", "is odd"))
    assert result_of(findings) == FsckResult(
        problems=(Problem("pack", "is torn", (), "look"),),
        warnings=(Problem("x", "is odd"),),
        packs=1,
        objects=2,
        commits=3,
        bytes_read=4,
        quick=True,
    )


def test_the_value_stays_as_it_is() -> None:
    findings = Findings()
    result = result_of(findings)
    findings.problem("later", "is torn")
    assert result == FsckResult() and result.ok
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.packs = 3  # type: ignore[misc]


def test_a_warning_is_no_damage() -> None:
    findings = Findings(warnings=[Problem("x", "is odd")])
    assert result_of(findings).ok
    findings.problem("x", "is torn")
    assert not result_of(findings).ok


def test_two_checks_share_nothing() -> None:
    first = Findings()
    first.problem("x", "is torn")
    assert Findings() == Findings(quick=False) != first
