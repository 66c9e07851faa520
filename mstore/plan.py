"""What all plans have: they show themselves as their text."""

from __future__ import annotations

from typing import Any


class Plan:
    """A plan: a frozen value that says what a command would do, and has changed nothing.

    IPython and notebooks ask for `_repr_pretty_` and `_repr_html_` (its display protocol).
    `repr` stays that of the value, for debugging.
    """

    __slots__ = ()

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(str(self))

    def _repr_html_(self) -> str:
        import html

        from mstore.text import escaped

        return f"<pre>{html.escape(escaped(str(self), newlines=True))}</pre>"
