"""The differences between two versions, or two folders."""
