"""Proofs that nothing acknowledged is lost; docs/durability.md has their figures."""
