"""Indexes of sharded weights: whether they are complete and stay in their folder."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from mstore.errors import BadFile
from mstore.formats.facts.files import object_or_warning

if TYPE_CHECKING:
    from mstore.formats.facts.files import FolderSource

_DRIVE: Final = re.compile(r"[A-Za-z]:")
_MAY_NAME_CODE: Final = (
    "config.json",
    "tokenizer_config.json",
    "processor_config.json",
    "preprocessor_config.json",
)


def _check_shard(index: str, shard: Any) -> str:
    """Check a shard's path and normalise it. Raises BadFile if it could leave the folder."""
    if type(shard) is not str or not shard or "\0" in shard:
        raise BadFile(index, "weight_map has a value that is not a file name")
    parts = re.split(r"[/\\]", shard)
    if not parts[0] or _DRIVE.match(shard):
        raise BadFile(index, f"weight_map has the absolute path {shard!r}")
    if ".." in parts:
        raise BadFile(index, f"weight_map has the path {shard!r}, which leaves its folder")
    return "/".join(part for part in shard.split("/") if part not in ("", "."))


def _check_one_index(
    folder: FolderSource, index: str, present: set[str], allow_incomplete: bool
) -> list[str]:
    warnings: list[str] = []
    value = object_or_warning(folder, index, warnings)
    if value is None or "weight_map" not in value:
        return warnings
    weight_map = value["weight_map"]
    if type(weight_map) is not dict:
        raise BadFile(index, "weight_map is not an object")
    inside = index.rpartition("/")[0]
    prefix = f"{inside}/" if inside else ""
    shards = sorted({_check_shard(index, shard) for shard in weight_map.values()})
    for shard in shards:
        if prefix + shard in present:
            continue
        if not allow_incomplete:
            raise BadFile(
                index,
                f"the shard {shard} is missing",
                hint="download it, or keep the others with --allow-incomplete",
            )
        warnings.append(f"{index}: the shard {shard} is missing")
    return warnings


def check_index(folder: FolderSource, *, allow_incomplete: bool) -> tuple[str, ...]:
    """Check that sharded weights are complete and stay in their folder, and warn of code.

    Args:
        folder: the model directory.
        allow_incomplete: a missing shard is a warning.

    Returns:
        Warnings, one sentence each.

    Raises:
        BadFile: an index leaves its folder, or a shard that it names is missing.
    """
    paths = sorted(folder.paths())
    present = set(paths)
    warnings: list[str] = []
    for path in paths:
        if path.endswith(".index.json"):
            warnings += _check_one_index(folder, path, present, allow_incomplete)
    code = [path for path in paths if path.endswith(".py")]
    if code:
        for name in _MAY_NAME_CODE:
            # A broken file has its warning from `describe`.
            value = object_or_warning(folder, name, []) if name in present else None
            if value is not None and value.get("auto_map"):
                warnings.append(
                    f"{name}: auto_map names Python code; {len(code)} .py files are kept as bytes "
                    "and never imported"
                )
                break
    return tuple(warnings)
