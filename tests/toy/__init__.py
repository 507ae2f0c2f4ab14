"""A family of a few lines, which proves that a family is one folder and a registry line for each set of weights.

`python -m toy` is the command `vlcodec` with these lines in the registry.
"""

from pathlib import Path

from vlcodec.models.registry import Entry

FOLDER = Path(__file__).parent
ENTRIES = [
    Entry(
        2**32 - 1,
        "toy",
        "toy",
        "grey pictures of 8x8, latents rounded to sixteen levels",
        "254c4d26d355950ffdd535d2f4a51ed93c85a1723dc714a1343a3ce8fa136e66",
        folder=FOLDER,
    ),
    Entry(
        2**32 - 2,
        "toy-chained",
        "toy",
        "the same by bits-back alone, begun by the other",
        "43719bf0b563aa89475c69cbf94d3faa7766cf11453f049fc972d9ace93d14a9",
        starter=2**32 - 1,
        folder=FOLDER,
    ),
]
