"""The model directory on a disk: reading it, and writing into it."""
