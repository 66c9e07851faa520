"""What holds of every plan: a value without handles, that prints and turns into JSON."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

from tests.bad_inputs.stand import listing


def assert_is_a_value(plan: Any) -> dict[str, Any]:
    """A copy of it is equal (no handle, lock or database survives that); gives its JSON object."""
    copy = pickle.loads(pickle.dumps(plan))
    assert copy == plan
    assert str(copy) == str(plan) != ""
    document: dict[str, Any] = plan.to_dict()
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    return document


def everything(folder: Path) -> dict[str, tuple[str, bytes]]:
    """What lies below a folder, caches aside: what a plan must leave as it is."""
    return {
        path: found for path, found in listing(folder).items() if not path.startswith(".mstore/cache")
    }
