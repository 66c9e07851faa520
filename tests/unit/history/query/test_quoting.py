"""Names that have signs in them stand in quotes, and come back as they were."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from mstore.history.query.quoting import QUOTED, quoted, unquoted


@given(st.text(max_size=20), st.sampled_from("\"'"))
def test_what_is_quoted_is_read_back(text: str, quote: str) -> None:
    assert unquoted(quoted(text, quote)) == text


@given(st.text(st.sampled_from('ab" '), max_size=12), st.text(st.sampled_from('ab" '), max_size=12))
def test_a_quoted_name_ends_where_it_ends(text: str, after: str) -> None:
    found = re.match(QUOTED, quoted(text) + " " + after)
    assert found is not None and found[0] == quoted(text)


def test_a_quote_that_is_left_open_is_none() -> None:
    assert re.match(QUOTED, '"a') is None and re.match(QUOTED, "a") is None
