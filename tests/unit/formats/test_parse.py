"""Which format a file is taken for, by ending and first bytes."""

from __future__ import annotations

import io
import zipfile

import pytest
import torch
from safetensors.torch import save

from mstore.errors import BadFile
from mstore.formats import BytesSource, parse
from mstore.objects import Layout


def _torch(value) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


def layout_of(file: BytesSource) -> Layout:
    """The layout of a file that has one."""
    layout = parse(file).layout
    assert layout is not None
    return layout


def test_each_format_by_its_ending():
    tensors = {"w": torch.arange(4.0)}
    assert layout_of(BytesSource("a/M.SafeTensors", save(tensors))).format == "safetensors"
    for ending in (".pt", ".pth", ".bin", ".ckpt"):
        layout = layout_of(BytesSource(f"x{ending}", _torch(tensors)))
        assert [(t.name, t.dtype, t.shape) for t in layout.tensors] == [("w", "F32", (4,))]
    assert parse(BytesSource("x.onnx", _torch(tensors))).layout is None
    assert parse(BytesSource("x.txt", save(tensors))).layout is None


def test_a_broken_safetensors_is_refused_or_kept_as_bytes():
    broken = BytesSource("m.safetensors", b"123")
    with pytest.raises(BadFile) as caught:
        parse(broken)
    assert caught.value.rule == "has 3 bytes; a safetensors file has at least 8"
    result = parse(broken, allow_opaque=True)
    assert result.layout is None
    assert result.warnings == (
        "m.safetensors: has 3 bytes; a safetensors file has at least 8; kept as bytes",
    )


def test_a_broken_zip_or_gguf_is_kept_whole_with_a_warning():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a", b"x" * 100)
    result = parse(BytesSource("x.pt", buffer.getvalue()[:60]))
    assert result.layout is None
    assert result.warnings == ("x.pt: is not a valid zip file: File is not a zip file; kept whole",)
    result = parse(BytesSource("x.gguf", b"GGUF" + bytes(20)))
    assert result.warnings == ("x.gguf: version 0 is unknown; kept whole",)


def test_devices_of_a_torch_file():
    assert parse(BytesSource("x.pt", _torch({"w": torch.zeros(2)}))).devices == ("cpu",)
