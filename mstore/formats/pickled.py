"""Read a torch pickle without executing it.

A pickle is a program. This module reads its opcodes (`pickletools.genops`) on a stack
of symbols: containers are built, storages and tensors are recognised, and every
other call becomes an `Opaque` in place of its result. Nothing is imported,
nothing is called. Bounded in size and steps; symbols refer to one another, so
that memory is proportional to the pickle.

Source: `pickletools` and the protocol of `torch.save` (torch/serialization.py,
torch/_utils.py: `_rebuild_tensor_v2`, `_rebuild_tensor_v3`, `_rebuild_parameter`).
"""

from __future__ import annotations

import pickletools
from dataclasses import dataclass, field
from typing import Any, Final

MAX_PICKLE_BYTES: Final = 64 << 20
MAX_STEPS: Final = 2_000_000
MAX_PATH_PARTS: Final = 64
MAX_NAME_CHARS: Final = 4096

STORAGE_DTYPES: Final = {
    "DoubleStorage": "F64",
    "FloatStorage": "F32",
    "HalfStorage": "F16",
    "BFloat16Storage": "BF16",
    "LongStorage": "I64",
    "IntStorage": "I32",
    "ShortStorage": "I16",
    "CharStorage": "I8",
    "ByteStorage": "U8",
    "BoolStorage": "BOOL",
    "ComplexFloatStorage": "C64",
    "ComplexDoubleStorage": "C128",
    "UntypedStorage": "U8",
}
TORCH_DTYPES: Final = {
    "float64": "F64",
    "float32": "F32",
    "float16": "F16",
    "bfloat16": "BF16",
    "int64": "I64",
    "int32": "I32",
    "int16": "I16",
    "int8": "I8",
    "uint8": "U8",
    "bool": "BOOL",
    "complex64": "C64",
    "complex128": "C128",
    "uint16": "U16",
    "uint32": "U32",
    "uint64": "U64",
    "float8_e4m3fn": "F8_E4M3",
    "float8_e5m2": "F8_E5M2",
    "float8_e4m3fnuz": "F8_E4M3FNUZ",
    "float8_e5m2fnuz": "F8_E5M2FNUZ",
    "float8_e8m0fnu": "F8_E8M0",
}
_PARAMETERS: Final = ("_rebuild_parameter", "_rebuild_parameter_with_state")
_TABLES: Final = {("collections", "OrderedDict"), ("collections", "defaultdict"), ("builtins", "dict")}


class BrokenPickle(ValueError):
    """The pickle cannot be followed: it is none, is cut short, or is too large or too long."""


@dataclass(frozen=True, slots=True, eq=False)
class Global:
    """A name that the pickle would import."""

    module: str
    name: str


@dataclass(frozen=True, slots=True, eq=False)
class Storage:
    """A storage that the pickle leaves to its container.

    Args:
        dtype: safetensors' spelling, or None where it has none.
        key: its record is `data/<key>`.
        location: the device it was on, as torch writes it.
        count: elements.
        untyped: `count` is in bytes and tensors have their own dtype.
    """

    dtype: str | None
    key: str
    location: str
    count: int
    untyped: bool


@dataclass(frozen=True, slots=True, eq=False)
class PickledTensor:
    """A view of a storage; offset and strides in elements of `dtype`."""

    storage: Storage
    dtype: str
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


@dataclass(slots=True, eq=False)
class Table:
    """A dict, with pairs in the order in which they were set; keys may be symbols."""

    pairs: list[tuple[Any, Any]] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Opaque:
    """The result of a call that was not made."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The contents of a pickle.

    Args:
        root: the object at its top.
        storages: every storage named, by key; the first mention counts.
        conflicting: keys of storages that were named twice, differently.
        tables: every dict in it, in the order of their making.
    """

    root: Any
    storages: dict[str, Storage]
    conflicting: frozenset[str]
    tables: list[Table]


def _sizes(value: Any) -> tuple[int, ...] | None:
    if type(value) is tuple and all(type(n) is int and 0 <= n < 2**63 for n in value):
        return value
    return None


def _is_empty_table(value: Any) -> bool:
    return type(value) is Table and not value.pairs


def _rebuilt(name: str, args: tuple[Any, ...]) -> Any:
    """Return the symbol for a call of one of torch's rebuild functions."""
    if name in _PARAMETERS and args:
        return args[0]
    versions = {"_rebuild_tensor": 4, "_rebuild_tensor_v2": 6, "_rebuild_tensor_v3": 7}
    argument_count = versions.get(name)
    if argument_count is None or len(args) < argument_count or type(args[0]) is not Storage:
        return Opaque()
    storage, offset, shape, strides = args[0], args[1], _sizes(args[2]), _sizes(args[3])
    if type(offset) is not int or not 0 <= offset < 2**63 or shape is None or strides is None:
        return Opaque()
    # A further argument says that the bytes are not the values (conjugated, negated).
    if len(args) > argument_count and not _is_empty_table(args[argument_count]):
        return Opaque()
    dtype = storage.dtype
    if argument_count == 7:
        named = args[6]
        dtype = (
            TORCH_DTYPES.get(named.name) if type(named) is Global and named.module == "torch" else None
        )
    if dtype is None or len(shape) != len(strides):
        return Opaque()
    return PickledTensor(storage, dtype, offset, shape, strides)


class _Machine:
    """One pass over the opcodes. Raises BrokenPickle, IndexError, KeyError on nonsense."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self._marked: list[list[Any]] = []
        self._memo: dict[int, Any] = {}
        self.storages: dict[str, Storage] = {}
        self.conflicting: set[str] = set()
        self.tables: list[Table] = []

    def _to_mark(self) -> list[Any]:
        items, self.stack = self.stack, self._marked.pop()
        return items

    def _table(self, flat: list[Any]) -> Table:
        made = Table(list(zip(flat[::2], flat[1::2], strict=False)))
        self.tables.append(made)
        return made

    def _storage(self, pid: Any) -> Any:
        if type(pid) is not tuple or len(pid) != 5 or pid[0] != "storage":
            return Opaque()
        _, kind, key, location, count = pid
        if type(kind) is not Global or type(key) is not str or type(location) is not str:
            return Opaque()
        if type(count) is not int or not 0 <= count < 2**63:
            return Opaque()
        made = Storage(
            STORAGE_DTYPES.get(kind.name), key, location, count, kind.name == "UntypedStorage"
        )
        known = self.storages.setdefault(key, made)
        if (known.dtype, known.count) != (made.dtype, made.count):
            self.conflicting.add(key)
        return known

    def _called(self, function: Any, args: Any) -> Any:
        if type(function) is not Global or type(args) is not tuple:
            return Opaque()
        if function.module == "torch._utils":
            return _rebuilt(function.name, args)
        if (function.module, function.name) == ("torch._tensor", "_rebuild_from_type_v2") and args:
            inner = args[0]
            is_torch = type(inner) is Global and inner.module == "torch._utils"
            return self._called(inner, args[2]) if is_torch and len(args) > 2 else Opaque()
        if (function.module, function.name) in _TABLES:
            made = self._table([])
            pairs = args[-1] if args and type(args[-1]) is list else []
            made.pairs += [(p[0], p[1]) for p in pairs if type(p) in (list, tuple) and len(p) == 2]
            return made
        if (function.module, function.name) == ("torch", "Size") and len(args) == 1:
            return args[0]
        return Opaque()

    def _extend(self, target: Any, items: list[Any]) -> None:
        if type(target) is list:
            target.extend(items)

    def _set_pairs(self, target: Any, flat: list[Any]) -> None:
        # Pairs set on an object that is not understood are kept among all tables.
        table = target if type(target) is Table else self._table([])
        table.pairs += zip(flat[::2], flat[1::2], strict=False)

    # One flat match, a few lines an opcode, reads better than forty functions: hence the exceptions.
    def step(self, name: str, arg: Any, pushes_arg: bool) -> None:  # noqa: C901, PLR0912, PLR0915, RUF100
        """Follow one opcode."""
        stack = self.stack
        match name:
            case "PUT" | "BINPUT" | "LONG_BINPUT":
                self._memo[arg] = stack[-1]
            case "MEMOIZE":
                self._memo[len(self._memo)] = stack[-1]
            case "GET" | "BINGET" | "LONG_BINGET":
                stack.append(self._memo[arg])
            case "MARK":
                self._marked.append(stack)
                self.stack = []
            case "TUPLE":
                items = tuple(self._to_mark())
                self.stack.append(items)
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                count = int(name[-1])
                if len(stack) < count:
                    raise BrokenPickle("its stack underflows")
                items = tuple(stack[-count:])
                del stack[-count:]
                stack.append(items)
            case "EMPTY_TUPLE":
                stack.append(())
            case "EMPTY_DICT":
                stack.append(self._table([]))
            case "EMPTY_LIST":
                stack.append([])
            case "NONE":
                stack.append(None)
            case "NEWTRUE" | "NEWFALSE":
                stack.append(name == "NEWTRUE")
            case "GLOBAL":
                module, _, attribute = arg.partition(" ")
                stack.append(Global(module, attribute))
            case "STACK_GLOBAL":
                attribute, module = stack.pop(), stack.pop()
                both = type(module) is str and type(attribute) is str
                stack.append(Global(module, attribute) if both else Opaque())
            case "BINPERSID":
                stack.append(self._storage(stack.pop()))
            case "REDUCE":
                args = stack.pop()
                stack.append(self._called(stack.pop(), args))
            case "SETITEMS":
                flat = self._to_mark()
                self._set_pairs(self.stack[-1], flat)
            case "SETITEM":
                value, key = stack.pop(), stack.pop()
                self._set_pairs(stack[-1], [key, value])
            case "APPENDS":
                items_ = self._to_mark()
                self._extend(self.stack[-1], items_)
            case "APPEND":
                item = stack.pop()
                self._extend(stack[-1], [item])
            case "BUILD":
                stack.pop()
            case "LIST":
                items_ = self._to_mark()
                self.stack.append(items_)
            case "DICT":
                flat = self._to_mark()
                self.stack.append(self._table(flat))
            case "POP":
                # As in pickle: a POP on an empty stretch takes the mark itself.
                if stack:
                    stack.pop()
                else:
                    self._to_mark()
            case "POP_MARK" | "ADDITEMS":
                self._to_mark()
            case "DUP":
                stack.append(stack[-1])
            case "FROZENSET" | "INST" | "OBJ":
                self._to_mark()
                self.stack.append(Opaque())
            case "EMPTY_SET" | "PERSID" | "EXT1" | "EXT2" | "EXT4" | "NEXT_BUFFER":
                stack.append(Opaque())
            case "NEWOBJ" | "NEWOBJ_EX":
                taken = 2 if name == "NEWOBJ" else 3
                if len(stack) < taken:
                    raise BrokenPickle("its stack underflows")
                del stack[-taken:]
                stack.append(Opaque())
            case "PROTO" | "FRAME" | "READONLY_BUFFER" | "STOP":
                pass
            case _ if pushes_arg:
                stack.append(arg)
            case _:
                raise BrokenPickle(f"its opcode {name} is unknown")


def read_pickle(raw: bytes) -> Reading:
    """Read a pickle symbolically.

    Raises:
        BrokenPickle: it cannot be followed to its end.
    """
    if len(raw) > MAX_PICKLE_BYTES:
        raise BrokenPickle(f"has {len(raw)} bytes; at most {MAX_PICKLE_BYTES} are read")
    machine = _Machine()
    steps = 0
    try:
        for opcode, arg, _ in pickletools.genops(raw):
            steps += 1
            if steps > MAX_STEPS:
                raise BrokenPickle(f"takes more than {MAX_STEPS} steps")
            machine.step(opcode.name, arg, arg is not None)
        root = machine.stack[-1]
    except BrokenPickle:
        raise
    except Exception as error:
        # pickletools documents no errors; on junk it raises nearly anything.
        raise BrokenPickle(f"is broken: {type(error).__name__}: {error}") from None
    return Reading(root, machine.storages, frozenset(machine.conflicting), machine.tables)


def _part(key: Any) -> str | None:
    if type(key) is str:
        return key.encode(errors="replace").decode()
    return str(key) if type(key) in (int, bool) and -(2**63) <= key < 2**63 else None


def named_tensors(root: Any) -> list[tuple[str, PickledTensor]]:
    """List the tensors in a structure of dicts, lists and tuples, with their paths joined by dots.

    In the order of the structure. A container is entered once, however often it
    is referred to, so that neither cycles nor shared branches cost anything.
    Tensors at paths that are too deep, too long or have no spelling are left out.
    """
    named: list[tuple[str, PickledTensor]] = []
    entered: set[int] = set()
    ahead: list[tuple[str, int, Any]] = [("", 0, root)]
    while ahead:
        path, depth, value = ahead.pop()
        kind = type(value)
        if kind is PickledTensor:
            if path:
                named.append((path, value))
            continue
        if kind not in (Table, list, tuple) or id(value) in entered or depth >= MAX_PATH_PARTS:
            continue
        entered.add(id(value))
        pairs = value.pairs if kind is Table else list(enumerate(value))
        for key, child in reversed(pairs):
            if type(child) not in (PickledTensor, Table, list, tuple):
                continue
            part = _part(key)
            name = part if not path or part is None else f"{path}.{part}"
            if name is not None and len(name) <= MAX_NAME_CHARS:
                ahead.append((name, depth + 1, child))
    return named
