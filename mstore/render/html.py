"""What notebooks show of results: static HTML, nothing in it that runs, and text where there is none.

Hides HTML. A notebook asks an object for `_repr_html_`, and for `_repr_pretty_` where it
shows text (IPython's display protocol). All that comes from files is escaped twice: control
characters by `mstore.text`, markup here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence


# A cascading style sheet's names for the colours that lines of text ask for by a terminal's.
_COLOURS: Final = {
    "cyan": "teal",
    "red": "firebrick",
    "green": "green",
    "yellow": "darkgoldenrod",
    "bright_black": "gray",
}
# Marks around styled text, such as no escaped text holds.
_BEGIN, _MIDDLE, _END = "\x01", "\x02", "\x03"


def html_table(rows: Iterable[Sequence[str]], *, more: int = 0) -> str:
    """Rows of text as a table, the first one its heading.

    Args:
        rows: of equal lengths.
        more: how many rows are left out, said below it.
    """
    import html

    head, *body = (
        "<tr>" + "".join(f"<{tag}>{html.escape(text)}</{tag}>" for text in row) + "</tr>"
        for tag, row in (("th" if i == 0 else "td", row) for i, row in enumerate(rows))
    )
    rest = f"<p>… and {more} more</p>" if more else ""
    return f"<table><thead>{head}</thead><tbody>{''.join(body)}</tbody></table>{rest}"


def text_table(rows: Iterable[Sequence[str]]) -> str:
    """Rows of text as lines with aligned columns."""
    table = list(rows)
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        for row in table
    )


def html_lines(lines: Callable[[Callable[[str, str], str]], Iterable[str]]) -> str:
    """Lines of text with their colours.

    Args:
        lines: makes them, escaped against control characters, given what styles a text.
    """
    import html

    text = html.escape("\n".join(lines(lambda text, colour: _BEGIN + colour + _MIDDLE + text + _END)))
    for colour, shown in _COLOURS.items():
        text = text.replace(_BEGIN + colour + _MIDDLE, f'<span style="color: {shown}">')
    return f"<pre>{text.replace(_END, '</span>')}</pre>"
