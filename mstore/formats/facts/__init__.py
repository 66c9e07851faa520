"""The facts of a model directory: config, adapters, trainer state, shards."""
