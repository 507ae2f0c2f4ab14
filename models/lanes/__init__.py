"""Layers and nets over lanes: many small pictures side by side, in compiled loops."""
