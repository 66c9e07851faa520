"""Frozen values whose definition costs next to nothing.

The standard library compiles six methods for each frozen dataclass as it is defined:
0.3 ms, forty times over before `log` has read a byte, and most are never called.
`@frozen` makes the same class with methods that are closures over its fields.
`dataclasses.fields`, `replace` and `asdict` work on it, and type checkers see a frozen
dataclass (PEP 681). It is for classes that are met on the way to a short command.
"""

from __future__ import annotations

import dataclasses
from operator import attrgetter, ge, gt, le, lt
from typing import TYPE_CHECKING, Any

__all__ = ["frozen"]

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar, dataclass_transform, overload

    _T = TypeVar("_T")

    @overload
    def frozen(cls: type[_T], /) -> type[_T]: ...
    @overload
    def frozen(
        *,
        slots: bool = False,
        eq: bool = True,
        order: bool = False,
        repr: bool = True,
        kw_only: bool = False,
    ) -> Callable[[type[_T]], type[_T]]: ...
    @dataclass_transform(frozen_default=True, field_specifiers=(dataclasses.field,))
    def frozen(*args: Any, **options: Any) -> Any: ...

else:

    def frozen(
        cls=None,
        /,
        *,
        slots=False,
        eq=True,
        order=False,
        repr=True,  # noqa: A002 - the name that dataclasses gives it
        kw_only=False,
    ):
        """Make a class `dataclasses.dataclass(frozen=True)`, compiling nothing."""

        def apply(cls):
            # For a class without a text the standard decorator spells out a signature: 0.1 ms.
            cls.__doc__ = cls.__doc__ or cls.__name__
            own = {name for name, value in vars(cls).items() if value is not None}
            made = dataclasses.dataclass(
                init=False, repr=False, eq=False, slots=slots, kw_only=kw_only
            )(cls)
            methods = {"__setattr__": _guard, "__delattr__": _guard}
            if repr:
                methods["__repr__"] = _repr
            if slots:
                methods |= {"__getstate__": _state, "__setstate__": _set_state}
            if eq:
                methods |= _comparisons(made, order)
            for name, method in methods.items():
                if name not in own:
                    setattr(made, name, method)
            made.__init__ = _init(made)
            return made

        return apply if cls is None else apply(cls)


def _init(made: Any) -> Callable[..., None]:
    """Make an `__init__` that takes what the compiled one would, and complains of the same."""
    given = [f for f in dataclasses.fields(made) if not f.kw_only]
    fields = [*given, *(f for f in dataclasses.fields(made) if f.kw_only)]
    names = tuple(f.name for f in given)
    finished = getattr(made, "__post_init__", None)
    put = object.__setattr__

    def init(self: object, *args: Any, **named: Any) -> None:
        if len(args) > len(names):
            raise TypeError(f"{made.__name__} takes {len(names)} values, not {len(args)}")
        for name, value in zip(names, args, strict=False):
            put(self, name, value)
        if len(args) < len(fields):
            for field in fields[len(args) :]:
                value = named.pop(field.name) if field.name in named else _default(made, field)
                put(self, field.name, value)
        if named:
            raise TypeError(f"{made.__name__} has no {next(iter(named))!r}, or was given it twice")
        if finished is not None:
            finished(self)

    return init


def _default(made: Any, field: dataclasses.Field[Any]) -> Any:
    if field.default is not dataclasses.MISSING:
        return field.default
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    raise TypeError(f"{made.__name__} lacks {field.name!r}")


def _guard(self: object, name: str, *_value: object) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot assign to or delete field {name!r}")


def _comparisons(made: Any, order: bool) -> dict[str, Callable[..., Any]]:
    names = [f.name for f in dataclasses.fields(made) if f.compare]
    content = attrgetter(*names) if names else lambda _self: ()

    def eq(self: object, other: object) -> Any:
        if other.__class__ is not self.__class__:
            return NotImplemented
        return content(self) == content(other)

    def ordered(compare: Callable[[Any, Any], Any]) -> Callable[[object, object], Any]:
        def method(self: object, other: object) -> Any:
            if other.__class__ is not self.__class__:
                return NotImplemented
            return compare(content(self), content(other))

        return method

    methods: dict[str, Callable[..., Any]] = {
        "__eq__": eq,
        "__hash__": lambda self: hash(content(self)),
    }
    if order:
        for name, compare in (("__lt__", lt), ("__le__", le), ("__gt__", gt), ("__ge__", ge)):
            methods[name] = ordered(compare)
    return methods


def _repr(self: Any) -> str:
    shown = [f"{f.name}={getattr(self, f.name)!r}" for f in dataclasses.fields(self) if f.repr]
    return f"{type(self).__qualname__}({', '.join(shown)})"


def _state(self: Any) -> list[Any]:
    return [getattr(self, f.name) for f in dataclasses.fields(self)]


def _set_state(self: Any, state: list[Any]) -> None:
    for field, value in zip(dataclasses.fields(self), state, strict=True):
        object.__setattr__(self, field.name, value)
