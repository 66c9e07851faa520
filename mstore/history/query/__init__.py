"""Naming and choosing versions: revisions, `best:`, conditions."""
