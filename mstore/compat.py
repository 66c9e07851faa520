"""Names of earlier releases, which work until 1.0 and warn (docs/compat.md)."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def moved_names(module: str, names: Mapping[str, str]) -> Callable[[str], Any]:
    """Make a module's `__getattr__` that gives renamed things under their old names.

    Args:
        module: the module's `__name__`.
        names: old name → name now, both in that module.
    """

    def get(name: str) -> Any:
        import sys

        if name not in names:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        new = names[name]
        warnings.warn(f"{module}.{name} is now {new}", DeprecationWarning, stacklevel=2)
        return getattr(sys.modules[module], new)

    return get


def renamed_field(old: str, new: str) -> Any:
    """Make a property that gives a renamed field under its old name."""

    def get(self: object) -> Any:
        warnings.warn(f"{type(self).__name__}.{old} is now {new}", DeprecationWarning, stacklevel=2)
        return getattr(self, new)

    get.__doc__ = f"Give `{new}` by its old name."
    return property(get)


__all__ = ["moved_names", "renamed_field"]
