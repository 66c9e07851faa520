"""One function from each result to the object that `--json` gives of it, `schema` aside.

Plans and differences give their own (`to_dict`), since they are values that people keep and
send. Numbers that are not finite become text when printed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from mstore.backend import Activity
    from mstore.checkout.execute import CheckoutResult
    from mstore.checkout.undo import Undone
    from mstore.checkout.undo_plan import UndoPlan
    from mstore.commit.importing import ImportPlan, ImportResult
    from mstore.commit.options import CommitResult
    from mstore.compare.versions import Comparison
    from mstore.history.branches import Branch
    from mstore.history.entry import LogEntry
    from mstore.history.show import CommitDetails
    from mstore.history.status import Status
    from mstore.history.tags import TagEntry
    from mstore.history.tensors import TensorRef
    from mstore.objects import Commit, CommitId, ManifestFile, NoteId
    from mstore.objects.note import Note
    from mstore.render.json import changing, looking, shared
    from mstore.staging.resume import ResumeResult
    from mstore.store import Record
    from mstore.workspace import Workspace


def _text(path: Path | None) -> str | None:
    return str(path) if path is not None else None


# -- versions


def _base(commit: Commit) -> shared.BaseDocument | None:
    base = commit.base
    if base is None:
        return None
    return {
        "id": base.commit.hex if base.commit else None,
        "weights": base.weights.hex if base.weights else None,
        "name": base.name,
        "revision": base.revision,
    }


def _refs(names: Sequence[str]) -> list[shared.RefDocument]:
    found: list[shared.RefDocument] = []
    for place, name in enumerate(names):
        if place == 0 and name == "HEAD":
            found.append({"kind": "head", "name": name})
        elif name.startswith("tag: "):
            found.append({"kind": "tag", "name": name.removeprefix("tag: ")})
        else:
            found.append({"kind": "branch", "name": name})
    return found


def commit_brief(id: CommitId, commit: Commit) -> shared.CommitDocument:
    """Give a version in brief."""
    return {
        "id": id.hex,
        "message": commit.message,
        "author": commit.author,
        "time": commit.time.iso(),
    }


def version_document(entry: LogEntry) -> shared.VersionDocument:
    """Give a version with its names, metadata, metrics and sizes."""
    return {
        **commit_brief(entry.id, entry.commit),
        "parents": [parent.hex for parent in entry.parents],
        "refs": _refs(entry.refs),
        "metadata": entry.metadata,
        "metrics": entry.metrics,
        "weights": {folder: id.hex for folder, id in entry.commit.weights.items()},
        "base": _base(entry.commit),
        "tensor_count": entry.sizes.tensors,
        "size_bytes": entry.sizes.size_bytes,
        "added_bytes": entry.sizes.added_bytes,
    }


def committed_document(entry: LogEntry, result: CommitResult) -> shared.CommittedDocument:
    """Give the result of a commit."""
    return {
        **version_document(entry),
        "branch": result.branch,
        "created": result.created,
        "note": result.note.hex if result.note else None,
        "new_bytes": result.new_bytes,
        "stored_bytes": result.stored_bytes,
        "ignored": list(result.ignored),
        "warnings": list(result.warnings),
    }


def noted_document(entry: LogEntry, note: NoteId) -> changing.NotedDocument:
    """Give a version and the note that was put on it."""
    return {**version_document(entry), "note": note.hex}


def show_document(found: CommitDetails) -> looking.ShowDocument:
    """Give a version in full."""
    return {
        **version_document(found.entry),
        "files": [file_document(file) for file in found.manifest.files],
        "notes": [_note(note) for note in found.notes],
    }


def _note(note: Note) -> shared.NoteDocument:
    return {
        "id": note.id.hex,
        "kind": note.note_kind,
        "author": note.author,
        "time": note.time.iso(),
        "payload": note.payload,
    }


def file_document(file: ManifestFile) -> shared.FileDocument:
    """Give a file of a version."""
    return {"path": file.path, "role": file.role, "size_bytes": file.size_bytes}


def tensor_document(tensor: TensorRef) -> shared.TensorDocument:
    """Give a tensor of a version."""
    return {
        "path": tensor.path,
        "name": tensor.name,
        "dtype": tensor.dtype,
        "shape": list(tensor.shape),
        "size_bytes": tensor.size_bytes,
    }


def comparison_document(found: Comparison) -> looking.ComparisonDocument:
    """Give the differences between versions."""
    return {
        "versions": [commit_brief(entry.id, entry.commit) for entry in found.entries],
        "rows": {name: list(values) for name, values in found.rows},
        "equal_count": found.equal,
        "hidden_count": found.hidden,
    }


# -- names


def branch_document(branch: Branch) -> changing.BranchDocument:
    """Give a branch and its tip."""
    return {**commit_brief(branch.id, branch.commit), "name": branch.name, "current": branch.current}


def tag_document(entry: TagEntry) -> changing.TagDocument:
    """Give a tag with its annotation."""
    tag = entry.tag
    said: shared.CommitDocument | None = None
    if tag is not None:
        said = {
            "id": tag.id.hex,
            "message": tag.message,
            "author": tag.author,
            "time": tag.time.iso(),
        }
    return {"name": entry.name, "id": entry.id.hex, "annotation": said}


def name_document(
    kind: Literal["branch", "tag"],
    action: Literal["made", "renamed", "deleted"],
    name: str,
    old_name: str | None,
    id: CommitId,
) -> changing.NameDocument:
    """Give a change to a branch or a tag.

    Args:
        kind: which of them.
        action: the change.
        name: its name now, or the one that it had.
        old_name: its name before, where it has another one now.
        id: the commit that it names, or named.
    """
    return {"kind": kind, "name": name, "action": action, "old_name": old_name, "id": id.hex}


def move_document(record: Record) -> looking.MoveDocument:
    """Give a recorded move of a ref."""
    return {
        "number": record.number,
        "old": record.old.hex if record.old else None,
        "new": record.new.hex if record.new else None,
        "action": record.move.action,
        "message": record.move.message,
        "author": record.move.author,
        "time": record.move.time.iso(),
    }


def undo_document(plan: UndoPlan, done: Undone) -> changing.UndoDocument:
    """Give the result of an undo; the plan knows what kind of ref each was."""
    from mstore.checkout.undo_plan import kind_and_name

    refs: list[shared.TargetDocument] = []
    for move in reversed(plan.moves):
        kind, name = kind_and_name(move.ref)
        target = done.refs[name]
        refs.append({"kind": kind, "name": name, "id": target.hex if target is not None else None})
    return {"action": done.action, "refs": refs, "restored": list(done.restored)}


# -- folders


def status_document(found: Status, staged: Sequence[tuple[Path, int]]) -> looking.StatusDocument:
    """Give the status of a workspace.

    Args:
        found: what `Repository.status` gave.
        staged: folders in which saves wait, and how many.
    """
    return {
        "branch": found.branch,
        "id": found.commit.hex if found.commit else None,
        "message": found.message if found.commit else None,
        "model_dir": _text(found.model_dir),
        "problem": found.problem,
        "added": list(found.changes.added),
        "changed": list(found.changes.changed),
        "removed": list(found.changes.removed),
        "ignored": list(found.ignored),
        "activity": _activity(found.activity),
        "trash_bytes": found.trash_bytes,
        "staged": [{"path": str(path), "save_count": count} for path, count in staged],
        "backup_paths": [str(folder) for folder in found.copies],
    }


def _activity(now: Activity | None) -> looking.ActivityDocument | None:
    if now is None:
        return None
    return {
        "held": list(now.held),
        "running_count": now.running,
        "writing_bytes": now.writing_bytes,
        "left": [{"key": entry.key, "size_bytes": entry.size_bytes} for entry in now.left],
    }


def init_document(workspace: Workspace, warnings: Sequence[str]) -> changing.InitDocument:
    """Give a new workspace, and warnings about its place."""
    return {
        "path": str(workspace.path),
        "store_path": str(workspace.store_path),
        "model_dir": _text(workspace.model_dir),
        "warnings": list(warnings),
    }


def checkout_document(result: CheckoutResult) -> changing.CheckoutDocument:
    """Give the result of a checkout."""
    return {
        "id": result.id.hex,
        "path": _text(result.path),
        "branch": result.branch,
        "written_count": result.written,
        "removed_count": result.removed,
        "unchanged_count": result.unchanged,
        "backup_path": _text(result.backup),
        "base_path": _text(result.base),
        "load": result.load,
        "warnings": list(result.warnings),
    }


def resume_document(result: ResumeResult) -> changing.ResumeDocument:
    """Give the result of a resume."""
    return {
        **checkout_document(result.checkout),
        "path": str(result.path),
        "load": result.line,
        "warnings": list(result.warnings),
        "step": result.step,
        "best_path": _text(result.best),
    }


def import_document(
    plan: ImportPlan, result: ImportResult, entries: Mapping[CommitId, LogEntry]
) -> changing.ImportDocument:
    """Give the result of an import.

    Args:
        plan: its plan.
        result: what came of it.
        entries: the versions, by their commits.
    """
    return {
        **plan.to_dict(),  # type: ignore[typeddict-item] # CommitPlanDocument says what it gives.
        "versions": [committed_document(entries[made.id], made) for made in result.commits],
        "stored_bytes": result.stored_bytes,
    }


# -- failures


def failure_document(
    code: str, exit_code: int, message: str, hint: str | None
) -> shared.FailureDocument:
    """Give the error of a command."""
    return {"error": {"code": code, "exit": exit_code, "message": message, "hint": hint}}
