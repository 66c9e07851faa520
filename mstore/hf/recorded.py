"""Collect the records of a training: arguments, data, hardware, quantization.

Secrets among the arguments are left out.
"""

from __future__ import annotations

import contextlib
import json
import re
from typing import Any, Final

_SECRET: Final = re.compile(r"token|.*_token|.*(password|secret|api_?key).*", re.IGNORECASE)


def _storable(value: Any) -> Any:
    """Convert JSON to values for a commit: no secrets, no integers over 64 bits, Unicode only."""
    if isinstance(value, dict):
        return {
            _storable(key): _storable(item) for key, item in value.items() if not _SECRET.fullmatch(key)
        }
    if isinstance(value, list):
        return [_storable(item) for item in value]
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    return str(value) if isinstance(value, int) and value.bit_length() > 63 else value


def json_values(values: dict[str, Any]) -> dict[str, Any]:
    """Convert arguments of any kind to values that a commit can hold, without secrets (by name)."""
    kept: dict[str, Any] = _storable(json.loads(json.dumps(values, default=str)))
    return kept


def dataset_facts(loader: Any) -> dict[str, Any] | None:
    """Describe the data set of a dataloader: size, columns and fingerprint, as far as known."""
    dataset = getattr(loader, "dataset", None)
    if dataset is None:
        return None
    facts: dict[str, Any] = {}
    with contextlib.suppress(Exception):  # a dataset may be a stream, or anything
        facts["examples"] = len(dataset)
    columns = getattr(dataset, "column_names", None)
    if isinstance(columns, list):
        facts["columns"] = [str(c) for c in columns]
    fingerprint = getattr(dataset, "_fingerprint", None)
    if isinstance(fingerprint, str):
        facts["fingerprint"] = fingerprint
    return facts or None


def hardware_facts(args: Any) -> dict[str, Any]:
    """Describe the hardware: the kind of device, how many processes, the name of the GPU."""
    import torch

    device = args.device
    found: dict[str, Any] = {"device": device.type, "processes": int(args.world_size)}
    if device.type == "cuda":
        found["gpu"] = torch.cuda.get_device_name(device)
        found["memory_bytes"] = torch.cuda.get_device_properties(device).total_memory
    return found


def quantization_facts(model: Any) -> dict[str, Any] | None:
    """Describe how the model's frozen weights are quantized (QLoRA), as its configuration says."""
    config = getattr(getattr(model, "config", None), "quantization_config", None)
    if config is None:
        return None
    plain = config if isinstance(config, dict) else config.to_dict()
    return dict(plain)
