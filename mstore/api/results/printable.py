"""The base of all results that print themselves."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, Self

from mstore.render.style import plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mstore.render.style import Style


class Printable:
    """A result that prints as lines: `print` and IPython give text, a notebook colours.

    IPython asks for `_repr_html_` and `_repr_pretty_` (its display protocol). `repr` stays
    that of the value, for debugging.
    """

    __slots__ = ()

    @classmethod
    def of(cls, result: Any, **more: Any) -> Self:
        """Give a value as the kind of it that prints itself.

        Args:
            result: the value, a dataclass whose class this one extends.
            more: the fields that this class adds.
        """
        return cls(**{field.name: getattr(result, field.name) for field in fields(result)}, **more)

    def _lines(self, style: Style) -> Iterator[str]:
        raise NotImplementedError

    def __str__(self) -> str:
        return "\n".join(self._lines(plain))

    def _repr_html_(self) -> str:
        from mstore.render.html import html_lines

        return html_lines(self._lines)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(str(self))
