"""commit: a model directory becomes a version.

Blobs, then layouts and manifest, then the commit, then the ref: a crash at any
point leaves the branch where it was.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mstore.commit.environment import environment
from mstore.commit.plan import CommitOptions, CommitResult, CommitStart, start_commit, unchanged
from mstore.context import Context, display_path, ref_move
from mstore.errors import (
    InvalidInput,
    MStoreError,
    ObjectRemoved,
    RefMoved,
    StorageFailed,
    UsageError,
)
from mstore.formats import Facts, holds_token, role_of
from mstore.formats.facts.describe import adapter_of
from mstore.history.query.resolve import resolved
from mstore.history.sizes import sizes_of
from mstore.modeldir.delta_bases import DeltaBases
from mstore.modeldir.read import (
    FindBase,
    Tree,
    folder_weights,
    index_warnings,
    read_folder,
    read_tree,
    remember,
)
from mstore.objects import (
    MODEL_ROLES,
    ROLES,
    Base,
    Commit,
    CommitId,
    LayoutId,
    Manifest,
    Time,
    WeightsId,
    holds_tensors,
)
from mstore.store.transaction import Transaction
from mstore.text import storable
from mstore.worktree.scan import OpenFile, Scan, checkpoints_in, scan

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mstore.progress import Progress
    from mstore.store import Store

_TOKEN_SCAN_BYTES: Final = 16 << 20
_APPEND_TRIES: Final = 100
_VANISHED_TRIES: Final = 3


def commit(
    context: Context, path: Path | None, options: CommitOptions, *, progress: Progress | None = None
) -> CommitResult:
    """Commit a folder.

    Args:
        context: the store, and the workspace if there is one.
        path: the folder; None: the model directory.
        options: how.
        progress: told of bytes done.

    Raises:
        UsageError: no folder or no branch is clear.
        InvalidInput: the folder breaks a rule; nothing was changed.
        RefMoved: somebody else moved the branch meanwhile.
        NotFound, StorageFailed.
    """
    started = start_commit(context, path, options)
    if isinstance(started, CommitResult):
        return started
    return finish_commit(context, started, options, progress=progress)


def finish_commit(
    context: Context, started: CommitStart, options: CommitOptions, *, progress: Progress | None = None
) -> CommitResult:
    """Store what changed, and the commit; arguments and errors as those of `commit`."""
    for _ in range(_VANISHED_TRIES):
        try:
            return _finish(context, started, options, progress)
        except ObjectRemoved:
            context.store.refresh()  # gc took what was thought to be stored: store it anew.
    return _finish(context, started, options, progress)


def _finish(
    context: Context, started: CommitStart, options: CommitOptions, progress: Progress | None
) -> CommitResult:
    found, branch, known = started.found, started.branch, dict(started.known)
    store = context.store
    _check_weights(found, options)
    warnings = list(index_warnings(found, allow_incomplete=options.allow_incomplete))
    parent_id, parent = started.parent_id, started.parent
    parent_manifest = store.manifest(parent.manifest) if parent is not None else None
    cache = context.stat_cache
    base_given = _given_base(context, options)

    with Transaction(store) as transaction:
        known = {
            p: e for p, e in known.items() if _is_stored(store, e.layout, [s.blob for s in e.segments])
        }
        total = sum(f.stamp.size_bytes for f in found.files if f.path not in known)
        done = 0

        def advance(more: int) -> None:
            nonlocal done
            done += more
            if progress is not None:
                progress("storing", done, total)

        tree = read_tree(
            found,
            lambda sources: transaction.store_blobs(sources, progress=advance),
            known=known,
            without=options.without,
            strict=options.strict,
            allow_opaque=options.allow_opaque,
            load_layout=store.layout,
            bases=_delta_bases(store, parent_manifest, base_given),
        )
        facts = _with_trainer(tree, found)
        warnings += [*tree.warnings, *facts.warnings, *_token_warning(found, options)]
        metrics = {**(facts.trainer.metrics if facts.trainer else {}), **options.metrics}
        manifest = tree.manifest
        if (
            parent is not None
            and parent_id is not None
            and manifest.id == parent.manifest
            and not options.allow_empty
        ):
            if cache is not None:
                remember(cache, tree, started.read_at_ns)
            return unchanged(
                context,
                branch,
                parent_id,
                parent,
                found,
                metrics=metrics,
                metadata=options.metadata,
                warnings=tuple(warnings),
            )
        weights = tree.weights()
        for layout in tree.layouts.values():
            transaction.put(layout)
        transaction.put(manifest)
        base = base_given or _base(context, facts, found.root)
        made = Commit(
            (parent_id,) if parent_id is not None else (),
            manifest.id,
            context.author,
            Time.now(),
            options.message or _message(facts, metrics, parent is None),
            _metadata(facts, options),
            metrics,
            weights,
            base,
        )
        transaction.put(made)
        transaction.protect(made.parents)
        transaction.protect(id for file in manifest.files for id in file.objects)
        transaction.publish()
        counts = transaction.counts
        made = _moved(context, branch, None if started.is_new else parent_id, made, options)
    if cache is not None:
        remember(cache, tree, started.read_at_ns)
    sizes = sizes_of(manifest, parent_manifest, tree.tensor_count)
    store.catalog.note_sizes(made.id, sizes)
    if context.workspace is not None and options.by_hand and started.named:
        try:
            context.workspace.bind(found.root)
        except StorageFailed as error:  # What is committed is committed.
            warnings.append(f"{found.root} was not noted as the model directory: {error.message}")
    return CommitResult(
        id=made.id,
        commit=made,
        branch=branch,
        created=True,
        facts=facts,
        sizes=sizes,
        new_bytes=counts.new_bytes,
        stored_bytes=counts.new_stored_bytes,
        ignored=found.ignored,
        warnings=tuple(warnings),
    )


def _check_weights(found: Scan, options: CommitOptions) -> None:
    if options.allow_no_weights or any(holds_tensors(role_of(p), p) for p in found.paths()):
        return
    name, checkpoints = display_path(found.root), checkpoints_in(found.root)
    if checkpoints:
        hint = (
            f"commit one: `mstore commit {name}/{checkpoints[-1]}`,"
            f" or all of them: `mstore import {name}`"
        )
    else:
        hint = "`--allow-no-weights` commits it all the same"
    raise InvalidInput(str(found.root), "holds no weights" if found.files else "is empty", hint=hint)


def _is_stored(store: Store, layout: LayoutId | None, blobs: list[Any]) -> bool:
    if layout is not None and not store.has(layout):
        return False
    return all(store.has(blob) for blob in set(blobs))


def _delta_bases(store: Store, parent: Manifest | None, base: Base | None) -> FindBase | None:
    manifests = [parent] if parent is not None else []
    if base is not None and base.commit is not None:
        manifests.append(store.manifest(store.commit(base.commit).manifest))
    return DeltaBases(store, manifests).find if manifests else None


# -- facts


def _with_trainer(tree: Tree, found: Scan) -> Facts:
    """Facts; where the folder has no trainer_state.json, those of the equal checkpoint in it."""
    facts = tree.facts()
    if facts.trainer is not None:
        return facts
    checkpoints = [
        c for c in checkpoints_in(found.root) if (found.root / c / "trainer_state.json").is_file()
    ]
    if not checkpoints:
        return facts
    own = tree.weights()
    own_sizes = _weight_sizes(tree.entries.values())
    for name in reversed(checkpoints):
        try:
            inside = scan(found.root / name)
            if not own_sizes <= {f.stamp.size_bytes for f in inside.files}:
                continue
            other = read_folder(found.root / name, without=frozenset({"training-state"}))
            if other.weights() == own:
                with_state = replace(other, found=inside).facts()
                return replace(facts, trainer=with_state.trainer)
        except MStoreError:
            continue
    return facts


def _weight_sizes(entries: Any) -> set[int]:
    return {e.size_bytes for e in entries if holds_tensors(e.role, e.path)}


def _token_warning(found: Scan, options: CommitOptions) -> list[str]:
    if "training-state" in options.without:
        return []
    for file in found.files:
        name = file.path.rpartition("/")[2]
        if name == "training_args.bin" and file.stamp.size_bytes <= _TOKEN_SCAN_BYTES:
            with OpenFile(file) as source:
                if holds_token(source):
                    return [
                        f"{file.path} holds a hub token in clear; whoever reads this store can read it"
                    ]
    return []


def _metadata(facts: Facts, options: CommitOptions) -> dict[str, Any]:
    recorded = {k: v for k, v in facts.to_dict().items() if v}
    if "trainer" in recorded:
        # The metrics are the commit's own.
        recorded["trainer"] = {k: v for k, v in recorded["trainer"].items() if k != "metrics"}
    recorded["environment"] = environment()
    if options.without:
        recorded["without"] = sorted(options.without)
    if "recorded" in options.metadata:
        raise UsageError("the metadata key 'recorded' is mstore's own", hint="choose another name")
    whole: dict[str, Any] = storable({**options.metadata, "recorded": recorded})
    return whole


def _message(facts: Facts, metrics: Mapping[str, float], first: bool) -> str:
    """A message out of the facts."""
    parts = []
    adapter = adapter_of(facts)
    if adapter is not None:
        text = "LoRA" if adapter.kind in (None, "LORA") else str(adapter.kind)
        if adapter.rank is not None:
            text += f" r={adapter.rank}"
        if adapter.alpha is not None:
            text += f" alpha={adapter.alpha:g}"
        parts.append(text)
    elif facts.adapters:
        parts.append(f"{len(facts.adapters)} adapters")
    elif facts.model is not None and facts.model.architectures:
        parts.append(facts.model.architectures[0])
    if facts.trainer is not None and facts.trainer.global_step is not None:
        parts.append(f"step {facts.trainer.global_step}")
    for name in ("loss", "eval_loss"):
        if name in metrics:
            parts.append(f"{name.replace('_', ' ')} {metrics[name]:.4g}")
    if not parts:
        parts.append("first version" if first else "new version")
    return " · ".join(parts)


# -- base


def _given_base(context: Context, options: CommitOptions) -> Base | None:
    if options.base is None:
        return None
    id = resolved(context, options.base).id
    commit = context.store.commit(id)
    recorded = commit.metadata.get("recorded")
    model = recorded.get("model", {}) if isinstance(recorded, dict) else {}
    name = model.get("base_name") if isinstance(model, dict) else None
    return Base(commit.weights.get(""), id, name if isinstance(name, str) else None)


def _base(context: Context, facts: Facts, folder: Path) -> Base | None:
    """What the directory says it started from; its identity where it lies on this machine."""
    adapter = adapter_of(facts)
    if adapter is not None:
        name, revision = adapter.base_name, adapter.base_revision
    elif facts.model is not None:
        name, revision = facts.model.base_name, facts.model.base_revision
    else:
        return None
    if not name:
        return None
    weights = _weights_at(context, Path(name), folder)
    if weights is None:
        return Base(None, None, name, revision)
    commits = context.store.catalog.with_weights(weights)
    return Base(weights, commits[0] if commits else None, name, revision)


def _weights_at(context: Context, path: Path, folder: Path) -> WeightsId | None:
    try:
        if not path.is_dir() or path.resolve().is_relative_to(folder.resolve()):
            return None
        if context.workspace is None:
            return folder_weights(path).get("")
        tree = read_folder(
            path,
            cache=context.workspace.stat_cache,
            load_layout=context.store.layout,
            without=frozenset(set(ROLES) - set(MODEL_ROLES)),
        )
        return tree.weights().get("")
    except (MStoreError, OSError):
        return None


# -- the ref


def _moved(
    context: Context, branch: str, expected: CommitId | None, made: Commit, options: CommitOptions
) -> Commit:
    """Point the branch to the commit; with `append`, behind whoever came first."""
    refs = context.store.refs
    for _ in range(_APPEND_TRIES):
        move = context.move("commit", made.message.partition("\n")[0])
        here = ref_move(f"heads/{branch}", expected, made.id)
        try:
            with context.journaled(f"commit {made.id.short} on {branch}", here):
                refs.move(f"heads/{branch}", made.id, move, expected=expected)
        except RefMoved:
            tip = context.branch_tip(branch)
            if not options.append:
                refs.record_refused(f"heads/{branch}", made.id, move)
                raise RefMoved(
                    branch,
                    hint=f"your version is stored as {made.id.short}; `mstore log {branch}` shows what"
                    " came first, and the same command again (or --append) puts yours behind it",
                ) from None
            made = replace(made, parents=(tip,) if tip is not None else ())
            expected = tip
            with Transaction(context.store, threads=1) as transaction:
                transaction.put(made)
                transaction.publish()
            continue
        return made
    raise RefMoved(branch, hint=f"your version is stored as {made.id.short}")
