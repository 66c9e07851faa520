"""tag: names for versions that stay where they are."""

from __future__ import annotations

import pytest

from mstore.api.repository import Repository
from mstore.errors import Conflict, InvalidInput, NotFound, RevisionNotFound
from mstore.history.tags import delete_tag, make_tag, rename_tag, tags
from mstore.objects import CommitId


def test_a_tag_with_a_message_is_an_object_of_its_own(repo: Repository) -> None:
    context, tip = repo.context, repo.resolve("main")
    assert make_tag(context, "light", tip) == tip
    assert make_tag(context, "v1", tip, message="the first\nof many") == tip
    light, said = tags(context)
    assert (light.name, light.id, light.tag) == ("light", tip, None)
    assert (said.name, said.id) == ("v1", tip)
    assert said.tag is not None
    assert (said.tag.message, said.tag.author, said.tag.name) == (
        "the first\nof many",
        context.author,
        "v1",
    )


def test_a_tag_stays_where_it_is_unless_forced(repo: Repository) -> None:
    context, tip, before = repo.context, repo.resolve("main"), repo.resolve("main~1")
    make_tag(context, "v1", before)
    with pytest.raises(Conflict, match="tag 'v1' exists"):
        make_tag(context, "v1", tip)
    assert tags(context)[0].id == before
    make_tag(context, "v1", tip, force=True)
    assert tags(context)[0].id == tip
    repo.undo()
    assert tags(context)[0].id == before


def test_a_name_or_a_version_that_will_not_do_is_refused(repo: Repository) -> None:
    with pytest.raises(InvalidInput):
        make_tag(repo.context, "a..b", repo.resolve("main"))
    with pytest.raises(NotFound):
        make_tag(repo.context, "v1", CommitId(bytes(32)), message="x")
    assert tags(repo.context) == ()


def test_tags_are_renamed_and_deleted(repo: Repository) -> None:
    context, tip = repo.context, repo.resolve("main")
    make_tag(context, "v1", tip, message="said")
    rename_tag(context, "v1", "v2")
    assert [(t.name, t.id) for t in tags(context)] == [("v2", tip)]
    assert delete_tag(context, "v2") == tip
    assert tags(context) == ()
    with pytest.raises(RevisionNotFound):
        delete_tag(context, "v2")
    with pytest.raises(RevisionNotFound):
        rename_tag(context, "v2", "v3")
