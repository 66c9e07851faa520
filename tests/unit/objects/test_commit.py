"""Commits: the map that is hashed, and the base."""

from __future__ import annotations

from typing import Any

import pytest

from mstore.errors import BadEncoding
from mstore.objects import Base, Commit, CommitId, ManifestId, Time, WeightsId, decode, encode

RAW = bytes(range(32))
COMMIT = Commit(
    (CommitId(RAW),),
    ManifestId(RAW),
    "Ada",
    Time(1, 60),
    "message",
    metadata={"lr": 1e-4},
    metrics={"loss": 1},
    weights={"": WeightsId(RAW)},
    base=Base(WeightsId(RAW), name="org/base"),
    extra={"later": True},
)


def test_the_map_of_a_commit() -> None:
    assert decode(COMMIT.encoded, "commit") == {
        "parents": [RAW],
        "manifest": RAW,
        "author": "Ada",
        "time": [1, 60],
        "message": "message",
        "metadata": {"lr": 1e-4},
        "metrics": {"loss": 1.0},
        "weights": {"": RAW},
        "base": {"weights": RAW, "name": "org/base"},
        "later": True,
    }
    assert Commit.decode(COMMIT.encoded) == COMMIT


def test_a_base_has_what_is_known() -> None:
    assert Base().to_map() == {}
    whole = Base(WeightsId(RAW), CommitId(RAW), "name", "main", {"x": 1})
    assert Base.from_map(whole.to_map(), "commit") == whole


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"metrics": {"loss": 1}}, "its metrics must be floats"),
        ({"parents": [b"x"]}, "expected a 32-byte id, found b'x'"),
        ({"base": []}, "the value of 'base' must be a map"),
        ({"base": {"weights": "w"}}, "the value of 'weights' must be bytes"),
        ({"time": [1]}, "a time must be [nanoseconds, zone]"),
    ],
)
def test_commits_that_break_a_rule(change: dict[str, Any], rule: str) -> None:
    encoded = encode({**decode(COMMIT.encoded, "commit"), **change})
    with pytest.raises(BadEncoding) as caught:
        Commit.decode(encoded, "commit 1")
    assert (caught.value.where, caught.value.rule) == ("commit 1", rule)
