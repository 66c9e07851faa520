"""The output of `--json`: its types, and one function from each result to its object.

Importing this package imports neither. `documents` needs nothing that a command has not
loaded; the types are for checking and documenting the objects, and for choosing fields.
"""

from __future__ import annotations

from typing import Final

SCHEMA: Final = 1
"""The number of the schema: raised where a key goes or changes, not where one is added."""
