"""What a model directory says of itself: config, adapters, trainer state, shards."""
