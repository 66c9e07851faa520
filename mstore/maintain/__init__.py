"""Maintenance that keeps a store sound and small: gc, fsck, repair, repack, forget, du."""
