"""Runs, saves, workers, health: what the Trainer's hook does without torch."""
