"""Collect what two sides of a diff say of themselves: configuration files and metadata."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from mstore.errors import MStoreError
from mstore.formats.facts.files import MAX_JSON_BYTES
from mstore.formats.jsontext import read_json
from mstore.objects.json_values import flattened

if TYPE_CHECKING:
    from mstore.compare.sides import DiffSide
    from mstore.objects import ManifestFile

_CONFIG_NAMES: Final = ("config.json", "generation_config.json", "adapter_config.json")


# PEFT keeps these as sets, whose order in the file is another one at each save.
_SETS: Final = ("target_modules", "modules_to_save", "exclude_modules", "target_parameters")


def configuration_of(side: DiffSide) -> dict[str, Any]:
    """Flatten all keys of the configuration files; files that are no JSON object have none."""
    flat: dict[str, Any] = {}
    for file in side.manifest.files:
        name = file.path.rpartition("/")[2]
        if name not in _CONFIG_NAMES or file.size_bytes > MAX_JSON_BYTES:
            continue
        value = _json(side, file)
        if type(value) is not dict:
            continue
        if name == "adapter_config.json":
            value = {k: _ordered(v) if k in _SETS else v for k, v in value.items()}
        flat.update(flattened({file.path.removesuffix(".json"): value}))
    return flat


def _json(side: DiffSide, file: ManifestFile) -> Any:
    with side.open_file(file.path) as read:
        raw = read(0, file.size_bytes)
    try:
        return read_json(raw, file.path, strict=False)
    except MStoreError:
        return None  # `describe` has warned of it


def _ordered(value: Any) -> Any:
    if type(value) is list and all(type(v) is str for v in value):
        return sorted(value)
    return value


def metadata_of(side: DiffSide) -> dict[str, Any]:
    """Return the metadata that the user gave, and of the recorded values the run and its surroundings.

    Model and adapter are in the configuration, the run's metrics in the metrics.
    """
    # What names a run is never equal in two of them, and says nothing.
    given = {k: v for k, v in side.metadata.items() if k not in ("recorded", "run")}
    recorded = side.metadata.get("recorded")
    if type(recorded) is not dict:
        return flattened(given)
    run = recorded.get("trainer")
    run = run if type(run) is dict else {}
    kept = {
        "trainer": {k: v for k, v in run.items() if k not in ("metrics", "run_id")},
        "environment": recorded.get("environment"),
        "without": recorded.get("without"),
    }
    kept = {k: v for k, v in kept.items() if v}
    everything = {**given, **({"recorded": kept} if kept else {})}
    return flattened(everything)
