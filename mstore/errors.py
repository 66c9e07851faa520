"""Every error that mstore raises, as one tree, drawn by a caller's reactions.

    MStoreError
    ├── UsageError             change the call                                  exit 2
    ├── NotFound               ask for something that exists                    exit 3
    │   ├── NoStore            make or name a store
    │   └── RevisionNotFound   pick one of `near`
    ├── Ambiguous              say more: pick one of `candidates`               exit 3
    ├── Corrupt                restore or repair: bytes are not what they were  exit 4
    ├── Conflict               look again, then retry                           exit 5
    │   ├── RefMoved           another process moved the ref
    │   ├── ObjectRemoved      gc removed an object that was about to be used
    │   └── Dirty              commit, or force: work would be lost
    ├── InvalidInput           mend the input: it breaks a rule                 exit 6
    │   ├── BadPath            … of paths
    │   ├── BadFile            … of a file format
    │   └── BadEncoding        … of our own encodings
    ├── Unsupported            use a newer mstore                               exit 1
    └── StorageFailed          free space, permissions, hardware                exit 1
        └── DurabilityUnknown  it is done, and may not outlast a power cut

Errors carry fields, and the message is made from them; `code` names the class in `--json`. Foreign
exceptions (OSError, json, zstd, sqlite3) are translated once, by the module that meets them.
"""

from __future__ import annotations

from typing import Any

from mstore.compat import moved_names

__all__ = [
    "Ambiguous",
    "BadEncoding",
    "BadFile",
    "BadPath",
    "Conflict",
    "Corrupt",
    "Dirty",
    "DurabilityUnknown",
    "InvalidInput",
    "MStoreError",
    "NoStore",
    "NotFound",
    "ObjectRemoved",
    "RefMoved",
    "RevisionNotFound",
    "StorageFailed",
    "Unsupported",
    "UsageError",
]


def _remade(kind: type[MStoreError], args: tuple[Any, ...], fields: dict[str, Any]) -> MStoreError:
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(fields)
    return error


class MStoreError(Exception):
    """Base of all errors of mstore.

    Args:
        message: what happened, one sentence, without a trailing full stop.
        hint: what to do about it, or None.
    """

    exit_code = 1
    code = "failed"
    """Its name in `--json`: one a class, never changed and never used for anything else."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __reduce__(self) -> tuple[Any, ...]:
        # What a worker process raises must reach the process that asked.
        return _remade, (type(self), self.args, self.__dict__)


class UsageError(MStoreError):
    """The call cannot work with these arguments, or in this state."""

    exit_code = 2
    code = "usage-error"


class NotFound(MStoreError):
    """A thing asked for does not exist (or no longer)."""

    exit_code = 3
    code = "not-found"


class NoStore(NotFound):
    """There is no store or workspace where one was looked for."""

    code = "no-store"


class RevisionNotFound(NotFound):
    """No branch, tag or commit has this name.

    Attributes:
        revision: the name asked for.
        near: existing names that look like it, best first.
    """

    code = "revision-not-found"

    def __init__(self, revision: str, *, near: tuple[str, ...] = (), hint: str | None = None) -> None:
        if hint is None and near:
            hint = "near it: " + ", ".join(near)
        super().__init__(f"no such revision: {revision!r}", hint=hint)
        self.revision = revision
        self.near = near


class Ambiguous(MStoreError):
    """A short id, or another name, fits several objects.

    Attributes:
        revision: the short id or name.
        candidates: one line for each object that fits (id, date, message).
    """

    exit_code = 3
    code = "ambiguous"

    def __init__(
        self, revision: str, candidates: tuple[str, ...], *, message: str | None = None
    ) -> None:
        super().__init__(
            message or f"short id {revision!r} fits {len(candidates)} commits",
            hint="one of:\n  " + "\n  ".join(candidates),
        )
        self.revision = revision
        self.candidates = candidates


class Corrupt(MStoreError):
    """Stored bytes have changed.

    Attributes:
        where: the file or object concerned.
        rule: what does not hold.
    """

    exit_code = 4
    code = "corrupt"

    def __init__(self, where: str, rule: str, *, hint: str | None = None) -> None:
        super().__init__(f"{where}: {rule}", hint=hint)
        self.where = where
        self.rule = rule


class Conflict(MStoreError):
    """Another process was faster, or holds a lock that is needed."""

    exit_code = 5
    code = "conflict"


class RefMoved(Conflict):
    """A ref no longer has the value that the caller knew.

    Attributes:
        ref: the ref's name.
    """

    code = "ref-moved"

    def __init__(self, ref: str, *, hint: str | None = None) -> None:
        super().__init__(f"another process moved {ref} meanwhile", hint=hint)
        self.ref = ref


class ObjectRemoved(Conflict):
    """An object that was taken for stored was removed in the meantime."""

    code = "object-removed"


class Dirty(Conflict):
    """Going on would lose files that no commit holds.

    Attributes:
        paths: the files concerned.
    """

    code = "dirty"

    def __init__(self, message: str, paths: tuple[str, ...], *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.paths = paths


class InvalidInput(MStoreError):
    """Input breaks a rule; nothing was changed.

    Attributes:
        where: the file, path or argument concerned.
        rule: the rule it breaks.
    """

    exit_code = 6
    code = "invalid-input"

    def __init__(self, where: str, rule: str, *, hint: str | None = None) -> None:
        super().__init__(f"{where}: {rule}", hint=hint)
        self.where = where
        self.rule = rule


class BadPath(InvalidInput):
    """A path that must not be written to, or read from."""

    code = "bad-path"


class BadFile(InvalidInput):
    """A file breaks the rules of its format.

    Attributes:
        tensor: the tensor at fault, or None.
    """

    code = "bad-file"

    def __init__(
        self, where: str, rule: str, *, tensor: str | None = None, hint: str | None = None
    ) -> None:
        super().__init__(where, f"tensor {tensor!r}: {rule}" if tensor is not None else rule, hint=hint)
        self.tensor = tensor


class BadEncoding(InvalidInput):
    """Bytes are not the canonical encoding of their kind."""

    code = "bad-encoding"


class Unsupported(MStoreError):
    """The store uses something that this version does not know."""

    code = "unsupported"


class StorageFailed(MStoreError):
    """The operating system failed a read or write.

    Attributes:
        errno: the system's error number, or None.
    """

    code = "storage-failed"

    def __init__(self, message: str, *, errno: int | None = None, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.errno = errno


class DurabilityUnknown(StorageFailed):
    """The change is done and can be seen; the disk did not confirm that it will last."""

    code = "durability-unknown"


__getattr__ = moved_names(
    __name__,
    {"Refused": "InvalidInput", "Unconfirmed": "DurabilityUnknown", "Vanished": "ObjectRemoved"},
)
