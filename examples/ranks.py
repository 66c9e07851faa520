"""Two adapters in neutrally named folders: are their LoRA dimensions different?

python examples/ranks.py a b          the same as: mstore diff ./a ./b
"""

import sys
from pathlib import Path

import mstore

a, b = map(Path, sys.argv[1:3])
lora = mstore.diff(a, b).lora
if lora is None or lora.a is None or lora.b is None:
    sys.exit("there is not one adapter in each")
print("different ranks" if lora.a.ranks != lora.b.ranks else "equal ranks", lora.a.ranks, lora.b.ranks)
