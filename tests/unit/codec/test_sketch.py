"""A delta base that no name leads to: found by its sketch, measured before it is taken."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mstore
from mstore.api.repository import Repository
from mstore.codec import BLOCK_LOG2, SKETCH_SIZE_BYTES, Sketcher, bands_of, most_alike
from mstore.objects import BlobId, decode, encode
from mstore.store.pack import PackWriter, parse_footer
from tests.conftest import contents, save_tensors

FLOATS = (np.float16, np.float32, np.float64)


def _sketch(values: np.ndarray[Any, Any], part: int = 1 << BLOCK_LOG2) -> bytes | None:
    raw = values.tobytes()
    sketcher = Sketcher(len(raw), width=values.itemsize, is_float=values.dtype.kind == "f")
    for begin in range(0, len(raw), part):
        sketcher.update(raw[begin : begin + part])
    return sketcher.digest()


def _weights(seed: int, count: int = 40_000, dtype: Any = np.float32) -> np.ndarray[Any, Any]:
    return (np.random.default_rng(seed).standard_normal(count) * 0.02).astype(dtype)


def _trained(values: np.ndarray[Any, Any], seed: int = 99) -> np.ndarray[Any, Any]:
    step = np.random.default_rng(seed).standard_normal(values.shape) * 1e-4
    return (values + step).astype(values.dtype)


def _bfloat16(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return (values.view(np.uint32) >> 16).astype(np.uint16)


# -- sketches


@pytest.mark.parametrize("dtype", FLOATS)
def test_one_step_of_training_keeps_a_sketch_alike(dtype: Any) -> None:
    for seed in range(20):
        old = _weights(seed, dtype=dtype)
        before, after = _sketch(old), _sketch(_trained(old))
        assert before is not None and after is not None
        assert most_alike(after, {b"it": before}) == b"it"
        assert set(bands_of(before, 1, 2)) & set(bands_of(after, 1, 2))


@pytest.mark.parametrize("dtype", FLOATS)
def test_unrelated_tensors_of_one_shape_are_never_alike(dtype: Any) -> None:
    found = [_sketch(_weights(seed, dtype=dtype)) for seed in range(200)]
    sketches = {bytes([i]): s for i, s in enumerate(found) if s is not None}
    assert len(sketches) == 200
    for key, sketch in sketches.items():
        assert most_alike(sketch, {k: s for k, s in sketches.items() if k != key}) is None


def test_bfloat16_too() -> None:
    def of(values: np.ndarray[Any, Any]) -> bytes | None:
        raw = _bfloat16(values).tobytes()
        sketcher = Sketcher(len(raw), width=2, is_float=True)
        sketcher.update(raw)
        return sketcher.digest()

    old, other = _weights(1), _weights(2)
    a, b, c = of(old), of(_trained(old)), of(other)
    assert a is not None and b is not None and c is not None
    assert most_alike(b, {b"a": a, b"c": c}) == b"a"
    assert most_alike(c, {b"a": a}) is None


@pytest.mark.parametrize(
    "values",
    [
        np.zeros(40_000, np.float32),
        np.ones(40_000, np.float16),
        1 + _weights(3) / 10,  # a norm's weights: they would agree with any other norm's
        np.arange(40_000, dtype=np.int64) // 20_000,
        _weights(0, count=16_000),  # below 64 KiB
    ],
)
def test_what_says_too_little_has_none(values: np.ndarray[Any, Any]) -> None:
    assert _sketch(values) is None


@given(st.binary(max_size=300), st.sampled_from((1, 2, 4, 8)), st.booleans(), st.integers(1, 7))
@settings(max_examples=60)
def test_parts_do_not_matter(seed: bytes, width: int, is_float: bool, part: int) -> None:
    raw = (seed or b"x") * (70_000 // (len(seed) or 1)) + seed
    whole, cut = (Sketcher(len(raw), width=width, is_float=is_float) for _ in range(2))
    whole.update(raw)
    for begin in range(0, len(raw), part * 8192):
        cut.update(memoryview(raw)[begin : begin + part * 8192])
    assert whole.digest() == cut.digest()


def test_another_size_or_width_shares_no_key() -> None:
    sketch = bytes(range(32))
    assert not set(bands_of(sketch, 8, 4)) & set(bands_of(sketch, 16, 4))
    assert not set(bands_of(sketch, 8, 4)) & set(bands_of(sketch, 8, 2))
    assert len(set(bands_of(bytes(32), 8, 4))) == 8  # equal bytes at another place are no match


# -- commits


def _model(prefix: str, step: int = 0, base: int = 0) -> dict[str, np.ndarray[Any, Any]]:
    """A model of a few layers of one shape, after so many steps."""
    tensors = {}
    for layer in range(6):
        weights = _weights(10 * base + layer)
        for i in range(step):
            weights = _trained(weights, seed=1000 * layer + i)
        tensors[f"{prefix}layer.{layer}.weight"] = weights.reshape(200, 200)
    return tensors


def _commit(repo: Repository, folder: Path, tensors: Any, **options: Any) -> Any:
    save_tensors(folder / "model.safetensors", tensors)
    return repo.commit(folder, **options)


def _depths(repo: Repository) -> list[int]:
    frames = [f for n in repo.store.pack_names() for f in repo.store.footer(n)]
    return sorted(f.head.depth for f in frames if f.head.width == 4)


def _read_back(repo: Repository, folder: Path, rev: str) -> None:
    for path, content in contents(folder).items():
        assert repo.read_file(rev, path) == content


def test_renamed_tensors_cost_a_delta(tmp_path: Path) -> None:
    repo = mstore.init(tmp_path)
    first = _commit(repo, tmp_path / "a", _model(""), message="one")
    second = _commit(repo, tmp_path / "b", _model("model.", step=1), message="renamed")
    assert second.stored_bytes < 0.75 * first.stored_bytes
    assert _depths(repo) == [0] * 6 + [1] * 6
    _read_back(repo, tmp_path / "b", second.id.hex)
    assert repo.fsck().ok


def test_a_second_import_on_another_branch_costs_a_delta(tmp_path: Path) -> None:
    repo = mstore.init(tmp_path)
    first = _commit(repo, tmp_path / "a", _model(""), message="one")
    second = _commit(repo, tmp_path / "b", _model("", step=1), branch="other", start="")
    assert not second.commit.parents
    assert second.stored_bytes < 0.75 * first.stored_bytes
    assert _depths(repo) == [0] * 6 + [1] * 6
    _read_back(repo, tmp_path / "b", "other")


def test_each_finds_its_own_and_a_stranger_nothing(tmp_path: Path) -> None:
    repo = mstore.init(tmp_path)
    _commit(repo, tmp_path / "a", _model(""), message="one")
    _commit(repo, tmp_path / "c", _model("", base=7), message="another", branch="c", start="")
    assert _depths(repo) == [0] * 12
    made = _commit(repo, tmp_path / "b", _model("x.", step=1), message="renamed", branch="b", start="")
    for old, new in zip(_model("").values(), _model("x.", step=1).values(), strict=True):
        depth, base = repo.store.link_of(_blob(new))
        assert (depth, base) == (1, _blob(old))
    _read_back(repo, tmp_path / "b", made.id.hex)


def _blob(values: np.ndarray[Any, Any]) -> BlobId:
    from mstore.objects import blob_id

    return blob_id(values.tobytes())


def test_without_a_catalog_sketches_are_read_from_the_packs(tmp_path: Path) -> None:
    repo = mstore.init(tmp_path)
    _commit(repo, tmp_path / "a", _model(""), message="one")
    repo.close()
    (tmp_path / ".mstore/cache/catalog.sqlite").unlink()
    with mstore.open(tmp_path) as again:
        _commit(again, tmp_path / "b", _model("model.", step=1), message="renamed")
        assert _depths(again) == [0] * 6 + [1] * 6


def test_a_store_without_sketches_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repo = mstore.init(tmp_path)
    with monkeypatch.context() as before:
        before.setattr(Sketcher, "digest", lambda self: None)
        _commit(repo, tmp_path / "a", _model(""), message="one")
    made = _commit(repo, tmp_path / "b", _model("model.", step=1), message="renamed")
    assert _depths(repo) == [0] * 12
    _read_back(repo, tmp_path / "b", made.id.hex)


def test_repack_keeps_what_a_sketch_found(tmp_path: Path) -> None:
    repo = mstore.init(tmp_path)
    _commit(repo, tmp_path / "a", _model(""), message="one")
    _commit(repo, tmp_path / "b", _model("model.", step=1), message="renamed")
    before = repo.store.stored_bytes()
    assert repo.repack().after_bytes <= before
    assert _depths(repo) == [0] * 6 + [1] * 6
    frames = [f for n in repo.store.pack_names() for f in repo.store.footer(n)]
    assert sum(f.sketch is not None for f in frames) == 6
    _read_back(repo, tmp_path / "b", "HEAD")


def test_large_blobs_are_sketched_as_they_are_hashed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mstore.store.transaction._WHOLE_BYTES", 1 << 20)
    repo = mstore.init(tmp_path)
    big = _weights(0, count=700_000)
    _commit(repo, tmp_path / "a", {"w": big}, message="one")
    _commit(repo, tmp_path / "b", {"v": _trained(big)}, message="renamed")
    assert _depths(repo) == [0, 1]
    _read_back(repo, tmp_path / "b", "HEAD")


# -- footers


def test_footers_open_to_more(tmp_path: Path) -> None:
    """What released readers do: three elements are read, and any more are skipped."""
    repo = mstore.init(tmp_path)
    _commit(repo, tmp_path / "a", _model(""), message="one")
    (name,) = repo.store.pack_names()
    frames = repo.store.footer(name)
    plain = {"frames": [[f.offset, f.head.to_list(), f.table] for f in frames]}
    bare = parse_footer(encode(plain), None, "bare")
    assert [f.head for f in bare] == [f.head for f in frames]
    assert all(f.sketch is None for f in bare)
    for more in ([b"short"], [None, 7], [b"x" * SKETCH_SIZE_BYTES, "future"], [{"a": 1}]):
        entries = [[*entry, *more] for entry in plain["frames"]]
        read = parse_footer(encode({"frames": entries}), None, "more")
        assert [(f.offset, f.head, f.table) for f in read] == [
            (f.offset, f.head, f.table) for f in frames
        ]


def test_a_pack_without_sketches_is_what_0_1_wrote(tmp_path: Path) -> None:
    class Upload:
        content = b""

        def write(self, content: Any) -> None:
            self.content += bytes(content)

    from mstore.store.pack import encode_small

    upload = Upload()
    writer = PackWriter(upload)  # type: ignore[arg-type]
    writer.add(*encode_small(_blob(np.zeros(3)), np.zeros(3).tobytes()))
    writer.seal()
    size = int.from_bytes(upload.content[-24:-16], "little")
    (entry,) = decode(upload.content[-24 - size : -24], "footer")["frames"]
    assert len(entry) == 3
