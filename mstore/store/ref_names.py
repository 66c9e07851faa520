"""The rules for names of refs."""

from __future__ import annotations

from typing import Final

from mstore.errors import InvalidInput

_BAD_CHARACTERS: Final = frozenset('~^:?*[\\"<>|')


def check_ref_name(name: str) -> str:
    """Return a branch's or tag's name (without namespace) if it is allowed.

    Raises:
        InvalidInput: it breaks a rule of docs/format.md section 7.
    """
    where = f"ref name {name!r}"
    if not name or name in ("HEAD", "@"):
        raise InvalidInput(where, "is reserved" if name else "is empty")
    if len(name.encode("utf-8", "surrogatepass")) > 200:
        raise InvalidInput(where[:60], "is longer than 200 bytes")
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise InvalidInput(where, "is not valid UTF-8") from error
    for character in name:
        if character in _BAD_CHARACTERS:
            raise InvalidInput(where, f"holds {character!r}")
        if character.isspace() or not character.isprintable():
            raise InvalidInput(where, f"holds {character!r}, a control character or white space")
    for bad in ("..", "@{"):
        if bad in name:
            raise InvalidInput(where, f"holds {bad!r}")
    for part in name.split("/"):
        _check_part(part, where)
    return name


def _check_part(part: str, where: str) -> None:
    if not part:
        raise InvalidInput(where, "has an empty part")
    if part[0] in ".-":
        raise InvalidInput(where, f"has a part that begins with {part[0]!r}")
    if part.endswith((".", ".lock")):
        raise InvalidInput(where, "has a part that ends in '.' or '.lock'")
