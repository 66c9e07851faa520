"""log: which versions, in which order."""

from __future__ import annotations

import pytest

from mstore.api.repository import Repository
from mstore.errors import UsageError


def test_orders(repo: Repository) -> None:
    assert [e.message for e in repo.log(sort="eval_loss")] == ["s3", "s5", "s2", "s1", "s4"]
    assert [e.message for e in repo.log(sort="-eval_loss", limit=2)] == ["s1", "s2"]
    # Who has no value comes last.
    everything = [e.message for e in repo.log(all=True, sort="acc")]
    assert everything[:2] == ["s4", "s6"] and len(everything) == 7
    assert [e.message for e in repo.log(where="step > 0", sort="-step", all=True, limit=1)] == ["s6"]


def test_a_slip_is_met_with_what_is_near(repo: Repository) -> None:
    with pytest.raises(UsageError) as met:
        repo.log(where="evall_loss < 2")
    assert "eval_loss" in str(met.value.hint)
    with pytest.raises(UsageError, match="'los'"):
        repo.log(sort="los")


def test_a_column_that_no_version_has_a_value_in_matches_nothing(repo: Repository) -> None:
    assert not repo.log(where="epoch > 1") and repo.log(where="epoch > 1 or step > 0")
    assert len(repo.log(sort="epoch")) == len(repo.log())
    with pytest.raises(UsageError, match="no version here has 'nosuch'"):
        repo.log(where="nosuch > 3")
