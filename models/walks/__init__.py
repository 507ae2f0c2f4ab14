"""A frozen net's symbols in both walks: all at once, and step by step."""
