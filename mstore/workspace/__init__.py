"""The state of one user or job: HEAD, the model directory, ignore rules, the stat cache.

Reading folders is in `mstore.worktree.scan`; what is exported here is all that
finding a workspace and its HEAD takes.
"""

from mstore.workspace.head import Head
from mstore.workspace.oplog import Operation, RefMove
from mstore.workspace.workspace import CONFIG_KEYS, FOLDER, USER_CACHE, Workspace

__all__ = ["CONFIG_KEYS", "FOLDER", "USER_CACHE", "Head", "Operation", "RefMove", "Workspace"]
