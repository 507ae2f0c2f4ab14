"""Layers that compute in integers, and the nets made of them alone."""
