"""What runs on the disk: commands of mstore, and after each what has been acknowledged by then."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import mstore
from mstore.api.repository import Repository
from tests.proofs.faults.commands import files_of, write_tree


@dataclass(frozen=True)
class Acknowledged:
    """What a user may rely on from a point in the log on.

    Attributes:
        position: log entries made when the command returned; None where nothing was run yet.
        names: refs and HEAD → what they are.
        commits: commits that refs reach.
        files: of the model directory, where the last command wrote it, else None.
    """

    position: int
    names: Mapping[str, str]
    commits: frozenset[str]
    files: Mapping[str, bytes] | None = None


@dataclass
class History:
    """All acknowledgements of a run, in order, and the bytes of every commit ever made."""

    acknowledged: list[Acknowledged]
    contents: dict[str, dict[str, bytes]]

    def due(self, cut: int) -> tuple[Acknowledged | None, Acknowledged | None]:
        """What was acknowledged at a cut, and what the command under way would add."""
        done = [a for a in self.acknowledged if a.position <= cut]
        after = self.acknowledged[len(done)] if len(done) < len(self.acknowledged) else None
        return (done[-1] if done else None), after


def names_of(repo: Repository) -> dict[str, str]:
    """Every ref, and HEAD, as they stand."""
    refs = repo.store.refs
    found = {}
    for space in ("heads", "tags", "notes"):
        for name in refs.names(space):
            value = refs.read(f"{space}/{name}")
            assert value is not None
            found[f"{space}/{name}"] = value.target.hex
    assert repo.head is not None
    found["HEAD"] = str(repo.head.to_dict())
    return found


def play(root: Path, position: Callable[[], int], rounds: int = 1) -> History:
    """Run the workload in a folder; `position` says how far the log is.

    Args:
        rounds: how often what can be repeated is.
    """
    history = History([], {})
    out = root / "out"
    out.mkdir()
    descriptor = os.open(root, os.O_RDONLY)
    os.fsync(descriptor)  # The folder is the user's; that it is there is not ours to promise.
    os.close(descriptor)
    repo = mstore.init(root)

    def acknowledge(*, files: bool = False) -> None:
        at = position()
        names = names_of(repo)
        entries = repo.log(all=True)
        for entry in entries:
            if entry.id.hex not in history.contents:
                paths = [f.path for f in repo.manifest(entry.id).files]
                history.contents[entry.id.hex] = {p: repo.read_file(entry.id, p) for p in paths}
        written = files_of(out) if files else None
        reached = frozenset(e.id.hex for e in entries)
        history.acknowledged.append(Acknowledged(at, names, reached, written))

    acknowledge()
    write_tree(out, 1, extra=("old/a.txt",))
    first = repo.commit(out, message="first")
    acknowledge()
    write_tree(out, 2, state=True)
    repo.commit(out, message="second: two packs", metrics={"loss": 1.0})
    acknowledge()
    repo.make_branch("exp/a", first.id)
    acknowledge()
    repo.make_tag("v1", first.id)
    acknowledge()
    repo.make_tag("v2", message="said")
    acknowledge()
    repo.note(first.id, metrics={"late": 1.0})
    acknowledge()
    for seed in range(3, 3 + 5 * rounds, 5):
        repo.checkout("exp/a")
        acknowledge(files=True)
        write_tree(out, seed, extra=("new/deep/c.txt",))
        repo.commit(message="third")
        acknowledge()
        repo.checkout("main")
        acknowledge(files=True)
        write_tree(out, seed + 1, state=True)
        repo.commit(message="fourth: two packs")
        acknowledge()
        repo.undo()
        acknowledge()
        repo.commit(message="again")
        acknowledge()
        repo.make_branch("exp/a", "main~1", force=True)
        acknowledge()
        for more in (2, 3):
            write_tree(out, seed + more)
            repo.commit(message=f"version {seed + more}", branch="exp/a")
            acknowledge()
        repo.rename_branch("exp/a", "exp/b")
        acknowledge()
        repo.delete_branch("exp/b")
        acknowledge()
        repo.repack()
        acknowledge()
        write_tree(out, seed + 4)
        repo.commit(message="after repack")
        acknowledge()
        if hasattr(repo, "gc"):
            repo.gc(now=True)
            acknowledge()
            write_tree(out, seed + 2)
            repo.commit(message="what gc took comes again")
            acknowledge()
        repo.make_branch("exp/a", first.id)
        acknowledge()
    repo.close()
    return history


@contextlib.contextmanager
def without(what: str) -> Iterator[None]:
    """A control: the same program with a promise broken, which must be seen to lose.

    Args:
        what: `"nothing"`, `"fsync"` (of anything), or `"directory fsync"`.
    """
    real = os.fsync

    def fsync(descriptor: int) -> None:
        if what == "directory fsync" and not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            real(descriptor)

    if what != "nothing":
        os.fsync = fsync  # type: ignore[assignment]
    try:
        yield
    finally:
        os.fsync = real
