"""The store that a caller means, and the devices that this machine has.

The only place outside `mstore.cli` that reads the environment.
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any, Final

import torch

import mstore
from mstore.api.repository import Repository

if TYPE_CHECKING:
    from collections.abc import Mapping

_log: Final = logging.getLogger("mstore.hf")


def store_folder(repository: Repository) -> str:
    """Give the folder that opens this repository again: with `.mstore` in it, or the store alone."""
    workspace = repository.workspace
    return repository.location if workspace is None else str(workspace.path.parent)


def author_named() -> str | None:
    """Read who acts from the environment (a training script has no command line of ours)."""
    return os.environ.get("MSTORE_AUTHOR") or None


def repository_named() -> Repository | None:
    """Give the repository that the environment names, as for the command line, or None.

    Raises:
        NoStore: it names one that does not exist.
    """
    workspace, store = os.environ.get("MSTORE_WORKSPACE"), os.environ.get("MSTORE_STORE")
    if workspace:
        return mstore.open(workspace=workspace, author=author_named())
    return mstore.open(store=store, author=author_named()) if store else None


def repository_at(repo: Repository | str | os.PathLike[str]) -> Repository:
    """Give the repository, or open the one that a folder belongs to.

    Args:
        repo: a Repository, the folder of a store, or a folder in or under one that has `.mstore`.

    Raises:
        NoStore: there is none.
    """
    if isinstance(repo, Repository):
        return repo
    path = os.path.abspath(os.fspath(repo))
    if os.path.lexists(os.path.join(path, "store.json")):
        return mstore.open(store=path, author=author_named())
    return mstore.open(path, author=author_named())


def device_or_cpu(device: Any) -> Any:
    """Give the device asked for, or the CPU where it is absent, which the log says.

    Raises:
        RuntimeError: torch knows no device of that name at all.
    """
    if device is None:
        return None
    wanted = torch.device(device)
    try:
        torch.empty(0, device=wanted)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        _log.warning("mstore: no device %s on this machine (%s): loading on the CPU", wanted, reason[0])
        return torch.device("cpu")
    return wanted


def present_devices(keywords: Mapping[str, Any]) -> dict[str, Any]:
    """Adjust `from_pretrained` keywords so that a `device_map` of one device names one that exists."""
    named = keywords.get("device_map")
    automatic = ("auto", "balanced", "balanced_low_0", "sequential")
    if isinstance(named, (str, torch.device, int)) and named not in automatic:
        return {**keywords, "device_map": device_or_cpu(named)}
    return dict(keywords)
