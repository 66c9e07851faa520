"""Which kernel runs."""

from __future__ import annotations

from typing import Any

import pytest

from mstore.codec import kernel, twin

FUNCTIONS = sorted(name for name in vars(kernel.Kernel) if not name.startswith("_"))


def test_without_the_c_kernel_its_twin_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "native", None)
    assert kernel.kernel() is twin
    assert not kernel.kernel_is_native()


def test_the_c_kernel_runs_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: Any = object()
    monkeypatch.setattr(kernel, "native", compiled)
    assert kernel.kernel() is compiled
    assert kernel.kernel_is_native()


def test_both_have_the_functions_of_the_protocol() -> None:
    assert sorted(twin.__all__) == FUNCTIONS
    if kernel.native is not None:
        assert {n for n in dir(kernel.native) if not n.startswith("_")} == {*FUNCTIONS, "vectors"}


@pytest.mark.skipif(kernel.native is None, reason="the C kernel is not compiled here")
def test_wrong_arguments_of_the_c_kernel() -> None:
    native: Any = kernel.native
    with pytest.raises(TypeError, match="expected 3 arguments, got 2"):
        native.encode_sparse(b"", b"")
    with pytest.raises(TypeError):
        native.encode_plane("text")
    with pytest.raises(TypeError):
        native.encode_sparse(b"", b"", 1.5)
    with pytest.raises(TypeError):
        native.encode_sparse(b"ab", None, 1)
    with pytest.raises(BufferError):
        native.decode_plane(b"", bytes(3))
    with pytest.raises(ValueError, match="1, 2, 4 or 8"):
        native.encode_sparse(b"", b"", 3)
    with pytest.raises(ValueError, match="sizes"):
        native.encode_grouped(bytes(4), bytes(4), 2, True, -1)
    with pytest.raises(ValueError, match="1, 2, 4 or 8"):
        native.join([bytes(4)], None, False, bytearray(4))
    # A refused call holds no buffer: a bytearray could not be resized meanwhile.
    room = bytearray(4)
    with pytest.raises(ValueError, match="sizes"):
        native.decode_sparse(b"", b"", 1, room)
    room.append(0)
