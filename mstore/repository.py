"""The name of `mstore.api.repository` in 0.2, kept until 1.0."""

from mstore.api.discovery import init, open
from mstore.api.folders import diff, weights_id
from mstore.api.repository import Repository

__all__ = ["Repository", "diff", "init", "open", "weights_id"]
