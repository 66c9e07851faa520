"""How to commit, and what came of it."""

from __future__ import annotations

import dataclasses

import pytest

from mstore.commit.fields import CommitFields
from mstore.commit.options import CommitOptions, CommitResult
from mstore.objects import Commit, ManifestId, Time
from mstore.store import CommitSizes


def test_what_is_none_is_the_default_and_roles_are_a_set() -> None:
    assert CommitOptions.of({"message": None, "metadata": None, "append": None}) == CommitOptions()
    made = CommitOptions.of({"without": ["config", "config"], "metrics": {"a": 1.0}, "append": False})
    assert made.without == frozenset({"config"}) and made.metrics == {"a": 1.0}
    with pytest.raises(TypeError):
        CommitOptions.of({"mesage": "x"})  # codespell:ignore


def test_keywords_of_the_repository_are_the_options() -> None:
    assert set(CommitFields.__annotations__) == {f.name for f in dataclasses.fields(CommitOptions)}


def test_a_result_has_the_sizes_of_its_version() -> None:
    commit = Commit((), ManifestId(bytes(32)), "Ada", Time(0, 0), "one\nmore", {}, {})
    result = CommitResult(
        id=commit.id, commit=commit, branch="main", created=True, sizes=CommitSizes(3, 40, 5)
    )
    assert (result.size_bytes, result.tensors) == (40, 3)


def test_one_role_may_be_given_as_text() -> None:
    assert CommitOptions.of({"without": "training-state"}).without == {"training-state"}
    assert CommitOptions.of({"without": ["a", "b"]}).without == {"a", "b"}
