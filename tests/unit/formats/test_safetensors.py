"""The strict safetensors reader, against the list of bad inputs and against real files."""

from __future__ import annotations

import json
import struct
import sys
import tracemalloc

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save, save_file

from mstore.errors import BadFile
from mstore.formats import BytesSource, parse
from mstore.objects import Layout
from tests.bad_inputs import builders_safetensors as B

NAME = "model.safetensors"


def source(content: bytes, name: str = NAME) -> BytesSource:
    return BytesSource(name, content)


def layout_of(file: BytesSource) -> Layout:
    """The layout of a file that has one."""
    layout = parse(file).layout
    assert layout is not None
    return layout


@pytest.mark.parametrize("label", B.CASES, ids=lambda label: f"{B.CASES[label][0]}-{label}")
def test_bad_inputs(label):
    _, build, verdict, fragment = B.CASES[label]
    file = source(build())
    if verdict == "refused":  # tracing slows allocation tenfold; what is kept is timed by itself
        tracemalloc.start()
    try:
        if verdict == "refused":
            with pytest.raises(BadFile) as caught:
                parse(file)
            assert fragment in caught.value.rule
            assert caught.value.where == NAME
            kept = parse(file, allow_opaque=True)
            assert kept.layout is None
            assert fragment in kept.warnings[0]
        else:
            assert parse(file).layout is not None
            if verdict == "strict":
                with pytest.raises(BadFile, match=fragment):
                    parse(file, strict=True)
            else:
                assert parse(file, strict=True).warnings == ()
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 256 << 20


def test_every_number_has_a_case():
    assert {case[0] for case in B.CASES.values()} == set(range(1, 29))


def test_100_000_empty_tensors():
    layout = layout_of(source(B.CASES["100,000 empty tensors"][1]()))
    assert len(layout.tensors) == 100_000


def test_the_work_grows_with_the_number_of_tensors_and_no_faster():
    """Counted in calls, since a clock tells of the machine (0.6 s for 100,000 on an idle core)."""

    def calls(tensors):
        header = ",".join(
            f'"t{i}":{{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}' for i in range(tensors)
        )
        file, count = source(B.framed("{" + header + "}")), 0

        def counted(frame, event, argument):
            nonlocal count
            count += event in ("call", "c_call")

        sys.setprofile(counted)
        try:
            parse(file)
        finally:
            sys.setprofile(None)
        return count

    assert calls(4000) < 2.1 * calls(2000)


def test_brackets_inside_names_are_not_nesting():
    name = "[" * 500
    assert layout_of(source(B.named(name))).tensors[0].name == name


def test_recursion_limit_does_not_matter():
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(10**6)
    try:
        with pytest.raises(BadFile, match="nested"):
            parse(source(B.framed('{"a":' + "[" * 400_000 + "}")))
    finally:
        sys.setrecursionlimit(limit)


def test_positions_agree_with_the_library(tmp_path):
    tensors = {
        "z": torch.arange(6, dtype=torch.float32).reshape(2, 3),
        "scalar": torch.tensor(3.5),
        "empty": torch.zeros(0, 4),
        "bf16": torch.randn(5).bfloat16(),
        "int8": torch.arange(7, dtype=torch.int8),
        "fp8": torch.randn(8).to(torch.float8_e4m3fn),
        "e8m0": torch.ones(3, dtype=torch.uint8).view(torch.float8_e8m0fnu),
        "u16": torch.ones(3, dtype=torch.uint16),
        "c64": torch.zeros(2, dtype=torch.complex64),
        "bool": torch.tensor([True, False]),
    }
    path = tmp_path / NAME
    save_file(tensors, path, metadata={"format": "pt"})
    content = path.read_bytes()
    layout = layout_of(source(content))
    assert layout.format == "safetensors"
    assert {t.name for t in layout.tensors} == set(tensors)
    assert [t.begin for t in layout.tensors] == sorted(t.begin for t in layout.tensors)
    assert layout.tensors[-1].end == len(content)
    with safe_open(path, "pt") as opened:
        for t in layout.tensors:
            assert list(t.shape) == opened.get_slice(t.name).get_shape()
            assert t.dtype == opened.get_slice(t.name).get_dtype()
            raw = tensors[t.name].contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
            assert content[t.begin : t.end] == raw


@pytest.mark.parametrize("dtype", ["F4", "F6_E2M3", "F6_E3M2", "F8_E5M2FNUZ", "F8_E8M0", "C64", "U64"])
def test_dtypes_that_torch_does_not_save(dtype):
    bits = {"F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "C64": 64, "U64": 64}.get(dtype, 8)
    size = 4 * bits // 8
    layout = layout_of(source(B.of(size, w=B.entry((4,), (0, size), dtype))))
    assert layout.tensors[0].size_bytes == size


def test_header_order_and_padding_are_free():
    header = {"b": B.entry(offsets=(8, 16)), "a": B.entry(), "e": B.entry((0,), (8, 8))}
    layout = layout_of(source(B.framed(json.dumps(header) + " " * 100, bytes(16))))
    assert [t.name for t in layout.tensors] == ["a", "e", "b"]


@pytest.mark.parametrize("padding", ["\n", "\0", "\t", "x"])
def test_other_padding_is_refused(padding):
    with pytest.raises(BadFile, match="does not end"):
        parse(source(B.framed("{" + B.W + "}" + padding, bytes(8))))


def test_a_header_length_that_looks_like_a_pickle():
    length = 0x0280  # its bytes are 80 02, the first of a pickle
    header = ("{" + B.W + "}").ljust(length)
    assert layout_of(source(B.framed(header, bytes(8)))).tensors[0].name == "w"


def test_a_pickle_by_another_name():
    for content in (b"\x80\x02}q\0.  ", b"\x80\x04\x95" + bytes(40), b"PK\x03\x04" + bytes(60)):
        with pytest.raises(BadFile, match="is a pickle"):
            parse(source(content))
        assert "is a pickle" in parse(source(content), allow_opaque=True).warnings[0]


@pytest.mark.parametrize(
    "name", ["a/model.safetensors", "pytorch_model.bin", "x.gguf", "M.SAFETENSORS"]
)
def test_lfs_pointer_is_always_refused(name):
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
    with pytest.raises(BadFile, match="LFS") as caught:
        parse(source(pointer, name), allow_opaque=True)
    assert caught.value.hint is not None and "git lfs pull" in caught.value.hint
    assert parse(source(pointer, "notes.txt")).layout is None


def test_other_files_have_no_layout():
    assert parse(source(b"", "empty.pt")).layout is None
    assert parse(source(b"\x80\x02.", "old.bin")).layout is None
    assert parse(source(save({"a": torch.zeros(1)}), "renamed.txt")).layout is None


def test_only_the_header_is_read():
    class Counting(BytesSource):
        read_bytes = 0

        def read(self, offset, size, /):
            Counting.read_bytes += size
            return super().read(offset, size)

    content = save({"w": torch.zeros(1 << 20)})
    parse(Counting(NAME, content))
    assert Counting.read_bytes < 1000 + struct.unpack("<Q", content[:8])[0]


def test_the_layout_survives_its_encoding():
    layout = layout_of(source(B.CASES["control characters"][1]()))
    assert type(layout).decode(layout.encoded).id == layout.id
