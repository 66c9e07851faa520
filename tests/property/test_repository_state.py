"""The repository as a state machine: whatever is done, what was committed comes back byte for byte.

A model in memory says what every branch holds; after each step the real one is
asked. Trees are made of a few files with few contents, so that equal blobs,
equal trees, moves and undo meet each other often.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

import mstore
from mstore.api.repository import Repository
from mstore.errors import Conflict, MStoreError, RevisionNotFound, UsageError
from mstore.objects import CommitId

Tree = dict[str, str]  # path → name of a content
NAMES = ("main", "r4", "lora/r8")
PATHS = ("adapter_model.bin", "a.txt", "sub/b.txt", "sub/deep/c.bin")
CONTENTS = {"empty": b"", "x": b"x", "long": b"y" * 5000, "noise": bytes(range(256)) * 300}

trees = st.fixed_dictionaries(
    {"model.bin": st.sampled_from(["x", "long", "noise"])},
    optional={path: st.sampled_from(sorted(CONTENTS)) for path in PATHS},
)


def write(folder: Path, tree: Tree) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir():
            path.rmdir()
        else:
            path.unlink()
    for path_text, content in tree.items():
        path = folder / path_text
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(CONTENTS[content])


def read(folder: Path) -> Tree:
    names = {content: name for name, content in CONTENTS.items()}
    return {
        p.relative_to(folder).as_posix(): names.get(p.read_bytes(), "something else")
        for p in folder.rglob("*")
        if p.is_file() and not is_staging(p)
    }


def is_staging(path: Path) -> bool:
    """Whether a path is, or lies in, a folder that a checkout removes at its end."""
    return any(part.startswith(".~mstore-") for part in path.parts)


class Machine(RuleBasedStateMachine):
    commits = Bundle("commits")

    @initialize()
    def begin(self) -> None:
        self.root = Path(tempfile.mkdtemp())
        self.folder = self.root / "out"
        self.folder.mkdir()
        self.repo: Repository = mstore.init(self.root, model_dir=self.folder)
        self.repo.workspace.set_config("author", "Ada")  # type: ignore[union-attr]
        self.trees: dict[CommitId, Tree] = {}
        self.parents: dict[CommitId, CommitId | None] = {}
        self.branches: dict[str, CommitId] = {}
        self.head: str | CommitId = "main"

    def teardown(self) -> None:
        if hasattr(self, "root"):
            self.repo.close()
            shutil.rmtree(self.root)

    def at(self) -> CommitId | None:
        return self.branches.get(self.head) if isinstance(self.head, str) else self.head

    def clean(self) -> bool:
        at = self.at()
        return read(self.folder) == (self.trees[at] if at is not None else {})

    @rule(
        target=commits,
        tree=trees,
        branch=st.none() | st.sampled_from(NAMES),
        message=st.text(max_size=5),
    )
    def commit(self, tree: Tree, branch: str | None, message: str) -> CommitId:
        name = branch or (self.head if isinstance(self.head, str) else None)
        write(self.folder, tree)
        if name is None:
            try:
                self.repo.commit(message=message or "m")
            except UsageError:
                at = self.at()
                assert at is not None
                write(self.folder, self.trees[at])
                return at
            raise AssertionError("a detached HEAD must refuse")
        parent = self.branches.get(name) or self.at()
        result = self.repo.commit(message=message or "m", branch=branch)
        assert result.created == (parent is None or self.trees[parent] != tree)
        if result.created:
            assert result.commit.parents == ((parent,) if parent else ())
            self.trees[result.id] = dict(tree)
            self.parents[result.id] = parent
            self.branches[name] = result.id
        else:
            assert result.id == parent
        if self.at() != result.id:
            # Committed elsewhere: put the folder back, as if it had been another one.
            at = self.at()
            write(self.folder, self.trees[at] if at is not None else {})
        return result.id

    @rule(id=commits)
    def check_out_beside(self, id: CommitId) -> None:
        target = self.root / "beside"
        self.repo.checkout(id, to=target)
        assert read(target) == self.trees[id]

    @rule(id=commits)
    def check_out(self, id: CommitId) -> None:
        assert self.clean()
        self.repo.checkout(id.hex)
        assert read(self.folder) == self.trees[id]
        self.head = id

    @rule(name=st.sampled_from(NAMES))
    def check_out_branch(self, name: str) -> None:
        if name not in self.branches:
            try:
                self.repo.checkout(name)
            except RevisionNotFound:
                return
            raise AssertionError("no such branch")
        self.repo.checkout(name)
        self.head = name
        assert read(self.folder) == self.trees[self.branches[name]]

    @rule(id=commits, name=st.sampled_from(NAMES))
    def branch(self, id: CommitId, name: str) -> None:
        try:
            self.repo.make_branch(name, id)
        except Conflict:
            assert name in self.branches
            return
        assert name not in self.branches
        self.branches[name] = id
        if self.head == name:  # an unborn branch was born under our feet
            write(self.folder, self.trees[id])

    @rule(name=st.sampled_from(NAMES))
    def delete(self, name: str) -> None:
        try:
            self.repo.delete_branch(name)
        except (UsageError, RevisionNotFound):
            assert name == self.head or name not in self.branches
            return
        del self.branches[name]

    @rule(id=commits, metric=st.floats())
    def note(self, id: CommitId, metric: float) -> None:
        self.repo.note(id, metrics={"m": metric})
        found = self.repo.show(id).entry.metrics["m"]
        assert found == metric or found != found

    @rule(id=commits, tree=trees)
    def force(self, id: CommitId, tree: Tree) -> None:
        """What --force replaces, undo brings back."""
        before_head = self.head
        write(self.folder, tree)
        self.repo.checkout(id.hex, force=True)
        assert read(self.folder) == self.trees[id]
        self.repo.undo()
        at = self.at()
        restored = read(self.folder)
        assert {p: c for p, c in restored.items() if p in tree} == tree
        self.head = before_head
        write(self.folder, self.trees[at] if at is not None else {})

    @rule()
    def reopen(self) -> None:
        self.repo.close()
        self.repo = mstore.open(self.root)

    @rule()
    def lose_caches(self) -> None:
        self.repo.close()
        shutil.rmtree(self.root / ".mstore/cache", ignore_errors=True)
        self.repo = mstore.open(self.root)

    @rule(id=consumes(commits))
    def look_by_short_id(self, id: CommitId) -> None:
        assert self.repo.resolve(id.hex[:20]) == id

    @invariant()
    def branches_are_right(self) -> None:
        if hasattr(self, "repo"):
            assert self.repo.branches() == self.branches

    @invariant()
    def history_is_right(self) -> None:
        if not hasattr(self, "repo"):
            return
        for name, tip in self.branches.items():
            expected, walk = [], tip
            while walk is not None:
                expected.append(walk)
                walk = self.parents[walk]  # type: ignore[assignment]
            assert [e.id for e in self.repo.log(name)] == expected

    @invariant()
    def nothing_is_left_lying(self) -> None:
        if hasattr(self, "root"):
            assert not [p for p in self.root.rglob("*") if is_staging(p)]

    @invariant()
    def nothing_is_damaged(self) -> None:
        if hasattr(self, "repo") and len(self.trees) % 4 == 3:
            found = self.repo.fsck()
            assert found.ok, found.problems


TestRepository = Machine.TestCase
TestRepository.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)

__all__ = ["MStoreError", "TestRepository"]
