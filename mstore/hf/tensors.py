"""Tensors out of a store as torch tensors, without a checkout.

Hides how safetensors' dtype names map to torch's, and that blocks are decoded
where the tensors' own memory is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import torch

from mstore.errors import Ambiguous, NotFound, Unsupported
from mstore.hf.devices import device_or_cpu, repository_at
from mstore.text import near_hint, near_names

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

    from mstore.api.repository import Repository
    from mstore.api.values import TensorRef

# Names by which torch knows them; a version of torch that lacks one cannot load it.
_DTYPES: Final = {
    "BOOL": "bool",
    "U8": "uint8",
    "I8": "int8",
    "U16": "uint16",
    "I16": "int16",
    "U32": "uint32",
    "I32": "int32",
    "U64": "uint64",
    "I64": "int64",
    "F16": "float16",
    "BF16": "bfloat16",
    "F32": "float32",
    "F64": "float64",
    "C64": "complex64",
    "C128": "complex128",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
    "F8_E4M3FNUZ": "float8_e4m3fnuz",
    "F8_E5M2FNUZ": "float8_e5m2fnuz",
    "F8_E8M0": "float8_e8m0fnu",
}


def torch_dtype(name: str) -> Any:
    """Give the torch dtype of a name as safetensors spells it.

    Raises:
        Unsupported: this torch has none.
    """
    dtype = getattr(torch, _DTYPES.get(name, ""), None)
    if dtype is None:
        raise Unsupported(f"torch {torch.__version__} has no dtype for {name!r}")
    return dtype


def _empty(ref: TensorRef) -> tuple[Any, memoryview]:
    """Give an empty tensor for a stored one, and the bytes of its memory."""
    kind = torch_dtype(ref.dtype)
    if ref.size_bytes == 0:
        return torch.empty(ref.shape, dtype=kind), memoryview(bytearray())
    memory = torch.empty(ref.size_bytes, dtype=torch.uint8)
    return memory.view(kind).reshape(ref.shape), memory.numpy().data


def load_state_dict(
    repo: Repository | str | os.PathLike[str],
    rev: str,
    names: Iterable[str] | None = None,
    device: str | torch.device | None = None,
    *,
    path: str | None = None,
) -> dict[str, torch.Tensor]:
    """Read a version's tensors straight from the store.

    Only the blobs of the tensors asked for are read. Nothing is cast.

    Args:
        repo: a Repository, or a folder in or under one.
        rev: branch, tag, commit id …
        names: only these tensors. Default: all of the model's or adapter's files
            (optimizer and other training state only where `path` names them).
        device: where to put them; the CPU, with a warning, if this machine has no such device.
        path: only tensors of this file, or of files in this folder.

    Returns:
        Tensors by name, each with memory of its own.

    Raises:
        NotFound: no such revision or tensor.
        Ambiguous: two files hold a tensor of one name (say which with `path`).
        Unsupported: torch has no such dtype.
    """
    repository = repository_at(repo)
    commit = repository.resolve(rev)
    place = device_or_cpu(device)
    inside = None if path is None else path.rstrip("/")
    found: dict[str, Any] = {}
    for ref in repository.tensors(commit):
        if inside is None:
            if ref.role not in ("weights", "adapter"):
                continue
        elif ref.path != inside and not ref.path.startswith(f"{inside}/"):
            continue
        found.setdefault(ref.name, []).append(ref)
    wanted = list(found) if names is None else list(dict.fromkeys(names))
    for name in wanted:
        if name not in found:
            raise NotFound(f"no tensor {name!r} in {rev}", hint=near_hint(near_names(name, found)))
        if len(found[name]) > 1:
            raise Ambiguous(
                name,
                tuple(f"path={ref.path!r}" for ref in found[name]),
                message=f"{len(found[name])} files hold a tensor {name!r}",
            )
    made = {name: (found[name][0], *_empty(found[name][0])) for name in wanted}
    repository.fill_tensors(commit, [(ref, memory) for ref, _, memory in made.values()])
    return {
        name: tensor if place is None else tensor.to(place) for name, (_, tensor, _) in made.items()
    }
