"""Find the role of a file in a model directory, from its path alone."""

from __future__ import annotations

import re
from typing import Final

from mstore.formats.endings import WEIGHT_ENDINGS
from mstore.objects import TRAINING_STATE

_TRAINING: Final = re.compile(
    r"(optimizer|scheduler|scaler|sampler|dl_state_dict)(_\d+)?\.(pt|pth|bin)"
    r"|rng_state(_\d+)?\.pth|random_states_\d+\.pkl"
    r"|trainer_state\.json|training_args\.(bin|json)|latest"
)
_TRAINING_FOLDER: Final = re.compile(r"global_step\d+|optimizer_\d+")
_TOKENIZER: Final = re.compile(
    r"tokenizer.*\.(json|model|txt|tiktoken)|special_tokens_map\.json|added_tokens\.json"
    r"|chat_template\.(jinja|json)|vocab.*\.(json|txt)|.*merges\.txt|normalizer\.json|bpe\.codes"
    r"|(spiece|source|target|sentencepiece.*)\.(model|spm)|.*\.(spm|tiktoken)"
)
_CONFIG: Final = re.compile(
    r"config\.json|.*_config\.json|config_.*\.json|model_index\.json|modules\.json|params\.json"
)


def role_of(path: str) -> str:
    """Find the role of a file: one of `mstore.objects.ROLES`.

    Args:
        path: relative to the model directory, `/` between parts.
    """
    *folders, name = path.split("/")
    if name == "adapter_config.json" or name.startswith("adapter_model."):
        return "adapter"
    if _TRAINING.fullmatch(name) or any(_TRAINING_FOLDER.fullmatch(f) for f in folders):
        return TRAINING_STATE
    if _TOKENIZER.fullmatch(name) or (folders and folders[-1] == "additional_chat_templates"):
        return "tokenizer"
    weights_name = name.removesuffix(".index.json")
    if weights_name.endswith(WEIGHT_ENDINGS):
        return "weights"
    if _CONFIG.fullmatch(name):
        return "config"
    return "other"
