"""Which files of a model directory are left out of commits.

The defaults, then `.mstoreignore` in the directory's root, in gitignore syntax;
a later line may take back an earlier one (`!runs/`).
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from mstore.errors import Refused, StorageFailed

if TYPE_CHECKING:
    from pathlib import Path

IGNORE_FILE: Final = ".mstoreignore"
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


def rules_for(folder: Path) -> Rules:
    """The rules of a model directory.

    Raises:
        Refused: `.mstoreignore` is not UTF-8, or holds a pattern that means nothing.
        StorageFailed: it cannot be read.
    """
    try:
        text = (folder / IGNORE_FILE).read_text("utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return _default_rules
    except UnicodeDecodeError as error:
        raise Refused(str(folder / IGNORE_FILE), "is not UTF-8") from error
    except OSError as error:
        raise StorageFailed(f"cannot read {folder / IGNORE_FILE}: {error.strerror}") from error
    import pathspec

    try:
        spec = pathspec.GitIgnoreSpec.from_lines([*DEFAULTS, *text.splitlines()])
    except ValueError as error:
        raise Refused(str(folder / IGNORE_FILE), f"a pattern cannot be read: {error}") from error
    return lambda path, is_folder: spec.match_file(path + "/" if is_folder else path)
