"""Distributions, stack, walks: how symbols become bits."""
