"""What belongs to one user or job: HEAD, the model directory, ignore rules, the stat cache."""

from mstore.workspace.folder import (
    DiskFolder,
    Found,
    FoundFile,
    OpenFile,
    Stamp,
    checkpoints_in,
    scan,
)
from mstore.workspace.ignore import DEFAULTS, IGNORE_FILE, Rules, rules_for
from mstore.workspace.statcache import StatCache
from mstore.workspace.workspace import (
    CONFIG_KEYS,
    FOLDER,
    Head,
    Operation,
    RefMove,
    Workspace,
)

__all__ = [
    "CONFIG_KEYS",
    "DEFAULTS",
    "FOLDER",
    "IGNORE_FILE",
    "DiskFolder",
    "Found",
    "FoundFile",
    "Head",
    "OpenFile",
    "Operation",
    "RefMove",
    "Rules",
    "Stamp",
    "StatCache",
    "Workspace",
    "checkpoints_in",
    "rules_for",
    "scan",
]
