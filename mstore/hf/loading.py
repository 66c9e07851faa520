"""A version as a live model: the right class, an adapter on its base.

Hides where the files lie while transformers reads them, and how a folder says
which class opens it. Runs no code from a commit unless the caller passes
`trust_remote_code=True`.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import weakref
from typing import TYPE_CHECKING, Any, Final

import mstore
from mstore.errors import InvalidInput, NotFound
from mstore.hf.devices import device_or_cpu, present_devices, repository_at

if TYPE_CHECKING:
    import torch

    from mstore.api.repository import Repository
    from mstore.objects import Base, CommitId, WeightsId

_ADAPTER: Final = "adapter_config.json"
_LOADED: weakref.WeakKeyDictionary[Any, CommitId] = weakref.WeakKeyDictionary()


def commit_of(model: Any) -> CommitId | None:
    """Give the commit that `load` read a model from, through wrappers, or None."""
    for _ in range(8):
        if model is None:
            return None
        with_hash = type(model).__hash__ is not None
        if with_hash and (commit := _LOADED.get(model)) is not None:
            return commit
        below = getattr(model, "get_base_model", None)
        inner = below() if callable(below) else getattr(model, "module", None)
        if inner is model:
            return None
        model = inner
    return None


def _json(folder: str, name: str) -> dict[str, Any]:
    """Read a JSON object of a folder; empty where the file is absent or not one."""
    try:
        with open(os.path.join(folder, name), "rb") as file:
            value = json.load(file)
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _adapter_folders(folder: str) -> list[tuple[str, str]]:
    """List adapters of a folder as (name, folder): its own first, then those in sub-folders."""
    found = [("default", folder)] if os.path.isfile(os.path.join(folder, _ADAPTER)) else []
    with os.scandir(folder) as entries:
        below = sorted((e.name, e.path) for e in entries if e.is_dir())
    return found + [(n, p) for n, p in below if os.path.isfile(os.path.join(p, _ADAPTER))]


def _model_class(config: dict[str, Any], adapter: dict[str, Any], trusted: bool) -> Any:
    """Choose the transformers class that opens a model.

    Args:
        config: the model's `config.json`.
        adapter: the adapter's configuration, or empty.
        trusted: whether code that lies beside the model may be run.
    """
    import transformers

    from mstore.api.values import AUTO_CLASSES

    mapping = config.get("auto_map")
    if trusted and isinstance(mapping, dict):
        for name in ("AutoModelForCausalLM", *sorted(mapping)):
            if name in mapping and name.startswith("AutoModel"):
                return getattr(transformers, name)
    task = adapter.get("task_type")
    if task in AUTO_CLASSES and task != "FEATURE_EXTRACTION":
        return getattr(transformers, AUTO_CLASSES[task])
    own = adapter.get("auto_mapping")
    named = [own.get("base_model_class")] if isinstance(own, dict) else []
    named += config.get("architectures") or []
    for name in named:
        found = getattr(transformers, name, None) if isinstance(name, str) else None
        if isinstance(found, type) and hasattr(found, "from_pretrained"):
            return found
    causal = any(isinstance(n, str) and n.endswith(("ForCausalLM", "LMHeadModel")) for n in named)
    return transformers.AutoModelForCausalLM if causal else transformers.AutoModel


def _checked_out(repository: Repository, commit: CommitId) -> str:
    """Write a version's files into a temporary folder of our own."""
    above = tempfile.mkdtemp(prefix="mstore-")
    folder = os.path.join(above, commit.short)
    try:
        repository.checkout(commit, to=folder)
    except BaseException:
        shutil.rmtree(above, ignore_errors=True)
        raise
    return folder


def _base_model(
    repository: Repository, base: Base | None, adapter: dict[str, Any], keywords: dict[str, Any]
) -> Any:
    """Load the model that an adapter is put on: from this store, else from a folder or hub name.

    Raises:
        NotFound: nothing says which model it is.
        InvalidInput: another model lies under the recorded name.
    """
    import transformers

    stored = repository.find_base(base) if base is not None else None
    if stored is not None:
        return _load(repository, stored, keywords=keywords, above=adapter)
    name = (base.name if base is not None else None) or adapter.get("base_model_name_or_path")
    revision = (base.revision if base is not None else None) or adapter.get("revision")
    if not name:
        raise NotFound(
            "the adapter does not say which model it belongs to",
            hint="pass base=: a revision of this store, a folder, a hub name, or a model",
        )
    if os.path.isdir(name):
        where = {}
    elif os.path.isabs(name) or name.startswith("."):
        raise NotFound(
            f"the adapter's base lay in {name}, which is not on this machine",
            hint="pass base=: a revision of this store, a folder, a hub name, or a model",
        )
    else:
        where = {"revision": revision} if revision else {}
    if base is not None and base.weights is not None:
        _check_base(name, revision, base.weights)
    trusted = bool(keywords.get("trust_remote_code", False))
    config, _ = transformers.PreTrainedConfig.get_config_dict(name, **where)
    return _model_class(config, adapter, trusted).from_pretrained(name, **where, **keywords)


def _check_base(name: str, revision: str | None, wanted: WeightsId) -> None:
    """Refuse a base whose weights are not those that the adapter was trained on.

    Args:
        name: a folder, or a name on the hub, which is fetched if it is not there.
        revision: of the hub's repository.
        wanted: the identity that the commit recorded.

    Raises:
        InvalidInput: they are others.
    """
    from huggingface_hub import snapshot_download

    folder = name if os.path.isdir(name) else snapshot_download(name, revision=revision)
    found = mstore.weights_id(folder)
    if found != wanted.hex:
        raise InvalidInput(
            name,
            f"is another model than the adapter was trained on: its weights are {found[:7]},"
            f" not {wanted.hex[:7]}",
            hint="pass base= to put it on another model anyway",
        )


def _with_adapters(
    model: Any, adapters: list[tuple[str, str]], *, is_trainable: bool, as_stored: bool
) -> Any:
    """Put adapters on a base, the first one active."""
    from peft import PeftModel

    (name, folder), *others = adapters
    model = PeftModel.from_pretrained(model, folder, adapter_name=name, is_trainable=is_trainable)
    for other, below in others:
        model.load_adapter(below, adapter_name=other, is_trainable=is_trainable)
    if as_stored:
        for each, inside in adapters:
            _restore_dtypes(model, each, inside, widen=is_trainable)
    return model


def _restore_dtypes(model: Any, name: str, folder: str, *, widen: bool) -> None:
    """Give an adapter's parameters the dtype and the exact values that were stored.

    PEFT widens half-precision adapters to float32, which computes something
    else, and narrows `modules_to_save` to the dtype of the base, which loses
    bits. For training (`widen`) the wider of the two dtypes is kept.
    """
    import torch
    from peft import get_peft_model_state_dict, load_peft_weights

    stored = load_peft_weights(folder, device="cpu")
    live = get_peft_model_state_dict(model, adapter_name=name, save_embedding_layers=False)
    parameters = {p.data_ptr(): p for p in model.parameters() if p.numel()}
    for key, tensor in live.items():
        parameter, exact = parameters.get(tensor.data_ptr()), stored.get(key)
        if parameter is None or exact is None or exact.dtype == parameter.dtype:
            continue
        dtype = torch.promote_types(exact.dtype, parameter.dtype) if widen else exact.dtype
        parameter.data = exact.to(device=parameter.device, dtype=dtype, copy=True)


def _load(
    repository: Repository,
    commit: CommitId,
    *,
    keywords: dict[str, Any],
    base: Any = None,
    above: dict[str, Any] | None = None,
    is_trainable: bool = False,
) -> Any:
    """Load a commit, and its base.

    Args:
        repository: where it is.
        commit: which.
        keywords: for from_pretrained.
        base: the model for an adapter; None for the recorded one.
        above: configuration of the adapter that is going to be put on it.
        is_trainable: whether an adapter's weights are to be trained further.
    """
    folder = _checked_out(repository, commit)
    try:
        adapters = _adapter_folders(folder)
        whole = os.path.isfile(os.path.join(folder, "config.json"))
        if adapters and (adapters[0][1] == folder or not whole):
            if base is None or isinstance(base, (str, os.PathLike)):
                configuration = _json(adapters[0][1], _ADAPTER)
                base = _named_base(repository, commit, base, configuration, keywords)
            model = _with_adapters(
                base, adapters, is_trainable=is_trainable, as_stored="dtype" not in keywords
            )
        else:
            trusted = bool(keywords.get("trust_remote_code", False))
            kind = _model_class(_json(folder, "config.json"), above or {}, trusted)
            model = kind.from_pretrained(folder, **keywords)
    except BaseException:
        shutil.rmtree(os.path.dirname(folder), ignore_errors=True)
        raise
    # Weights may be mapped from these files, offloaded to them, and an adapter
    # trained on this model names their folder: they go when the model does.
    weakref.finalize(model, shutil.rmtree, os.path.dirname(folder), ignore_errors=True)
    _LOADED[model] = commit
    return model


def _named_base(
    repository: Repository,
    commit: CommitId,
    base: str | os.PathLike[str] | None,
    adapter: dict[str, Any],
    keywords: dict[str, Any],
) -> Any:
    """Load the base as a model: the one that the caller names, else the one that was recorded."""
    if base is None:
        recorded = repository.log(commit, limit=1)[0].commit.base
        return _base_model(repository, recorded, adapter, keywords)
    name = os.fspath(base)
    if not os.path.isdir(name):
        try:
            found = repository.resolve(name)
        except NotFound:
            pass
        else:
            return _load(repository, found, keywords=keywords, above=adapter)
    named = {**adapter, "base_model_name_or_path": name, "revision": None}
    return _base_model(repository, None, named, keywords)


def load(
    repo: Repository | str | os.PathLike[str],
    rev: str,
    *,
    base: Any = None,
    device: str | torch.device | None = None,
    is_trainable: bool = False,
    **keywords: Any,
) -> Any:
    """Load a version as a model, an adapter on its base.

    The class is the one that the configuration names. Weights keep the dtype
    that they were stored in unless `dtype=` is passed.

    Args:
        repo: a Repository, or a folder in or under one.
        rev: branch, tag, commit id …
        base: for an adapter, its base where the recorded one is not to be
            used: a model, a revision of this store, a folder or a hub name.
        device: where to put it; the CPU, with a warning, if this machine has no such device.
        is_trainable: for an adapter, whether its weights are to be trained further.
        keywords: passed to `from_pretrained` (of the base, for an adapter).
            `trust_remote_code` is False unless given here.

    Returns:
        A transformers model, or a PeftModel, in evaluation mode.

    Raises:
        NotFound: no such revision, or an adapter whose base cannot be found.
    """
    repository = repository_at(repo)
    options: dict[str, Any] = {"trust_remote_code": False, **present_devices(keywords)}
    model = _load(
        repository,
        repository.resolve(rev),
        keywords=options,
        base=base,
        is_trainable=is_trainable,
    )
    place = device_or_cpu(device)
    return model if place is None else model.to(place)
