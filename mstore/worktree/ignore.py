"""The rules for files of a model directory that are left out of commits.

The defaults, then `.mstoreignore` in the directory's root, in gitignore syntax;
a later line may take back an earlier one (`!runs/`).
"""

from __future__ import annotations

import fnmatch
import os
import stat
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from mstore.errors import InvalidInput
from mstore.fs.failures import unreadable

if TYPE_CHECKING:
    from pathlib import Path

IGNORE_FILE: Final = ".mstoreignore"
_MAX_BYTES: Final = 1 << 20
DEFAULTS: Final = (
    ".mstore/",
    ".git/",
    "checkpoint-*/",
    "tmp-checkpoint-*/",
    "runs/",
    "wandb/",
    "mlruns/",
    ".cache/",
    ".locks/",
    "__pycache__/",
    ".ipynb_checkpoints/",
    ".DS_Store",
    "Thumbs.db",
    "*.tmp",
    "*.swp",
    "*~",
    "*.lock",
    "*.incomplete",
    ".~mstore-*",
)

Rules = Callable[[str, bool], bool]
"""Whether a path (relative, `/` between parts) is left out; the flag says it is a folder."""


def _default_rules(path: str, is_folder: bool) -> bool:
    name = path.rpartition("/")[2]
    for pattern in DEFAULTS:
        plain = pattern.removesuffix("/")
        if (is_folder or plain == pattern) and fnmatch.fnmatchcase(name, plain):
            return True
    return False


def _read(path: Path) -> str | None:
    """Read an ignore file; None if there is none. Raises InvalidInput."""
    try:
        # Neither a FIFO nor a link to something endless may hold a commit up.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise unreadable(error, str(path)) from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            kind = "FIFO" if stat.S_ISFIFO(status.st_mode) else "folder or special file"
            raise InvalidInput(str(path), f"is a {kind}, not a file")
        if status.st_size > _MAX_BYTES:
            raise InvalidInput(str(path), f"is larger than {_MAX_BYTES} bytes")
        return os.pread(descriptor, _MAX_BYTES, 0).decode()
    except UnicodeDecodeError as error:
        raise InvalidInput(str(path), "is not UTF-8") from error
    except OSError as error:
        raise unreadable(error, str(path)) from error
    finally:
        os.close(descriptor)


def rules_for(folder: Path) -> Rules:
    """Read the rules of a model directory.

    Raises:
        InvalidInput: `.mstoreignore` cannot be read, is no file, is not UTF-8, or holds a
            pattern that means nothing.
    """
    text = _read(folder / IGNORE_FILE)
    if text is None:
        return _default_rules
    import pathspec

    try:
        spec = pathspec.GitIgnoreSpec.from_lines([*DEFAULTS, *text.splitlines()])
    except ValueError as error:
        raise InvalidInput(str(folder / IGNORE_FILE), f"a pattern cannot be read: {error}") from error
    return lambda path, is_folder: spec.match_file(path + "/" if is_folder else path)
