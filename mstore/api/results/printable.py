"""The base of all results that print themselves."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeVar

from mstore.render.style import plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mstore.render.style import Style

_Result = TypeVar("_Result", bound="Printable")


class Printable:
    """A result that prints as lines: `print` and IPython give text, a notebook colours.

    IPython asks for `_repr_html_` and `_repr_pretty_` (its display protocol). `repr` stays
    that of the value, for debugging.
    """

    __slots__ = ()

    def _lines(self, style: Style) -> Iterator[str]:
        raise NotImplementedError

    def __str__(self) -> str:
        return "\n".join(self._lines(plain))

    def _repr_html_(self) -> str:
        from mstore.render.html import html_lines

        return html_lines(self._lines)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(str(self))


def printable(kind: type[_Result], result: Any) -> _Result:
    """Give a value as the kind of it that prints itself.

    Args:
        kind: a subclass of the value's class.
        result: the value, a dataclass.
    """
    return kind(**{field.name: getattr(result, field.name) for field in fields(result)})
