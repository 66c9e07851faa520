"""The facade: a Repository has one thin method a verb.

Hides how stores and workspaces are found and tied together. Everything that it
returns is a frozen value. It reads no environment variables and prints nothing.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mstore.context import Context
from mstore.errors import Conflict, InvalidInput, NoStore, StorageFailed, UsageError
from mstore.fs.locks import locks_work
from mstore.store import STORE_FILE, Store
from mstore.workspace import FOLDER, USER_CACHE, Workspace

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from mstore.api.results import Versions
    from mstore.checkout.execute import CheckoutResult
    from mstore.checkout.undo import Undone
    from mstore.commit.importing import ImportResult
    from mstore.commit.plan import CommitResult
    from mstore.compare.diff import DiffResult
    from mstore.compare.versions import Comparison
    from mstore.formats import Facts
    from mstore.history.branches import Branch
    from mstore.history.query.resolve import AnyRevision, Resolved
    from mstore.history.show import CommitDetails
    from mstore.history.status import Status
    from mstore.history.tags import TagEntry
    from mstore.history.tensors import Tensor, TensorRef
    from mstore.maintain.du import Usage
    from mstore.maintain.forget import ForgetPlan, ForgetResult
    from mstore.maintain.fsck import FsckResult
    from mstore.maintain.gc_plan import GcPlan
    from mstore.maintain.gc_run import GcResult
    from mstore.maintain.repack import RepackPlan, RepackResult
    from mstore.maintain.repair import RepairPlan, RepairResult
    from mstore.objects import CommitId, Manifest, NoteId
    from mstore.progress import Progress
    from mstore.staging.resume import ResumeResult
    from mstore.store import Record
    from mstore.workspace import Head


def init(
    path: str | Path = ".",
    *,
    store: str | Path | None = None,
    shared: bool = False,
    model_dir: str | Path | None = None,
    force: bool = False,
) -> Repository:
    """Make a workspace, and a store where there is none yet.

    Args:
        path: the folder that gets a `.mstore`.
        store: a store elsewhere, made if absent; None: inside `.mstore`.
        shared: a new store's files are group-writable.
        model_dir: the model directory; None: the first folder committed.
        force: make it even in a folder that looks like a model directory.

    Raises:
        InvalidInput: there is a workspace, or `path` looks like a model directory.
        StorageFailed: the system failed.
    """
    root = Path(path).absolute()
    folder = root / FOLDER
    if not force and root.is_dir() and _looks_like_model(root):
        raise InvalidInput(
            str(root),
            "looks like a model directory, which training scripts delete and write anew",
            hint="make the store in the folder above it, or use --force",
        )
    if (folder / "workspace.json").exists():
        raise InvalidInput(str(folder), "is a workspace already")
    where = Path(store).absolute() if store is not None else folder / "store"
    if not (where / STORE_FILE).exists():
        Store.create(where, shared=shared)
    if not locks_work(where / "tmp"):
        raise StorageFailed(
            f"{where} lies where kernel locks do not work: two commands would not see each other",
            hint="put the store on another disk: `mstore init --store DIR`",
        )
    Workspace.create(folder, store=where, model_dir=Path(model_dir) if model_dir is not None else None)
    return open(workspace=folder)


def _looks_like_model(folder: Path) -> bool:
    names = {p.name for p in folder.iterdir()}
    return bool(
        names
        & {"adapter_config.json", "config.json", "trainer_state.json", "model.safetensors.index.json"}
    ) or any(n.endswith(".safetensors") for n in names)


def open(
    path: str | Path | None = None,
    *,
    store: str | Path | None = None,
    workspace: str | Path | None = None,
    cache: str | Path | None = None,
    author: str | None = None,
) -> Repository:
    """Open a repository.

    Args:
        path: where to look for a workspace, upward; default: the current folder.
        store: a store's folder: it alone is opened, without a workspace.
        workspace: a `.mstore` folder, or the folder that has one.
        cache: where `path` keeps folders, and where the catalog of a store without workspace lies.
        author: who acts; default: configuration, git's, the login.

    Raises:
        NoStore: nothing is there; says where it looked.
        Corrupt, Unsupported: it cannot be read.
    """
    if store is not None and workspace is not None:
        raise UsageError("name a store or a workspace, not both")
    if store is not None:
        folder = Path(store).absolute()
        for inside in (folder / FOLDER / "store", folder / "store"):
            if not (folder / STORE_FILE).exists() and (inside / STORE_FILE).exists():
                folder = inside
        keep = Path(cache) if cache is not None else USER_CACHE.expanduser()
        context = Context(Store.at(folder, catalog_path=lambda id: keep / f"{id}.sqlite"), None, author)
        return Repository(context, cache=keep)
    if workspace is not None:
        found = Path(workspace).absolute()
        if not (found / "workspace.json").is_file() and (found / FOLDER / "workspace.json").is_file():
            found /= FOLDER
        if not (found / "workspace.json").is_file():
            raise NoStore(f"no workspace at {workspace}", hint="`mstore init` makes one")
    else:
        start = Path(path) if path is not None else Path.cwd()
        above = Workspace.find(start)
        if above is None:
            raise NoStore(
                f"no {FOLDER} in {start.absolute()} or any folder above it",
                hint="`mstore init` makes one here; --workspace DIR or --store DIR name one elsewhere",
            )
        found = above
    opened = Workspace(found)
    catalog = opened.cache_path / "catalog.sqlite"
    context = Context(Store.at(opened.store_path, catalog_path=lambda id: catalog), opened, author)
    return Repository(context, cache=Path(cache) if cache is not None else None)


class Repository:
    """A store, and perhaps a workspace on it.

    Args:
        context: where its operations take place.
        cache: where `path` keeps folders; None: in the user's home.
    """

    def __init__(self, context: Context, *, cache: Path | None = None) -> None:
        self._context = context
        self._cache = cache
        self._in_use: list[int] = []

    def __repr__(self) -> str:
        where = str(self.workspace.path) if self.workspace is not None else self.store.location
        return f"Repository({where!r})"

    def __enter__(self) -> Repository:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close files, and let go of the folders that `path` gave. It can still be used."""
        while self._in_use:
            os.close(self._in_use.pop())
        self.store.close()
        if self.workspace is not None:
            self.workspace.stat_cache.close()

    @property
    def context(self) -> Context:
        """Where its operations take place."""
        return self._context

    @property
    def store(self) -> Store:
        """The store."""
        return self._context.store

    @property
    def workspace(self) -> Workspace | None:
        """The workspace, or None where the store alone was opened."""
        return self._context.workspace

    @property
    def head(self) -> Head | None:
        """Where the workspace stands, or None without one."""
        return self._context.head

    # -- writing

    def commit(
        self,
        path: str | Path | None = None,
        *,
        message: str | None = None,
        branch: str | None = None,
        start: AnyRevision | None = None,
        base: AnyRevision | None = None,
        without: Iterable[str] = (),
        metadata: Mapping[str, Any] | None = None,
        metrics: Mapping[str, float] | None = None,
        append: bool = False,
        allow_empty: bool = False,
        allow_no_weights: bool = False,
        allow_incomplete: bool = False,
        allow_opaque: bool = False,
        strict: bool = False,
        by_hand: bool = True,
        author: str | None = None,
        progress: Progress | None = None,
    ) -> CommitResult:
        """Commit a folder; see `mstore.commit.plan.CommitOptions` for the arguments.

        Args:
            path: the folder; None: the model directory.
            author: who commits, for this commit alone.
            progress: told (what, bytes done, bytes in all).

        Raises:
            UsageError, InvalidInput, RefMoved, NotFound, StorageFailed.
        """
        from mstore.commit.plan import CommitOptions, CommitResult, start_commit

        options = CommitOptions(
            message=message,
            branch=branch,
            start=start,
            base=self.look_up(base) if base is not None else None,
            without=frozenset(without),
            metadata=metadata or {},
            metrics=metrics or {},
            append=append,
            allow_empty=allow_empty,
            allow_no_weights=allow_no_weights,
            allow_incomplete=allow_incomplete,
            allow_opaque=allow_opaque,
            strict=strict,
            by_hand=by_hand,
        )
        context = self._context if author is None else replace(self._context, author_given=author)
        started = start_commit(context, Path(path) if path is not None else None, options)
        if isinstance(started, CommitResult):
            return started
        from mstore.commit.execute import finish_commit

        return finish_commit(context, started, options, progress=progress)

    def note(
        self,
        rev: AnyRevision,
        *,
        metrics: Mapping[str, float] | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> NoteId:
        """Add metrics and metadata to a commit later. Raises UsageError, NotFound, RefMoved."""
        from mstore.commit.note import note

        return note(self._context, self.resolve(rev), metrics=metrics, metadata=metadata)

    def checkout(
        self,
        rev: AnyRevision,
        *,
        to: str | Path | None = None,
        force: bool = False,
        new_branch: str | None = None,
        progress: Progress | None = None,
    ) -> CheckoutResult:
        """Write a version into a folder; see `mstore.checkout.execute.checkout`."""
        from mstore.checkout.execute import checkout

        return checkout(
            self._context,
            rev,
            to=Path(to) if to is not None else None,
            force=force,
            new_branch=new_branch,
            progress=progress,
        )

    def resume(
        self,
        rev: AnyRevision,
        *,
        to: str | Path,
        force: bool = False,
        progress: Progress | None = None,
    ) -> ResumeResult:
        """Write a version out so that training can go on from it; see `staging.resume`."""
        from mstore.staging.resume import resume

        return resume(self._context, rev, Path(to), force=force, progress=progress)

    def path(self, rev: AnyRevision, *, limit_bytes: int | None = None) -> Path:
        """A version as a folder of read-only files, for whatever takes a path.

        It lies in a cache that all processes of a user share, and stays at least until
        this repository is closed.

        Args:
            rev: the version.
            limit_bytes: how large the cache may be; default 50 GiB. What was used
                longest ago goes first.

        Raises:
            RevisionNotFound, Ambiguous, Corrupt, StorageFailed.
        """
        from mstore.checkout.cache import LIMIT_BYTES, cached_folder

        limit = LIMIT_BYTES if limit_bytes is None else limit_bytes
        cache = (self._cache or USER_CACHE.expanduser()) / "checkouts"
        folder, descriptor = cached_folder(self._context, self.resolve(rev), cache, limit)
        self._in_use.append(descriptor)
        return folder

    def import_folders(
        self,
        folders: Iterable[str | Path],
        *,
        branch: str | None = None,
        dry_run: bool = False,
        progress: Progress | None = None,
    ) -> ImportResult:
        """Turn checkpoint folders into history. Raises NotFound, InvalidInput, StorageFailed."""
        from mstore.commit.importing import ImportResult, plan_import, run_import

        planned = plan_import([Path(f) for f in folders], branch=branch)
        if dry_run:
            return ImportResult(planned=planned, size_bytes=sum(p.size_bytes for p in planned))
        return run_import(self._context, planned, progress=progress)

    # -- looking

    def status(self) -> Status:
        """Where the workspace stands. Raises UsageError, InvalidInput."""
        from mstore.history.status import status

        return status(self._context)

    def look_up(self, rev: AnyRevision) -> Resolved:
        """Find what a revision stands for: its commit, the branch it names, a warning.

        Every method that takes a version takes what this gives, and looks nothing up then.

        Args:
            rev: text, text read before, a commit's id, or what was looked up already.

        Raises:
            RevisionNotFound, Ambiguous, UsageError.
        """
        from mstore.history.query.resolve import resolved

        return resolved(self._context, rev)

    def resolve(self, rev: AnyRevision) -> CommitId:
        """The commit that a revision names. Raises RevisionNotFound, Ambiguous, UsageError."""
        return self.look_up(rev).id

    def log(
        self,
        rev: AnyRevision | None = None,
        *,
        limit: int | None = None,
        all: bool = False,  # noqa: A002 - the option's name on the command line
        where: str | None = None,
        sort: str | None = None,
    ) -> Versions:
        """Versions, the latest first; see `mstore.history.log.filter_and_sort` for `where` and `sort`.

        Raises:
            RevisionNotFound, Ambiguous, Corrupt, UsageError.
        """
        from mstore.api.results import Versions
        from mstore.history.log import filter_and_sort, log

        found = log(self._context, self.resolve(rev) if rev is not None else None, everything=all)
        return Versions(islice(filter_and_sort(found.entries, where, sort), limit))

    def compare(self, *revs: AnyRevision, everything: bool = False) -> Comparison:
        """What differs between versions; see `mstore.compare.versions.compare`."""
        from mstore.api.results import Compared, rendered
        from mstore.compare.versions import compare

        return rendered(Compared, compare(self._context, revs, everything=everything))

    def show(self, rev: AnyRevision = "HEAD") -> CommitDetails:
        """A version in full. Raises RevisionNotFound, Ambiguous, Corrupt."""
        from mstore.history.show import show

        return show(self._context, self.resolve(rev))

    def diff(
        self,
        a: AnyRevision | Path = "HEAD",
        b: AnyRevision | Path | None = None,
        *,
        stat: bool = False,
    ) -> DiffResult:
        """Compare two sides; see `mstore.compare.diff.diff`.

        Args:
            a: a revision, or a folder: a `Path`, or text that `docs/cli.md` says is one.
            b: likewise; None: the model directory.
            stat: how much each tensor changed, too.
        """
        from mstore.api.results import Difference, rendered
        from mstore.compare.diff import diff, side_of

        return rendered(
            Difference, diff(side_of(self._context, a), side_of(self._context, b), stat=stat)
        )

    def manifest(self, rev: AnyRevision) -> Manifest:
        """The files of a version. Raises RevisionNotFound, Ambiguous, Corrupt."""
        from mstore.history.show import manifest_of

        return manifest_of(self._context, self.resolve(rev))

    def facts(self, rev: AnyRevision) -> Facts:
        """What a version says of itself. Raises RevisionNotFound, Ambiguous, Corrupt."""
        from mstore.modeldir.stored_tree import facts_of_manifest

        return facts_of_manifest(self.store, self.manifest(rev))

    def cat(self, rev: AnyRevision, path: str) -> Iterator[Any]:
        """Bytes of a file in parts. Raises NotFound, Corrupt."""
        from mstore.history.show import cat

        return cat(self._context, self.resolve(rev), path)

    def read_file(self, rev: AnyRevision, path: str) -> bytes:
        """All bytes of a file. Raises NotFound, Corrupt."""
        return b"".join(self.cat(rev, path))

    def tensors(self, rev: AnyRevision) -> tuple[TensorRef, ...]:
        """Tensors of a version. Raises RevisionNotFound, Corrupt."""
        from mstore.history.tensors import tensors

        return tensors(self._context, self.resolve(rev))

    def read_tensor(
        self,
        rev: AnyRevision,
        name: str,
        *,
        path: str | None = None,
        rows: tuple[int, int] | None = None,
    ) -> Tensor:
        """A tensor's dtype, shape and bytes, or some of its rows.

        Raises:
            NotFound, UsageError, Corrupt.
        """
        from mstore.history.tensors import read_tensor

        return read_tensor(self._context, self.resolve(rev), name, path=path, rows=rows)

    def fill_tensors(self, rev: AnyRevision, wanted: Sequence[tuple[TensorRef, memoryview]]) -> None:
        """Decode tensors into memory that the caller has, on all cores. Raises NotFound, Corrupt."""
        from mstore.history.tensors import fill_tensors

        fill_tensors(self._context, self.resolve(rev), wanted)

    def du(self, *revs: AnyRevision) -> Usage:
        """What versions, and the store, cost. Raises RevisionNotFound, Ambiguous, Corrupt."""
        from mstore.maintain.du import du

        return du(self._context, [self.resolve(rev) for rev in revs])

    def fsck(self, *, quick: bool = False, progress: Progress | None = None) -> FsckResult:
        """Check the store. Raises StorageFailed."""
        from mstore.maintain.fsck import fsck

        return fsck(self._context, quick=quick, progress=progress)

    def repair(
        self, *, source: str | Path | None = None, progress: Progress | None = None
    ) -> RepairResult:
        """Put right what can be put right.

        Args:
            source: another store's folder, from which lost objects are taken.
            progress: told (what, bytes done, bytes in all).

        Raises:
            NoStore, Conflict, StorageFailed.
        """
        from mstore.maintain.repair import repair

        if source is None:
            return repair(self._context, progress=progress)
        with open(store=source) as other:
            return repair(self._context, source=other.store, progress=progress)

    def plan_repair(
        self, *, source: str | Path | None = None, progress: Progress | None = None
    ) -> RepairPlan:
        """Check every byte and find what `repair` would do, changing nothing.

        Args:
            source: another store's folder, which may have what is lost.
            progress: told (what, bytes done, bytes in all).

        Raises:
            NoStore, StorageFailed.
        """
        from mstore.maintain.repair import plan_repair

        if source is None:
            return plan_repair(self._context, progress=progress)
        with open(store=source) as other:
            return plan_repair(self._context, source=other.store, progress=progress)

    def run_repair(self, plan: RepairPlan, *, progress: Progress | None = None) -> RepairResult:
        """Do what `plan_repair` found. Raises NoStore, Conflict, StorageFailed."""
        from mstore.maintain.repair import run_repair

        if plan.source is None:
            return run_repair(self._context, plan, progress=progress)
        with open(store=plan.source) as other:
            return run_repair(self._context, plan, source=other.store, progress=progress)

    def plan_gc(self, *, now: bool = False) -> GcPlan:
        """Find what no name needs, changing nothing. Raises Corrupt, NotFound."""
        from mstore.maintain.gc import plan_gc

        return plan_gc(self._context, now=now)

    def gc(
        self, plan: GcPlan | None = None, *, now: bool = False, progress: Progress | None = None
    ) -> GcResult:
        """Give back the bytes that no name needs.

        Args:
            plan: from `plan_gc`; None: one made now.
            now: where no plan is given: moves in reflogs keep nothing, and the trash is emptied.
            progress: told (what, bytes done, bytes in all).

        Raises:
            Conflict, Corrupt, NotFound, StorageFailed.
        """
        from mstore.maintain.gc import plan_gc
        from mstore.maintain.gc_run import run_gc

        if plan is not None:
            return run_gc(self._context, plan, progress=progress)
        with contextlib.suppress(Conflict):  # Packs came or went since the plan was made.
            return run_gc(self._context, plan_gc(self._context, now=now), progress=progress)
        return run_gc(self._context, plan_gc(self._context, now=now), progress=progress)

    def run_gc(self, plan: GcPlan, *, progress: Progress | None = None) -> GcResult:
        """Do what `plan_gc` found. Raises Conflict, Corrupt, StorageFailed."""
        from mstore.maintain.gc_run import run_gc

        return run_gc(self._context, plan, progress=progress)

    def plan_forget(
        self,
        *roles: str,
        keep_last: int = 1,
        keep_best: str | None = None,
        branch: str | None = None,
    ) -> ForgetPlan:
        """Find what `forget` would drop; see `plan_forget`."""
        from mstore.maintain.forget import plan_forget

        return plan_forget(
            self._context, roles, keep_last=keep_last, keep_best=keep_best, branch=branch
        )

    def forget(
        self,
        *roles: str,
        keep_last: int = 1,
        keep_best: str | None = None,
        branch: str | None = None,
        progress: Progress | None = None,
    ) -> ForgetResult:
        """Drop files of some roles from old versions for good; see `plan_forget`.

        Raises:
            UsageError, RevisionNotFound, Conflict, Corrupt, StorageFailed.
        """
        plan = self.plan_forget(*roles, keep_last=keep_last, keep_best=keep_best, branch=branch)
        return self.run_forget(plan, progress=progress)

    def run_forget(self, plan: ForgetPlan, *, progress: Progress | None = None) -> ForgetResult:
        """Do what `plan_forget` found. Raises Conflict, Corrupt, StorageFailed."""
        from mstore.maintain.forget import run_forget

        return run_forget(self._context, plan, progress=progress)

    def repack(self, *, progress: Progress | None = None) -> RepackResult:
        """Re-encode objects with better delta bases, and merge small packs.

        Raises:
            Conflict, Corrupt, StorageFailed.
        """
        from mstore.maintain.repack import repack

        return repack(self._context, progress=progress)

    def plan_repack(self) -> RepackPlan:
        """Find what `repack` would re-encode, changing nothing. Raises Corrupt."""
        from mstore.maintain.repack import plan_repack

        return plan_repack(self._context)

    def run_repack(self, plan: RepackPlan, *, progress: Progress | None = None) -> RepackResult:
        """Do what `plan_repack` found. Raises Conflict, Corrupt, StorageFailed."""
        from mstore.maintain.repack import run_repack

        return run_repack(self._context, plan, progress=progress)

    # -- names

    def branches(self) -> dict[str, CommitId]:
        """Branches and their commits."""
        return {b.name: b.id for b in self.list_branches()}

    def list_branches(self) -> tuple[Branch, ...]:
        """Branches, by name."""
        from mstore.history.branches import branches

        return branches(self._context)

    def make_branch(
        self, name: str, rev: AnyRevision | None = None, *, force: bool = False
    ) -> CommitId:
        """Make a branch. Raises Conflict, InvalidInput."""
        from mstore.history.branches import make_branch

        return make_branch(
            self._context, name, self.resolve("HEAD" if rev is None else rev), force=force
        )

    def delete_branch(self, name: str) -> CommitId:
        """Delete a branch; gives the commit that it had. Raises RevisionNotFound, UsageError."""
        from mstore.history.branches import delete_branch

        return delete_branch(self._context, name)

    def rename_branch(self, old: str, new: str) -> None:
        """Rename a branch. Raises RevisionNotFound, Conflict."""
        from mstore.history.branches import rename_branch

        rename_branch(self._context, old, new)

    def list_tags(self) -> tuple[TagEntry, ...]:
        """Tags, by name."""
        from mstore.history.tags import tags

        return tags(self._context)

    def make_tag(
        self,
        name: str,
        rev: AnyRevision | None = None,
        *,
        message: str | None = None,
        force: bool = False,
    ) -> CommitId:
        """Tag a version. Raises Conflict, InvalidInput."""
        from mstore.history.tags import make_tag

        id = self.resolve("HEAD" if rev is None else rev)
        return make_tag(self._context, name, id, message=message, force=force)

    def delete_tag(self, name: str) -> CommitId:
        """Delete a tag. Raises RevisionNotFound."""
        from mstore.history.tags import delete_tag

        return delete_tag(self._context, name)

    def rename_tag(self, old: str, new: str) -> None:
        """Rename a tag. Raises RevisionNotFound, Conflict."""
        from mstore.history.tags import rename_tag

        rename_tag(self._context, old, new)

    def reflog(self, name: str | None = None) -> tuple[Record, ...]:
        """Moves of a ref, the latest first. Raises RevisionNotFound, NotFound."""
        from mstore.history.reflog import reflog

        return reflog(self._context, name)[1]

    def undo(self, name: str | None = None) -> Undone:
        """Take back one's own last move. Raises UsageError, RefMoved, Dirty."""
        from mstore.checkout.undo import undo

        return undo(self._context, name)


def diff(a: str | Path, b: str | Path, *, stat: bool = False) -> DiffResult:
    """How two folders differ, without any store.

    Args:
        a, b: model or adapter folders.
        stat: by how much tensors differ, and what LoRA adapters do, too.

    Raises:
        InvalidInput: a file breaks a rule.
    """
    from mstore.api.results import Difference, rendered
    from mstore.compare.diff import diff as compare
    from mstore.compare.diff import side_of

    return rendered(Difference, compare(side_of(None, Path(a)), side_of(None, Path(b)), stat=stat))


def weights_id(folder: str | Path) -> str:
    """The weights id of a model or adapter folder, without any store.

    Args:
        folder: what `save_pretrained` wrote.

    Raises:
        InvalidInput: its root holds no weights, or a file breaks a rule.
    """
    from mstore.modeldir.read import folder_weights

    found = folder_weights(Path(folder))
    if "" not in found:
        raise InvalidInput(str(folder), "holds no weights")
    return found[""].hex
