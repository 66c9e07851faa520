"""Types of what commands that change something give under `--json`, and their plans; see `shared`."""

from collections.abc import Mapping
from typing import Literal, TypedDict

from mstore.render.json.shared import (
    Bytes,
    CommitDocument,
    CommittedDocument,
    FileDocument,
    Id,
    PackUseDocument,
    RefDocument,
    TargetDocument,
    VersionDocument,
)


class InitDocument(TypedDict):
    """A new workspace.

    Args:
        path: its folder `.mstore`.
        store_path: its store.
        model_dir: the model directory; null where the first folder committed becomes it.
        warnings: one sentence each.
    """

    path: str
    store_path: str
    model_dir: str | None
    warnings: list[str]


class ConfigDocument(TypedDict):
    """The configuration.

    Args:
        values: by key: of KEY alone where one was named without a value, else all that is set now.
    """

    values: Mapping[str, str]


class NotedDocument(VersionDocument):
    """A version, with a note added to it.

    Args:
        note: the note.
    """

    note: Id


class PlannedFileDocument(FileDocument):
    """A file that a commit would hold.

    Args:
        cached: it has not changed since it was last read.
    """

    cached: bool


class CommitPlanDocument(TypedDict):
    """The plan of a commit.

    Args:
        path: the folder.
        branch: the branch.
        new_branch: the branch would be made.
        parent: the commit before it; null for a first version.
        base: the version that it starts from; null where none was named.
        message: the message; null where one would be made from the facts.
        unchanged: the folder is known to hold what the parent holds: no commit would be made.
        size_bytes: all files.
        files: those that the commit would hold.
        ignored: paths that would be left out.
    """

    path: str
    branch: str
    new_branch: bool
    parent: Id | None
    base: Id | None
    message: str | None
    unchanged: bool
    size_bytes: Bytes
    files: list[PlannedFileDocument]
    ignored: list[str]


class PlannedImportDocument(TypedDict):
    """A folder that becomes a version.

    Args:
        path: the folder.
        branch: the branch that it goes onto.
        order: its sort key, for people.
        size_bytes: all its files.
        metadata_path: a JSON file beside it that belongs to it; null where there is none.
        warning: the problem with that file; null where there is none.
    """

    path: str
    branch: str
    order: str
    size_bytes: Bytes
    metadata_path: str | None
    warning: str | None


class ImportPlanDocument(TypedDict):
    """The plan of an import.

    Args:
        size_bytes: all files of all folders.
        folders: the folders, in the order in which they would be committed.
    """

    size_bytes: Bytes
    folders: list[PlannedImportDocument]


class ImportDocument(ImportPlanDocument):
    """The result of an import.

    Args:
        versions: the version of each of `folders`, in the same order.
        stored_bytes: the growth of the store.
    """

    versions: list[CommittedDocument]
    stored_bytes: Bytes


class CheckoutPlanDocument(TypedDict):
    """The plan of a checkout.

    Args:
        id: the commit.
        path: the folder; null where HEAD alone would move.
        new_folder: the folder is absent or empty.
        write: files that would be written.
        remove: paths that would be removed.
        unchanged_count: files that would stay as they are.
        back_up: paths of which a copy would be kept for `undo`.
        packs: the packs that would be read, in the order of their first use.
        moves_head: HEAD would move.
        branch: the branch that HEAD would be on; null for none.
        new_branch: that branch would be made.
        warnings: one sentence each.
    """

    id: Id
    path: str | None
    new_folder: bool
    write: list[FileDocument]
    remove: list[str]
    unchanged_count: int
    back_up: list[str]
    packs: list[PackUseDocument]
    moves_head: bool
    branch: str | None
    new_branch: bool
    warnings: list[str]


class CheckoutDocument(TypedDict):
    """A version that was written into a folder.

    Args:
        id: the commit.
        path: the folder; null where HEAD alone moved.
        branch: the branch that HEAD is on now; null where it is on none, or did not move.
        written_count: files written.
        removed_count: files removed.
        unchanged_count: files that stayed as they were.
        backup_path: where replaced files are kept; null where none are.
        base_path: where an adapter's base was written, so that `load` works; null where it was not.
        load: a line of Python that loads the folder; null where none can be given.
        warnings: one sentence each.
    """

    id: Id
    path: str | None
    branch: str | None
    written_count: int
    removed_count: int
    unchanged_count: int
    backup_path: str | None
    base_path: str | None
    load: str | None
    warnings: list[str]


class ResumeDocument(CheckoutDocument):
    """A version that was written out to resume training from; `load` is the line that resumes training.

    Args:
        step: the training step that it resumes from; null where unknown.
        best_path: where the best checkpoint so far lies now; null where none is known.
    """

    step: int | None
    best_path: str | None


class BranchDocument(CommitDocument):
    """A branch; `id`, `message`, `author` and `time` are those of its tip.

    Args:
        name: its name.
        current: HEAD is on it.
    """

    name: str
    current: bool


class BranchesDocument(TypedDict):
    """All branches.

    Args:
        branches: by name.
    """

    branches: list[BranchDocument]


class TagDocument(TypedDict):
    """A tag.

    Args:
        name: its name.
        id: the commit that it names.
        annotation: who tagged, when and why, as an object with an id of its own; null for a tag
            without a message.
    """

    name: str
    id: Id
    annotation: CommitDocument | None


class TagsDocument(TypedDict):
    """All tags.

    Args:
        tags: by name.
    """

    tags: list[TagDocument]


class NameDocument(RefDocument):
    """A branch or tag that was made, moved, given another name, or deleted.

    Args:
        action: the action; `made` also where `--force` moved it.
        old_name: its name before; null where it had none or kept it.
        id: the commit that it names, or named until it was deleted.
    """

    action: Literal["made", "renamed", "deleted"]
    old_name: str | None
    id: Id


class HeadDocument(TypedDict):
    """The target of HEAD.

    Args:
        branch: its branch; null where it is detached.
        id: its commit; null where it is on a branch.
    """

    branch: str | None
    id: Id | None


class UndoPlanDocument(TypedDict):
    """The plan of an undo.

    Args:
        action: the operation that would be undone.
        refs: where each ref would point.
        head: where HEAD would point to; null where it would not move.
        path: the folder whose files would be put back; null where none are.
        restored: paths in it that may be put back.
    """

    action: str
    refs: list[TargetDocument]
    head: HeadDocument | None
    path: str | None
    restored: list[str]


class UndoDocument(TypedDict):
    """The result of an undo.

    Args:
        action: the operation that was undone.
        refs: where each ref points now.
        restored: paths that were put back.
    """

    action: str
    refs: list[TargetDocument]
    restored: list[str]
