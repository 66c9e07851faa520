"""What versions cost, as tables."""

from __future__ import annotations

from typing import Any

from mstore.maintain.du import CommitUsage, GroupUsage, Usage
from mstore.objects import CommitId
from mstore.render.usage import usage_lines
from tests.unit.render.entries import marked

ID = CommitId(bytes([1]) * 32)


def _group(name: str, kilobytes: int) -> GroupUsage:
    return GroupUsage(name=name, raw_bytes=kilobytes * 1000, new_bytes=kilobytes * 1000)


def _usage(*groups: GroupUsage, raw_bytes: int = 4000, **fields: Any) -> Usage:
    made: dict[str, Any] = {"message": "m\x1b", "freed_bytes": 700, "protected_bytes": 0, **fields}
    commit = CommitUsage(id=ID, groups=groups, total=_group("total", 3), **made)
    return Usage(commits=(commit,), versions=2, raw_bytes=raw_bytes, pack_bytes=1000)


def test_a_version_its_groups_and_its_sum() -> None:
    lines = list(usage_lines(_usage(_group("a*\x1b", 2), _group("b", 1)), marked))
    assert lines == [
        f"<yellow>{ID.short}</> m\\x1b",
        "     raw  shared     new  stored  as delta  group",
        "  2.0 kB     0 B  2.0 kB     0 B       0 B  a*\\x1b",
        "  1.0 kB     0 B  1.0 kB     0 B       0 B  b",
        "  3.0 kB     0 B  3.0 kB     0 B       0 B  total",
        lines[5],
        "",
        lines[7],
    ]
    assert "700 B" in lines[5]
    for part in ("2 versions", "4.0 kB", "1.0 kB", "25%"):
        assert part in lines[7]


def test_what_a_delta_of_another_needs_is_told_apart() -> None:
    line = list(usage_lines(_usage(protected_bytes=900)))[3]
    assert "700 B" in line and "900 B" in line


def test_only_the_largest_groups_are_shown_and_the_sum_always() -> None:
    lines = list(usage_lines(_usage(*(_group(f"g{n}.", 1) for n in range(33)))))
    shown = [line.split()[-1] for line in lines if "kB" in line and line.startswith("  1.0")]
    assert shown == [f"g{n}." for n in range(30)]
    assert any(line.endswith("total") for line in lines)
    assert any("(3 smaller groups" in line for line in lines)


def test_an_empty_store_has_no_share() -> None:
    (line,) = usage_lines(Usage(commits=(), versions=0, raw_bytes=0, pack_bytes=0))
    assert "%" not in line and "0 versions" in line
