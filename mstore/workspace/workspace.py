"""A workspace: one user's or job's `.mstore/` folder.

HEAD, the model directory, configuration, what `undo` needs, and where the
store is. Source: docs/format.md section 9. Ten workspaces on one store do not
disturb each other.
"""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import asdict, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mstore.errors import (
    Corrupt,
    DurabilityUnknown,
    InvalidInput,
    MStoreError,
    StorageFailed,
    UsageError,
)
from mstore.frozen import frozen
from mstore.fs.durable import make_folder, replace_file, replacement
from mstore.fs.failures import storage_failed, translated
from mstore.fs.locks import open_lock, take_lock
from mstore.fs.mounts import network_type
from mstore.fs.temp import sweep_folder
from mstore.store import STORE_FILE
from mstore.workspace.head import Head
from mstore.workspace.oplog import Operation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mstore.workspace.statcache import StatCache

FOLDER: Final = ".mstore"
WORKSPACE_FILE: Final = "workspace.json"
USER_CACHE: Final = Path("~/.cache/mstore")
_OPERATIONS_KEPT: Final = 50
_UNREADABLE: Final = (ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError)
CONFIG_KEYS: Final = {
    "author": "who commits: `Name <address>`",
    "model-dir": "the folder that a bare commit takes and checkout writes",
    "keep-training-state": "how many versions of a run the Trainer's callback keeps optimizer"
    " and random states of (2), or `all`",
}


@frozen(slots=True)
class _WorkspaceFile:
    id: str
    store: str
    model_dir: str | None = None
    bound: bool = False
    paths: tuple[str, ...] = field(default=())


class Workspace:
    """An open workspace.

    Args:
        path: the `.mstore` folder.

    Raises:
        Corrupt: workspace.json or HEAD cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        document = self._read_json(WORKSPACE_FILE)
        try:
            self._settings = _WorkspaceFile(
                str(document["id"]),
                str(document["store"]),
                document.get("model_dir"),
                bool(document.get("bound", False)),
                tuple(document.get("paths", ())),
            )
        except (KeyError, TypeError) as error:
            raise Corrupt(str(path / WORKSPACE_FILE), f"lacks {error}") from error

    # -- making and finding

    @classmethod
    def create(
        cls, path: Path, *, store: Path, model_dir: Path | None = None, branch: str = "main"
    ) -> Workspace:
        """Create a workspace on a store.

        Args:
            path: the `.mstore` folder to make.
            store: the store's folder, inside `path` or elsewhere.
            model_dir: the model directory, or None to take the first folder committed.
            branch: the branch that HEAD is on at first.

        Raises:
            InvalidInput: there is a workspace.
            StorageFailed: the system failed.
        """
        if (path / WORKSPACE_FILE).exists():
            raise InvalidInput(str(path), "is a workspace already")
        inside = store.resolve().is_relative_to(path.resolve())
        settings = _WorkspaceFile(
            os.urandom(16).hex(),
            str(store.resolve().relative_to(path.resolve())) if inside else str(store.resolve()),
            str(model_dir.resolve()) if model_dir is not None else None,
            model_dir is not None,
        )
        with translated(f"cannot make a workspace at {path}"):
            make_folder(path)
            _write(path / ".gitignore", b"*\n")
            _write(path / "HEAD", _json(Head(branch=branch).to_dict()))
            _write(path / WORKSPACE_FILE, _json(asdict(settings)))
        return cls(path)

    @staticmethod
    def find(start: Path) -> Path | None:
        """Find the `.mstore` folder of a folder, or of the nearest one above it."""
        start = start.absolute()
        for folder in (start, *start.parents):
            if (folder / FOLDER / WORKSPACE_FILE).is_file():
                return folder / FOLDER
        return None

    # -- what it says

    @property
    def id(self) -> str:
        """32 hex digits, which reflogs record beside this workspace's moves."""
        return self._settings.id

    @property
    def store_path(self) -> Path:
        """The location of the store."""
        return self.path / self._settings.store

    @cached_property
    def cache_path(self) -> Path:
        """A folder that may be deleted at any time.

        In the user's home where the workspace lies on a network disk: sqlite's files do
        not belong there.
        """
        if network_type(self.path) is None:
            return self.path / "cache"
        return USER_CACHE.expanduser() / self.id

    @cached_property
    def stat_cache(self) -> StatCache:
        """The stat cache, for this workspace's store."""
        from mstore.workspace.statcache import StatCache

        identity = self.store_path / STORE_FILE
        try:
            store_id = str(json.loads(identity.read_bytes())["id"])
        except (OSError, ValueError, KeyError, TypeError):
            store_id = ""
        return StatCache(self.cache_path / "stat.sqlite", store_id)

    def _read_json(self, name: str) -> dict[str, Any]:
        path = self.path / name
        try:
            document = json.loads(path.read_bytes())
        except OSError as error:
            raise storage_failed(error, f"cannot read {path}") from error
        except ValueError as error:
            raise Corrupt(str(path), f"is not JSON: {error}") from error
        if not isinstance(document, dict):
            raise Corrupt(str(path), "is not an object")
        return document

    def _write_json(self, name: str, document: object) -> None:
        with self._writing(name):
            _write(self.path / name, _json(document))

    def _writing(self, name: str) -> contextlib.AbstractContextManager[None]:
        return translated(f"cannot write {self.path / name}", done=f"{name} was replaced")

    # -- HEAD

    @property
    def head(self) -> Head:
        """HEAD. Raises Corrupt."""
        return Head.from_dict(self._read_json("HEAD"), str(self.path / "HEAD"))

    def set_head(self, head: Head) -> None:
        """Move HEAD, durably."""
        with self.prepare_head(head) as move:
            move()

    @contextlib.contextmanager
    def prepare_head(self, head: Head) -> Iterator[Callable[[], None]]:
        """Prepare a move of HEAD; yields a function that does it without needing disk space."""
        with contextlib.ExitStack() as stack:
            with self._writing("HEAD"):
                put = stack.enter_context(replacement(self.path / "HEAD", _json(head.to_dict())))

            def move() -> None:
                with self._writing("HEAD"):
                    put()

            yield move

    # -- the model directory

    def _save(self, settings: _WorkspaceFile) -> None:
        self._settings = settings
        self._write_json(WORKSPACE_FILE, asdict(settings))

    @property
    def model_dir(self) -> Path | None:
        """The model directory; None until a folder was committed."""
        known = self._settings.model_dir
        return Path(known) if known is not None else None

    def unambiguous_model_dir(self) -> Path | None:
        """Return the model directory, if only one can be meant.

        Raises:
            UsageError: two folders were committed and none is configured.
        """
        if not self._settings.bound and len(self._settings.paths) > 1:
            named = " and ".join(self._settings.paths[:2])
            raise UsageError(
                f"{named} were both committed here, and none is configured as the model directory",
                hint="name the folder (`commit PATH`, `checkout REV --to DIR`),"
                " or choose one: `mstore config model-dir DIR`",
            )
        return self.model_dir

    def bind(self, path: Path, *, configured: bool = False) -> None:
        """Record a folder that was committed by hand; the first becomes the model directory.

        Args:
            path: the folder.
            configured: the user chose it; nothing rebinds it but another choice.
        """
        from dataclasses import replace

        known = str(path.resolve())
        settings = self._settings
        if configured:
            self._save(replace(settings, model_dir=known, bound=True))
        elif known not in settings.paths:
            self._save(
                replace(settings, model_dir=settings.model_dir or known, paths=(*settings.paths, known))
            )

    # -- configuration

    def config(self) -> dict[str, str]:
        """Read the configuration."""
        values: dict[str, str] = {}
        if (self.path / "config.json").exists():
            values = {str(k): str(v) for k, v in self._read_json("config.json").items()}
        if self._settings.bound and self._settings.model_dir is not None:
            values["model-dir"] = self._settings.model_dir
        return values

    def config_value(self, key: str) -> str | None:
        """Return a configuration value, or None where it is not set. Raises UsageError: no such key."""
        _check_config_key(key)
        return self.config().get(key)

    def set_config(self, key: str, value: str | None) -> None:
        """Set or remove a configuration value. Raises UsageError: no such key, or no such value."""
        _check_config_key(key)
        if key == "model-dir":
            from dataclasses import replace

            if value is None:
                self._save(replace(self._settings, bound=False))
            else:
                self.bind(Path(value), configured=True)
            return
        if key == "keep-training-state" and value is not None and not _is_count(value):
            raise UsageError(f"keep-training-state must be a number or `all`, not {value!r}")
        values = {k: v for k, v in self.config().items() if k != "model-dir"}
        if value is None:
            values.pop(key, None)
        else:
            values[key] = value
        self._write_json("config.json", values)

    # -- operations

    def operations(self) -> tuple[Operation, ...]:
        """List the operations that can be undone, the latest last; unreadable ones are left out.

        Raises:
            StorageFailed: the file is there and cannot be read.
        """
        try:
            lines = (self.path / "operations").read_bytes().splitlines()
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise storage_failed(error, f"cannot read {self.path / 'operations'}") from error
        found = []
        for line in lines:
            with contextlib.suppress(*_UNREADABLE):
                found.append(Operation.from_dict(json.loads(line)))
        return tuple(found)

    def unclaimed_copies(self) -> tuple[Path, ...]:
        """List folders of files that a killed `checkout --force` saved, and no operation mentions."""
        names = [operation.backup for operation in self.operations() if operation.backup is not None]
        known = {name + ending for name in names for ending in ("", ".back")}
        try:
            found = sorted(os.listdir(self.path / "undo"))
        except OSError:
            return ()
        folders = (self.path / "undo" / name for name in found if name not in known)
        return tuple(f for f in folders if any(not p.is_dir() for p in f.rglob("*")))

    def next_operation(self) -> int:
        """Return the number that the next operation will have, if no other command is faster."""
        return _after(self.operations())

    @contextlib.contextmanager
    def journaled(self, operation: Operation) -> Iterator[None]:
        """Record an operation while the context does it, and delete the record if it fails.

        The record comes before refs and HEAD move: what was done without one could not be
        undone, and `undo` would take back what came before it. Where the process is killed, the
        record stays; `mstore.checkout.undo.undo` finds out whether it came to anything.

        Args:
            operation: the operation of the block. It is given its number here.

        Raises:
            StorageFailed: it cannot be written down; the block has not run.
        """
        with self._rewriting() as operations:
            operation = replace(operation, number=_after(operations))
            operations.append(operation)
        sweep_folder(self.path)
        try:
            yield
        except DurabilityUnknown:
            raise  # It is done.
        except MStoreError:
            with contextlib.suppress(StorageFailed):
                self.forget_operation(operation)
            raise

    def forget_operation(self, operation: Operation) -> None:
        """Delete an operation's record: it was undone, or never done. Raises StorageFailed."""
        with self._rewriting() as operations:
            operations[:] = [
                o for o in operations if replace(o, undoing=operation.undoing) != operation
            ]

    def mark_operation(self, operation: Operation) -> None:
        """Record that an operation is about to be undone. Raises StorageFailed."""
        with self._rewriting() as operations:
            operations[:] = [replace(o, undoing=True) if o == operation else o for o in operations]

    @contextlib.contextmanager
    def _rewriting(self) -> Iterator[list[Operation]]:
        """Lock the operations, yield them, and write them as the block leaves them."""
        with translated(f"cannot write {self.path / 'operations'}"):
            lock = open_lock(self.path / "operations.lock")
            try:
                take_lock(lock)
                operations = list(self.operations())
                yield operations
                text = "".join(json.dumps(asdict(o)) + "\n" for o in operations[-_OPERATIONS_KEPT:])
                replace_file(self.path / "operations", text.encode(), durable=False)
            finally:
                os.close(lock)


def _after(operations: Sequence[Operation]) -> int:
    return operations[-1].number + 1 if operations else 1


def _check_config_key(key: str) -> None:
    if key not in CONFIG_KEYS:
        raise UsageError(f"no such configuration key: {key!r}", hint="keys: " + ", ".join(CONFIG_KEYS))


def _is_count(value: str) -> bool:
    return value == "all" or (value.isascii() and value.isdigit())


def _json(document: object) -> bytes:
    return (json.dumps(document, indent=1) + "\n").encode()


def _write(path: Path, content: bytes) -> None:
    replace_file(path, content)
