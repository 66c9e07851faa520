"""Where a pack lies, in its folder and in the trash, and which keys are a pack's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mstore.store.pack_keys import PACK_FOLDERS, name_of_key, name_of_trash_key, pack_key, trash_key

NAME = bytes(range(32))
NAMES = st.binary(min_size=32, max_size=32)


@given(NAMES, st.integers(0, 10**12 - 1))
def test_a_name_is_read_back_from_its_key(name: bytes, seconds: int) -> None:
    assert name_of_key(pack_key(name)) == name
    assert pack_key(name).rpartition("/")[0] in PACK_FOLDERS
    assert name_of_trash_key(trash_key(name, seconds)) == (name, seconds)


@pytest.mark.parametrize(
    "key",
    [
        "packs/01/" + NAME.hex() + ".pack",
        "packs/00/" + NAME.hex().upper() + ".pack",
        "packs/00/" + NAME.hex() + ".tmp",
        "packs/00/" + NAME.hex()[:-2] + ".pack",
        "packs/00/" + "0" * 62 + "xy.pack",
        "packs/00",
        "",
    ],
)
def test_what_is_no_packs_key(key: str) -> None:
    assert name_of_key(key) is None


@pytest.mark.parametrize(
    "key",
    [
        pack_key(NAME),
        f"trash/{NAME.hex()}.pack",
        f"trash/-1-{NAME.hex()}.pack",
        f"trash/1-{NAME.hex()}.pack.tmp",
    ],
)
def test_what_is_no_key_of_the_trash(key: str) -> None:
    assert name_of_trash_key(key) is None
