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

_NEEDED = ("torch", "transformers", "peft")
_HOMES = {
    "MStoreCallback": "mstore.hf.callback",
    "load": "mstore.hf.loading",
    "load_state_dict": "mstore.hf.tensors",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    try:
        return getattr(import_module(_HOMES[name]), name)
    except ModuleNotFoundError as error:
        if error.name not in _NEEDED:
            raise
        raise ModuleNotFoundError(
            f"mstore.hf.{name} needs {error.name}: pip install 'mstore[hf]'", name=error.name
        ) from error
