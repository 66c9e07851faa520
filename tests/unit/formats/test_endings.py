"""The one table of endings, and that its readers agree."""

from __future__ import annotations

import pytest

from mstore.errors import BadFile
from mstore.formats import BytesSource, parse, role_of
from mstore.formats.endings import TORCH_ENDINGS, WEIGHT_ENDINGS


def test_what_torch_writes_is_among_the_weights_and_nothing_occurs_twice():
    assert set(TORCH_ENDINGS) <= set(WEIGHT_ENDINGS)
    assert len(set(WEIGHT_ENDINGS)) == len(WEIGHT_ENDINGS)


@pytest.mark.parametrize("ending", WEIGHT_ENDINGS)
def test_each_is_a_role_and_never_an_lfs_pointer(ending):
    assert role_of(f"sub/x{ending}") == role_of(f"x{ending}.index.json") == "weights"
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
    with pytest.raises(BadFile, match="Git LFS pointer"):
        parse(BytesSource(f"x{ending}", pointer))
