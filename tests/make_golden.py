"""Add golden files: python tests/make_golden.py NUMBER... or composites

tests/golden/NUMBER/ holds .vlz files of every kind that a model writes, and manifest.json: what each file tests, its
SHA-256, and what it decodes to; weights.sha256 is that of the weights. All are frozen: nothing is ever written over.
Where the encoder writes other bytes than the newest file of a case, a file is added beside it (`rgb-q1.vlz`, then
`rgb-q1.2.vlz`).
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

import vlcodec
from vlcodec.codec.files.wire import is_archive
from vlcodec.models import registry, zoo
from vlcodec.models.family import Takes
from vlcodec.models.registry import Entry

FOLDER = Path(__file__).with_name("golden")
PICTURES = FOLDER / "pictures"
MACHINES = {"effort"}  # options with which files depend on the machine that makes them
SEEDS = (1, 77, 2**64 - 1)  # of sampled pixels, beside the file's own
Case = tuple[str, dict[str, Any], str]  # picture, options, what the file tests
Row = dict[str, Any]


BESIDE: dict[str, Case] = {
    "cut-q3": ("cut", {"quality": 3}, "alpha and metadata beside a lossy code"),
    "cut-lossless": ("cut", {"lossless": True}, "alpha and metadata, lossless"),
    "clear-lossless": ("clear", {"lossless": True}, "a transparent colour"),
    "scan-lossless": ("scan", {"lossless": True}, "bilevel, by the model"),
    "rgb-near2": ("rgb", {"near_lossless": 2, "model": "photo"}, "every level within 2"),
    "stripes-learned": ("stripes", {"lossless": True, "effort": 6}, "changes of weights"),
    "deep-lossless": ("deep", {"lossless": True}, "low bytes of 16-bit levels, as planes"),
}
COMPOSITES: dict[str, Case] = {  # which no number makes
    "icon": ("icon", {"lossless": True}, "planes of four channels, and metadata"),
    "indices": ("indices", {"lossless": True}, "a palette with alpha values, and colours that are there twice"),
    "scan": ("scan", {"lossless": True}, "planes of one bit"),
}


def cases(entry: Entry) -> dict[str, Case]:
    """Name of the file -> picture, options and what it tests. What has an option "archive" is a column of pictures."""
    takes = zoo.takes(entry)
    if takes.side is not None:
        qualities = 1 if takes.progressive else zoo.qualities(entry)
        return _of_one_size(entry.name, takes) | _of_qualities(entry.name, takes, qualities)
    return _of_any_size(zoo.qualities(entry)) | (BESIDE if entry.version > 1 else {})


def _of_any_size(qualities: int) -> dict[str, Case]:
    lossy: dict[str, Case] = {
        f"rgb-q{q}": ("rgb", {"quality": q}, f"lossy, quality {q}") for q in range(1, qualities + 1)
    }
    return lossy | {
        "rgb-q0": ("rgb", {"quality": 0}, "a placeholder"),
        "rgb-seed": ("rgb", {"quality": 3, "seed": 2**64 - 1}, "the longest seed"),
        "rgb-lossless": ("rgb", {"lossless": True}, "lossless, in colour"),
        "rgb-lossless-q4": ("rgb", {"lossless": True, "quality": 4, "seed": 1}, "lossless over finer latents"),
        "grey-q3": ("grey", {"quality": 3}, "lossy, grey"),
        "grey-lossless": ("grey", {"lossless": True}, "lossless, grey"),
        "tall-lossless": ("tall", {"lossless": True}, "two bands"),
        "grain-lossless": ("grain", {"lossless": True}, "a band with a correction"),
        "dot-q1": ("dot", {"quality": 1}, "one pixel, lossy"),
        "dot-lossless": ("dot", {"lossless": True}, "one pixel, lossless"),
        "black-q3": ("black", {"quality": 3}, "all black, lossy"),
        "black-lossless": ("black", {"lossless": True}, "all black, lossless"),
    }


def _of_one_size(name: str, takes: Takes) -> dict[str, Case]:
    one, many, black = ("disc", "many", "black28") if takes.bilevel else ("small", "smalls", "black32")
    found: dict[str, Case] = {}
    for kind, lossless in (("lossy", False), ("lossless", True)):
        options = {"model": name, "lossless": lossless}
        if takes.alone or not lossless:
            found[f"{name}-{kind}"] = (one, options, f"one picture, {kind}")
        if takes.alone or lossless:  # a lossy archive is all its starter's
            found[f"{name}-archive-{kind}"] = (many, options | {"archive": True}, f"an archive, {kind}")
    kind = "lossless" if takes.alone else "lossy"
    return found | {f"{name}-black": (black, {"model": name, "lossless": takes.alone}, f"all black, {kind}")}


def _of_qualities(name: str, takes: Takes, qualities: int) -> dict[str, Case]:
    """Of each of several, of pictures of one size; nothing where there is one."""
    picture = "disc" if takes.bilevel else "small"
    numbers = range(1, qualities + 1) if qualities > 1 else ()
    return {f"{name}-q{q}": (picture, {"model": name, "quality": q}, f"lossy, quality {q}") for q in numbers}


def made(picture: Image.Image, options: Row, device: str = "cpu") -> bytes:
    """A case's file."""
    options = dict(options)
    if options.pop("archive", False):
        column = np.asarray(picture)
        side = column.shape[1]
        return vlcodec.compress_archive(column.reshape(-1, side, *column.shape[1:]), device=device, **options)
    return vlcodec.compress(picture, device=device, **options)


def digests(data: bytes, device: str = "cpu") -> Row:
    """Of what a file gives back: its pixels, its mean image, and samples with other seeds of what is lossy."""
    seeds: dict[str, str] = {}
    if is_archive(data):
        if not vlcodec.info(data)["lossless"]:
            seeds = {str(seed): digest(_column(data, device, seed)) for seed in SEEDS}
        return {"pixels": digest(_column(data, device, None)), "seeds": seeds}
    kinds: dict[str, Literal["mean"] | None] = {"pixels": None, "mean": "mean"}
    found = {name: digest(vlcodec.decompress(data, decode=kind, device=device)) for name, kind in kinds.items()}
    about = vlcodec.info(data)
    if not about["lossless"] and about.get("quality"):
        seeds = {str(seed): digest(vlcodec.decompress(data, seed=seed, device=device)) for seed in SEEDS}
    return found | {"seeds": seeds}


def _column(data: bytes, device: str, seed: int | None) -> Image.Image:
    """An archive's pictures, each below the one before."""
    images = vlcodec.decompress_archive(data, seed=seed, device=device).images
    return Image.fromarray(np.concatenate([np.asarray(image) for image in images]))


def digest(image: Image.Image) -> str:
    """SHA-256 of mode, size and pixels."""
    return hashlib.sha256(f"{image.mode} {image.width} {image.height} ".encode() + image.tobytes()).hexdigest()


def manifest(number: int | str) -> dict[str, Row]:
    """The rows of a number's golden files, or of composites, by file name; none where there is no folder."""
    path = FOLDER / str(number) / "manifest.json"
    found: dict[str, Row] = json.loads(path.read_text()) if path.exists() else {}
    return found


def newest(rows: dict[str, Row], case: str) -> str | None:
    """The file that a case's encoder has written last."""
    found = [name for name in rows if name.split(".")[0] == case]
    return found[-1] if found else None


def add(folder: Path, rows: dict[str, Row], case: str, row: Row, data: bytes) -> str:
    """Write a file of a case under a new name, and its row. Raises FileExistsError rather than write over one."""
    count = sum(name.split(".")[0] == case for name in rows)
    name = f"{case}.vlz" if not count else f"{case}.{count + 1}.vlz"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / name).open("xb") as stream:
        stream.write(data)
    rows[name] = row | {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    (folder / "manifest.json").write_text(json.dumps(rows, indent=1) + "\n")
    return name


def main() -> None:
    """Add what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("numbers", nargs="+", metavar="NUMBER")
    for name in parser.parse_args().numbers:
        if name == "composites":
            _add_all(name, COMPOSITES, {})
            continue
        number = int(name)
        entry = registry.by_number(number)
        weights = FOLDER / str(number) / "weights.sha256"
        if not weights.exists():
            weights.parent.mkdir(parents=True, exist_ok=True)
            weights.write_text(entry.sha256 + "\n")
        _add_all(name, cases(entry), {"model": f"{entry.name}-{number}"})


def _add_all(folder: str, wanted: dict[str, Case], model: Row) -> None:
    """Add the files that a folder lacks."""
    rows = manifest(folder)
    for case, (picture, options, tests) in wanted.items():
        if MACHINES & options.keys() and newest(rows, case) is not None:
            continue
        with Image.open(PICTURES / f"{picture}.png") as image:
            data = made(image, options | model)
        last = newest(rows, case)
        if last is None or rows[last]["sha256"] != hashlib.sha256(data).hexdigest():
            row = {"tests": tests, "picture": f"{picture}.png", "options": options, **digests(data)}
            print(folder, add(FOLDER / folder, rows, case, row, data), len(data), "bytes")


if __name__ == "__main__":
    main()
