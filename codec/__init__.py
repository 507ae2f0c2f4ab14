"""Streams, files, integer tables and images: everything that knows no network."""
