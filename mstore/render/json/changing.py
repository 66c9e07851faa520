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
    TimeText,
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
    """What is configured.

    Args:
        values: by key: of KEY alone where one was named without a value, else all that is set now.
    """

    values: Mapping[str, str]


class NotedDocument(VersionDocument):
    """A version to which something was added.

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
    """What a commit would do.

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
        order: what it was sorted by, for people.
        size_bytes: all its files.
        metadata_path: a JSON file beside it that belongs to it; null where there is none.
        warning: what is wrong with that file; null where nothing is.
    """

    path: str
    branch: str
    order: str
    size_bytes: Bytes
    metadata_path: str | None
    warning: str | None


class ImportPlanDocument(TypedDict):
    """What an import would do.

    Args:
        size_bytes: all files of all folders.
        folders: the folders, in the order in which they would be committed.
    """

    size_bytes: Bytes
    folders: list[PlannedImportDocument]


class ImportDocument(ImportPlanDocument):
    """What an import did.

    Args:
        versions: what each of `folders` became, in the same order.
        stored_bytes: what the store grew by.
    """

    versions: list[CommittedDocument]
    stored_bytes: Bytes


class CheckoutPlanDocument(TypedDict):
    """What a checkout would do.

    Args:
        id: the commit.
        path: the folder; null where HEAD alone would move.
        new_folder: the folder is absent or empty.
        write: files that would be written.
        remove: paths that would be removed.
        unchanged_count: files that are right already.
        back_up: paths of which a copy would be kept for `undo`.
        packs: what would be read, in the order in which it is first needed.
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
        unchanged_count: files that were right already.
        backup_path: where replaced files are kept; null where none are.
        base_path: where an adapter's base was written, so that `load` works; null where it was not.
        load: a line of Python that loads what was written; null where none can be given.
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
    """A version that was written out to go on from; `load` is the line that goes on.

    Args:
        step: the training step that it goes on from; null where unknown.
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
        action: what was done; `made` also where `--force` moved it.
        old_name: its name before; null where it had none or kept it.
        id: the commit that it names, or named until it was deleted.
    """

    action: Literal["made", "renamed", "deleted"]
    old_name: str | None
    id: Id


class HeadDocument(TypedDict):
    """Where HEAD stands.

    Args:
        branch: its branch; null where it is detached.
        id: its commit; null where it is on a branch.
    """

    branch: str | None
    id: Id | None


class UndoPlanDocument(TypedDict):
    """What undo would take back.

    Args:
        action: what would be undone.
        refs: where each ref would point.
        head: where HEAD would stand; null where it stays.
        path: the folder whose files would be put back; null where none are.
        restored: paths in it that may be put back.
    """

    action: str
    refs: list[TargetDocument]
    head: HeadDocument | None
    path: str | None
    restored: list[str]


class UndoDocument(TypedDict):
    """What undo took back.

    Args:
        action: what was undone.
        refs: where each ref points now.
        restored: paths that were put back.
    """

    action: str
    refs: list[TargetDocument]
    restored: list[str]


class UnreachableDocument(TypedDict):
    """A version that no name reaches.

    Args:
        id: the commit.
        subject: the first line of its message.
        branch: the branch that once had it; null where no reflog says.
        time: when it was made.
        freed_bytes: what only it and later such versions need.
    """

    id: Id
    subject: str
    branch: str | None
    time: TimeText
    freed_bytes: Bytes


class GcPlanDocument(TypedDict):
    """What gc would do.

    Args:
        versions: those that would go, the oldest first.
        branch_bytes: what would be freed, by the branch that once had it.
        dead_pack_count: packs of which nothing is needed.
        rewritten_pack_count: packs that would be written anew without what is dead in them.
        merged_pack_count: small packs that would become one.
        freed_bytes: what nothing needs.
        unfinished_bytes: what of that belongs to no commit.
        purged_bytes: what in the trash has had its time, and would go.
        trash_bytes: what would stay in the trash.
        pack_bytes: all packs.
    """

    versions: list[UnreachableDocument]
    branch_bytes: Mapping[str, Bytes]
    dead_pack_count: int
    rewritten_pack_count: int
    merged_pack_count: int
    freed_bytes: Bytes
    unfinished_bytes: Bytes
    purged_bytes: Bytes
    trash_bytes: Bytes
    pack_bytes: Bytes


class GcDocument(TypedDict):
    """What gc did.

    Args:
        freed_bytes: what the disk has back.
        trash_bytes: what lies in the trash and goes once it has been there for a day.
        removed_pack_count: packs that went.
        written_pack_count: packs that were written.
        undeleted_pack_count: packs that stay, since a running command leans on them.
        plan: what was planned.
    """

    freed_bytes: Bytes
    trash_bytes: Bytes
    removed_pack_count: int
    written_pack_count: int
    undeleted_pack_count: int
    plan: GcPlanDocument


class ForgottenDocument(TypedDict):
    """What goes of one version.

    Args:
        id: the commit.
        subject: the first line of its message.
        roles: whose files go.
        file_count: how many.
        size_bytes: their sizes.
    """

    id: Id
    subject: str
    roles: list[str]
    file_count: int
    size_bytes: Bytes


class ForgetPlanDocument(TypedDict):
    """What forget would do.

    Args:
        versions: those that would lose files, the oldest first.
        kept_count: versions that keep theirs.
        freed_bytes: stored bytes that nothing would need.
    """

    versions: list[ForgottenDocument]
    kept_count: int
    freed_bytes: Bytes


class ForgetDocument(TypedDict):
    """What forget did.

    Args:
        version_count: versions that lost files.
        freed_bytes: what the disk has back.
        plan: what was planned.
    """

    version_count: int
    freed_bytes: Bytes
    plan: ForgetPlanDocument


class RepackDocument(TypedDict):
    """What repack did.

    Args:
        worth: false where nothing would have been gained, and nothing was changed.
        before_bytes: all packs before.
        after_bytes: all packs now.
        removed_pack_count: packs that went.
        written_pack_count: packs that were written.
        kept_pack_count: old packs that stay, since something leans on them.
    """

    worth: bool
    before_bytes: Bytes
    after_bytes: Bytes
    removed_pack_count: int
    written_pack_count: int
    kept_pack_count: int
