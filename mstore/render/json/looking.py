"""Types of what commands that look give under `--json`; see `shared`."""

from collections.abc import Mapping
from typing import Any, NotRequired, TypedDict

from mstore.render.json.shared import (
    Bytes,
    CommitDocument,
    FileDocument,
    Id,
    NoteDocument,
    Number,
    TensorDocument,
    TimeText,
    VersionDocument,
)


class LogDocument(TypedDict):
    """Versions.

    Args:
        versions: the latest first, or as `--sort` has them.
    """

    versions: list[VersionDocument]


class ShowDocument(VersionDocument):
    """A version in full.

    Args:
        files: its files, by path.
        notes: its notes, the latest first.
    """

    files: list[FileDocument]
    notes: list[NoteDocument]


class FilesDocument(TypedDict):
    """The files of a version.

    Args:
        id: the commit.
        files: its files, by path.
    """

    id: Id
    files: list[FileDocument]


class TensorsDocument(TypedDict):
    """The tensors of a version.

    Args:
        id: the commit.
        tensors: the tensors of all its files.
    """

    id: Id
    tensors: list[TensorDocument]


class ComparisonDocument(TypedDict):
    """The differences between versions.

    Args:
        versions: the versions, in the order asked for.
        rows: metrics first, then metadata: one value for each version, null where it has none, by
            name.
        equal_count: names for which all have the same value.
        hidden_count: names that differ and say nothing of the training, such as run ids; `--all`
            shows them.
    """

    versions: list[CommitDocument]
    rows: Mapping[str, list[Any]]
    equal_count: int
    hidden_count: int


class MoveDocument(TypedDict):
    """A recorded move of a ref.

    Args:
        number: counts the ref's moves.
        old: its former target; null where it was made.
        new: its new target; null where it was deleted.
        action: the action that moved it.
        message: details of that action.
        author: the author of the move.
        time: its time.
    """

    number: int
    old: Id | None
    new: Id | None
    action: str
    message: str
    author: str
    time: TimeText


class ReflogDocument(TypedDict):
    """The moves of a ref.

    Args:
        moves: the latest first.
    """

    moves: list[MoveDocument]


class DeadFileDocument(TypedDict):
    """A file that a killed command left in the store; the next commit sweeps it.

    Args:
        key: its path in the store.
        size_bytes: its size.
    """

    key: str
    size_bytes: Bytes


class ActivityDocument(TypedDict):
    """The activity in a store at this moment.

    Args:
        held: locks that a process holds; `gc` is held by gc and repack.
        running_count: other commands at work.
        writing_bytes: bytes that they have written and not published.
        left: files of commands that were killed.
    """

    held: list[str]
    running_count: int
    writing_bytes: Bytes
    left: list[DeadFileDocument]


class QueueDocument(TypedDict):
    """Saves of a training run that wait to be committed.

    Args:
        path: the folder in which they wait.
        save_count: how many.
    """

    path: str
    save_count: int


class StatusDocument(TypedDict):
    """HEAD, the changes in the model directory, and activity in the store.

    Args:
        branch: HEAD's branch; null where HEAD is detached.
        id: HEAD's commit; null on an unborn branch.
        message: that commit's whole message; null on an unborn branch.
        model_dir: the model directory; null while none is known.
        problem: why no model directory is clear, or it cannot be read; null where all is well.
        added: paths in the model directory that HEAD's version lacks.
        changed: paths that differ.
        removed: paths that are gone.
        ignored: paths that a commit would leave out.
        activity: that of other commands; null where it is unknown.
        trash_bytes: bytes in the trash.
        staged: queues of saves.
        backup_paths: folders of files that a killed `checkout --force` had replaced.
    """

    branch: str | None
    id: Id | None
    message: str | None
    model_dir: str | None
    problem: str | None
    added: list[str]
    changed: list[str]
    removed: list[str]
    ignored: list[str]
    activity: ActivityDocument | None
    trash_bytes: Bytes
    staged: list[QueueDocument]
    backup_paths: list[str]


class GroupDocument(TypedDict):
    """The cost of a group of tensors or files in one version.

    Args:
        name: names of tensors with `*` for numbers, or a role.
        size_bytes: its size.
        shared_bytes: bytes of it that the first parent has.
        added_bytes: bytes of it that the first parent lacks.
        stored_bytes: the size of the added ones in the store.
        delta_bytes: stored bytes that are deltas.
    """

    name: str
    size_bytes: Bytes
    shared_bytes: Bytes
    added_bytes: Bytes
    stored_bytes: Bytes
    delta_bytes: Bytes


class CostDocument(TypedDict):
    """The cost of a version.

    Args:
        id: the commit.
        subject: the first line of its message.
        groups: the largest first.
        total: all groups together.
        freed_bytes: bytes that would be free without it.
        protected_bytes: bytes that only it has, and that deltas of other versions depend on.
    """

    id: Id
    subject: str
    groups: list[GroupDocument]
    total: GroupDocument
    freed_bytes: Bytes
    protected_bytes: Bytes


class UsageDocument(TypedDict):
    """The contents of a store.

    Args:
        versions: those asked for.
        version_count: all that names reach.
        size_bytes: all files of these.
        pack_bytes: all packs.
    """

    versions: list[CostDocument]
    version_count: int
    size_bytes: Bytes
    pack_bytes: Bytes


class ProblemDocument(TypedDict):
    """A problem in a store.

    Args:
        where: the pack, ref or object.
        what: the rule that does not hold.
        affects: versions and files that need it.
        hint: advice; null where there is none.
    """

    where: str
    what: str
    affects: list[str]
    hint: str | None


class FsckDocument(TypedDict):
    """The findings of a check of the store, after a repair if one was asked for.

    Args:
        ok: nothing is damaged; otherwise the exit code is 4.
        quick: only the sums of stored bytes were checked.
        repaired: the repairs, one sentence each.
        problems: damaged parts.
        harmless: unusual, harmless findings.
        pack_count: packs that were checked.
        object_count: objects.
        commit_count: commits.
        read_bytes: stored bytes that were checked.
    """

    ok: bool
    quick: bool
    repaired: list[str]
    problems: list[ProblemDocument]
    harmless: list[ProblemDocument]
    pack_count: int
    object_count: int
    commit_count: int
    read_bytes: Bytes


class PairDocument(TypedDict):
    """A value on both sides.

    Args:
        a: on the one; left out where it has none, since null is a value.
        b: on the other; left out where it has none.
    """

    a: NotRequired[Any]
    b: NotRequired[Any]


class MetricPairDocument(TypedDict):
    """A metric on both sides.

    Args:
        a: on the one; null where it has none.
        b: on the other; null where it has none.
    """

    a: Number | None
    b: Number | None
