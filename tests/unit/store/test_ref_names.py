"""Which names a ref may have: docs/format.md section 7, and a reason with each refusal."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mstore.errors import InvalidInput
from mstore.store import check_ref_name


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("", "is empty"),
        ("HEAD", "is reserved"),
        ("@", "is reserved"),
        ("x" * 201, "is longer than 200 bytes"),
        ("é" * 101, "is longer than 200 bytes"),
        ("\udc80", "is not valid UTF-8"),
        ("a~b", "holds '~'"),
        ("a b", "white space"),
        ("a\x07", "a control character"),
        ("a\u202eb", "a control character"),
        ("a..b", "holds '..'"),
        ("a@{b", "holds '@{'"),
        ("a//b", "has an empty part"),
        ("/a", "has an empty part"),
        ("a/", "has an empty part"),
        ("a/.b", "begins with '.'"),
        ("-a", "begins with '-'"),
        ("a.lock", "ends in '.' or '.lock'"),
        ("a./b", "ends in '.' or '.lock'"),
    ],
)
def test_a_refusal_says_which_rule_is_broken(name: str, rule: str) -> None:
    with pytest.raises(InvalidInput) as met:
        check_ref_name(name)
    assert rule in met.value.rule and met.value.where.startswith("ref name ")


@pytest.mark.parametrize(
    "name", ["main", "lr=2e-4", "a/b/c", "é", "a@b", "x" * 200, "HEAD/x", "a.b-c_d+e"]
)
def test_an_allowed_name_is_given_back(name: str) -> None:
    assert check_ref_name(name) == name


@given(st.text(max_size=30))
def test_an_allowed_name_has_a_file_of_its_own(name: str) -> None:
    try:
        check_ref_name(name)
    except InvalidInput:
        return
    path = Path("refs/heads") / name
    assert path.as_posix() == f"refs/heads/{name}" and ".." not in path.parts
    assert name == name.strip() and name.isprintable()
