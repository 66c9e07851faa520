"""commit, import, note: a model directory becomes a version."""
