"""Codecs and modes by number: what is unknown, and what does not belong together."""

from __future__ import annotations

import pytest

from mstore.codec import Codec, Mode, check_mode
from mstore.codec.modes import MODES_OF, OF_EQUAL_WIDTH, WITH_BASE
from mstore.errors import Corrupt, Unsupported


def test_the_numbers_are_those_of_the_format() -> None:
    assert {c.name: int(c) for c in Codec} == {"RAW": 0, "PLANES": 1, "DELTA": 2}
    assert [int(m) for m in Mode] == [0, 1, 2, 16, 17, 18, 19, 20]
    assert {int(m) for m in WITH_BASE} == {16, 17, 18, 19, 20}
    assert {Mode.CAST} == WITH_BASE - OF_EQUAL_WIDTH


@pytest.mark.parametrize("codec", Codec)
@pytest.mark.parametrize("mode", Mode)
def test_only_a_delta_may_need_a_base(codec: Codec, mode: Mode) -> None:
    if mode in MODES_OF[codec]:
        check_mode(codec, mode, "block")
        assert codec is Codec.DELTA or mode not in WITH_BASE
        return
    with pytest.raises(Corrupt) as caught:
        check_mode(codec, mode, "block 3 of x")
    assert caught.value.where == "block 3 of x"
    assert caught.value.rule == f"block mode {int(mode)} does not belong to codec {int(codec)}"


@pytest.mark.parametrize(("codec", "mode", "what"), [(3, 0, "codec 3"), (2, 21, "block mode 21")])
def test_unknown_numbers_ask_for_a_newer_version(codec: int, mode: int, what: str) -> None:
    with pytest.raises(Unsupported) as caught:
        check_mode(codec, mode, "block")
    assert caught.value.message == f"block: unknown {what}"
    assert caught.value.hint == "use a newer mstore"
