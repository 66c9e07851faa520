"""What repair would do, as a value that prints and adds up."""

from __future__ import annotations

from mstore.maintain.findings import FsckResult, Problem
from mstore.maintain.repair_plan import PackRepair, ReflogRepair, RefRepair, RepairPlan
from mstore.objects import BlobId, CommitId
from tests.plans import assert_is_a_value

COMMIT, BLOB = CommitId(bytes([1]) * 32), BlobId(bytes([2]) * 32)
DAMAGED = FsckResult(problems=(Problem("x", "is torn"),))


def test_nothing_to_repair_is_false_and_says_so() -> None:
    document = assert_is_a_value(RepairPlan())
    assert not RepairPlan() and document["ok"] is True and document["source_path"] is None


def test_what_only_stays_lost_is_nothing_to_run() -> None:
    plan = RepairPlan(lost=(BLOB, COMMIT), found=DAMAGED)
    assert not plan and "2 objects" in str(plan)
    document = assert_is_a_value(plan)
    assert document["ok"] is False and document["lost"] == [BLOB.hex, COMMIT.hex]


def test_each_repair_is_a_line_with_its_counts() -> None:
    plan = RepairPlan(
        reflogs=(ReflogRepair("heads/main", 7, 3),),
        refs=(RefRepair("tags/v1", COMMIT),),
        packs=(PackRepair(bytes([3]) * 32, 900, 5, (0, 2)),),
        source="/other",
        fetched=(BLOB, COMMIT),
        found=DAMAGED,
    )
    log, ref, pack, fetched = str(plan).splitlines()
    assert "logs/heads/main" in log and "3" in log and "7" in log
    assert "refs/tags/v1" in ref and COMMIT.short in ref
    assert "pack 030303030303" in pack and "2 of 5" in pack
    assert "2 objects" in fetched and "/other" in fetched
    document = assert_is_a_value(plan)
    assert document["reflogs"] == [{"ref": "heads/main", "kept_count": 7, "cut_count": 3}]
    assert document["refs"] == [{"ref": "tags/v1", "id": COMMIT.hex}]
    (one,) = document["packs"]
    assert (one["object_count"], one["whole_count"], one["size_bytes"]) == (5, 2, 900)
    assert one["quarantine"] == f"quarantine/{'03' * 32}.pack" and one["quarantine"] in pack
    assert document["fetched"] == [BLOB.hex, COMMIT.hex]


def test_each_kind_of_repair_alone_is_something_to_run() -> None:
    assert RepairPlan(reflogs=(ReflogRepair("heads/a", 0, 1),))
    assert RepairPlan(refs=(RefRepair("heads/a", COMMIT),))
    assert RepairPlan(packs=(PackRepair(bytes(32), 1, 0, ()),))
    assert RepairPlan(source="/other", fetched=(BLOB,))
