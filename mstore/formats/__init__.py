"""Bytes → layout and cuts; what a directory says of itself.

Says where to cut and what lies where, and never writes a file: reading back is
concatenation, so that every format is byte-exact by construction. Nothing is
executed, imported, unpickled or mapped.
"""

from mstore.formats.cuts import Cut, cut, segments_of
from mstore.formats.facts.adapter import AdapterFacts
from mstore.formats.facts.model import (
    Facts,
    FolderSource,
    ModelFacts,
    TrainerFacts,
    check_index,
    describe,
)
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
