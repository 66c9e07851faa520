"""Values that are cheap to define behave as the standard library's frozen dataclasses."""

from __future__ import annotations

import copy
import dataclasses
import functools
import pickle
from dataclasses import field
from functools import cached_property
from typing import Any

import pytest

from mstore import frozen as values


def _plain(decorate):
    @decorate(slots=True)
    class Plain:
        """A value."""

        a: int
        b: str = "b"
        c: tuple[int, ...] = field(default=(), repr=False)
        d: list[int] = field(default_factory=list, compare=False)

    return Plain


def _ordered(decorate):
    @decorate(slots=True, order=True, repr=False)
    class Ordered:
        raw: int

        def __post_init__(self) -> None:
            if self.raw < 0:
                raise ValueError("negative")

        def __repr__(self) -> str:
            return f"<{self.raw}>"

    return Ordered


def _named(decorate):
    @decorate(kw_only=True)
    class Named:
        """Named arguments."""

        one: int
        two: int = 2

        @cached_property
        def three(self) -> int:
            return self.one + self.two

    return Named


STANDARD, OURS = functools.partial(dataclasses.dataclass, frozen=True), values.frozen


@pytest.mark.parametrize(
    ("make", "args", "named"),
    [
        (_plain, (1,), {}),
        (_plain, (1, "x"), {"c": (3,)}),
        (_plain, (1,), {"d": [4]}),
        (_ordered, (5,), {}),
        (_named, (), {"one": 1}),
    ],
)
def test_as_the_standard_library(make, args, named) -> None:
    theirs, ours = make(STANDARD), make(OURS)
    a, b = theirs(*args, **named), ours(*args, **named)
    assert dataclasses.asdict(a) == dataclasses.asdict(b)
    assert repr(a) == repr(b)
    assert b == ours(*args, **named)
    assert hash(a) == hash(b) or make is _ordered  # one field is hashed without its tuple
    assert b != a
    first = dataclasses.fields(ours)[0].name
    other = dataclasses.replace(b, **{first: 99})
    assert getattr(other, first) == 99
    assert other != b
    assert copy.deepcopy(b) == b
    assert hasattr(b, "__dict__") == hasattr(a, "__dict__")
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(b, first, 2)
    with pytest.raises(dataclasses.FrozenInstanceError):
        delattr(b, first)
    with pytest.raises(TypeError):
        ours(*args, **named, unknown=1)
    with pytest.raises(TypeError):
        ours()
    with pytest.raises(TypeError):
        ours(*range(9))
    if args:
        with pytest.raises(TypeError):
            ours(*args, **{first: 1})


def test_defaults_are_made_anew_and_what_is_not_compared_is_not() -> None:
    plain = _plain(OURS)
    assert plain(1).d is not plain(1).d
    assert plain(1, d=[1]) == plain(1, d=[2])
    assert hash(plain(1, d=[1])) == hash(plain(1))


def test_order_and_post_init() -> None:
    ordered = _ordered(OURS)
    assert sorted([ordered(3), ordered(1)]) == [ordered(1), ordered(3)]
    assert ordered(1) <= ordered(1) < ordered(2) > ordered(1) >= ordered(0)
    with pytest.raises(TypeError):
        assert ordered(1) < 2
    with pytest.raises(ValueError, match="negative"):
        ordered(-1)


def test_methods_of_a_class_stay_its_own() -> None:
    assert _named(OURS)(one=1).three == 3
    assert repr(_ordered(OURS)(7)) == "<7>"


def test_without_options_no_call_is_needed() -> None:
    @OURS
    class Bare:
        a: int

    bare: Any = Bare
    assert bare(1) == bare(1) != bare(2)
    with pytest.raises(dataclasses.FrozenInstanceError):
        bare(1).a = 2


def test_ids_are_pickled() -> None:
    from mstore.objects import BlobId, CommitId

    blob = BlobId(bytes(32))
    assert pickle.loads(pickle.dumps(blob)) == blob
    other: object = CommitId(bytes(32))
    assert blob != other


def test_defining_compiles_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[str] = []

    def compiling(text: str, *given: Any) -> None:
        compiled.append(text)
        exec(text, *given)

    monkeypatch.setattr(dataclasses, "exec", compiling, raising=False)
    assert _plain(OURS)(1)
    assert _ordered(OURS)(1) and _named(OURS)(one=1)
    assert not compiled
    _plain(STANDARD)
    assert compiled
