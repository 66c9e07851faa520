"""reflog: the recorded moves of a ref, found by its short name."""

from __future__ import annotations

import pytest

import mstore
from mstore.api.repository import Repository
from mstore.context import Context
from mstore.errors import InvalidInput, RevisionNotFound, UsageError
from mstore.history.reflog import full_name, reflog


def test_head_is_its_branch(repo: Repository) -> None:
    for name in ("HEAD", "@", "main"):
        assert full_name(repo.context, name) == "heads/main"
    name, records = reflog(repo.context)
    assert name == "heads/main" and len(records) == 5
    assert records[0].new == repo.resolve("main") and records[-1].old is None
    assert [r.old for r in records[:-1]] == [r.new for r in records[1:]]


def test_a_branch_comes_before_a_tag_and_what_is_there_before_what_was(repo: Repository) -> None:
    repo.make_tag("other")
    repo.make_tag("v1")
    assert full_name(repo.context, "other") == "heads/other"
    assert full_name(repo.context, "v1") == "tags/v1"
    repo.delete_branch("other")
    assert full_name(repo.context, "other") == "tags/other"
    repo.delete_tag("other")
    assert full_name(repo.context, "other") == "heads/other", "its reflog is still there"


def test_what_never_was_has_no_reflog(repo: Repository) -> None:
    with pytest.raises(RevisionNotFound):
        reflog(repo.context, "never")
    with pytest.raises(InvalidInput):
        reflog(repo.context, "a..b")


def test_a_detached_head_has_none(repo: Repository, place: Context) -> None:
    repo.checkout("HEAD~1", force=True)
    for context, why in ((repo.context, "HEAD is detached"), (place, "has no HEAD")):
        with pytest.raises(UsageError, match=why):
            reflog(context)


def test_a_store_alone_has_no_head(repo: Repository) -> None:
    with (
        mstore.open(store=repo.location) as alone,
        pytest.raises(UsageError, match="has no HEAD") as met,
    ):
        alone.reflog()
    assert "mstore branch" in str(met.value.hint)
