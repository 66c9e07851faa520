"""What others lose on the same disk, eight acknowledged writes each.

Run as `python -m tests.proofs.crash.peers`.
Only for the table in docs/durability.md; nothing of mstore is under test here.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from hashlib import md5
from pathlib import Path
from typing import Final

import numpy as np

from tests.proofs.crash.blockfile import why_not
from tests.proofs.crash.explore import explore, record
from tests.proofs.crash.verdict import Scan
from tests.proofs.crash.workload import Acknowledged, History

WRITES: Final = 8
_IDENTITY: Final = {
    "GIT_AUTHOR_NAME": "a",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_NAME": "a",
    "GIT_COMMITTER_EMAIL": "a@example.org",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_SYSTEM": "/dev/null",
    "DVC_NO_ANALYTICS": "1",
}


def content(number: int) -> bytes:
    """What the n-th write writes: noise, so that nothing is shared."""
    return np.random.default_rng(number).bytes(40_000)


def _run(root: Path, *line: str) -> str:
    done = subprocess.run(
        line, cwd=root, env={**os.environ, **_IDENTITY}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise OSError(f"{' '.join(line)}: {done.stderr[-300:]}")
    return done.stdout.strip()


def _settled(root: Path) -> None:
    """Have the disk hold what there is: what `init` leaves unsynced is not what is compared."""
    _run(root, "sync", "-f", ".")


def _writes(position: Callable[[], int], write: Callable[[int], None]) -> History:
    history = History([], {})
    for number in range(WRITES):
        write(number)
        history.acknowledged.append(Acknowledged(position(), {"last": str(number)}, frozenset()))
    return history


def _last(there: Callable[[int], bool], root: Path) -> Scan:
    """The last write that a disk holds in whole, with all before it where they are kept."""
    number = next((n for n in reversed(range(WRITES)) if there(n)), None)
    return Scan(root.exists(), None, {"last": str(number)}, frozenset(), {})


# -- fsync, rename, fsync of the folder


def _careful(root: Path, position: Callable[[], int], rounds: int) -> History:
    from mstore.fs.durable import replace_file

    def write(number: int) -> None:
        replace_file(root / "model", content(number))

    return _writes(position, write)


def _look_careful(root: Path, history: History) -> Scan:
    path = root / "model"
    return _last(lambda n: path.exists() and path.read_bytes() == content(n), root)


# -- git


def _git(
    root: Path, position: Callable[[], int], rounds: int, *, settings: tuple[str, ...] = ()
) -> History:
    _run(root, "git", "init", "-q", ".")
    for setting in ("gc.auto=0", *settings):
        _run(root, "git", "config", *setting.split("=", 1))
    _settled(root)

    def write(number: int) -> None:
        (root / "model").write_bytes(content(number))
        _run(root, "git", "add", "model")
        _run(root, "git", "commit", "-q", "-m", str(number))

    return _writes(position, write)


def _look_git(root: Path, history: History) -> Scan:
    def there(number: int) -> bool:
        # Every version that was acknowledged, and not only the last one.
        for n in range(number + 1):
            done = subprocess.run(
                ["git", "cat-file", "blob", f"HEAD~{number - n}:model"],
                cwd=root,
                env={**os.environ, **_IDENTITY},
                capture_output=True,
                check=False,
            )
            if done.stdout != content(n):
                return False
        return True

    return _last(there, root)


# -- safetensors


def _safetensors(root: Path, position: Callable[[], int], rounds: int) -> History:
    from safetensors.numpy import save_file

    def write(number: int) -> None:
        save_file({"w": np.frombuffer(content(number), np.uint8)}, root / "model.safetensors")

    return _writes(position, write)


def _look_safetensors(root: Path, history: History) -> Scan:
    path = root / "model.safetensors"
    return _last(lambda n: path.exists() and path.read_bytes().endswith(content(n)), root)


# -- DVC


def _dvc(root: Path, position: Callable[[], int], rounds: int) -> History:
    _run(root, "dvc", "init", "--no-scm", "-q")
    _settled(root)

    def write(number: int) -> None:
        (root / "model").write_bytes(content(number))
        _run(root, "dvc", "add", "-q", "model")

    return _writes(position, write)


def _look_dvc(root: Path, history: History) -> Scan:
    def there(number: int) -> bool:
        # The pointer names the last one, and the cache has all.
        digests = [md5(content(n)).hexdigest() for n in range(number + 1)]
        pointer = root / "model.dvc"
        if not pointer.exists() or not re.search(digests[-1], pointer.read_text("utf-8", "replace")):
            return False
        cache = root / ".dvc/cache/files/md5"
        files = [cache / d[:2] / d[2:] for d in digests]
        return all(f.exists() and f.read_bytes() == content(n) for n, f in enumerate(files))

    return _last(there, root)


Subject = tuple[Callable[[Path, Callable[[], int], int], History], Callable[[Path, History], Scan], str]
SUBJECTS: Final[dict[str, Subject]] = {
    "fsync, rename, fsync of the folder": (_careful, _look_careful, ""),
    "git": (_git, _look_git, "git"),
    "git, core.fsync=all": (
        partial(_git, settings=("core.fsync=all", "core.fsyncMethod=fsync")),
        _look_git,
        "git",
    ),
    "safetensors save_file": (_safetensors, _look_safetensors, ""),
    "DVC": (_dvc, _look_dvc, "dvc"),
}


def _versions() -> Iterator[str]:
    yield _run(Path("/"), "git", "--version") if shutil.which("git") else "no git"
    import safetensors

    yield f"safetensors {safetensors.__version__}"
    yield f"DVC {_run(Path('/'), 'dvc', '--version')}" if shutil.which("dvc") else "no DVC"
    yield f"Linux {os.uname().release}"


def main() -> int:
    """Print a line for each."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--file-system", default="ext4")
    parser.add_argument("--subsets", type=int, default=2)
    parser.add_argument("--only", default="")
    arguments = parser.parse_args()
    reason = why_not()
    if reason is not None:
        print(f"skipped: {reason}")
        return 0
    print("; ".join(_versions()))
    for name, (run, look, program) in SUBJECTS.items():
        if not name.startswith(arguments.only) or (program and shutil.which(program) is None):
            continue
        recording = record(arguments.file_system, run=run, look=look)
        tally = explore(recording, subsets=arguments.subsets, workers=os.cpu_count() or 1)
        print(
            f"{name}: {WRITES} acknowledged writes, {tally.states:,} states,"
            f" {tally.violations:,} of them lose or tear one ({len(recording.log)} writes and flushes)"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
