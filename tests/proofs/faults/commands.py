"""The commands that change a store, each with the state that it starts from."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import mstore
from mstore.api.repository import Repository

OUT = "out"


def write_tree(folder: Path, seed: int, *, extra: tuple[str, ...] = (), state: bool = False) -> None:
    """A small model directory; the same seed gives the same bytes.

    Args:
        folder: it; what lies there already goes.
        seed: of the weights.
        extra: paths of further files.
        state: with training state, which goes into a pack of its own.
    """
    for name in os.listdir(folder) if folder.is_dir() else ():
        path = folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    folder.mkdir(parents=True, exist_ok=True)
    weights = np.arange(2048, dtype=np.float32) + np.float32(seed)
    header = json.dumps({"w": {"dtype": "F32", "shape": [2048], "data_offsets": [0, 8192]}}).encode()
    (folder / "model.safetensors").write_bytes(
        len(header).to_bytes(8, "little") + header + weights.tobytes()
    )
    (folder / "config.json").write_text(json.dumps({"model_type": "gpt2", "seed": seed}))
    for path_text in extra:
        path = folder / path_text
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{path_text} {seed}")
    if state:
        (folder / "optimizer.pt").write_bytes(hashlib.sha256(str(seed).encode()).digest() * 200)


def files_of(folder: Path) -> dict[str, bytes]:
    """Every file of a folder by path; nothing of mstore's own."""
    return {
        p.relative_to(folder).as_posix(): p.read_bytes()
        for p in sorted(folder.rglob("*"))
        if p.is_file() and not any(q.startswith((".mstore", ".~mstore-")) for q in p.parts)
    }


@dataclass(frozen=True)
class Seen:
    """What a user can see of a repository. Commits are told by their trees: ids hold the time."""

    branches: Mapping[str, tuple[str, ...]]
    tags: Mapping[str, str]
    notes: int
    head: str
    config: Mapping[str, str]
    files: Mapping[str, bytes]
    beside: Mapping[str, bytes]

    def names(self) -> tuple[object, ...]:
        """What refs say: each of them moves as one, whatever happens."""
        return self.branches, self.tags, self.notes


NOTHING = Seen({}, {}, 0, "", {}, {}, {})


def seen(root: Path) -> Seen:
    """Look at a repository through a fresh one, as the next process would."""
    if not (root / ".mstore/workspace.json").exists():
        return NOTHING
    with mstore.open(workspace=root) as repo:
        store = repo.store

        def manifest(rev: str) -> str:
            return store.commit(repo.resolve(rev)).manifest.hex

        head, workspace = repo.head, repo.workspace
        assert head is not None and workspace is not None
        return Seen(
            {
                branch: tuple(store.commit(e.id).manifest.hex for e in repo.log(branch))
                for branch in repo.branches()
            },
            {tag.name: manifest(tag.name) for tag in repo.list_tags()},
            sum(1 for _ in store.refs.names("notes")),
            head.branch or f"at {manifest('HEAD')}",
            {k: v for k, v in workspace.config().items() if k != "model-dir"},
            files_of(root / OUT),
            files_of(root / "beside"),
        )


Acknowledged = dict[str, dict[str, bytes]]
"""Files by path, by id of the commit that holds them."""


def acknowledged_in(repo: Repository) -> Acknowledged:
    """All that the names of a repository reach, as they give it."""
    found: Acknowledged = {}
    for entry in repo.log(all=True):
        paths = [f.path for f in repo.manifest(entry.id).files]
        found[entry.id.hex] = {p: repo.read_file(entry.id, p) for p in paths}
    return found


def start(root: Path) -> None:
    """A history: two branches, a tag, a late fact, a commit of two packs."""
    out = root / OUT
    repo = mstore.init(root, model_dir=out)
    assert repo.workspace is not None
    repo.workspace.set_config("author", "Ada")
    write_tree(out, 1, extra=("old/a.txt", "b.txt"))
    first = repo.commit(message="first")
    write_tree(out, 2, extra=("b.txt",), state=True)
    repo.commit(message="second", metrics={"loss": 1.0})
    repo.make_branch("other", first.id)
    repo.make_tag("v1", first.id)
    repo.note(first.id, metrics={"late": 1.0})
    write_tree(out, 3, extra=("new/deep/c.txt",))
    repo.commit(message="third")
    repo.close()


@dataclass(frozen=True)
class Command:
    """One command line, run in `root`.

    Args:
        name: of the case.
        line: its words.
        prepare: what lies there before it; runs once, copies are used.
        by_steps: it is several acts, one after the other, and each is kept.
        hinted: what the message says to type where it is tried again and half of it is there.
    """

    name: str
    line: tuple[str, ...]
    prepare: Callable[[Path], None] = start
    by_steps: bool = False
    hinted: tuple[str, ...] | None = None


def _after(*steps: Callable[[Path], None]) -> Callable[[Path], None]:
    def prepare(root: Path) -> None:
        for step in (start, *steps):
            step(root)

    return prepare


def _changed(root: Path) -> None:
    write_tree(root / OUT, 4, extra=("new/deep/c.txt",), state=True)


def _dirty(root: Path) -> None:
    (root / OUT / "config.json").write_text('{"mine": "alone"}')
    (root / OUT / "mine.txt").write_text("nobody else has this")


def _checkpoints(root: Path) -> None:
    for step in (10, 20):
        write_tree(root / "run" / f"checkpoint-{step}", step, state=True)
        (root / "run" / f"checkpoint-{step}" / "trainer_state.json").write_text(
            json.dumps({"global_step": step, "log_history": []})
        )


def _with(line: str) -> Callable[[Path], None]:
    def run(root: Path) -> None:
        with mstore.open(workspace=root) as repo:
            match line.split():
                case ["commit"]:
                    repo.commit(message="to be undone")
                case ["force", rev]:
                    repo.checkout(rev, force=True)
                case ["goto", rev]:
                    repo.checkout(rev)
                case ["delete-branch", name]:
                    repo.delete_branch(name)
                case _:
                    raise AssertionError(line)

    return run


def _empty(root: Path) -> None:
    (root / OUT).mkdir()


def _beside(root: Path) -> None:
    with mstore.open(workspace=root) as repo:
        repo.checkout("other", to=root / "beside")


COMMANDS: tuple[Command, ...] = (
    Command("init", ("init",), _empty),
    Command("init elsewhere", ("init", "--store", "shared", "--shared"), _empty),
    Command("commit", ("commit", "-m", "fourth"), _after(_changed)),
    Command("commit to a new branch", ("commit", "--branch", "exp/a", "-m", "x"), _after(_changed)),
    Command("commit of a folder", ("commit", "run/checkpoint-10", "-m", "x"), _after(_checkpoints)),
    Command("commit of facts alone", ("commit", "--metric", "late=2"), start),
    Command("note", ("note", "main", "--metric", "late=2")),
    Command("checkout", ("checkout", "other")),
    Command("checkout of a commit", ("checkout", "main~1")),
    Command("checkout -b", ("checkout", "-b", "new", "other"), hinted=("checkout", "new")),
    Command("checkout --force", ("checkout", "--force", "other"), _after(_dirty)),
    Command("checkout --to", ("checkout", "other", "--to", "beside")),
    Command("checkout --to a folder", ("checkout", "main", "--to", "beside"), _after(_beside)),
    Command("branch", ("branch", "exp/b", "other")),
    Command("branch -f", ("branch", "-f", "other", "main")),
    Command("branch -d", ("branch", "-d", "other")),
    Command("branch --rename", ("branch", "other", "--rename", "another")),
    Command("tag", ("tag", "v2")),
    Command("tag -m", ("tag", "v2", "-m", "said")),
    Command("tag -d", ("tag", "-d", "v1")),
    Command("undo of a commit", ("undo",), _after(_changed, _with("commit"))),
    Command("undo of a checkout", ("undo",), _after(_with("goto other"))),
    Command("undo of --force", ("undo",), _after(_dirty, _with("force other"))),
    Command("undo of a deletion", ("undo",), _after(_with("delete-branch other"))),
    Command("config", ("config", "author", "Grace")),
    Command("import", ("import", "run"), _after(_checkpoints), by_steps=True),
    Command("repack", ("repack",)),
    Command("fsck", ("fsck",)),
)
if hasattr(Repository, "gc"):
    COMMANDS += (
        Command("gc", ("gc", "--yes"), _after(_with("delete-branch other"))),
        Command("gc --now", ("gc", "--now", "--yes"), _after(_changed, _with("commit"))),
    )
