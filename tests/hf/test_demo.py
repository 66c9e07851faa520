"""The demo is the tutorial: it must run as it stands, and leave other people's folders alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

DEMO = Path(__file__).parents[2] / "examples" / "demo.py"


def _run(*words: str, home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(DEMO), *words],
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )


def test_all_of_it_holds(home: Path) -> None:
    done = _run("--out", "here", home=home)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "All of it held" in done.stdout
    assert sorted(p.name for p in home.iterdir()) == ["here"]


def test_a_folder_that_is_not_its_own_is_refused(home: Path) -> None:
    (home / "mine").mkdir()
    (home / "mine/thesis.txt").write_text("years of work")
    done = _run("--out", "mine", home=home)
    assert done.returncode == 1
    assert "FAILED" in done.stderr
    assert (home / "mine/thesis.txt").read_text() == "years of work"
