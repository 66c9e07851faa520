"""Take out in turn what durability rests on; do the proofs notice?

Run as `python -m tests.proofs.mutants.run`.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import mstore
from tests.proofs.mutants.sites import EXEMPT, Mutant, mutants

_ROOT: Final = Path(__file__).parents[3]
_LIMIT_S: Final = 600
_PYTEST: Final = ("-m", "pytest", "-q", "-x", "-n", "0", "-p", "no:cacheprovider")
PROOFS: Final = {
    "units": (
        *_PYTEST,
        "tests/proofs/faults/test_protocol.py",
        "tests/conformance",
        "tests/unit/store/test_refs.py",
        "tests/unit/maintain/test_gc.py",
        "tests/unit/store/test_store.py",
        "tests/unit/maintain/test_repack.py",
        "tests/unit/history/test_status.py",
        "tests/unit/fs/test_locks.py",
        "tests/unit/worktree/test_writer.py",
        "tests/unit/checkout/test_replace.py",
        "tests/unit/checkout/test_undo.py",
        "tests/unit/staging/test_resume.py",
        "tests/unit/checkout/test_cache.py",
    ),
    "damage": (*_PYTEST, "tests/proofs/damage"),
    "posix": ("-m", "tests.proofs.crash.posix", "--rounds", "1", "--subsets", "0", "--stop"),
    "crash": ("-m", "tests.proofs.crash.explore", "--rounds", "1", "--subsets", "2", "--stop"),
    "faults": ("-m", "tests.proofs.faults.sweep", "--every", "9"),
    "interleavings": (*_PYTEST, "tests/proofs/race/test_interleave.py"),
    "training": (*_PYTEST, "tests/unit/staging", "tests/unit/training", "tests/hf/test_background.py"),
    "storm": ("-m", "tests.proofs.race.storm", "--processes", "12", "--commits", "25"),
}
"""Command lines that fail when something does not hold."""

BY_KIND: Final = {
    "sync": ("units", "posix", "crash", "faults"),
    "lock": ("units", "interleavings", "storm", "faults"),
    "lean": ("units", "interleavings", "storm"),
    "compare": ("units", "interleavings", "storm"),
    "check": ("units", "damage", "interleavings", "faults"),
}
"""Proofs that are to notice, the quickest first."""


def proofs_of(mutant: Mutant, only: str = "") -> tuple[str, ...]:
    """The proofs that are to notice a mutant; with `only`, that one or none."""
    names = (
        ("training",)
        if mutant.file.startswith(("hf/", "staging/", "training/"))
        else BY_KIND[mutant.kind]
    )
    return tuple(name for name in names if only in ("", name))


def caught_by(mutant: Mutant, scratch: Path, only: str = "") -> str | None:
    """The first proof that fails for a mutant; None if it survives them all."""
    for name in proofs_of(mutant, only):
        if not _holds(PROOFS[name], scratch):
            return name
    return None


def _holds(proof: tuple[str, ...], scratch: Path) -> bool:
    environment = {
        **os.environ,
        "PYTHONPATH": str(scratch),
        "PYTHONDONTWRITEBYTECODE": "1",
        "MSTORE_AUTHOR": "Ada",
    }
    try:
        done = subprocess.run(
            [sys.executable, *proof],
            cwd=scratch,
            env=environment,
            capture_output=True,
            timeout=_LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def workshop(folder: Path) -> Path:
    """A copy of package and tests, in which mutants live; the original is never touched."""
    shutil.copytree(
        Path(mstore.__file__).parent, folder / "mstore", ignore=shutil.ignore_patterns("__pycache__")
    )
    shutil.copytree(_ROOT / "tests", folder / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(_ROOT / "pyproject.toml", folder)
    return folder


def main() -> int:
    """Run all mutants and state the figure."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--only", default="", help="mutants whose name holds this")
    parser.add_argument("--proof", default="", choices=["", *PROOFS], help="try no other")
    parser.add_argument("--list", action="store_true", help="name them, and go")
    parser.add_argument(
        "--skip", type=int, default=0, metavar="N", help="go on with a run that was stopped after N"
    )
    arguments = parser.parse_args()
    every = [m for m in mutants(Path(mstore.__file__).parent) if arguments.only in m.name]
    every = every[arguments.skip :]
    if arguments.list:
        for mutant in every:
            print(f"{mutant.kind:8} {mutant.name}")
        for site, reason in EXEMPT.items():
            print(f"exempt   {site}: {reason}")
        return 0
    caught = 0
    folder = Path(tempfile.mkdtemp(prefix="mstore-mutants-"))
    try:
        scratch = workshop(folder)
        needed = {name for mutant in every for name in proofs_of(mutant, arguments.proof)}
        for name in sorted(needed if not arguments.skip else ()):
            if not _holds(PROOFS[name], scratch):
                print(f"the proof {name} fails without any mutant: {' '.join(PROOFS[name])}")
                return 1
        for mutant in every:
            begun, target = time.monotonic(), scratch / "mstore" / mutant.file
            original = target.read_text("utf-8")
            target.write_text(mutant.source, "utf-8")
            by = caught_by(mutant, scratch, arguments.proof)
            target.write_text(original, "utf-8")
            caught += by is not None
            verdict = f"caught by {by}" if by else "SURVIVES"
            print(
                f"{verdict:24} {mutant.kind:8} {mutant.name} ({time.monotonic() - begun:.0f} s)",
                flush=True,
            )
    finally:
        shutil.rmtree(folder)
    print(f"mutants: {len(every)}; caught: {caught} ({100 * caught // max(1, len(every))} %)")
    return int(caught != len(every))


if __name__ == "__main__":
    sys.exit(main())
