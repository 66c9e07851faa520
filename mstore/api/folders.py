"""Answer questions about folders without any store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mstore.errors import InvalidInput

if TYPE_CHECKING:
    from mstore.compare.diff import DiffResult
    from mstore.progress import Progress


def diff(
    a: str | Path, b: str | Path, *, stat: bool = False, progress: Progress | None = None
) -> DiffResult:
    """Compare two folders, without any store.

    Args:
        a, b: model or adapter folders.
        stat: by how much tensors differ, and what LoRA adapters do, too.
        progress: called with (what, bytes done, bytes in all).

    Raises:
        InvalidInput: a file breaks a rule.
    """
    from mstore.api.results.comparing import Difference
    from mstore.compare.diff import diff as compare
    from mstore.compare.diff import side_of

    one, other = side_of(None, Path(a)), side_of(None, Path(b))
    return Difference.of(compare(one, other, stat=stat, progress=progress))


def weights_id(folder: str | Path) -> str:
    """Give the weights id of a model or adapter folder, without any store.

    Args:
        folder: what `save_pretrained` wrote.

    Raises:
        InvalidInput: its root holds no weights, or a file breaks a rule.
    """
    from mstore.modeldir.read import folder_weights

    found = folder_weights(Path(folder))
    if "" not in found:
        raise InvalidInput(str(folder), "holds no weights")
    return found[""].hex
