"""The training loop, one for all families."""
