"""Names of earlier releases work and warn, where they are used."""

from __future__ import annotations

import pytest

from mstore import errors
from mstore.compat import moved_names, renamed_field


def test_a_moved_name_is_the_new_one_and_warns_at_the_caller() -> None:
    get = moved_names("mstore.errors", {"Refused": "InvalidInput"})
    with pytest.warns(DeprecationWarning, match=r"mstore\.errors\.Refused is now InvalidInput") as seen:
        assert get("Refused") is errors.InvalidInput
    assert seen[0].filename == __file__


def test_a_name_that_never_was_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"module 'mstore\.errors' has no attribute 'Nothing'"):
        moved_names("mstore.errors", {})("Nothing")


def test_a_renamed_field_follows_the_new_one() -> None:
    class Value:
        ignored = ("a",)
        left_out = renamed_field("left_out", "ignored")

    with pytest.warns(DeprecationWarning, match="Value.left_out is now ignored") as seen:
        assert Value().left_out == ("a",)
    assert seen[0].filename == __file__
    assert Value.left_out.__doc__ == "Give `ignored` by its old name."
