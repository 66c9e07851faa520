"""The name of `mstore.api.repository` in 0.2, kept until 1.0."""

from mstore.api.repository import Repository, diff, init, open, weights_id

__all__ = ["Repository", "diff", "init", "open", "weights_id"]
