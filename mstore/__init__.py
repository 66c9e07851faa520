"""mstore: version control for fine-tuning.

    import mstore

    repo = mstore.init()
    repo.commit("out", message="r=8 lr=2e-4")
    repo.checkout("HEAD~1", to="best")

The torch-free core; `mstore.hf` has the Trainer callback and loading.
Importing this package is cheap: what needs more is imported when used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mstore.api.discovery import init, open
    from mstore.api.folders import diff, weights_id
    from mstore.api.repository import Repository

__version__ = "0.2.0"
__all__ = ["Repository", "__version__", "diff", "init", "open", "weights_id"]


_ROOMS = {
    "Repository": "repository",
    "diff": "folders",
    "init": "discovery",
    "open": "discovery",
    "weights_id": "folders",
}


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        from importlib import import_module

        return getattr(import_module(f"mstore.api.{_ROOMS[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
