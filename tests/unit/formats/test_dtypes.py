"""Element types by name: as wide as torch and safetensors have them."""

from __future__ import annotations

import pytest
import torch

from mstore.formats.dtypes import SAFETENSORS_BITS, TORCH_BYTES, codec_element
from mstore.formats.pickled import TORCH_DTYPES


@pytest.mark.parametrize(("torch_name", "name"), TORCH_DTYPES.items())
def test_widths_are_torchs(torch_name, name):
    dtype = getattr(torch, torch_name)
    assert TORCH_BYTES[name] == dtype.itemsize
    if name in SAFETENSORS_BITS:
        assert SAFETENSORS_BITS[name] == 8 * dtype.itemsize
    width, is_float = codec_element(name)
    assert is_float == (dtype.is_floating_point or dtype.is_complex)
    assert width == (dtype.itemsize // 2 if dtype.is_complex else dtype.itemsize)


def test_other_names_are_bytes():
    assert codec_element("F4") == codec_element("F6_E2M3") == codec_element("new") == (1, False)
    assert "F4" not in TORCH_BYTES
