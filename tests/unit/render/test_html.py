"""Static HTML: nothing from a file becomes markup, and colours are those of the text."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from mstore.render.html import html_lines, html_table


class Reader(HTMLParser):
    """What a browser sees: tags, and the text between them."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def _read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    reader.close()
    return reader


CELLS = st.text(st.sampled_from("<>&\"'ab/ "), max_size=8)


@given(st.lists(st.lists(CELLS, min_size=2, max_size=2), min_size=1, max_size=4))
def test_cells_are_text_whatever_is_in_them(rows: list[list[str]]) -> None:
    reader = _read(html_table(rows))
    assert set(reader.tags) <= {"table", "thead", "tbody", "tr", "th", "td"}
    assert reader.tags.count("th") == 2 and reader.tags.count("td") == 2 * (len(rows) - 1)
    assert reader.text == "".join("".join(row) for row in rows)


def test_what_is_left_out_is_said() -> None:
    assert html_table([["a"]], more=3).endswith("<p>… and 3 more</p>")
    assert "more" not in html_table([["a"]])


def test_lines_keep_their_colours_and_nothing_else_of_a_terminal() -> None:
    html = html_lines(lambda style: [style("<old>", "red") + " & " + style("new", "green"), "plain"])
    assert '<span style="color: firebrick">&lt;old&gt;</span>' in html
    reader = _read(html)
    assert reader.text == "<old> & new\nplain" and set(reader.tags) == {"pre", "span"}
