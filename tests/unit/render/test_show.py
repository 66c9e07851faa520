"""One version in full."""

from __future__ import annotations

import math
from typing import Any

import pytest

from mstore.render.show import value_text


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "null"), (1.5, "1.5"), ("a\x1b", "a\\x1b"), ({"x": [math.nan]}, '{"x": ["NaN"]}')],
)
def test_values_of_any_kind_have_a_text(value: Any, text: str) -> None:
    assert value_text(value) == text
