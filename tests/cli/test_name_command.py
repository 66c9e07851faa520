"""The options that branch and tag share, and what is said of a name that changed."""

from __future__ import annotations

import json
from typing import Any

import click
import pytest

from mstore.cli.name_command import NameChange, check_name, name_command
from mstore.objects import CommitId

ID = CommitId(bytes(32))


@pytest.mark.parametrize(
    ("name", "delete", "rename", "force", "said"),
    [
        (None, True, None, False, "NAME is missing"),
        (None, False, "x", False, "NAME is missing"),
        (None, False, None, True, "NAME is missing"),
        ("a", True, "x", False, "--delete goes with no other option"),
        ("a", True, None, True, "--delete goes with no other option"),
    ],
)
def test_options_that_contradict_each_other_are_refused(
    name: str | None, delete: bool, rename: str | None, force: bool, said: str
) -> None:
    with pytest.raises(click.UsageError, match=said):
        check_name(name, None, delete=delete, rename=rename, force=force)


def test_what_can_be_done_is_let_through() -> None:
    check_name(None, None, delete=False, rename=None, force=False)
    check_name("a", None, delete=True, rename=None, force=False)
    check_name("a", None, delete=False, rename="b", force=True)
    check_name("a", "main", delete=False, rename=None, force=True)


@pytest.mark.parametrize(("option", "rename"), [("--delete", None), ("--rename", "z")])
def test_a_revision_that_would_be_dropped_is_refused(option: str, rename: str | None) -> None:
    with pytest.raises(click.UsageError, match=f"{option} takes one NAME"):
        check_name("a", "r8", delete=rename is None, rename=rename, force=False)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (NameChange("branch", "made", "a", None, ID), "a → 0000000"),
        (NameChange("branch", "renamed", "b", "a", ID), "a is now b"),
        (
            NameChange("tag", "deleted", "a", None, ID),
            "Deleted tag a (was 0000000); `mstore undo` restores it",
        ),
    ],
)
def test_what_was_done_is_said_as_text_and_as_json(
    change: NameChange, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    change.show(False)
    assert capsys.readouterr().out.strip() == said
    with click.Context(click.Command(change.kind)):
        change.show(True)
    document = json.loads(capsys.readouterr().out)
    assert document["name"] == change.name and document["action"] == change.action


@pytest.mark.parametrize("kind", ["branch", "tag"])
def test_both_commands_take_the_same_options(kind: str) -> None:
    @click.command()
    @name_command(kind)
    def command(**given: Any) -> None:
        """Do nothing."""

    assert [p.name for p in command.params] == ["name", "rev", "delete", "rename", "force"]
    assert f"Delete {kind} NAME." in command.get_help(click.Context(command))
