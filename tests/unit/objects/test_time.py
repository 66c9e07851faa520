"""Moments and zones."""

from __future__ import annotations

import time
from typing import Any

import pytest

from mstore.errors import BadEncoding
from mstore.objects import Time

NOON = 1_793_534_400 * 10**9  # 2026-11-01 12:00 UTC


@pytest.mark.parametrize(
    ("zone", "text"),
    [
        (0, "2026-11-01T12:00:00+00:00"),
        (90, "2026-11-01T13:30:00+01:30"),
        (-570, "2026-11-01T02:30:00-09:30"),
    ],
)
def test_iso(zone: int, text: str) -> None:
    assert Time(NOON + 999_999_999, zone).iso() == text


def test_a_moment_without_a_date_is_a_number() -> None:
    assert Time(2**63 - 1, 0).iso().startswith("2262-")
    assert Time(10**30, 0).iso() == f"@{10**30}"


def test_now_is_now() -> None:
    before = time.time_ns()
    now = Time.now()
    assert before <= now.ns <= time.time_ns()
    assert now.zone_minutes == time.localtime().tm_gmtoff // 60


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        ([1], "a time must be [nanoseconds, zone]"),
        ([1, 2.0], "a time must be [nanoseconds, zone]"),
        ([True, 0], "a time must be [nanoseconds, zone]"),
        ("now", "a time must be [nanoseconds, zone]"),
        ([2**63, 0], "a time is out of range"),
        ([0, 1441], "a time is out of range"),
    ],
)
def test_pairs(value: Any, rule: str) -> None:
    assert Time.from_pair(Time(5, -60).to_pair(), "commit") == Time(5, -60)
    with pytest.raises(BadEncoding) as caught:
        Time.from_pair(value, "commit 1")
    assert (caught.value.where, caught.value.rule) == ("commit 1", rule)
