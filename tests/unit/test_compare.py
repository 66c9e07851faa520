"""compare shows what differs, and nothing else."""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path
from typing import Any

import pytest

import mstore
from mstore.api.repository import Repository
from mstore.errors import UsageError
from tests.conftest import write_adapter


@pytest.fixture
def repo(tmp_path: Path) -> Repository:
    repo = mstore.init(tmp_path, model_dir=tmp_path / "out")
    for number, rank in enumerate((4, 8, 8), 1):
        write_adapter(tmp_path / "out", rank=rank, seed=number)
        arguments = {"learning_rate": 1e-4 * number, "seed": 42, "output_dir": f"out-{number}"}
        repo.commit(
            message=f"v{number} <b>|",
            metrics={
                "eval_loss": 2.0 / number,
                "nan": math.nan,
                **({"acc": 0.5} if number == 3 else {}),
            },
            metadata={"training_arguments": arguments, "tags": ["a"], "run": {"attempt": str(number)}},
        )
    return repo


def test_what_differs(repo: Repository) -> None:
    found = repo.compare("HEAD~2", "HEAD~1", "HEAD")
    rows = dict(found.rows)
    assert rows["eval_loss"] == (2.0, 1.0, 2.0 / 3)
    assert rows["acc"] == (None, None, 0.5)
    assert rows["training_arguments.learning_rate"] == (1e-4, 2e-4, pytest.approx(3e-4))
    ranks = [values for name, values in found.rows if name.endswith(".rank")]
    assert ranks == [(4, 8, 8)]
    assert not {"nan", "tags", "training_arguments.seed"} & rows.keys()
    assert "training_arguments.output_dir" not in rows and "run.attempt" not in rows
    assert found.equal > 3 and found.hidden >= 2
    everything = dict(repo.compare("HEAD~2", "HEAD", everything=True).rows)
    assert everything["run.attempt"] == ("1", "3")


def test_it_prints_and_shows_itself(repo: Repository) -> None:
    found: Any = repo.compare("HEAD~1", "HEAD")
    assert "eval_loss" in str(found) and "0.666667" in str(found)
    assert "<b>" not in found._repr_html_() and "&lt;b&gt;" in found._repr_html_()


def test_one_is_not_enough(repo: Repository) -> None:
    with pytest.raises(UsageError, match="two versions"):
        repo.compare("HEAD")


def test_on_the_command_line(mstore: Any, workshop: Path) -> None:
    mstore("init")
    for number in (1, 2):
        write_adapter(workshop / "out", seed=number)
        mstore("commit", "out", "-m", f"v|{number}", "--metric", f"loss={number}", "--meta", "same=1")
    _, out, _ = mstore("compare", "HEAD~1", "HEAD")
    assert "loss" in out and "equal rows left out" in out and "same" not in out
    rows = list(csv.reader(io.StringIO(mstore("compare", "HEAD~1", "HEAD", "--csv")[1])))
    assert ["loss", "1", "2"] in rows
    assert "| loss | 1 | 2 |" in mstore("compare", "HEAD~1", "HEAD", "--md")[1]
    assert json.loads(mstore("compare", "HEAD~1", "HEAD", "--json")[1])["rows"]["loss"] == [1.0, 2.0]
    mstore("compare", "HEAD", code=2)
    mstore("compare", "HEAD", "HEAD~1", "--md", "--csv", code=2)


def test_the_log_marks_what_is_ill(mstore: Any, workshop: Path) -> None:
    mstore("init")
    write_adapter(workshop / "out")
    mstore("commit", "out", "-m", "diverged")
    mstore("note", "HEAD", "--meta", 'health={"not_finite": "NaN or infinity in w"}')
    assert "! NaN · diverged" in mstore("log")[1]
    assert "! NaN · diverged" in mstore("log", "--oneline")[1]
