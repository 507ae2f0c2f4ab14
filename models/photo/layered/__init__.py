"""Lossy files in two layers: latents, and what their mean image lacks of the picture; what mends it, and texture."""
