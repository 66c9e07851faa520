"""The contents of a model directory, in a folder or in a version: files, layouts, facts, digests."""
