"""Results print themselves as their commands do, and a notebook shows the same text."""

from __future__ import annotations

import dataclasses
import html
import pickle
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import mstore
from mstore.api.repository import Repository
from mstore.api.results.printable import Printable
from mstore.cli import run
from tests.conftest import write_adapter

_HOSTILE = "<script>\x1b[31m"


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Repository]:
    monkeypatch.chdir(tmp_path)
    with mstore.init(model_dir="out") as repo:
        for rank in (4, 8):
            write_adapter(tmp_path / "out", rank=rank, seed=rank)
            repo.commit(message=_HOSTILE if rank == 8 else "first", metrics={"eval_loss": 8 / rank})
        repo.make_tag("v1", "HEAD~1", message="shipped")
        yield repo


@pytest.mark.parametrize(
    ("command", "ask"),
    [
        ("status", lambda repo: repo.status()),
        ("show", lambda repo: repo.show()),
        ("branch", lambda repo: repo.list_branches()),
        ("tag", lambda repo: repo.list_tags()),
        ("du HEAD", lambda repo: repo.du("HEAD")),
        ("fsck", lambda repo: repo.fsck()),
        ("compare HEAD~1 HEAD", lambda repo: repo.compare("HEAD~1", "HEAD")),
        ("gc --dry-run", lambda repo: repo.plan_gc()),
        ("forget --role training-state --dry-run", lambda repo: repo.plan_forget("training-state")),
        ("repack --dry-run", lambda repo: repo.plan_repack()),
    ],
)
def test_what_looks_prints_as_its_command(
    repo: Repository, capfd: pytest.CaptureFixture[str], command: str, ask: Callable[[Repository], Any]
) -> None:
    assert run(command.split()) == 0
    assert capfd.readouterr().out == f"{ask(repo)}\n"


def test_what_changes_prints_as_its_command(
    repo: Repository, capfd: pytest.CaptureFixture[str]
) -> None:
    def both(command: str, text: str) -> None:
        assert run(command.split()) == 0
        assert capfd.readouterr().out == f"{text}\n"

    here = str(repo.checkout("HEAD~1", to="b"))
    both("checkout HEAD~1 --to a", here.replace("→ b:", "→ a:").replace("'b')", "'a')"))
    unchanged = repo.commit()
    assert str(unchanged).startswith("[main] nothing changed since")
    both("commit", str(unchanged))
    write_adapter(Path("out"), rank=2, seed=2)
    made = str(repo.commit(message="third")).splitlines()
    assert re.fullmatch(r"\[main [0-9a-f]{7}\] third", made[0])
    assert made[1].startswith(" LoRA r=2 alpha=")
    assert str(repo.undo()).startswith("Undone: commit ")
    assert str(repo.gc()) and str(repo.repair()).endswith("all well")
    assert str(repo.reflog()).splitlines()[0].endswith(f"({repo.author})")


def test_a_notebook_shows_the_same_text_escaped(repo: Repository) -> None:
    results: list[Any] = [repo.show(), repo.list_branches(), repo.status(), repo.reflog()]
    for result in results:
        assert isinstance(result, Printable)
        page = result._repr_html_()
        assert "<script>" not in page and "\x1b" not in page
        inner = re.sub(r"</?(?:pre|span)[^>]*>", "", page)
        assert html.unescape(inner) == str(result)
    assert "\\x1b[31m" in str(repo.show())
    shown = results[0]._repr_html_()
    assert '<span style="font-weight: bold">files</span>' in shown
    assert '<span style="color: darkgoldenrod">commit ' in shown


def test_results_stay_values(repo: Repository) -> None:
    assert repo.fsck() == repo.fsck()
    assert pickle.loads(pickle.dumps(repo.fsck())) == repo.fsck()
    assert dataclasses.replace(repo.fsck(), packs=9).packs == 9
    first, second = repo.list_branches(), tuple(repo.list_branches())
    assert first == second
    assert repr(repo.fsck()).startswith("PrintableCheck(problems=()")


def test_a_plan_shows_itself_as_its_text(repo: Repository) -> None:
    write_adapter(Path("out"), rank=2, seed=2)
    plans: list[Any] = [
        repo.plan_commit(),
        repo.plan_checkout("HEAD~1", to="<b>"),
        repo.plan_import(["out"]),
        repo.plan_undo(),
        repo.plan_gc(),
        repo.plan_forget("training-state"),
        repo.plan_repack(),
        repo.plan_repair(),
    ]
    for plan in plans:
        page = plan._repr_html_()
        assert "<b>" not in page and page.startswith("<pre>")
        assert html.unescape(page.removeprefix("<pre>").removesuffix("</pre>")) == str(plan)


def test_an_import_prints_as_its_command(repo: Repository, capfd: pytest.CaptureFixture[str]) -> None:
    for step in (1, 2):
        write_adapter(Path(f"run/checkpoint-{step}"), rank=2, seed=step)
    text = str(repo.import_folders(["run"], branch="a"))
    assert run(["import", "run", "--branch", "b"]) == 0
    got = capfd.readouterr().out
    assert re.sub(r"\[b \w+\]", "", got.splitlines()[0]) == re.sub(
        r"\[a \w+\]", "", text.splitlines()[0]
    )
    assert len(got.splitlines()) == len(text.splitlines())


def test_one_folder_may_be_given_by_itself(repo: Repository) -> None:
    write_adapter(Path("run/checkpoint-1"), rank=2, seed=1)
    plan = repo.plan_import("run")
    assert plan.folders == repo.plan_import(["run"]).folders == repo.plan_import(Path("run")).folders
    planned = repo.import_folders("run", dry_run=True)
    assert not planned.commits and str(planned).startswith("would commit 1 folder, ")


def test_a_reflog_and_a_checkout_say_where(repo: Repository) -> None:
    assert str(repo.reflog()).splitlines()[0].split()[1] == "main@{0}"
    assert str(repo.reflog("v1")).split()[1] == "v1@{0}"
    assert "On branch main" in str(repo.checkout("main"))
    assert "HEAD is detached" in str(repo.checkout("HEAD~1"))
