"""Results in notebooks: static HTML, nothing in it that runs, and text where there is none.

Hides HTML. A notebook asks an object for `_repr_html_`, and for `_repr_pretty_` where it
shows text (IPython's display protocol). All that comes from files is escaped twice: control
characters by `mstore.text`, markup here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from mstore.render.style import Style


# What a cascading style sheet says for the styles that lines of text ask for.
_STYLES: Final = {
    "cyan": "color: teal",
    "red": "color: firebrick",
    "green": "color: green",
    "yellow": "color: darkgoldenrod",
    "bright_black": "color: gray",
    "dim": "color: gray",
    "bold": "font-weight: bold",
}
# Marks around styled text, such as no escaped text holds.
_BEGIN, _MIDDLE, _END = "\x01", "\x02", "\x03"


def html_table(rows: Iterable[Sequence[str]], *, more: int = 0) -> str:
    """Format rows of text as a table, the first one its heading.

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


def html_lines(lines: Callable[[Style], Iterable[str]]) -> str:
    """Format lines of text with their colours.

    Args:
        lines: makes them, escaped against control characters, given what styles a text.
    """
    import html

    text = html.escape("\n".join(lines(lambda text, style: _BEGIN + style + _MIDDLE + text + _END)))
    for name, shown in _STYLES.items():
        text = text.replace(_BEGIN + name + _MIDDLE, f'<span style="{shown}">')
    return f"<pre>{text.replace(_END, '</span>')}</pre>"
