"""Bytes → layout and cuts, and the facts that a model directory states.

Formats say where to cut and what lies where, and never write a file: reading back is
concatenation, so that every format is byte-exact by construction. Nothing is
executed, imported, unpickled or mapped.
"""

from mstore.formats.cuts import Cut, cut, segments_of
from mstore.formats.facts.adapter import AdapterFacts
from mstore.formats.facts.describe import Facts, describe
from mstore.formats.facts.files import FolderSource
from mstore.formats.facts.model import ModelFacts
from mstore.formats.facts.shards import check_index
from mstore.formats.facts.trainer import TrainerFacts
from mstore.formats.jsontext import read_json_object
from mstore.formats.parse import Parsed, parse
from mstore.formats.roles import role_of
from mstore.formats.source import ByteSource, BytesSource
from mstore.formats.torchzip import holds_token

__all__ = [
    "AdapterFacts",
    "ByteSource",
    "BytesSource",
    "Cut",
    "Facts",
    "FolderSource",
    "ModelFacts",
    "Parsed",
    "TrainerFacts",
    "check_index",
    "cut",
    "describe",
    "holds_token",
    "parse",
    "read_json_object",
    "role_of",
    "segments_of",
]
