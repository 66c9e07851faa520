"""Whether a JSON value is what a type of `mstore.render.json` says, and no more."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from types import UnionType
from typing import Annotated, Any, Literal, NotRequired, Union, get_args, get_origin, is_typeddict

from mstore.render.json.catalogue import fields_of

TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d|@-?\d+"
NOT_FINITE = ("NaN", "Infinity", "-Infinity")


def misfits(value: Any, kind: Any, where: str = "") -> Iterator[str]:
    """What does not hold, one line each."""
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is Any:
        return
    if is_typeddict(kind):
        yield from _object(value, kind, where)
    elif origin is NotRequired:
        yield from misfits(value, arguments[0], where)
    elif origin is Annotated:
        if not _has_unit(value, arguments[1]):
            yield f"{where}: {value!r} is no {arguments[1]}"
    elif origin is Literal:
        if value not in arguments:
            yield f"{where}: {value!r} is none of {arguments}"
    elif origin in (Union, UnionType):
        if all(list(misfits(value, argument, where)) for argument in arguments):
            yield f"{where}: {value!r} is none of {arguments}"
    elif origin is list:
        if not isinstance(value, list):
            yield f"{where}: {value!r} is no list"
            return
        for number, inner in enumerate(value):
            yield from misfits(inner, arguments[0], f"{where}[{number}]")
    elif origin is not None and issubclass(origin, Mapping):
        if not isinstance(value, dict):
            yield f"{where}: {value!r} is no object"
            return
        for key, inner in value.items():
            yield from misfits(inner, arguments[1], f"{where}.{key}")
    elif type(value) is not kind and not (kind is float and type(value) is int):
        yield f"{where}: {value!r} is no {kind}"


def _object(value: Any, kind: Any, where: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{where}: {value!r} is no object"
        return
    fields = fields_of(kind)
    needed = {name for name, hint in fields.items() if get_origin(hint) is not NotRequired}
    yield from (f"{where}: lacks {name}" for name in sorted(needed - value.keys()))
    yield from (f"{where}: nobody documented {name}" for name in sorted(value.keys() - fields.keys()))
    for name in fields.keys() & value.keys():
        yield from misfits(value[name], fields[name], f"{where}.{name}")


def _has_unit(value: Any, unit: str) -> bool:
    match unit:
        case "id":
            return isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) is not None
        case "time":
            return isinstance(value, str) and re.fullmatch(TIME, value) is not None
        case "bytes":
            return type(value) is int
        case "number":
            return type(value) in (int, float) or value in NOT_FINITE
    raise AssertionError(unit)
