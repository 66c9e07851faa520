"""commit: a model directory becomes a version.

Blobs, then layouts and manifest, then the commit, then the ref: a crash at any
point leaves the branch where it was.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mstore.errors import (
    Conflict,
    MStoreError,
    RefMoved,
    Refused,
    UsageError,
)
from mstore.formats import Facts, holds_token
from mstore.objects import (
    MODEL_ROLES,
    ROLES,
    Base,
    Commit,
    CommitId,
    LayoutId,
    Manifest,
    NoteId,
    Time,
    WeightsId,
)
from mstore.ops.bases import DeltaBases
from mstore.ops.environment import environment
from mstore.ops.place import Place, ref_move, shown
from mstore.ops.revision import resolve
from mstore.ops.sizes import sizes_of, sizes_of_commit
from mstore.ops.text import storable
from mstore.ops.tree import (
    FindBase,
    Tree,
    folder_weights,
    index_warnings,
    read_folder,
    read_tree,
    remember,
)
from mstore.store import FACTS, CommitSizes, add_note, check_ref_name, late_facts
from mstore.store.transaction import Transaction
from mstore.workspace import Operation
from mstore.workspace.folder import Found, OpenFile, checkpoints_in, scan

if TYPE_CHECKING:
    from mstore.formats import AdapterFacts
    from mstore.store import Store

Progress = Callable[[str, int, int], None]
"""Told (what is being done, bytes done, bytes in all)."""

_TOKEN_SCAN_BYTES: Final = 16 << 20
_APPEND_TRIES: Final = 100


@dataclass(frozen=True, kw_only=True)
class CommitOptions:
    """How to commit.

    Args:
        message: None: made from the facts.
        branch: append to this one; None: HEAD's.
        start: where a new branch begins: a revision, "" for a root, None for HEAD.
        base: revision of the model that this one starts from.
        without: roles to leave out.
        metadata: what was trained, how.
        metrics: numbers by name.
        append: follow whoever moved the branch meanwhile, instead of a conflict.
        allow_empty: make a commit even if nothing changed.
        allow_no_weights: accept a folder without weights.
        allow_incomplete: accept an index whose shards are missing.
        allow_opaque: keep a broken .safetensors as bytes.
        strict: refuse unknown fields of safetensors.
        by_hand: a user named the folder; the first such becomes the model directory.
    """

    message: str | None = None
    branch: str | None = None
    start: str | None = None
    base: str | None = None
    without: frozenset[str] = frozenset()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    append: bool = False
    allow_empty: bool = False
    allow_no_weights: bool = False
    allow_incomplete: bool = False
    allow_opaque: bool = False
    strict: bool = False
    by_hand: bool = True


@dataclass(frozen=True, kw_only=True)
class CommitResult:
    """What commit did.

    Args:
        id: the commit; the parent where nothing had changed.
        commit: its value.
        branch: the branch that holds it.
        created: False where the tree equals its parent's and no commit was made.
        note: the note that took new metrics where no commit was made.
        facts: what the directory says of itself.
        sizes: tensors, bytes, bytes that the parent lacks.
        new_bytes: raw bytes that the store lacked.
        stored_bytes: what they take in the store.
        left_out: ignored paths.
        warnings: one sentence each.
    """

    id: CommitId
    commit: Commit
    branch: str
    created: bool
    note: NoteId | None = None
    facts: Facts = field(default_factory=Facts, repr=False)
    sizes: CommitSizes = field(default_factory=lambda: CommitSizes(0, 0, 0))
    new_bytes: int = 0
    stored_bytes: int = 0
    left_out: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def size_bytes(self) -> int:
        """Bytes of the whole version."""
        return self.sizes.size_bytes

    @property
    def tensors(self) -> int:
        """Tensors in weights and adapters."""
        return self.sizes.tensors

    def __str__(self) -> str:
        first = self.commit.message.partition("\n")[0]
        return f"[{self.branch} {self.id.short}] {first}"


def commit(
    place: Place, path: Path | None, options: CommitOptions, *, progress: Progress | None = None
) -> CommitResult:
    """Commit a folder.

    Args:
        place: where.
        path: the folder; None: the model directory.
        options: how.
        progress: told of bytes done.

    Raises:
        UsageError: no folder or no branch is clear.
        Refused: the folder breaks a rule; nothing was changed.
        RefMoved: somebody else moved the branch meanwhile.
        NotFound, StorageFailed.
    """
    folder = _folder(place, path)
    branch, parent_id, is_new = _branch(place, options)
    unknown = options.without - set(ROLES)
    if unknown:
        raise UsageError(
            f"no such role: {', '.join(sorted(unknown))}", hint="roles: " + ", ".join(ROLES)
        )
    found = _scanned(place, folder, options)
    warnings = list(index_warnings(found, allow_incomplete=options.allow_incomplete))
    store = place.store
    parent = store.commit(parent_id) if parent_id is not None else None
    parent_manifest = store.manifest(parent.manifest) if parent is not None else None
    read_at_ns = time.time_ns()
    cache = place.workspace.stat_cache if place.workspace is not None else None
    known = dict(cache.find(found.files)) if cache is not None else {}
    same = _unchanged(known, found, parent_manifest, options)
    if same and parent is not None and parent_id is not None and not options.allow_empty:
        return _noted(place, branch, parent_id, parent, {}, options, found)
    base_given = _given_base(place, options)

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
                remember(cache, tree, read_at_ns)
            return _noted(place, branch, parent_id, parent, metrics, options, found, tuple(warnings))
        weights = tree.weights()
        for layout in tree.layouts.values():
            transaction.put(layout)
        transaction.put(manifest)
        base = base_given or _base(place, facts, folder)
        made = Commit(
            (parent_id,) if parent_id is not None else (),
            manifest.id,
            place.author,
            Time.now(),
            options.message or _message(facts, metrics, parent is None),
            _metadata(facts, options),
            metrics,
            weights,
            base,
        )
        transaction.put(made)
        transaction.publish()
        counts = transaction.counts
    made = _moved(place, branch, None if is_new else parent_id, made, options)
    if cache is not None:
        remember(cache, tree, read_at_ns)
    sizes = sizes_of(manifest, parent_manifest, tree.tensor_count)
    store.catalog.note_sizes(made.id, sizes)
    if place.workspace is not None and options.by_hand and path is not None:
        place.workspace.bind(folder)
    return CommitResult(
        id=made.id,
        commit=made,
        branch=branch,
        created=True,
        facts=facts,
        sizes=sizes,
        new_bytes=counts.new_bytes,
        stored_bytes=counts.new_stored_bytes,
        left_out=found.left_out,
        warnings=tuple(warnings),
    )


def _folder(place: Place, path: Path | None) -> Path:
    if path is not None:
        return path
    workspace = place.need_workspace("a commit that names no folder")
    folder = workspace.unambiguous_model_dir()
    if folder is None:
        raise UsageError(
            "no folder was named, and this workspace has no model directory yet",
            hint="`mstore commit DIR`: DIR is what `save_model` or `save_pretrained` wrote",
        )
    return folder


def _branch(place: Place, options: CommitOptions) -> tuple[str, CommitId | None, bool]:
    """The branch to append to, the parent, and whether the branch has to be made."""
    head = place.head
    branch = options.branch
    if branch is None:
        if head is None:
            raise UsageError(
                "without a workspace, a commit needs --branch", hint="`--branch main`, say"
            )
        if head.branch is None:
            raise UsageError(
                "HEAD stands on a commit, not on a branch",
                hint="`--branch NAME` commits to a branch, a new one if need be",
            )
        branch = head.branch
    check_ref_name(branch)
    tip = place.branch_tip(branch)
    if tip is not None:
        if options.start is not None:
            raise Conflict(f"branch {branch!r} exists, so it cannot begin at {options.start!r}")
        return branch, tip, False
    if options.start is not None:
        place.store.refs.check_new(f"heads/{branch}")
        return branch, resolve(place, options.start).id if options.start else None, True
    place.store.refs.check_new(f"heads/{branch}")
    return branch, place.head_commit(), True


def _scanned(place: Place, folder: Path, options: CommitOptions) -> Found:
    apart = [place.store.path]
    if place.workspace is not None:
        apart.append(place.workspace.path)
    found = scan(folder, apart=tuple(apart))
    if options.allow_no_weights:
        return found
    from mstore.formats import role_of

    if not any(role_of(f.path) in MODEL_ROLES and not f.path.endswith(".json") for f in found.files):
        name = shown(folder)
        checkpoints = checkpoints_in(folder)
        if checkpoints:
            hint = (
                f"commit one: `mstore commit {name}/{checkpoints[-1]}`,"
                f" or all of them: `mstore import {name}`"
            )
        else:
            hint = "`--allow-no-weights` commits it all the same"
        what = "holds no weights" if found.files else "is empty"
        raise Refused(str(folder), what, hint=hint)
    return found


def _unchanged(
    known: Mapping[str, Any],
    found: Found,
    parent: Manifest | None,
    options: CommitOptions,
) -> bool:
    """Whether the stat cache alone shows that the tree is its parent's."""
    from mstore.formats import role_of

    if parent is None or options.strict:
        return False
    paths = [p for p in found.paths() if role_of(p) not in options.without]
    if any(p not in known for p in paths):
        return False
    return Manifest.of([known[p] for p in paths]).id == parent.id


def _is_stored(store: Store, layout: LayoutId | None, blobs: list[Any]) -> bool:
    if layout is not None and not store.has(layout):
        return False
    return all(store.has(blob) for blob in set(blobs))


def _noted(
    place: Place,
    branch: str,
    parent_id: CommitId,
    parent: Commit,
    metrics: Mapping[str, float],
    options: CommitOptions,
    found: Found,
    warnings: tuple[str, ...] = (),
) -> CommitResult:
    """Nothing changed: no commit, but a note where there is something new to say."""
    late = late_facts(place.store, parent_id)
    known = {**parent.metrics, **late.metrics}
    new = {
        k: float(v)
        for k, v in {**metrics, **options.metrics}.items()
        if not _equal(known.get(k), float(v))
    }
    said = {**parent.metadata, **late.metadata}
    more = {k: v for k, v in options.metadata.items() if k not in said or said[k] != v}
    note: NoteId | None = None
    if new or more:
        payload: dict[str, Any] = {}
        if new:
            payload["metrics"] = new
        if more:
            payload["metadata"] = storable(more)
        note = add_note(place.store, parent_id, FACTS, payload, place.move("note", "later facts"))
    return CommitResult(
        id=parent_id,
        commit=parent,
        branch=branch,
        created=False,
        note=note,
        sizes=sizes_of_commit(place.store, parent_id, parent),
        left_out=found.left_out,
        warnings=warnings,
    )


def _delta_bases(store: Store, parent: Manifest | None, base: Base | None) -> FindBase | None:
    manifests = [parent] if parent is not None else []
    if base is not None and base.commit is not None:
        manifests.append(store.manifest(store.commit(base.commit).manifest))
    return DeltaBases(store, manifests).find if manifests else None


def _equal(one: float | None, other: float) -> bool:
    return one is not None and (one == other or (math.isnan(one) and math.isnan(other)))


# -- facts


def _with_trainer(tree: Tree, found: Found) -> Facts:
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
    return {e.size_bytes for e in entries if e.role in MODEL_ROLES and not e.path.endswith(".json")}


def _token_warning(found: Found, options: CommitOptions) -> list[str]:
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
    recorded = {k: v for k, v in facts.plain().items() if v}
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


def adapter_of(facts: Facts) -> AdapterFacts | None:
    """The root adapter of a directory, or its only one."""
    if "" in facts.adapters:
        return facts.adapters[""]
    return next(iter(facts.adapters.values())) if len(facts.adapters) == 1 else None


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


def _given_base(place: Place, options: CommitOptions) -> Base | None:
    if options.base is None:
        return None
    id = resolve(place, options.base).id
    commit = place.store.commit(id)
    recorded = commit.metadata.get("recorded")
    model = recorded.get("model", {}) if isinstance(recorded, dict) else {}
    name = model.get("base_name") if isinstance(model, dict) else None
    return Base(commit.weights.get(""), id, name if isinstance(name, str) else None)


def _base(place: Place, facts: Facts, folder: Path) -> Base | None:
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
    weights = _weights_at(place, Path(name), folder)
    if weights is None:
        return Base(None, None, name, revision)
    commits = place.store.catalog.with_weights(weights)
    return Base(weights, commits[0] if commits else None, name, revision)


def _weights_at(place: Place, path: Path, folder: Path) -> WeightsId | None:
    try:
        if not path.is_dir() or path.resolve().is_relative_to(folder.resolve()):
            return None
        if place.workspace is None:
            return folder_weights(path).get("")
        tree = read_folder(
            path,
            cache=place.workspace.stat_cache,
            load_layout=place.store.layout,
            without=frozenset(set(ROLES) - set(MODEL_ROLES)),
        )
        return tree.weights().get("")
    except (MStoreError, OSError):
        return None


# -- the ref


def _moved(
    place: Place, branch: str, expected: CommitId | None, made: Commit, options: CommitOptions
) -> Commit:
    """Point the branch to the commit; with `append`, behind whoever came first."""
    refs = place.store.refs
    for _ in range(_APPEND_TRIES):
        move = place.move("commit", made.message.partition("\n")[0])
        try:
            refs.move(f"heads/{branch}", made.id, move, expected=expected)
        except RefMoved:
            tip = place.branch_tip(branch)
            if not options.append:
                raise RefMoved(
                    branch,
                    hint=f"your version is stored as {made.id.short}; `mstore log {branch}` shows what"
                    " came first, and the same command again (or --append) puts yours behind it",
                ) from None
            made = replace(made, parents=(tip,) if tip is not None else ())
            expected = tip
            with Transaction(place.store, threads=1) as transaction:
                transaction.put(made)
                transaction.publish()
            continue
        if place.workspace is not None:
            place.workspace.remember(
                Operation(
                    f"commit {made.id.short} on {branch}",
                    (ref_move(f"heads/{branch}", expected, made.id),),
                    number=place.workspace.next_operation(),
                )
            )
        return made
    raise RefMoved(branch, hint=f"your version is stored as {made.id.short}")
