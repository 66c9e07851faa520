"""Versions and their names: log, show, branches, tags, revisions."""
