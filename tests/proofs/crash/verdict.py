"""Is what a power cut left what it must be? Asked of a mounted disk."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from xxhash import xxh3_128_digest

import mstore
from mstore.errors import MStoreError
from tests.proofs.crash.workload import Acknowledged, History, names_of
from tests.proofs.faults.commands import files_of, write_tree


@dataclass(frozen=True)
class Scan:
    """What a repository on a disk says.

    Attributes:
        there: whether there is a repository at all.
        wrong: what is damaged, or None.
        names: refs and HEAD.
        intact: commits that come back byte for byte.
        files: of the model directory.
    """

    there: bool
    wrong: str | None
    names: dict[str, str]
    intact: frozenset[str]
    files: dict[str, bytes]


def fingerprint(root: Path) -> bytes:
    """Equal for equal trees: names and bytes of all files."""
    parts = []
    folders = [""]
    while folders:
        folder = folders.pop()
        with os.scandir(root / folder) as entries:
            for entry in sorted(entries, key=lambda e: e.name):
                path = f"{folder}/{entry.name}" if folder else entry.name
                if entry.is_dir(follow_symlinks=False):
                    if path != "lost+found":
                        parts.append(f"{path}/".encode())
                        folders.append(path)
                else:
                    with open(entry.path, "rb", buffering=0) as file:
                        parts.append(path.encode() + b"\0" + xxh3_128_digest(file.read()))
    return xxh3_128_digest(b"\n".join(parts))


def look(root: Path, history: History) -> Scan:
    """Look at a disk as the next process would, and work on it."""
    if not (root / ".mstore/workspace.json").exists():
        # Killed within init: it must be possible to begin anew.
        try:
            with mstore.init(root) as repo:
                repo.fsck()
        except MStoreError as error:
            where = str(error).replace(str(root), "")
            return Scan(False, f"init cannot be tried again: {where}", {}, frozenset(), {})
        return Scan(False, None, {}, frozenset(), {})
    files = files_of(root / "out") if (root / "out").exists() else {}
    names: dict[str, str] = {}
    intact: set[str] = set()
    wrong: str | None = None
    with mstore.open(workspace=root) as repo:
        try:
            names = names_of(repo)
            repo.status()
            intact = {id for id, content in history.contents.items() if _reads(repo, id, content)}
            wrong = _goes_on(root, repo)
            # Last: it makes the caches anew, and those that the crash left shall be met as they are.
            found = repo.fsck()
            wrong = wrong if found.ok else f"fsck: {found.problems}"
        except MStoreError as error:
            wrong = f"{type(error).__name__}: {error}"
    return Scan(True, wrong, names, frozenset(intact), files)


def _reads(repo: mstore.Repository, id: str, content: dict[str, bytes]) -> bool:
    try:
        return all(repo.read_file(id, path) == right for path, right in content.items())
    except MStoreError:
        return False


def _goes_on(root: Path, repo: mstore.Repository) -> str | None:
    """A commit of what may or may not be stored already must not lean on what the crash took."""
    beside = root / "later"
    for seed in (4, 6, 99):
        write_tree(beside / str(seed), seed, state=True)
    made = repo.commit(beside, message="later", branch="later", by_hand=False)
    right = files_of(beside)
    if {p: repo.read_file(made.id, p) for p in right} != right:
        return "a commit after the crash gives other bytes"
    return None


def judge(found: Scan, cut: int, history: History) -> str | None:
    """What is lost or torn at a cut, or None."""
    due, under_way = history.due(cut)
    if due is not None and not found.there:
        return "lost: the repository"
    if due is None or found.wrong is not None:
        return found.wrong
    for name in {*due.names, *(under_way.names if under_way else ())}:
        allowed = {due.names.get(name)} | ({under_way.names.get(name)} if under_way else set())
        if found.names.get(name) not in allowed:
            return f"lost: {name} is {found.names.get(name)}, acknowledged {due.names.get(name)}"
    # What the command under way may take away (gc) need not be there.
    needed = due.commits & under_way.commits if under_way else due.commits
    lost = needed - found.intact
    if lost:
        return f"lost: commits {sorted(i[:12] for i in lost)}"
    if due.files is not None and found.files != due.files and not _writes_files(under_way):
        return "lost: files of an acknowledged checkout"
    return None


def _writes_files(under_way: Acknowledged | None) -> bool:
    """Whether what came next may have changed the model directory: the next save always does."""
    return under_way is not None
