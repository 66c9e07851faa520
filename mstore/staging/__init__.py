"""Saves that wait to be committed, and checkpoints that training goes on from; no torch."""
