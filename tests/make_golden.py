"""Make the golden files: python tests/make_golden.py

Writes tests/golden/: the pictures (PNG, rendered by integers), a .vlz file of each case, and golden.json with what they
decode to. They are made once for each set of weights, and decode to the same pixels for ever after.
"""

import hashlib
import json
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

import vlcodec
from vlcodec.codec.files.wire import is_archive
from vlcodec.models import zoo
from vlcodec.models.agave import codec as small
from vlcodec.models.photo.codec import golden_picture
from vlcodec.models.vlae import codec as binary

OF_ONE_SIZE = [entry.name for entry in zoo.ENTRIES if entry.side is not None]
FOLDER = Path(__file__).with_name("golden")


def pictures() -> dict[str, Image.Image]:
    """Colour, grey, two bands, grain whose band is corrected, and the smallest; black and white and small, one and many
    of them in a column.
    """
    scene = golden_picture()  # (40, 56, 3)
    r, c = np.indices((530, 3))
    tall = ((r * 7 + c * 50) % 251 + (r * r * 31 + c * 17) % 5).astype(np.uint8)
    return {
        "rgb": Image.fromarray(scene),
        "grey": Image.fromarray(np.ascontiguousarray(scene[:, :, 0])),
        "tall": Image.fromarray(tall),
        "grain": Image.fromarray(grain()),
        "dot": Image.fromarray(scene[:1, :1]),
        "disc": Image.fromarray(binary.golden_pictures()[0]),
        "many": column(np.concatenate([np.roll(binary.golden_pictures(), n, 2) for n in range(10)])),
        "small": Image.fromarray(small.golden_pictures()[0]),
        "smalls": column(np.concatenate([np.roll(small.golden_pictures(), n, 2) for n in range(8)])),
    }


def grain() -> Any:
    """(64, 64, 3) uint8: noise in which each pixel follows the one two to its left."""
    r, c, k = np.indices((64, 64, 3))
    noise = (((r * 57 + c * 131 + k * 17 + 1) * 2654435761) >> 13) % 64
    noise = ((noise * 2246822519 + r * 97 + c * 61) >> 7) % 64
    for j in range(2, 64):
        noise[:, j] = (noise[:, j] + 3 * noise[:, j - 2]) // 4 + 8
    return (64 + noise).astype(np.uint8)


def column(pictures: Any) -> Image.Image:
    """Pictures as one, each below the one before."""
    return Image.fromarray(np.concatenate(list(pictures)))


def cases() -> dict[str, tuple[str, dict[str, Any]]]:
    """Name of the file -> picture and options. What has an option "archive" is a column of pictures."""
    out: dict[str, tuple[str, dict[str, Any]]] = {f"rgb-q{q}": ("rgb", {"quality": q}) for q in (1, 2, 3, 4)}
    for model in OF_ONE_SIZE:
        one, many = ("small", "smalls") if zoo.by_name(model).family == "small" else ("disc", "many")
        for kind, lossless in (("lossy", False), ("lossless", True)):
            options = {"model": model, "lossless": lossless}
            out[f"{model}-{kind}"] = (one, options)
            out[f"{model}-archive-{kind}"] = (many, options | {"archive": True})
    return out | {
        "rgb-q0": ("rgb", {"quality": 0}),
        "rgb-seed": ("rgb", {"quality": 3, "seed": 2**64 - 1}),
        "rgb-lossless": ("rgb", {"lossless": True}),
        "rgb-lossless-q4": ("rgb", {"lossless": True, "quality": 4, "seed": 1}),
        "grey-q3": ("grey", {"quality": 3}),
        "grey-lossless": ("grey", {"lossless": True}),
        "tall-lossless": ("tall", {"lossless": True}),
        "grain-lossless": ("grain", {"lossless": True}),
        "dot-q1": ("dot", {"quality": 1}),
        "dot-lossless": ("dot", {"lossless": True}),
    }


def made(picture: Image.Image, options: dict[str, Any], device: str = "cpu") -> bytes:
    """A case's file."""
    options = dict(options)
    if options.pop("archive", False):
        column = np.asarray(picture)
        side = column.shape[1]
        return vlcodec.compress_archive(column.reshape(-1, side, *column.shape[1:]), device=device, **options)
    return vlcodec.compress(picture, device=device, **options)


def digests(data: bytes, device: str = "cpu") -> dict[str, str]:
    """Of what a file gives back."""
    if is_archive(data):
        back = vlcodec.decompress_archive(data, device=device).images
        return {"pixels": digest(column(map(np.asarray, back)))}
    kinds: dict[str, Literal["mean"] | None] = {"pixels": None, "mean": "mean"}
    return {name: digest(vlcodec.decompress(data, decode=kind, device=device)) for name, kind in kinds.items()}


def digest(image: Image.Image) -> str:
    """SHA-256 of mode, size and pixels."""
    return hashlib.sha256(f"{image.mode} {image.width} {image.height} ".encode() + image.tobytes()).hexdigest()


def main() -> None:
    """Write the folder anew, once all is made."""
    images, files, record = pictures(), dict[str, bytes](), {}
    for name, (picture, options) in cases().items():
        data = files[name] = made(images[picture], options)
        record[name] = {"picture": f"{picture}.png", "options": options, "bytes": len(data), **digests(data)}
        print(f"{name:34} {len(data):6} bytes")
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.iterdir():
        old.unlink()
    for picture, image in images.items():
        image.save(FOLDER / f"{picture}.png")
    for name, data in files.items():
        (FOLDER / f"{name}.vlz").write_bytes(data)
    (FOLDER / "golden.json").write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
