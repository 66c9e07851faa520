"""What `make dist` built is what a user needs: in an empty environment, from wheel and from source.

Run by `make dist`, which builds both into dist/ first; `make test` leaves this folder out.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from mstore import __version__
from tests.conftest import contents, write_model

ROOT = Path(__file__).resolve().parents[2]
DIST = ROOT / "dist"
WHEEL = f"mstore-{__version__}-cp311-abi3-*.whl"
SOURCE = f"mstore-{__version__}.tar.gz"
Run = Callable[..., str]


def _built(pattern: str) -> Path:
    found = list(DIST.glob(pattern))
    assert len(found) == 1, f"dist/ has {[p.name for p in DIST.iterdir()]}: run `make dist`"
    return found[0]


def _package_files(*endings: str) -> set[str]:
    """Files of the package by path from its parent, as they lie in this checkout."""
    return {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "mstore").rglob("*")
        if path.suffix in endings and "__pycache__" not in path.parts
    }


# -- what is in them


def test_nothing_else_was_built() -> None:
    assert {p.name for p in DIST.iterdir()} == {_built(WHEEL).name, _built(SOURCE).name}


def test_the_wheel_has_the_package_and_nothing_else() -> None:
    with zipfile.ZipFile(_built(WHEEL)) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}
        metadata = wheel.read(f"mstore-{__version__}.dist-info/METADATA").decode()
    assert {name for name in names if name.endswith(".so")} == {"mstore/codec/_kernel.abi3.so"}
    assert names - {"mstore/codec/_kernel.abi3.so"} == _package_files(".py", ".pyi", ".typed")
    assert "mstore/py.typed" in names
    assert "Requires-Python: >=3.11" in metadata
    needed = re.findall(r"^Requires-Dist: (\w+)[^;\n]*$", metadata, re.MULTILINE)
    assert "numpy" in needed and not {"torch", "pytest"} & set(needed)


def test_the_source_has_all_that_a_build_needs() -> None:
    with tarfile.open(_built(SOURCE)) as source:
        files = {entry.name.partition("/")[2] for entry in source if entry.isfile()}
    package = {name for name in files if name.startswith("mstore/")}
    assert package == _package_files(".py", ".pyi", ".typed", ".c", ".h")
    assert len([name for name in package if name.endswith(".h")]) > 10
    others = {name for name in files - package if "egg-info/" not in name}
    assert others == {"LICENSE", "PKG-INFO", "README.md", "pyproject.toml", "setup.cfg", "setup.py"}


# -- what they do


@pytest.fixture(scope="module", params=[WHEEL, SOURCE], ids=["wheel", "source"])
def environment(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new environment with mstore in it, and what mstore asks for."""
    folder = tmp_path_factory.mktemp("fresh") / "venv"
    # Our pip installs into it: making another takes longer than all the rest.
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    pip += ["--python", str(folder / "bin/python")]
    lock = ROOT / "tests/requirements.lock"
    done = subprocess.run(
        [*pip, "install", "--quiet", "--no-compile", "--constraint", lock, _built(request.param)],
        cwd=folder.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    subprocess.run([*pip, "check"], check=True, stdout=subprocess.DEVNULL)
    return folder


@pytest.fixture
def run(environment: Path, tmp_path: Path) -> Run:
    """Runs a program of that environment in an empty folder; nothing of this checkout is in reach."""

    def call(program: str, *arguments: str) -> str:
        done = subprocess.run(
            [environment / "bin" / program, *arguments],
            cwd=tmp_path,
            env={k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL_ENV"))},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{program} {arguments}: {done.stdout}{done.stderr}"
        return done.stdout

    return call


def test_the_installed_package_is_the_one_that_runs(run: Run, environment: Path) -> None:
    place = Path(run("python", "-c", "import mstore; print(mstore.__file__)").strip())
    assert place.is_relative_to(environment)
    assert (place.parent / "py.typed").is_file()
    assert not (place.parents[1] / "tests").exists() and not (place.parents[1] / "docs").exists()


def test_the_kernel_is_compiled(run: Run) -> None:
    assert run("mstore", "--version") == f"mstore, version {__version__} (C kernel)\n"
    code = "import mstore.codec._kernel as k; print(k.__file__)"
    assert run("python", "-c", code).strip().endswith("/mstore/codec/_kernel.abi3.so")


def test_a_folder_comes_back_as_it_was(run: Run, tmp_path: Path) -> None:
    first = contents(write_model(tmp_path / "out", seed=1))
    run("mstore", "init", "--model-dir", "out")
    run("mstore", "commit", "-m", "one", "--metric", "loss=1.5")
    second = contents(write_model(tmp_path / "out", seed=2))
    run("mstore", "commit", "-m", "two")
    run("mstore", "checkout", "HEAD~1", "--to", "old")
    run("mstore", "checkout", "HEAD", "--to", "new")
    assert (contents(tmp_path / "old"), contents(tmp_path / "new")) == (first, second)
    assert "two" in run("mstore", "log", "--oneline")
    run("mstore", "fsck")


def test_only_hf_asks_for_torch(run: Run) -> None:
    code = """
try:
    import mstore.hf
    mstore.hf.load
except ImportError as error:
    print(error)
"""
    assert "torch" in run("python", "-c", code)


def test_types_reach_whoever_imports_it(environment: Path, tmp_path: Path) -> None:
    """By py.typed: without it mypy takes everything of a package for Any."""
    (tmp_path / "user.py").write_text('import mstore\n\nmstore.open("x").log(limit="five")\n')
    command = [sys.executable, "-m", "mypy", "--python-executable", str(environment / "bin/python")]
    done = subprocess.run(
        [*command, "user.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert 'Argument "limit" to "log" of "Repository"' in done.stdout, done.stdout + done.stderr
    assert "Found 1 error" in done.stdout


def test_there_is_a_compiler() -> None:
    """The kernel is optional to an install, and not to a wheel that others get."""
    import sysconfig

    compiler = (sysconfig.get_config_var("CC") or "cc").split()[0]
    assert shutil.which(compiler), f"no {compiler} here: what was built has no kernel"
