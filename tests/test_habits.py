"""The habits of the house that a program can check: what is locked, and what is checked."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]


def _pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


# -- the lock


def _locked() -> dict[str, list[Requirement]]:
    """Each line of the lock by name; a name has several where Pythons or platforms differ."""
    found: dict[str, list[Requirement]] = {}
    for line in (ROOT / "tests/requirements.lock").read_text().splitlines():
        if line and not line.lstrip().startswith("#"):
            requirement = Requirement(line)
            found.setdefault(canonicalize_name(requirement.name), []).append(requirement)
    return found


def _wanted(extra: str = "") -> Iterator[Requirement]:
    """What pyproject.toml asks for, an extra that names one of ours followed."""
    project = _pyproject()["project"]
    for text in project["optional-dependencies"][extra] if extra else project["dependencies"]:
        requirement = Requirement(text)
        if requirement.name == "mstore":
            for inner in sorted(requirement.extras):
                yield from _wanted(inner)
        else:
            yield requirement


def test_the_lock_has_what_is_asked_for() -> None:
    """What to do where it has not: `make lock`."""
    locked = _locked()
    wanted = [*_wanted(), *_wanted("dev")]
    assert {"numpy", "torch", "pytest"} <= {requirement.name for requirement in wanted}
    for requirement in wanted:
        lines = locked.get(canonicalize_name(requirement.name))
        assert lines, f"{requirement.name} is not in the lock"
        for line in lines:
            (pinned,) = line.specifier
            assert pinned.operator == "=="
            assert requirement.specifier.contains(pinned.version, prereleases=True), (
                f"pyproject.toml asks for {requirement}, the lock has {line}"
            )


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
@pytest.mark.parametrize("platform", ["linux", "darwin"])
def test_the_lock_has_one_version_for_each_python_and_platform(python: str, platform: str) -> None:
    where = {"python_version": python, "python_full_version": f"{python}.4", "sys_platform": platform}
    for requirement in (*_wanted(), *_wanted("dev")):
        lines = _locked()[canonicalize_name(requirement.name)]
        holds = [line for line in lines if line.marker is None or line.marker.evaluate(where)]
        assert len(holds) == 1, f"{requirement.name}: {[str(line) for line in holds]}"


def test_numpy_is_one_version_on_every_python() -> None:
    """mypy reads its stubs: with another version on another Python it finds other errors."""
    assert len(_locked()["numpy"]) == 1


def test_the_lock_names_versions_and_no_place() -> None:
    """Where packages come from is the machine's business."""
    text = (ROOT / "tests/requirements.lock").read_text()
    assert not re.search(r"://|^-|@|\+", text, re.MULTILINE)
    assert "--constraint $(LOCK)" in (ROOT / "Makefile").read_text()


# -- what is checked


def _recipe(target: str) -> list[str]:
    """The lines that make runs for a target."""
    found = re.search(rf"^{target}:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert found is not None, f"the Makefile has no {target}"
    return [line.strip() for line in found.group(1).splitlines()]


def test_the_hooks_run_what_make_check_runs() -> None:
    """In the same order, each on the whole tree."""
    (local,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert local["repo"] == "local", "a hook from elsewhere would be another version than the lock's"
    entries = [hook["entry"] for hook in local["hooks"]]
    assert entries == [line.replace("$(BIN)", ".venv/bin") for line in _recipe("check")]
    assert len(entries) >= 5
    for hook in local["hooks"]:
        assert hook["always_run"] and not hook["pass_filenames"], hook["id"]


def test_pre_commit_takes_the_hooks() -> None:
    command = [sys.executable, "-m", "pre_commit", "validate-config", ".pre-commit-config.yaml"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("folder", ["mstore", "tests", "benchmarks", "examples", "docs"])
def test_types_are_checked_everywhere(folder: str) -> None:
    """mstore strictly; an override of others leaves no body unchecked and no error unseen."""
    mypy = _pyproject()["tool"]["mypy"]
    assert mypy["strict"] is True and folder in mypy["files"]
    for override in mypy["overrides"]:
        assert not override.get("ignore_errors")
        assert not any(name.startswith("mstore") for name in override["module"])
        if "disallow_untyped_defs" in override:
            assert override["check_untyped_defs"] is True


def test_a_misspelt_word_is_found(tmp_path: Path) -> None:
    config = ["--toml", str(ROOT / "pyproject.toml")]
    command = [sys.executable, "-m", "codespell_lib", *config, "right.md", "wrong.md"]
    (tmp_path / "right.md").write_text("a version is committed\n")
    (tmp_path / "wrong.md").write_text("a version is commited\n")  # codespell:ignore
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "wrong.md:1: commited ==> committed" in done.stdout  # codespell:ignore
    assert "right.md" not in done.stdout


# -- what tests reach


def _made(*arguments: str) -> list[str]:
    """What make would run, whatever it was told that runs these tests."""
    ours = {"MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "COVERAGE"}
    done = subprocess.run(
        ["make", "--dry-run", "--no-print-directory", *arguments],
        cwd=ROOT,
        env={k: v for k, v in os.environ.items() if k not in ours},
        capture_output=True,
        text=True,
        check=True,
    )
    return [line for line in done.stdout.splitlines() if "pytest" in line or "coverage" in line]


def test_coverage_is_measured_by_the_checks_and_not_at_a_desk() -> None:
    checks = (ROOT / ".ci/run").read_text().splitlines()
    assert checks.index("make test COVERAGE=1") < checks.index("make coverage")
    assert not [line for line in _made("test") if "coverage" in line]
    erase, *runs = _made("test", "COVERAGE=1")
    assert erase.endswith("/coverage erase"), "what an older run recorded would be counted"
    recorded = ["coverage run -m pytest" in line for line in runs]
    proofs = ["tests/proofs -n" in line for line in runs]
    assert recorded == [not proof for proof in proofs] and recorded.count(True) == 2
    assert _made("coverage")[-1].endswith("/coverage report"), "the report fails below the floor"


def test_the_floor_of_coverage_only_rises() -> None:
    """Raise the number here with the one there."""
    coverage = _pyproject()["tool"]["coverage"]
    assert coverage["report"]["fail_under"] >= 96.5
    assert coverage["run"]["branch"] is True and coverage["run"]["source_pkgs"] == ["mstore"]


def test_processes_that_tests_start_are_counted(tmp_path: Path) -> None:
    """One that runs `python -m mstore` by subprocess reaches the command line's modules."""
    (tmp_path / "starts.py").write_text(
        "import subprocess, sys\nsubprocess.run([sys.executable, '-m', 'mstore', 'init'], check=True)\n"
    )
    coverage = [sys.executable, "-m", "coverage"]
    config = f"--rcfile={ROOT / 'pyproject.toml'}"
    environment = {k: v for k, v in os.environ.items() if not k.startswith("COVERAGE_")}
    for command in (
        [*coverage, "run", config, "starts.py"],
        [*coverage, "combine", "--quiet", config],
        [*coverage, "json", "--quiet", config, "--fail-under=0", "-o", "found.json"],
    ):
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
    files = json.loads((tmp_path / "found.json").read_text())["files"]
    (found,) = (about for name, about in files.items() if name.endswith("commands/init.py"))
    assert found["summary"]["percent_covered"] > 50


# -- what contributors are told


def test_contributors_are_told_what_is_there() -> None:
    """Each target of make, each test and each file that CONTRIBUTING.md names."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    made = set(re.findall(r"(?:`|^)make ([a-z-]+)", text, re.MULTILINE))
    assert made >= {"check", "test", "lock", "coverage", "dist", "bench"} and made <= targets
    places = re.findall(r"(?:tests|docs|mstore|benchmarks|\.ci)/[\w./-]*\w", text)
    assert len(places) > 20
    for place in set(places) - {"tests/compat/cli-0.3.md"}:
        assert (ROOT / place).exists(), place
    for path, name in re.findall(r"(tests/\S+\.py)::(\w+)", text):
        assert f"def {name}(" in (ROOT / path).read_text()
