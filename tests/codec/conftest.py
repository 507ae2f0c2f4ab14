"""Properties are tried on a few cases each, the same ones in every run; `-m slow` tries thousands."""

from hypothesis import settings

settings.register_profile("quick", max_examples=60, deadline=None, derandomize=True, database=None)
settings.load_profile("quick")
