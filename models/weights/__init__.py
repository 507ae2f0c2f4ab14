"""Trained integer weights, and how they are written and read."""
