"""Paths of manifests: the rule that is broken. Which ones are is in tests/property."""

from __future__ import annotations

import pytest

from mstore.errors import BadPath
from mstore.objects import check_path, folded


@pytest.mark.parametrize(
    ("path", "rule"),
    [
        ("", "is empty"),
        ("a\0", "holds a NUL"),
        ("/a", "is absolute"),
        ("a/../b", "has a part '..'"),
        ("a/" + "b" * 256, "has a part over 255 bytes"),
        ("a/.MSTORE /x", "names .mstore, which belongs to workspaces"),
        ("\ud800", "is not valid UTF-8"),
    ],
)
def test_the_rule_is_named(path: str, rule: str) -> None:
    with pytest.raises(BadPath) as caught:
        check_path(path)
    assert caught.value.rule == rule


def test_folding_forgets_case_and_form() -> None:
    assert folded("Stra\u00dfe") == folded("STRASSE")
    assert folded("e\u0301") == folded("\u00c9")
    assert folded("a") != folded("b")
