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

from mstore.api.stores import open_store
from mstore.errors import Conflict, UsageError
from mstore.workspace import CONFIG_KEYS, USER_CACHE, Workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from typing import Unpack

    from mstore.api.results.log import Versions
    from mstore.api.results.status import WorkspaceStatus
    from mstore.checkout.execute import CheckoutResult
    from mstore.checkout.plan import CheckoutPlan
    from mstore.checkout.undo import Undone
    from mstore.checkout.undo_plan import UndoPlan
    from mstore.commit.fields import CommitFields
    from mstore.commit.importing import ImportPlan, ImportResult, PlannedImport
    from mstore.commit.options import CommitOptions, CommitResult
    from mstore.commit.plan import CommitPlan
    from mstore.compare.diff import DiffResult
    from mstore.compare.versions import Comparison
    from mstore.context import Context
    from mstore.formats import Facts
    from mstore.history.branches import Branch
    from mstore.history.entry import LogEntry
    from mstore.history.log import Log
    from mstore.history.query.resolve import AnyRevision, Resolved
    from mstore.history.show import CommitDetails
    from mstore.history.tags import TagEntry
    from mstore.history.tensors import Tensor, TensorRef
    from mstore.maintain.du import Usage
    from mstore.maintain.forget import ForgetPlan, ForgetResult
    from mstore.maintain.fsck import FsckResult
    from mstore.maintain.gc_plan import GcPlan
    from mstore.maintain.gc_run import GcResult
    from mstore.maintain.repack import RepackPlan, RepackResult
    from mstore.maintain.repair import RepairPlan, RepairResult
    from mstore.objects import Base, Commit, CommitId, Layout, Manifest, ManifestFile, NoteId
    from mstore.progress import Progress
    from mstore.staging.resume import ResumeResult
    from mstore.store import Record, Store
    from mstore.workspace import Head


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
        """The context of its operations."""
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
        """HEAD of the workspace, or None without one."""
        return self._context.head

    @property
    def location(self) -> str:
        """The location of the store."""
        return self.store.location

    @property
    def author(self) -> str:
        """The author of changes: as given, as configured, as git knows them, or the login."""
        return self._context.author

    @property
    def network_disk(self) -> str | None:
        """The type of the network file system that the store lies on, or None on a local disk."""
        from mstore.fs.mounts import network_type

        return next(filter(None, map(network_type, self.store.folders)), None)

    def free_bytes(self) -> int | None:
        """Give how many bytes are free where the store lies, or None where that is unknown."""
        return self.store.backend.free_bytes()

    # -- writing

    def commit(
        self,
        path: str | Path | None = None,
        options: CommitOptions | None = None,
        *,
        author: str | None = None,
        progress: Progress | None = None,
        **fields: Unpack[CommitFields],
    ) -> CommitResult:
        """Commit a folder: plan, then run.

        Args:
            path: the folder; None: the model directory.
            options: how to commit; or its fields as keywords.
            author: who commits, for this commit alone.
            progress: called with (what, bytes done, bytes in all).
            fields: see `mstore.commit.options.CommitOptions`.

        Raises:
            UsageError, InvalidInput, RefMoved, NotFound, StorageFailed.
        """
        return self.run_commit(
            self.plan_commit(path, options, **fields), author=author, progress=progress
        )

    def plan_commit(
        self,
        path: str | Path | None = None,
        options: CommitOptions | None = None,
        **fields: Unpack[CommitFields],
    ) -> CommitPlan:
        """Plan a commit, and change nothing; arguments and errors as for `commit`."""
        from mstore.commit.options import CommitOptions
        from mstore.commit.plan import plan_commit

        if options is None:
            options = CommitOptions.of(fields)
        elif fields:
            raise UsageError("give options, or their fields as keywords, not both")
        return plan_commit(self._context, Path(path) if path is not None else None, options)

    def run_commit(
        self, plan: CommitPlan, *, author: str | None = None, progress: Progress | None = None
    ) -> CommitResult:
        """Run the plan of `plan_commit`; arguments and errors as for `commit`."""
        from mstore.api.results.committing import PrintableCommit

        context = self._context if author is None else replace(self._context, author_given=author)
        if plan.unchanged:
            # The end of most commits of a watched folder: nothing more is loaded for it.
            from mstore.commit.unchanged import run_unchanged

            return PrintableCommit.of(run_unchanged(context, plan))
        from mstore.commit.execute import run_commit

        return PrintableCommit.of(run_commit(context, plan, progress=progress))

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
        """Write a version into a folder: plan, then run; see `mstore.checkout.execute.checkout`."""
        from mstore.api.results.moving import PrintableCheckout
        from mstore.checkout.execute import checkout

        done = checkout(
            self._context,
            rev,
            to=Path(to) if to is not None else None,
            force=force,
            new_branch=new_branch,
            progress=progress,
        )
        return PrintableCheckout.of(done)

    def plan_checkout(
        self,
        rev: AnyRevision,
        *,
        to: str | Path | None = None,
        force: bool = False,
        new_branch: str | None = None,
    ) -> CheckoutPlan:
        """Plan a checkout, and change nothing; errors as for `checkout`."""
        from mstore.checkout.plan import plan_checkout

        return plan_checkout(
            self._context,
            rev,
            to=Path(to) if to is not None else None,
            force=force,
            new_branch=new_branch,
        )

    def run_checkout(self, plan: CheckoutPlan, *, progress: Progress | None = None) -> CheckoutResult:
        """Run the plan of `plan_checkout`. Raises Conflict where it no longer holds."""
        from mstore.api.results.moving import PrintableCheckout
        from mstore.checkout.execute import run_checkout

        return PrintableCheckout.of(run_checkout(self._context, plan, progress=progress))

    def resume(
        self,
        rev: AnyRevision,
        *,
        to: str | Path,
        force: bool = False,
        progress: Progress | None = None,
    ) -> ResumeResult:
        """Write a version out so that training can go on from it; see `staging.resume`."""
        from mstore.api.results.moving import PrintableResume
        from mstore.staging.resume import resume

        done = resume(self._context, rev, Path(to), force=force, progress=progress)
        return PrintableResume.of(done)

    def path(self, rev: AnyRevision, *, limit_bytes: int | None = None) -> Path:
        """Write a version into a cache of read-only folders, for libraries that take a path.

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
        folders: Iterable[str | Path] | str | Path,
        *,
        branch: str | None = None,
        dry_run: bool = False,
        progress: Progress | None = None,
    ) -> ImportResult:
        """Turn checkpoint folders into history: plan, then run.

        Args:
            folders: checkpoint folders, or parents of some.
            branch: onto this one; None: one each, named like the folder.
            dry_run: plan only; `commits` of the result is empty then.
            progress: called with (what, bytes done, bytes in all).

        Raises:
            NotFound, InvalidInput, StorageFailed.
        """
        plan = self.plan_import(folders, branch=branch)
        if dry_run:
            from mstore.api.results.importing import PrintableImport

            return PrintableImport(planned=plan.folders, size_bytes=plan.size_bytes)
        return self.run_import(plan, progress=progress)

    def plan_import(
        self, folders: Iterable[str | Path] | str | Path, *, branch: str | None = None
    ) -> ImportPlan:
        """Find checkpoint folders and their order, and change nothing; see `import_folders`."""
        from mstore.commit.importing import plan_import

        named = [folders] if isinstance(folders, (str, Path)) else folders
        return plan_import([Path(f) for f in named], branch=branch)

    def run_import(
        self,
        plan: ImportPlan,
        *,
        on_commit: Callable[[PlannedImport, CommitResult], None] | None = None,
        progress: Progress | None = None,
    ) -> ImportResult:
        """Run the plan of `plan_import`.

        Args:
            plan: from `plan_import`.
            on_commit: called with each folder and its commit as it is made.
            progress: called with (what, bytes done, bytes in all).

        Raises:
            InvalidInput: a folder breaks a rule; what came before it stays committed.
            StorageFailed.
        """
        from mstore.api.results.importing import PrintableImport
        from mstore.commit.importing import run_import

        done = run_import(self._context, plan, on_commit=on_commit, progress=progress)
        return PrintableImport.of(done)

    # -- looking

    def config(self) -> dict[str, str]:
        """Give what this workspace is configured to, by key. Raises UsageError without a workspace."""
        return self._context.need_workspace("config").config()

    @staticmethod
    def config_keys() -> Mapping[str, str]:
        """Give the keys that a workspace can be configured by, and what each is for."""
        return CONFIG_KEYS

    def config_value(self, key: str) -> str | None:
        """Give one configured value, or None. Raises UsageError: no workspace, or no such key."""
        return self._context.need_workspace("config").config_value(key)

    def set_config(self, key: str, value: str | None) -> None:
        """Set a value of this workspace's configuration, or remove it.

        Args:
            key: see `mstore config`.
            value: the value; None removes it.

        Raises:
            UsageError: there is no workspace, no such key, or the value makes no sense.
            StorageFailed: the system failed.
        """
        self._context.need_workspace("config").set_config(key, value)

    def staged(self) -> tuple[tuple[Path, int], ...]:
        """List queues of training runs, and how many saves in each no commit holds yet."""
        if self.workspace is None or not (self.workspace.path / "staged").is_dir():
            return ()
        from mstore.staging.queue import registered

        counts = ((queue.path, queue.unfinished()) for queue in registered(self.workspace.path))
        return tuple((path, count) for path, count in counts if count)

    def status(self) -> WorkspaceStatus:
        """Return HEAD and what changed in the model directory. Raises UsageError, InvalidInput."""
        from mstore.api.results.status import WorkspaceStatus
        from mstore.history.status import status

        return WorkspaceStatus.of(status(self._context), staged=self.staged())

    def look_up(self, rev: AnyRevision) -> Resolved:
        """Resolve a revision: its commit, the branch it names, a warning.

        Every method that takes a version takes what this gives, and looks nothing up then.

        Args:
            rev: text, a parsed revision, a commit's id, or a resolved revision.

        Raises:
            RevisionNotFound, Ambiguous, UsageError.
        """
        from mstore.history.query.resolve import resolved

        return resolved(self._context, rev)

    def resolve(self, rev: AnyRevision) -> CommitId:
        """Give the commit that a revision names. Raises RevisionNotFound, Ambiguous, UsageError."""
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
        """List versions, the latest first; see `history.log.filter_and_sort` for `where` and `sort`.

        Raises:
            RevisionNotFound, Ambiguous, Corrupt, UsageError.
        """
        from mstore.api.results.log import Versions

        return Versions(islice(self.versions(rev, all=all, where=where, sort=sort).entries, limit))

    def versions(
        self,
        rev: AnyRevision | None = None,
        *,
        all: bool = False,  # noqa: A002 - the option's name on the command line
        where: str | None = None,
        sort: str | None = None,
    ) -> Log:
        """Walk versions as `log` gives them, one at a time, for a history of any length.

        Args:
            rev: where to begin; None: HEAD, or all branches where HEAD has no commit.
            all: from all branches and tags.
            where: a condition; see docs/cli.md.
            sort: a column, with `-` before it for the largest first.

        Raises:
            RevisionNotFound, Ambiguous, Corrupt, UsageError.
        """
        from mstore.history.log import filter_and_sort, log

        found = log(self._context, self.resolve(rev) if rev is not None else None, everything=all)
        return replace(found, entries=filter_and_sort(found.entries, where, sort))

    def entries(self, ids: Iterable[CommitId]) -> dict[CommitId, LogEntry]:
        """Give some versions as `log` shows them. Raises NotFound, Corrupt."""
        from mstore.history.entry import entries_of

        return entries_of(self._context, ids)

    def count_elsewhere(self, tips: tuple[CommitId, ...]) -> int:
        """Count the commits that branches and tags reach and some tips do not."""
        from mstore.history.log import elsewhere

        return elsewhere(self._context, tips)

    def compare(self, *revs: AnyRevision, everything: bool = False) -> Comparison:
        """Compare versions; see `mstore.compare.versions.compare`."""
        from mstore.api.results.comparing import Compared
        from mstore.compare.versions import compare

        return Compared.of(compare(self._context, revs, everything=everything))

    def show(self, rev: AnyRevision = "HEAD") -> CommitDetails:
        """Describe a version in full. Raises RevisionNotFound, Ambiguous, Corrupt."""
        from mstore.api.results.showing import PrintableVersion
        from mstore.history.show import show

        return PrintableVersion.of(show(self._context, self.resolve(rev)))

    def diff(
        self,
        a: AnyRevision | Path = "HEAD",
        b: AnyRevision | Path | None = None,
        *,
        stat: bool = False,
        progress: Progress | None = None,
    ) -> DiffResult:
        """Compare two sides; see `mstore.compare.diff.diff`.

        Args:
            a: a revision, or a folder: a `Path`, or text that `docs/cli.md` says is one.
            b: likewise; None: the model directory.
            stat: how much each tensor changed, too.
            progress: called with (what, bytes done, bytes in all).
        """
        from mstore.api.results.comparing import Difference
        from mstore.compare.diff import diff, side_of

        one, other = side_of(self._context, a), side_of(self._context, b)
        return Difference.of(diff(one, other, stat=stat, progress=progress))

    def manifest(self, rev: AnyRevision) -> Manifest:
        """Give the files of a version. Raises RevisionNotFound, Ambiguous, Corrupt."""
        from mstore.history.show import manifest_of

        return manifest_of(self._context, self.resolve(rev))

    def read_commit(self, rev: AnyRevision) -> Commit:
        """Read the commit that a revision names. Raises RevisionNotFound, Ambiguous, Corrupt."""
        return self.store.commit(self.resolve(rev))

    def read_layout(self, file: ManifestFile) -> Layout | None:
        """Give which tensors lie where in a file of a version; None: it holds none."""
        return self.store.layout(file.layout) if file.layout is not None else None

    def find_base(self, base: Base) -> CommitId | None:
        """Find the version that a commit recorded as its base, or one of equal weights."""
        from mstore.commit.base_model import find_base

        return find_base(self.store, base)

    def facts(self, rev: AnyRevision) -> Facts:
        """Read the facts of a version from its files. Raises RevisionNotFound, Ambiguous, Corrupt."""
        from mstore.modeldir.stored_tree import facts_of_manifest

        return facts_of_manifest(self.store, self.manifest(rev))

    def cat(self, rev: AnyRevision, path: str) -> Iterator[Any]:
        """Read a file in parts. Raises NotFound, Corrupt."""
        from mstore.history.show import cat

        return cat(self._context, self.resolve(rev), path)

    def read_file(self, rev: AnyRevision, path: str) -> bytes:
        """Read a whole file. Raises NotFound, Corrupt."""
        return b"".join(self.cat(rev, path))

    def tensors(self, rev: AnyRevision) -> tuple[TensorRef, ...]:
        """List the tensors of a version. Raises RevisionNotFound, Corrupt."""
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
        """Read a tensor: its dtype, shape and bytes, or some of its rows.

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
        """Measure what versions, and the store, cost. Raises RevisionNotFound, Ambiguous, Corrupt."""
        from mstore.api.results.maintaining import PrintableUsage
        from mstore.maintain.du import du

        return PrintableUsage.of(du(self._context, [self.resolve(rev) for rev in revs]))

    def fsck(self, *, quick: bool = False, progress: Progress | None = None) -> FsckResult:
        """Check the store. Raises StorageFailed."""
        from mstore.api.results.maintaining import PrintableCheck
        from mstore.maintain.fsck import fsck

        return PrintableCheck.of(fsck(self._context, quick=quick, progress=progress))

    def repair(
        self, *, source: str | Path | None = None, progress: Progress | None = None
    ) -> RepairResult:
        """Repair what can be repaired.

        Args:
            source: another store's folder, from which lost objects are taken.
            progress: called with (what, bytes done, bytes in all).

        Raises:
            NoStore, Conflict, StorageFailed.
        """
        from mstore.api.results.maintaining import PrintableRepair
        from mstore.maintain.repair import repair

        with self._source(source) as other:
            return PrintableRepair.of(repair(self._context, source=other, progress=progress))

    def plan_repair(
        self, *, source: str | Path | None = None, progress: Progress | None = None
    ) -> RepairPlan:
        """Check every byte and find what `repair` would do, changing nothing.

        Args:
            source: another store's folder, which may have the lost objects.
            progress: called with (what, bytes done, bytes in all).

        Raises:
            NoStore, StorageFailed.
        """
        from mstore.maintain.repair import plan_repair

        with self._source(source) as other:
            return plan_repair(self._context, source=other, progress=progress)

    def run_repair(self, plan: RepairPlan, *, progress: Progress | None = None) -> RepairResult:
        """Run the plan of `plan_repair`. Raises NoStore, Conflict, StorageFailed."""
        from mstore.api.results.maintaining import PrintableRepair
        from mstore.maintain.repair import run_repair

        with self._source(plan.source) as other:
            done = run_repair(self._context, plan, source=other, progress=progress)
        return PrintableRepair.of(done)

    @contextlib.contextmanager
    def _source(self, path: str | Path | None) -> Iterator[Store | None]:
        """Open the store that a repair fetches from; None for none."""
        if path is None:
            yield None
            return
        with contextlib.closing(open_store(path, self._cache or USER_CACHE.expanduser())) as other:
            yield other

    def plan_gc(self, *, now: bool = False) -> GcPlan:
        """Plan a gc: find unneeded objects, changing nothing. Raises Corrupt, NotFound."""
        from mstore.maintain.gc import plan_gc

        return plan_gc(self._context, now=now)

    def gc(
        self, plan: GcPlan | None = None, *, now: bool = False, progress: Progress | None = None
    ) -> GcResult:
        """Give back the bytes that no name needs.

        Args:
            plan: from `plan_gc`; None: one made now.
            now: where no plan is given: moves in reflogs keep nothing, and the trash is emptied.
            progress: called with (what, bytes done, bytes in all).

        Raises:
            Conflict, Corrupt, NotFound, StorageFailed.
        """
        if plan is not None:
            return self.run_gc(plan, progress=progress)
        with contextlib.suppress(Conflict):  # Packs came or went since the plan was made.
            return self.run_gc(self.plan_gc(now=now), progress=progress)
        return self.run_gc(self.plan_gc(now=now), progress=progress)

    def run_gc(self, plan: GcPlan, *, progress: Progress | None = None) -> GcResult:
        """Run the plan of `plan_gc`. Raises Conflict, Corrupt, StorageFailed."""
        from mstore.api.results.maintaining import PrintableGc
        from mstore.maintain.gc_run import run_gc

        return PrintableGc.of(run_gc(self._context, plan, progress=progress))

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
        """Run the plan of `plan_forget`. Raises Conflict, Corrupt, StorageFailed."""
        from mstore.api.results.maintaining import PrintableForget
        from mstore.maintain.forget import run_forget

        return PrintableForget.of(run_forget(self._context, plan, progress=progress))

    def repack(self, *, progress: Progress | None = None) -> RepackResult:
        """Re-encode objects with better delta bases, and merge small packs.

        Raises:
            Conflict, Corrupt, StorageFailed.
        """
        from mstore.api.results.maintaining import PrintableRepack
        from mstore.maintain.repack import repack

        return PrintableRepack.of(repack(self._context, progress=progress))

    def plan_repack(self) -> RepackPlan:
        """Find what `repack` would re-encode, changing nothing. Raises Corrupt."""
        from mstore.maintain.repack import plan_repack

        return plan_repack(self._context)

    def run_repack(self, plan: RepackPlan, *, progress: Progress | None = None) -> RepackResult:
        """Run the plan of `plan_repack`. Raises Conflict, Corrupt, StorageFailed."""
        from mstore.api.results.maintaining import PrintableRepack
        from mstore.maintain.repack import run_repack

        return PrintableRepack.of(run_repack(self._context, plan, progress=progress))

    # -- names

    def ref_names(self) -> tuple[str, ...]:
        """List the names of branches and tags; no commit is read for them."""
        refs = self.store.refs
        return (*refs.names("heads"), *refs.names("tags"))

    def branches(self) -> dict[str, CommitId]:
        """Return branches and their commits."""
        return {b.name: b.id for b in self.list_branches()}

    def list_branches(self) -> tuple[Branch, ...]:
        """List branches, by name."""
        from mstore.api.results.names import Branches
        from mstore.history.branches import branches

        return Branches(branches(self._context))

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
        """List tags, by name."""
        from mstore.api.results.names import Tags
        from mstore.history.tags import tags

        return Tags(tags(self._context))

    def make_tag(
        self,
        name: str,
        rev: AnyRevision | None = None,
        *,
        message: str | None = None,
        force: bool = False,
    ) -> CommitId:
        """Create or move a tag. Raises Conflict, InvalidInput."""
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
        """Give moves of a ref, the latest first. Raises RevisionNotFound, NotFound."""
        from mstore.api.results.names import Moves
        from mstore.history.reflog import reflog

        full, records = reflog(self._context, name)
        moves = Moves(records)
        moves.label = full.partition("/")[2]
        return moves

    def undo(self, name: str | None = None) -> Undone:
        """Undo one's own last operation. Raises UsageError, RefMoved, Dirty."""
        from mstore.api.results.moving import PrintableUndo
        from mstore.checkout.undo import undo

        return PrintableUndo.of(undo(self._context, name))

    def plan_undo(self, name: str | None = None) -> UndoPlan:
        """Find what `undo` would take back, and change nothing; errors as for `undo`."""
        from mstore.checkout.undo_plan import plan_undo

        return plan_undo(self._context, name)

    def run_undo(self, plan: UndoPlan) -> Undone:
        """Run the plan of `plan_undo`; errors as for `undo`."""
        from mstore.api.results.moving import PrintableUndo
        from mstore.checkout.undo import run_undo

        return PrintableUndo.of(run_undo(self._context, plan))
