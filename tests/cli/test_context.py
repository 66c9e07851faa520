"""What every command shares: the repository that the options name, and its versions."""

from __future__ import annotations

import json
from pathlib import Path

import click
import pytest

from mstore.api.repository import Repository
from mstore.cli.context import Settings, examples, look_up, repo, settings
from mstore.history.query.revision_grammar import parse
from tests.cli.conftest import Run


def _path(found: Repository) -> Path:
    assert found.workspace is not None
    return found.workspace.path


def test_the_options_come_before_the_environment_and_a_workspace_before_a_store(
    mstore: Run, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mstore as package

    other = package.init(tmp_path / "other")
    nothing = Settings(None, None, None)
    assert _path(nothing.open()) == place / ".mstore"
    monkeypatch.setenv("MSTORE_STORE", str(other.store.path))
    assert nothing.open().workspace is None and nothing.open().store.path == other.store.path
    monkeypatch.setenv("MSTORE_WORKSPACE", str(tmp_path / "other"))
    assert _path(nothing.open()) == tmp_path / "other/.mstore"
    named = Settings(None, str(place), "Bo").open()
    assert _path(named) == place / ".mstore" and named.context.author == "Bo"
    assert Settings(str(place / ".mstore/store"), None, None).open().workspace is None
    monkeypatch.setenv("MSTORE_STORE", "")
    monkeypatch.setenv("MSTORE_WORKSPACE", "")
    assert _path(nothing.open()) == place / ".mstore", "an empty variable names nothing"


def test_a_command_opens_its_repository_once_and_closes_it(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[Repository] = []

    def close(self: Repository) -> None:
        closed.append(self)

    monkeypatch.setattr(Repository, "close", close)
    given = Settings(None, None, None)
    with click.Context(click.Command("log"), obj=given):
        opened = repo()
        assert repo() is opened and settings() is given
        assert closed == []
    assert closed == [opened]


def test_a_revision_is_looked_up_and_its_warning_shown_once(
    mstore: Run, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    warned: list[str] = []
    monkeypatch.setattr("mstore.cli.output.warn", warned.append)
    like_an_id = json.loads(mstore("log", "--json")[1])["versions"][0]["id"][:7]
    mstore("branch", like_an_id)
    with click.Context(click.Command("show")):
        found = look_up(parse(like_an_id))
        assert found.warning is None and found.id == look_up(None).id
    assert len(warned) == 1 and like_an_id in warned[0]


def test_examples_end_a_commands_help() -> None:
    command = examples("mstore log\nmstore log -n 3\n")(click.Command("log"))
    assert command.epilog == "\b\nExamples:\n  mstore log\n  mstore log -n 3"
