"""Types of objects that several commands give under `--json`.

docs/json.md is made from these types and their docstrings, and a test validates what every
command prints against them. A field whose type has `None` says when it is null. The
annotations are read at run time, so that nothing here is imported for type checking alone.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypedDict

Id = Annotated[str, "id"]
Bytes = Annotated[int, "bytes"]
TimeText = Annotated[str, "time"]
Number = Annotated[float | str, "number"]


class RefDocument(TypedDict):
    """A name that points to a version.

    Args:
        kind: its kind; `note` is the ref of a commit's notes, named like that commit's id.
        name: its name without namespace; `HEAD` for HEAD.
    """

    kind: Literal["head", "branch", "tag", "note"]
    name: str


class BaseDocument(TypedDict):
    """The model that an adapter or fine-tune starts from.

    Args:
        id: the version of this store; null where none is known.
        weights: its weights id; null where unknown.
        name: its name on the Hub, or a path; null where unknown.
        revision: the revision of that name; null where unknown.
    """

    id: Id | None
    weights: Id | None
    name: str | None
    revision: str | None


class CommitDocument(TypedDict):
    """A version in brief.

    Args:
        id: the commit.
        message: its whole message.
        author: its author.
        time: its time.
    """

    id: Id
    message: str
    author: str
    time: TimeText


class VersionDocument(CommitDocument):
    """A version with its names, metadata, metrics and sizes.

    Args:
        parents: the commits that it follows; the first one is its branch's past.
        refs: names that point to it: HEAD first, then branches, then tags.
        metadata: values given and recorded, those of notes included, by key.
        metrics: numbers, those of notes included, by name.
        weights: the weights id of each folder that holds weights, `""` for the root.
        base: the model that it starts from; null where none was named or found.
        tensor_count: tensors in its weights and adapters.
        size_bytes: all its files.
        added_bytes: bytes of these that its first parent lacks.
    """

    parents: list[Id]
    refs: list[RefDocument]
    metadata: Mapping[str, Any]
    metrics: Mapping[str, Number]
    weights: Mapping[str, Id]
    base: BaseDocument | None
    tensor_count: int
    size_bytes: Bytes
    added_bytes: Bytes


class CommittedDocument(VersionDocument):
    """A version as the commit that was asked for left it.

    Args:
        branch: the branch that holds it.
        created: false where the folder held what the branch's tip holds: `id` is then that tip.
        note: the note that took new metrics or metadata where no commit was made; null otherwise.
        new_bytes: bytes of its files that the store lacked.
        stored_bytes: their size in the store.
        ignored: paths that were left out.
        warnings: one sentence each.
    """

    branch: str
    created: bool
    note: Id | None
    new_bytes: Bytes
    stored_bytes: Bytes
    ignored: list[str]
    warnings: list[str]


class FileDocument(TypedDict):
    """A file of a version.

    Args:
        path: its path in the model directory.
        role: its role: weights, adapter, tokenizer, config, training-state, other.
        size_bytes: its size.
    """

    path: str
    role: str
    size_bytes: Bytes


class TensorDocument(TypedDict):
    """A tensor of a version.

    Args:
        path: its file.
        name: its name in the file.
        dtype: as safetensors spells it.
        shape: elements by dimension; a scalar's is empty.
        size_bytes: its size.
    """

    path: str
    name: str
    dtype: str
    shape: list[int]
    size_bytes: Bytes


class NoteDocument(TypedDict):
    """Facts added to a version later.

    Args:
        id: the note.
        kind: `facts` for metrics and metadata, `forgotten` for files that were dropped; more may
            come.
        author: its author.
        time: its time.
        payload: its content. Of `facts`: `metrics` and `metadata`. Of `forgotten`: `roles`.
    """

    id: Id
    kind: str
    author: str
    time: TimeText
    payload: Mapping[str, Any]


class TargetDocument(RefDocument):
    """A ref, and where it points.

    Args:
        id: the commit, tag or note that it names; null where the ref is gone.
    """

    id: Id | None


class PackUseDocument(TypedDict):
    """The part of a pack that is read.

    Args:
        pack: the pack's name.
        object_count: blobs, delta bases included.
        stored_bytes: their size in the store.
    """

    pack: Id
    object_count: int
    stored_bytes: Bytes


class ErrorDocument(TypedDict):
    """The error of a command.

    Args:
        code: the name of the error; the list only grows.
        exit: the exit code.
        message: the error, in one sentence.
        hint: advice; null where there is none.
    """

    code: str
    exit: int
    message: str
    hint: str | None


class FailureDocument(TypedDict):
    """The one line on stderr of a command that fails under `--json`.

    Args:
        error: the error.
    """

    error: ErrorDocument
