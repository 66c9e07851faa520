"""The repository that runs of training save into, shared with the tests of training."""

from __future__ import annotations

from tests.unit.training.conftest import home, repo

__all__ = ["home", "repo"]
