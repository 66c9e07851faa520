"""torch zips: names, dtypes and places of tensors, without unpickling; and what is not sound."""

from __future__ import annotations

import collections
import io
import pickle
import struct
import zipfile

import pytest
import torch
from torch import nn

from mstore.formats import BytesSource, cut, holds_token, parse


def saved(value, **options) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer, **options)
    return buffer.getvalue()


def parsed(content: bytes, name: str = "x.pt"):
    return parse(BytesSource(name, content))


def by_name(content: bytes):
    return {t.name: t for t in parsed(content).layout.tensors}


def raw(tensor: torch.PickledTensor) -> bytes:
    return tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


def zipped(records: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in records.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def assert_covered(content: bytes) -> None:
    """Every storage record is covered by entries, whatever the pickle said."""
    layout = parsed(content).layout
    taken = {p for t in layout.tensors for p in range(t.begin, t.end)}
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for record in archive.infolist():
            if "/data/" in record.filename and record.compress_type == zipfile.ZIP_STORED:
                local = content[record.header_offset : record.header_offset + 30]
                begin = record.header_offset + 30 + sum(struct.unpack("<HH", local[26:30]))
                assert set(range(begin, begin + record.file_size)) <= taken


DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
    "C64": torch.complex64,
    "C128": torch.complex128,
    "U16": torch.uint16,
    "U32": torch.uint32,
    "U64": torch.uint64,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "F8_E4M3FNUZ": torch.float8_e4m3fnuz,
    "F8_E5M2FNUZ": torch.float8_e5m2fnuz,
    "F8_E8M0": torch.float8_e8m0fnu,
}


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_every_dtype(protocol):
    state = {k: torch.ones(2, 3).to(d) for k, d in DTYPES.items()}
    content = saved(state, pickle_protocol=protocol)
    entries = by_name(content)
    assert set(entries) == set(DTYPES)
    for name, entry in entries.items():
        assert (entry.dtype, entry.shape) == (name, (2, 3))
        assert content[entry.begin : entry.end] == raw(state[name])


def test_a_state_dict_keeps_its_keys():
    model = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3))
    content = saved(model.state_dict())
    entries = by_name(content)
    assert set(entries) == set(model.state_dict())
    for name, tensor in model.state_dict().items():
        assert content[entries[name].begin : entries[name].end] == raw(tensor)
    assert entries["1.num_batches_tracked"].shape == ()


def test_adam_state():
    model = nn.Linear(8, 8)
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.ones(2, 8)).sum().backward()
    optimizer.step()
    entries = by_name(saved(optimizer.state_dict()))
    assert set(entries) == {f"state.{i}.{k}" for i in (0, 1) for k in ("step", "exp_avg", "exp_avg_sq")}
    assert entries["state.0.exp_avg"].shape == (8, 8)
    assert entries["state.0.exp_avg"].dtype == "F32"


def test_parameters_lists_and_nesting():
    content = saved(
        {
            "p": nn.Parameter(torch.ones(2)),
            "l": [torch.zeros(3), (torch.zeros(4),)],
            "o": collections.OrderedDict(a=torch.zeros(5)),
            "d": collections.defaultdict(dict, {1: {"x": torch.zeros(6)}}),
            7: {True: torch.zeros(7)},
        }
    )
    assert {k: v.shape for k, v in by_name(content).items()} == {
        "p": (2,),
        "l.0": (3,),
        "l.1.0": (4,),
        "o.a": (5,),
        "d.1.x": (6,),
        "7.True": (7,),
    }


def test_a_parameter_with_state():
    weight = nn.Parameter(torch.ones(2))
    weight.origin = "here"
    assert set(by_name(saved({"w": weight}))) == {"w"}


def test_tied_weights_share_their_range():
    weight = torch.randn(64, 64)
    content = saved({"embed": weight, "head": weight.view(64, 64), "tail": weight})
    entries = by_name(content)
    assert set(entries) == {"embed", "head", "tail"}
    assert len({(e.begin, e.end) for e in entries.values()}) == 1
    assert sum(c.width == 4 for c in cut(len(content), parsed(content).layout)) == 1


def test_one_name_twice():
    content = saved({"a": {"b": torch.zeros(2)}, "a.b": torch.zeros(3)})
    assert set(by_name(content)) == {"a.b", "a.b#2"}
    content = saved({"a": {"b": torch.zeros(2)}, "a.b": torch.zeros(3), "a.b#2": torch.zeros(4)})
    assert set(by_name(content)) == {"a.b", "a.b#2", "a.b#3"}


def test_views_that_do_not_cover_their_storage():
    base = torch.arange(100.0)
    entries = by_name(saved({"part": base[10:20], "t": torch.arange(6.0).reshape(2, 3).t()}))
    assert {(e.name, e.dtype, e.shape) for e in entries.values()} == {
        ("data/0", "F32", (100,)),
        ("data/1", "F32", (6,)),
    }


def test_views_that_cover_it_together():
    base = torch.arange(100.0)
    entries = by_name(saved({"left": base[:40], "right": base[40:]}))
    assert {(e.name, e.shape) for e in entries.values()} == {("left", (40,)), ("right", (60,))}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "value",
    [
        torch.zeros(3),
        "quantized",
        {"s": torch.eye(3).to_sparse()},
        {"c": torch.zeros(2, dtype=torch.complex64).conj()},
        {"st": torch.ones(3).untyped_storage()},
        {"f4": torch.zeros(4, dtype=torch.uint8).view(torch.float4_e2m1fn_x2)},
    ],
    ids=["bare", "quantized", "sparse", "conjugated", "storage", "f4"],
)
def test_what_has_no_name_is_a_storage(value):
    if isinstance(value, str):
        value = {"q": torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8)}
    content = saved(value)
    assert all(t.name.startswith("data/") for t in parsed(content).layout.tensors)
    assert_covered(content)


def test_a_whole_module_is_read_without_its_class():
    content = saved(nn.Linear(3, 3))
    assert {t.name for t in parsed(content).layout.tensors} == {"data/0", "data/1"}


def test_empty_and_scalar_tensors():
    entries = by_name(saved({"e": torch.zeros(0, 5), "s": torch.tensor(1.0)}))
    assert (entries["e"].shape, entries["e"].size_bytes) == ((0, 5), 0)
    assert (entries["s"].shape, entries["s"].size_bytes) == ((), 4)


def test_without_tensors():
    assert parsed(saved({"last_epoch": 3}), "scheduler.pt").layout.tensors == ()


def test_devices():
    assert parsed(saved({"a": torch.zeros(1)})).devices == ("cpu",)
    pkl, storage = hand_made("cuda:0", 2)
    assert parsed(zipped({"a/data.pkl": pkl, "a/data/0": storage})).devices == ("cuda:0",)


class _Call:
    """Pickles as a call of a function, to build what torch would not."""

    def __init__(self, function, *args):
        self.function, self.args = function, args

    def __reduce__(self):
        return self.function, self.args


class _Pickler(pickle.Pickler):
    def persistent_id(self, value):
        return value.pid if isinstance(value, _Pid) else None


class _Pid:
    def __init__(self, *pid):
        self.pid = pid


def hand_made(location="cpu", count=2, key="0", shape=(2,), strides=(1,), offset=0):
    storage = _Pid("storage", torch.FloatStorage, key, location, count)
    call = _Call(torch._utils._rebuild_tensor_v2, storage, offset, shape, strides, False, {})
    buffer = io.BytesIO()
    _Pickler(buffer, 2).dump({"w": call})
    return buffer.getvalue(), bytes(8)


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({}, {"w"}),
        ({"count": 3}, {"data/0"}),
        ({"offset": 1}, {"data/0"}),
        ({"offset": 2**62}, {"data/0"}),
        ({"shape": (2**62, 2**62), "strides": (1, 1)}, {"data/0"}),
        ({"shape": (2**62, 4), "strides": (4, 1)}, {"data/0"}),
        ({"shape": (-2,)}, {"data/0"}),
        ({"shape": (2,), "strides": (1, 1)}, {"data/0"}),
        ({"key": "1"}, {"data/0"}),
        ({"key": "../0"}, {"data/0"}),
    ],
)
def test_inconsistent_pickles(options, names):
    pkl, storage = hand_made(**options)
    content = zipped({"a/data.pkl": pkl, "a/data/0": storage})
    assert {t.name for t in parsed(content).layout.tensors} == names
    assert_covered(content)


def test_a_storage_that_does_not_fit_is_bytes():
    pkl, storage = hand_made(count=3)
    (entry,) = parsed(zipped({"a/data.pkl": pkl, "a/data/0": storage})).layout.tensors
    assert (entry.dtype, entry.shape) == ("U8", (8,))


@pytest.mark.parametrize(
    "junk", [b"", b"junk", b"\x80\x02", b"\x80\x02}q", b"R.", b"(((.", b"0.", b"\x80\x02h\x07."]
)
def test_a_broken_pickle_costs_only_names(junk):
    content = zipped({"a/data.pkl": junk, "a/data/0": bytes(5000)})
    result = parsed(content)
    assert [(t.name, t.dtype) for t in result.layout.tensors] == [("data/0", "U8")]
    assert "without names" in result.warnings[0]


def test_nothing_is_executed(tmp_path):
    target = tmp_path / "executed"
    content = saved({"x": _Call(open, str(target), "w")})
    parsed(content)
    assert not holds_token(BytesSource("training_args.bin", content))
    assert not target.exists()


def test_deep_wide_and_cyclic_structures():
    # EMPTY_LIST, then APPEND a reference to itself; doubled 60 times over.
    cyclic = b"\x80\x02]q\x00h\x00a."
    doubled = (
        b"\x80\x02]"
        + b"".join(
            b"q" + bytes([i]) + b"]h" + bytes([i]) + b"ah" + bytes([i]) + b"a" for i in range(60)
        )
        + b"."
    )
    nested = b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b"."
    for pkl in (cyclic, doubled, nested, b"\x80\x02" + b"(" * 100_000 + b"t" * 100_000 + b"."):
        assert parsed(zipped({"a/data.pkl": pkl})).layout.tensors == ()


def test_big_endian_numbers_are_bytes():
    pkl, storage = hand_made()
    content = zipped({"a/data.pkl": pkl, "a/byteorder": b"big", "a/data/0": storage})
    result = parsed(content)
    assert [(t.name, t.dtype) for t in result.layout.tensors] == [("data/0", "U8")]
    assert "big-endian" in result.warnings[0]


def test_compressed_records_are_no_tensors():
    pkl, storage = hand_made()
    result = parsed(zipped({"a/data.pkl": pkl, "a/data/0": storage}, zipfile.ZIP_DEFLATED))
    assert result.layout.tensors == ()


def test_zips_of_others_have_no_layout():
    assert parsed(zipped({"hello.txt": b"x"})) == parsed(b"not a zip")
    assert parsed(zipped({"a/data.pkl": b".", "b/data.pkl": b"."})).layout is None


def test_malformed_zips_are_kept_whole():
    content = saved({"a": torch.zeros(2000)})
    for broken in (content[:-1], content[: len(content) // 2], content[:30], b"PK\x03\x04"):
        result = parsed(broken)
        assert result.layout is None
        assert "kept whole" in result.warnings[0]


def test_records_that_overlap():
    content = bytearray(zipped({"a/data.pkl": b"}.", "a/data/0": bytes(64)}))
    second = content.rindex(b"PK\x01\x02")
    content[second + 42 : second + 46] = struct.pack("<I", 4)
    assert "overlaps" in parsed(bytes(content)).warnings[0]


def test_an_absurd_directory_is_not_read():
    content = bytearray(zipped({"a/data.pkl": b"}."}))
    end = content.rindex(b"PK\x05\x06")
    content[end + 12 : end + 20] = struct.pack("<II", 2**31, 0)
    assert parsed(bytes(content)).layout is None


def test_tokens():
    from transformers import TrainingArguments

    for token, expected in (("hf_secret", True), (None, False)):
        content = saved(TrainingArguments("x", hub_token=token, use_cpu=True))
        assert holds_token(BytesSource("training_args.bin", content)) is expected
    assert holds_token(BytesSource("t.bin", pickle.dumps({"hub_token": "x"}))) is True
    assert holds_token(BytesSource("t.bin", b"hub_token hf_abcdefghijklmnopqrstuvwxyz")) is True
    assert holds_token(BytesSource("t.bin", b"")) is False
    assert holds_token(BytesSource("t.bin", b"PK\x03\x04")) is False


def test_many_parameters_in_time():

    state = {
        i: {"step": torch.tensor(1.0), "exp_avg": torch.zeros(4), "exp_avg_sq": torch.zeros(4)}
        for i in range(2000)
    }
    content = saved({"state": state})
    assert len(parsed(content).layout.tensors) == 6000
