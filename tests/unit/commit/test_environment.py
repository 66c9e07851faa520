"""What a commit records of where it was made; what cannot be found out is left out."""

from __future__ import annotations

import platform
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from mstore.commit.environment import environment


def test_python_host_and_packages_are_recorded() -> None:
    found = environment()
    assert found["python"] == platform.python_version() and found["host"] == platform.node()
    assert found["packages"]["mstore"] and found["packages"]["numpy"] == np.__version__
    assert "nowhere" not in found["packages"]


def test_the_code_around_is_a_commit_and_whether_it_differs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shutil.which("git") is None:
        pytest.skip("no git here")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert "code" not in environment()
    run = ["git", "-c", "user.name=A", "-c", "user.email=a@example.org"]
    (tmp_path / "train.py").write_text("one")
    for command in (["init", "-q"], ["add", "train.py"], ["commit", "-qm", "x"]):
        subprocess.run([*run, *command], check=True)
    (tmp_path / "untracked").write_text("")
    code = environment()["code"]
    assert len(code["commit"]) == 40 and code["dirty"] is False
    (tmp_path / "train.py").write_text("two")
    assert environment()["code"] == {"commit": code["commit"], "dirty": True}


def test_without_git_there_is_no_code(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "code" not in environment()
