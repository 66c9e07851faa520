"""What gc would do, as a value that prints and adds up."""

from __future__ import annotations

from typing import Any

import pytest

from mstore.errors import Conflict
from mstore.maintain.gc_plan import UNFINISHED, GcPlan, UnreachableCommit, no_longer_holds
from mstore.objects import CommitId
from tests.plans import assert_is_a_value

DAY_NS = 86_400 * 10**9


def _commit(number: int, branch: str | None, freed: int) -> UnreachableCommit:
    return UnreachableCommit(
        id=CommitId(bytes([number]) * 32),
        message=f"v{number}",
        time_ns=number * DAY_NS,
        branch=branch,
        freed_bytes=freed,
    )


def test_a_plan_that_frees_nothing_is_false_and_says_so() -> None:
    plan = GcPlan(store_bytes=5000, freed_bytes=0)
    assert not plan and str(plan) == "would remove nothing: 5.0 kB in packs, all of it needed"
    assert assert_is_a_value(plan)["versions"] == []


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"dead_packs": (b"a",)}, "would remove 1 unneeded pack"),
        ({"rewritten_packs": (b"a", b"b")}, "would rewrite 2 packs, without unneeded objects"),
        ({"merged_packs": (b"a", b"b", b"c")}, "would merge 3 small packs into one"),
        ({"trash_bytes": 400}, "would free 1.4 kB of 5.0 kB"),
    ],
)
def test_a_plan_says_what_goes(changes: dict[str, Any], line: str) -> None:
    plan = GcPlan(store_bytes=5000, freed_bytes=1000, **changes)
    lines = str(plan).splitlines()
    assert plan and line in lines and lines[-1].startswith("would free ")


def test_bytes_are_told_by_the_branch_that_had_them() -> None:
    commits = (_commit(1, "try", 100), _commit(2, None, 10), _commit(3, "try", 5))
    plan = GcPlan(commits=commits, unfinished_bytes=7, dead_packs=(b"a",))
    assert plan.branches() == {"try": 105, UNFINISHED: 17}
    assert "3 versions that no name reaches" in str(plan)
    document = assert_is_a_value(plan)
    assert document["branch_bytes"] == {"try": 105, UNFINISHED: 17} and document["dead_pack_count"] == 1
    first = document["versions"][0]
    assert first["time"].startswith("1970-01-02T00:00:00") and first["id"] == "01" * 32
    assert (first["subject"], first["branch"], first["freed_bytes"]) == ("v1", "try", 100)


def test_a_plan_that_no_longer_holds_is_a_conflict() -> None:
    error = no_longer_holds("another gc was at work")
    assert (
        isinstance(error, Conflict) and str(error) == "another gc was at work since this plan was made"
    )
