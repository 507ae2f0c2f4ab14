"""Archives of a model's test set: bytes against -ELBO and against other codecs, round trips, and time.

    python benchmarks/archives.py vlae-mnist DATA
    python benchmarks/archives.py agave-cifar10 DATA

DATA is the folder of the binary sets, or of CIFAR-10. Everything is really written and read again: archives of 1, 2, 10
and all pictures with extra bytes, decoded with another number of threads; a lossy archive of 1,000; lossy files of one
picture. The others get the same pixels: PNG and WebP as one sheet and one by one; of black and white pictures TIFF G4
and JBIG (Debian: jbigkit-bin) as one sheet and xz of the packed bits, of colour pictures JPEG XL (libjxl-tools) as one
sheet and xz of the bytes.
"""

from __future__ import annotations

import lzma
import math
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from common import RESULTS, Row, keep, parser, say, show, strided, test_set
from peers import lossless, saved
from PIL import Image

import vlcodec
from vlcodec.codec.interface import Bytes

SINGLES = 200  # lossy files of one picture
LOSSY = 1000  # pictures of the lossy archive
SHEET = 100  # pictures a row
EXTRA = b"what lay on the stack before\0"


def image_of(pixels: Bytes) -> Image.Image:
    """(H, W) of 0 and 255 as a bilevel image, (H, W, 3) in colour."""
    return Image.fromarray(pixels).convert("1") if pixels.ndim == 2 else Image.fromarray(pixels)


def sheet_of(pictures: Bytes) -> Image.Image:
    """All pictures in one image, 100 a row."""
    rows, (side, _, *colours) = -(-len(pictures) // SHEET), pictures.shape[1:]
    padded = np.zeros((rows * SHEET, *pictures.shape[1:]), np.uint8)
    padded[: len(pictures)] = pictures
    tiled = padded.reshape(rows, SHEET, side, side, *colours).swapaxes(1, 2)
    return image_of(tiled.reshape(rows * side, SHEET * side, *colours))


def others(pictures: Bytes) -> dict[str, int]:
    """Bytes of the other codecs, by name."""
    sheet, singles = sheet_of(pictures), [image_of(p) for p in pictures]
    found = {
        "PNG, one sheet": len(saved(sheet, "PNG", optimize=True)),
        "PNG, one by one": sum(len(saved(p, "PNG", optimize=True)) for p in singles),
        "WebP, one sheet": len(saved(sheet.convert("RGB"), "WEBP", lossless=True, method=6, quality=100)),
        "WebP, one by one": sum(len(saved(p.convert("RGB"), "WEBP", lossless=True, method=6)) for p in singles),
    }
    if pictures.ndim == 4:
        found["xz of the bytes"] = len(lzma.compress(pictures.tobytes(), preset=9 | lzma.PRESET_EXTREME))
        if jpeg_xl := lossless().get("JPEG XL e7"):
            found["JPEG XL effort 7, one sheet"] = len(jpeg_xl(sheet))
    else:
        found["TIFF G4, one sheet"] = len(saved(sheet, "TIFF", compression="group4"))
        packed = np.packbits(pictures > 0).tobytes()
        found["xz of packed bits"] = len(lzma.compress(packed, preset=9 | lzma.PRESET_EXTREME))
        if shutil.which("pbmtojbg"):
            jbig = subprocess.run(["pbmtojbg"], input=saved(sheet, "PPM"), capture_output=True, check=True).stdout
            found["JBIG, one sheet"] = len(jbig)
        else:
            say("note: no pbmtojbg on the path (jbigkit-bin), so JBIG is left out")
    return dict(sorted(found.items(), key=lambda item: item[1]))


def timed(work: Callable[[], object]) -> tuple[object, float]:
    """What some work gives, and its seconds."""
    start = time.perf_counter()
    result = work()
    return result, time.perf_counter() - start


def round_trip(model: str, pictures: Bytes) -> bool:
    """Whether every picture and the extra bytes below them come back, decoded with another number of threads."""
    data, threads = vlcodec.compress_archive(pictures, model=model, extra=EXTRA), torch.get_num_threads()
    torch.set_num_threads(1 if threads > 1 else 2)
    try:
        back = vlcodec.decompress_archive(data)
    finally:
        torch.set_num_threads(threads)
    return np.array_equal(np.stack([np.asarray(i) for i in back.images]), pictures) and back.extra == EXTRA


def round_trips(model: str, pictures: Bytes) -> dict[int, bool]:
    """By number of pictures."""
    return {n: round_trip(model, strided(pictures, n)) for n in (1, 2, 10, len(pictures))}


def measure(model: str, pictures: Bytes) -> Row:
    """All figures of one set."""
    data, encode = timed(lambda: vlcodec.compress_archive(pictures, model=model))
    assert isinstance(data, bytes)
    back, decode = timed(lambda: vlcodec.decompress_archive(data))
    assert isinstance(back, vlcodec.Archive)
    say(f"{len(data):,} bytes; encode {encode:.1f} s, decode {decode:.1f} s")
    ledger = vlcodec.rate_archive(pictures, model=model).to_dict()
    row: Row = {
        "pictures": len(pictures),
        "bytes": len(data),
        "identical": bool(np.array_equal(np.stack([np.asarray(i) for i in back.images]), pictures)),
        "encode_seconds": encode,
        "decode_seconds": decode,
        "ledger": ledger,
        "file_over_elbo": 8 * len(data) / ledger["elbo"],
        "elbo_nats": ledger["elbo"] / len(pictures) * math.log(2),
        "elbo_bits_per_dim": ledger["elbo"] / pictures.size,
        "round_trips": round_trips(model, pictures),
    }
    some = strided(pictures, LOSSY)
    lossy = vlcodec.rate_archive(some, model=model)
    row["lossy"] = {
        "pictures": len(some),
        "kl_bits": lossy.lossy_kl / len(some),
        "bytes": lossy.lossy_bytes,
        "bytes_over_kl": lossy.lossy_bytes - lossy.lossy_kl / 8,
        "bytes_over_101_percent_kl": lossy.lossy_bytes - 1.01 * lossy.lossy_kl / 8,
    }
    sizes = [len(vlcodec.compress(Image.fromarray(p), model=model)) for p in strided(some, SINGLES)]
    row["lossy_single"] = {"files": len(sizes), "mean_bytes": float(np.mean(sizes)), "largest_bytes": max(sizes)}
    row["others"] = others(pictures)
    return row


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, keep, show."""
    options = parser(__doc__, "archives_MODEL")
    options.set_defaults(out=None)
    options.add_argument("model")
    options.add_argument("data", type=Path)
    options.add_argument("--count", type=int, default=10**9, help="pictures, with a stride  [default: all]")
    options.add_argument("--only-round-trips", action="store_true")
    chosen = options.parse_args(arguments)

    pictures = strided(test_set(chosen.model, chosen.data), chosen.count)
    if chosen.only_round_trips:
        print(round_trips(chosen.model, pictures))
        return
    row = measure(chosen.model, pictures)
    keep(chosen.out or RESULTS / f"archives_{chosen.model}.json", row, chosen.model)
    show(
        [chosen.model, "pictures", "bytes", "bits a picture", "file / -ELBO", "encode, s", "decode, s", "identical"],
        [
            [
                "lossless archive",
                str(row["pictures"]),
                f"{row['bytes']:,}",
                f"{8 * row['bytes'] / row['pictures']:,.2f}",
                f"{row['file_over_elbo']:.5f}",
                f"{row['encode_seconds']:.1f}",
                f"{row['decode_seconds']:.1f}",
                ", ".join(str(n) for n, same in row["round_trips"].items() if same and row["identical"]),
            ]
        ],
    )
    print()
    show(
        ["", "bytes", "times ours"],
        [[name, f"{size:,}", f"{size / row['bytes']:.2f}"] for name, size in row["others"].items()],
    )
    lossy, single = row["lossy"], row["lossy_single"]
    print(
        f"\nLossy archive of {lossy['pictures']}: KL {lossy['kl_bits']:.2f} bits a picture, {lossy['bytes']:,} bytes, "
    )
    print(f"{lossy['bytes_over_kl']:.0f} bytes over the sum of the KL. Lossy files of one picture: mean ")
    print(f"{single['mean_bytes']:.1f} bytes, at most {single['largest_bytes']}.")


if __name__ == "__main__":
    main()
