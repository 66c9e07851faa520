"""Styles are asked for by name, and may be left out."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mstore.render.style import plain


@given(st.text(), st.sampled_from(["red", "yellow", "green", "bold", "dim"]))
def test_plain_text_stays_as_it_is(text: str, style: str) -> None:
    assert plain(text, style) == text
