"""mstore for Hugging Face: commits from a Trainer, versions as models and torch tensors.

The only part of mstore that imports torch, transformers and peft. Install it
with `pip install 'mstore[hf]'`.
"""

from mstore.hf.callback import MStoreCallback
from mstore.hf.loading import load
from mstore.hf.tensors import load_state_dict

__all__ = ["MStoreCallback", "load", "load_state_dict"]
