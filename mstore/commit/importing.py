"""import: checkpoint folders that exist already become history.

A plan first (which folders, in which order, onto which branch), then its
execution, one commit a folder. Doing it again adds nothing.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from mstore.commit.execute import commit
from mstore.commit.options import CommitOptions, CommitResult
from mstore.errors import InvalidInput, NotFound
from mstore.formats import read_json_object, role_of
from mstore.history.sizes import sizes_of_commit
from mstore.objects import holds_tensors
from mstore.plan import Plan
from mstore.store import check_ref_name
from mstore.text import counted, display_path, escaped, size
from mstore.worktree.scan import scan

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from mstore.context import Context
    from mstore.progress import Progress

_STEP: Final = re.compile(r"(?:^|[-_])(?:checkpoint|step|epoch|ckpt)[-_]?([0-9]+)$", re.IGNORECASE)
_DATE: Final = re.compile(
    r"((?:19|20)[0-9]{2})[-_]?([01][0-9])[-_]?([0-3][0-9])(?:[-_T]?([0-2][0-9])[-_:]?([0-5][0-9])(?:[-_:]?([0-5][0-9]))?)?"
)


@dataclass(frozen=True, slots=True)
class PlannedImport:
    """A folder that will become a commit.

    Args:
        path: the folder.
        branch: the branch that it goes onto.
        order: its sort key, for people.
        size_bytes: bytes in it.
        metadata_path: a JSON file beside it that belongs to it, or None.
        warning: the problem with that file, whose facts are then absent, or None.
    """

    path: Path
    branch: str
    order: str
    size_bytes: int
    metadata_path: Path | None
    warning: str | None = None


@dataclass(frozen=True)
class ImportPlan(Plan):
    """The plan of an import.

    Args:
        folders: the folders, in the order in which they are committed.
    """

    folders: tuple[PlannedImport, ...]

    @property
    def size_bytes(self) -> int:
        """Bytes in all folders."""
        return sum(item.size_bytes for item in self.folders)

    def __str__(self) -> str:
        lines = [
            f"{display_path(f.path)} → {f.branch}, {f.order}, {size(f.size_bytes)}"
            for f in self.folders
        ]
        return "\n".join(
            [f"would commit {counted(len(lines), 'folder')}, {size(self.size_bytes)}:", *lines]
        )

    def to_dict(self) -> dict[str, Any]:
        """Give the plan as JSON values."""
        return {
            "size_bytes": self.size_bytes,
            "folders": [
                {
                    "path": str(item.path),
                    "branch": item.branch,
                    "order": item.order,
                    "size_bytes": item.size_bytes,
                    "metadata_path": str(item.metadata_path) if item.metadata_path else None,
                    "warning": item.warning,
                }
                for item in self.folders
            ],
        }


@dataclass(frozen=True, kw_only=True)
class ImportResult:
    """The result of an import.

    Args:
        planned: the folders, in order.
        commits: results, in the same order.
        size_bytes: bytes in all folders.
        stored_bytes: bytes that the store grew by.
    """

    planned: tuple[PlannedImport, ...]
    commits: tuple[CommitResult, ...] = ()
    size_bytes: int = 0
    stored_bytes: int = 0

    @property
    def created(self) -> int:
        """Commits made; the others were there already."""
        return sum(1 for c in self.commits if c.created)


def plan_import(folders: Sequence[Path], *, branch: str | None = None) -> ImportPlan:
    """Find checkpoint folders and their order; changes nothing.

    Args:
        folders: checkpoint folders, or parents of some.
        branch: onto this one; None: one each, named like the folder.

    Raises:
        NotFound: a folder does not exist.
        InvalidInput: nothing to import is in it.
    """
    planned: list[PlannedImport] = []
    for folder in folders:
        if not folder.is_dir():
            raise NotFound(f"no such folder: {folder}")
        found = [folder] if _holds_weights(folder) else []
        below = sorted(p for p in folder.iterdir() if p.is_dir() and not p.is_symlink())
        inside = [p for p in below if _holds_weights(p)]
        if found and not any(_STEP.search(p.name) for p in inside):
            inside = []  # a model with adapters in sub-folders is one version
        if not found and not inside:
            raise InvalidInput(str(folder), "holds no checkpoints: no folder in it has weights")
        name = check_ref_name(branch) if branch is not None else _branch_name(folder)
        ordered = sorted(inside, key=_order)
        # What `save_model` wrote into the parent itself is the last version.
        for path in [*ordered, *found]:
            beside, warning = _metadata_beside(path)
            planned.append(PlannedImport(path, name, _order_shown(path), _size(path), beside, warning))
    return ImportPlan(tuple(planned))


def run_import(
    context: Context,
    plan: ImportPlan,
    *,
    progress: Progress | None = None,
    on_commit: Callable[[PlannedImport, CommitResult], None] | None = None,
) -> ImportResult:
    """Commit the folders of a plan.

    Args:
        context: the store, and the workspace if there is one.
        plan: from `plan_import`.
        progress: called with bytes done.
        on_commit: called with each commit as it is made.

    Raises:
        InvalidInput: a folder breaks a rule; what came before it stays committed.
    """
    before = context.store.stored_bytes()
    results = []
    for item in plan.folders:
        known = _already(context, item)
        if known is None:
            options = CommitOptions(
                branch=item.branch,
                start="" if context.branch_tip(item.branch) is None else None,
                metadata=_metadata(item),
                metrics=_metrics(item),
                message=None,
                append=True,
                by_hand=False,
            )
            known = commit(context, item.path, options, progress=progress)
        results.append(known)
        if on_commit is not None:
            on_commit(item, known)
    return ImportResult(
        planned=plan.folders,
        commits=tuple(results),
        size_bytes=plan.size_bytes,
        stored_bytes=context.store.stored_bytes() - before,
    )


def _already(context: Context, item: PlannedImport) -> CommitResult | None:
    """Give the commit on the branch that was imported from this folder with this content, if any."""
    from mstore.history.walk import walk
    from mstore.modeldir.read import read_folder

    tip = context.branch_tip(item.branch)
    if tip is None:
        return None
    name = escaped(item.path.name)
    named = [
        (id, value)
        for id, value in walk(context.store, [tip])
        if value.metadata.get("imported_from") == name
    ]
    if not named:
        return None  # Nothing to compare with, so nothing to hash.
    manifest = read_folder(
        item.path, cache=context.stat_cache, load_layout=context.store.layout
    ).manifest
    for id, value in named:
        if value.manifest == manifest.id:
            return CommitResult(
                id=id,
                commit=value,
                branch=item.branch,
                created=False,
                sizes=sizes_of_commit(context.store, id, value),
            )
    return None


def _holds_weights(folder: Path) -> bool:
    try:
        names = [p.name for p in folder.iterdir() if p.is_file()]
    except OSError:
        return False
    return any(holds_tensors(role_of(n), n) for n in names)


def _order(path: Path) -> tuple[int, float, str]:
    step = _step(path)
    if step is not None:
        return (1, step, path.name)
    moment = _moment(path)
    return (0, moment, path.name)


def _order_shown(path: Path) -> str:
    step = _step(path)
    if step is not None:
        return f"step {step}"
    import time

    return time.strftime("%Y-%m-%d %H:%M", time.localtime(_moment(path)))


def _step(path: Path) -> int | None:
    match = _STEP.search(path.name)
    if match is not None:
        return int(match.group(1))
    state = _json(path / "trainer_state.json")
    step = state.get("global_step") if state else None
    return step if isinstance(step, int) else None


def _moment(path: Path) -> float:
    """Return seconds since 1970: of the date in the folder's name, else of its newest file."""
    match = _DATE.search(path.name)
    if match is not None:
        import time

        year, month, day, hour, minute, second = (int(g or 0) for g in match.groups())
        try:
            return time.mktime((year, month, day, hour, minute, second, 0, 0, -1))
        except (OverflowError, ValueError):
            pass
    return max((p.stat().st_mtime for p in path.iterdir() if p.is_file()), default=0.0)


def _size(path: Path) -> int:
    return sum(f.stamp.size_bytes for f in scan(path).files)


def _branch_name(folder: Path) -> str:
    name = re.sub(r"[^\w.@+=-]+", "-", folder.resolve().name).strip("-.") or "imported"
    name = re.sub(r"\.\.+", ".", name)
    name = name.removesuffix(".lock")
    return check_ref_name(name)


def _metadata_beside(path: Path) -> tuple[Path | None, str | None]:
    """Find `metadata_<id>.json` of a folder named after that id, beside it or in it; or a warning."""
    for folder in (path, path.parent):
        for candidate in sorted(folder.glob("metadata*.json")):
            id = candidate.stem.removeprefix("metadata").lstrip("_-")
            if folder == path or (id and id in path.name):
                try:
                    read_json_object(candidate.read_bytes(), str(candidate))
                except InvalidInput as error:
                    return None, f"{error.message}; its facts are left out"
                except OSError as error:
                    return None, f"{candidate} cannot be read: {error.strerror}; its facts are left out"
                return candidate, None
    return None, None


def _json(path: Path) -> Mapping[str, Any]:
    try:
        plain = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return plain if isinstance(plain, dict) else {}


def _metadata(item: PlannedImport) -> dict[str, Any]:
    metadata: dict[str, Any] = {"imported_from": escaped(item.path.name)}
    if item.metadata_path is not None:
        beside = _json(item.metadata_path)
        metadata = {**{k: v for k, v in beside.items() if k not in ("metrics", "recorded")}, **metadata}
    return metadata


def _metrics(item: PlannedImport) -> dict[str, float]:
    """Select numbers of the metadata file that are metrics: under `metrics`, or named like a loss."""
    if item.metadata_path is None:
        return {}
    beside = _json(item.metadata_path)
    found = beside.get("metrics")
    named = dict(found) if isinstance(found, dict) else {}
    for key, value in beside.items():
        if "loss" in key.lower() or key.startswith(("eval_", "train_")):
            named.setdefault(key, value)
    return {
        str(k): float(v)
        for k, v in named.items()
        if isinstance(v, (int, float)) and not isinstance(v, bool)
    }
