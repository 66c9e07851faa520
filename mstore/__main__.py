"""`python -m mstore`."""

from mstore.cli import main

main()
