"""Runs, saves, workers, health: the part of the Trainer's hook that needs no torch."""
