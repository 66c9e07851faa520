"""mstore for Hugging Face: commits from a Trainer, versions as models and torch tensors.

The only part of mstore that imports torch, transformers and peft, and only once one of
its names is used: the process that commits in the background has no need of them.
Install it with `pip install 'mstore[hf]'`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mstore.hf.callback import MStoreCallback
    from mstore.hf.loading import load
    from mstore.hf.tensors import load_state_dict

__all__ = ["MStoreCallback", "load", "load_state_dict"]

_HOMES = {
    "MStoreCallback": "mstore.hf.callback",
    "load": "mstore.hf.loading",
    "load_state_dict": "mstore.hf.tensors",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
