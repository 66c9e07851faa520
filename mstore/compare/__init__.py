"""How two versions, or two folders, differ."""
