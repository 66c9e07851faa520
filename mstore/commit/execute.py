"""Run a commit: a model directory becomes a version.

The stages, each of which calls the next room and is called by none: open and cut files
(`modeldir.read`), code and store their blobs (`store.transaction`), collect the tree, its facts
and its base, store layouts, manifest and commit, publish the pack, move the branch. Blobs come
before layouts and manifest, these before the commit, and that before the ref: a crash at any
point leaves the branch where it was.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from mstore.commit.base_model import base_of_facts, base_of_version
from mstore.commit.facts import facts_with_trainer, recorded_metadata, token_warnings
from mstore.commit.message import message_of
from mstore.commit.options import CommitOptions, CommitResult
from mstore.commit.plan import CommitPlan, plan_commit
from mstore.commit.unchanged import run_unchanged
from mstore.context import Context, ref_move
from mstore.errors import ObjectRemoved, RefMoved, StorageFailed
from mstore.history.sizes import sizes_of
from mstore.modeldir.delta_bases import DeltaBases
from mstore.modeldir.read import Tree, TreeBuilder, index_warnings, open_cut, remember
from mstore.objects import Base, Commit, CommitId, Manifest, ManifestFile, Time
from mstore.store.transaction import Counts, Transaction

if TYPE_CHECKING:
    from pathlib import Path

    from mstore.formats import Facts
    from mstore.progress import Progress
    from mstore.store import Store

_APPEND_TRIES: Final = 100
_REMOVED_TRIES: Final = 3


@dataclass(frozen=True)
class _Version:
    """A version whose blobs are stored: everything that its commit records."""

    tree: Tree
    manifest: Manifest
    facts: Facts
    metrics: dict[str, float]
    warnings: tuple[str, ...]


def commit(
    context: Context, path: Path | None, options: CommitOptions, *, progress: Progress | None = None
) -> CommitResult:
    """Commit a folder: plan, then run.

    Args:
        context: the store, and the workspace if there is one.
        path: the folder; None: the model directory.
        options: how to commit.
        progress: called with bytes done.

    Raises:
        UsageError: no folder or no branch is clear.
        InvalidInput: the folder breaks a rule; nothing was changed.
        RefMoved: another process moved the branch meanwhile.
        NotFound, StorageFailed.
    """
    return run_commit(context, plan_commit(context, path, options), progress=progress)


def run_commit(context: Context, plan: CommitPlan, *, progress: Progress | None = None) -> CommitResult:
    """Run a plan; errors as those of `commit`.

    Args:
        context: the store, and the workspace if there is one.
        plan: from `plan_commit`.
        progress: called with bytes done.
    """
    if plan.unchanged:
        return run_unchanged(context, plan)
    for _ in range(_REMOVED_TRIES):
        try:
            return _store_version(context, plan, progress)
        except ObjectRemoved:
            context.store.refresh()  # gc removed an object that was stored before: store it again.
    return _store_version(context, plan, progress)


def _store_version(context: Context, plan: CommitPlan, progress: Progress | None) -> CommitResult:
    store = context.store
    index = index_warnings(plan.scan, allow_incomplete=plan.options.allow_incomplete)
    parent_manifest = store.manifest(plan.parent.manifest) if plan.parent is not None else None
    base = base_of_version(store, plan.base_id) if plan.base_id is not None else None
    with Transaction(store) as transaction:
        bases = _delta_bases(store, parent_manifest, base)
        tree = _store_files(store, transaction, plan, bases, progress)
        version = _described(plan, tree, index)
        if (
            plan.parent is not None
            and version.manifest.id == plan.parent.manifest
            and not plan.options.allow_empty
        ):
            if context.stat_cache is not None:
                remember(context.stat_cache, tree, plan.read_at_ns)
            return run_unchanged(context, plan, metrics=version.metrics, warnings=version.warnings)
        made = _commit_of(context, plan, version, base)
        _publish(transaction, version, made)
        counts = transaction.counts
        made = _move_branch(context, plan, made)
    return _finish(context, plan, version, made, parent_manifest, counts)


# -- the stages


def _delta_bases(store: Store, parent: Manifest | None, base: Base | None) -> DeltaBases | None:
    manifests = [parent] if parent is not None else []
    if base is not None and base.commit is not None:
        manifests.append(store.manifest(store.commit(base.commit).manifest))
    return DeltaBases(store, manifests) if manifests else None


def _store_files(
    store: Store,
    transaction: Transaction,
    plan: CommitPlan,
    bases: DeltaBases | None,
    progress: Progress | None,
) -> Tree:
    """Read and cut the files that may have changed, store their blobs, give the whole tree."""
    cached = {path: entry for path, entry in plan.cached.items() if _is_stored(store, entry)}
    options = plan.options
    builder = TreeBuilder(plan.scan, cached=cached, without=options.without, load_layout=store.layout)
    total = sum(f.stamp.size_bytes for f in plan.scan.files if f.path not in cached)
    done = 0

    def advance(more: int) -> None:
        nonlocal done
        done += more
        if progress is not None:
            progress("storing", done, total)

    cut = open_cut(builder.unread, strict=options.strict, allow_opaque=options.allow_opaque)
    for batch in cut:
        blobs = [blob for file in batch for blob in file.blobs(bases)]
        builder.add(batch, transaction.store_blobs(blobs, progress=advance))
    return builder.tree()


def _is_stored(store: Store, entry: ManifestFile) -> bool:
    if entry.layout is not None and not store.has(entry.layout):
        return False
    return all(store.has(blob) for blob in {s.blob for s in entry.segments})


def _described(plan: CommitPlan, tree: Tree, index: tuple[str, ...]) -> _Version:
    facts = facts_with_trainer(tree, plan.scan)
    token = token_warnings(plan.scan, plan.options)
    metrics = {**(facts.trainer.metrics if facts.trainer else {}), **plan.options.metrics}
    warnings = (*index, *tree.warnings, *facts.warnings, *token)
    return _Version(tree, tree.manifest, facts, metrics, warnings)


def _commit_of(context: Context, plan: CommitPlan, version: _Version, base: Base | None) -> Commit:
    message = plan.options.message
    return Commit(
        (plan.parent_id,) if plan.parent_id is not None else (),
        version.manifest.id,
        context.author,
        Time.now(),
        message or message_of(version.facts, version.metrics, first=plan.parent is None),
        recorded_metadata(version.facts, plan.options),
        version.metrics,
        version.tree.weights(),
        base or base_of_facts(context, version.facts, plan.scan.root),
    )


def _publish(transaction: Transaction, version: _Version, made: Commit) -> None:
    """Store layouts, manifest and commit, and make the pack visible."""
    for layout in version.tree.layouts.values():
        transaction.put(layout)
    transaction.put(version.manifest)
    transaction.put(made)
    transaction.protect(made.parents)
    transaction.protect(id for file in version.manifest.files for id in file.objects)
    transaction.publish()


def _move_branch(context: Context, plan: CommitPlan, made: Commit) -> Commit:
    """Move the branch to the commit; with `append`, the commit follows a tip that moved meanwhile."""
    refs, branch = context.store.refs, plan.branch
    expected: CommitId | None = None if plan.is_new else plan.parent_id
    for _ in range(_APPEND_TRIES):
        move = context.move("commit", made.message.partition("\n")[0])
        here = ref_move(f"heads/{branch}", expected, made.id)
        try:
            with context.journaled(f"commit {made.id.short} on {branch}", here):
                refs.move(f"heads/{branch}", made.id, move, expected=expected)
        except RefMoved:
            tip = context.branch_tip(branch)
            if not plan.options.append:
                refs.record_refused(f"heads/{branch}", made.id, move)
                raise RefMoved(
                    branch,
                    hint=f"your version is stored as {made.id.short}; `mstore log {branch}` shows"
                    " the other one; run the same command again (or --append) to commit yours after it",
                ) from None
            made = replace(made, parents=(tip,) if tip is not None else ())
            expected = tip
            with Transaction(context.store, threads=1) as transaction:
                transaction.put(made)
                transaction.publish()
            continue
        return made
    raise RefMoved(branch, hint=f"your version is stored as {made.id.short}")


def _finish(
    context: Context,
    plan: CommitPlan,
    version: _Version,
    made: Commit,
    parent_manifest: Manifest | None,
    counts: Counts,
) -> CommitResult:
    """Record what was read and its sizes for the next time; a failure leaves the commit valid."""
    warnings = list(version.warnings)
    if context.stat_cache is not None:
        remember(context.stat_cache, version.tree, plan.read_at_ns)
    sizes = sizes_of(version.manifest, parent_manifest, version.tree.tensor_count)
    context.store.catalog.note_sizes(made.id, sizes)
    if context.workspace is not None and plan.options.by_hand and plan.named:
        try:
            context.workspace.bind(plan.scan.root)
        except StorageFailed as error:
            warnings.append(
                f"{plan.scan.root} was not recorded as the model directory: {error.message}"
            )
    return CommitResult(
        id=made.id,
        commit=made,
        branch=plan.branch,
        created=True,
        facts=version.facts,
        sizes=sizes,
        new_bytes=counts.new_bytes,
        stored_bytes=counts.new_stored_bytes,
        ignored=plan.scan.ignored,
        warnings=tuple(warnings),
    )
