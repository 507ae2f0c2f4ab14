"""Discrete global latents, and a progressive code: DVAE++."""
