"""Pickles read without being executed: the symbols that come out."""

from __future__ import annotations

import pickle
from collections import OrderedDict

import pytest

from mstore.formats.pickled import BrokenPickle, Global, Opaque, Table, named_tensors, read_pickle


class _Call:
    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_containers_and_constants(protocol):
    value = {"a": [1, 2.5, None, True], "t": (b"x" if protocol > 2 else "x", ()), 3: {"n": -1}}
    root = read_pickle(pickle.dumps(value, protocol)).root
    pairs = dict(root.pairs)
    if protocol > 1:  # older ones spell True as an integer
        assert pairs["a"] == [1, 2.5, None, True]
    assert pairs["t"] == value["t"]
    assert pairs[3].pairs == [("n", -1)]


def test_calls_become_symbols_and_are_not_made():
    reading = read_pickle(pickle.dumps([_Call(print, "executed"), OrderedDict(a=1), print]))
    call, table, function = reading.root
    assert type(call) is Opaque
    assert type(table) is Table
    assert table.pairs == [("a", 1)]
    assert type(function) is Global
    assert (function.module, function.name) == ("builtins", "print")


@pytest.mark.parametrize("raw", [b"", b"\x80\x02", b"\x80\x02\x86.", b"junk", b"\x80\x02h\x05."])
def test_nonsense_is_broken(raw):
    with pytest.raises(BrokenPickle):
        read_pickle(raw)


def test_too_large_is_refused_before_it_is_read(monkeypatch):
    monkeypatch.setattr("mstore.formats.pickled.MAX_PICKLE_BYTES", 10)
    with pytest.raises(BrokenPickle, match="has 11 bytes; at most 10 are read"):
        read_pickle(b"." * 11)


def test_too_many_steps(monkeypatch):
    monkeypatch.setattr("mstore.formats.pickled.MAX_STEPS", 5)
    with pytest.raises(BrokenPickle, match="more than 5 steps"):
        read_pickle(pickle.dumps(list(range(50))))


def test_without_tensors_there_are_no_names():
    assert named_tensors(read_pickle(pickle.dumps({"a": [1, {"b": 2}]})).root) == []
