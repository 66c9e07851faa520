"""The delta base of a tensor: a blob that it is nearly equal to.

The tensor of the same name in the same file of the parent; else of the same
name anywhere in the parent; else in the commit's base model. A tensor that
gained or lost rows (a resized embedding) still has a base: its first rows. What was
saved in bf16 is a base of what is saved in fp32, and the reverse.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mstore.objects import tensor_blobs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mstore.objects import BlobId, Layout, Manifest, TensorEntry
    from mstore.store import Store


_CAST: Final = {"BF16", "F32"}


@dataclass(frozen=True, slots=True)
class _Known:
    blob: BlobId
    dtype: str
    shape: tuple[int, ...]

    def suits(self, tensor: TensorEntry) -> bool:
        """Return whether elements at equal positions are the same of both, of one dtype or cast."""
        same = self.dtype == tensor.dtype or {self.dtype, tensor.dtype} == _CAST
        if not same or len(self.shape) != len(tensor.shape):
            return False
        return self.shape == tensor.shape or (bool(self.shape) and self.shape[1:] == tensor.shape[1:])


class DeltaBases:
    """Delta bases out of some versions.

    Args:
        store: where they are.
        manifests: the versions, the most alike first (the parent, then the base model).
    """

    def __init__(self, store: Store, manifests: Sequence[Manifest]) -> None:
        self._by_path: list[dict[tuple[str, str], _Known]] = []
        self._by_name: list[dict[str, _Known]] = []
        layouts: dict[bytes, Layout] = {}
        for manifest in manifests:
            by_path: dict[tuple[str, str], _Known] = {}
            by_name: dict[str, _Known] = {}
            for file in manifest.files:
                if file.layout is None:
                    continue
                layout = layouts.get(file.layout.raw)
                if layout is None:
                    layout = layouts[file.layout.raw] = store.layout(file.layout)
                for index, blob in tensor_blobs(file, layout).items():
                    tensor = layout.tensors[index]
                    known = _Known(blob, tensor.dtype, tensor.shape)
                    by_path[file.path, tensor.name] = known
                    by_name.setdefault(tensor.name, known)
            self._by_path.append(by_path)
            self._by_name.append(by_name)

    def find(self, path: str, tensor: TensorEntry) -> BlobId | None:
        """Give the delta base of a tensor of a file, or None."""
        for by_path, by_name in zip(self._by_path, self._by_name, strict=True):
            for known in (by_path.get((path, tensor.name)), by_name.get(tensor.name)):
                if known is not None and known.suits(tensor):
                    return known.blob
        return None
