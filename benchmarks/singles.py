"""Single CIFAR-10 files: lossless against -ELBO, lossy, what the latents hold, and the time to decode a hundred.

    python benchmarks/singles.py DATA --pictures 500

DATA is the folder of cifar10.npz. Test pictures are taken with a stride; every file is really written, and every
lossless one decoded and compared. The mean image is held against the training set's mean picture: it is as near to the
original as anything that knows nothing of it can be.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from common import keep, parser, psnr, say, show, strided
from PIL import Image

import vlcodec
from vlcodec.models.agave.data import load_cifar10

MODEL = "agave-cifar10"
TIMED = 100
ALLOWED_SHARE, ALLOWED_BYTES = 1.003, 32  # of a file over its -ELBO
SAID_EVERY = 100  # pictures


def decode_seconds(files: Sequence[bytes]) -> float:
    """To decode them one after the other, in one process that has the model loaded."""
    vlcodec.decompress(files[0])
    start = time.perf_counter()
    for file in files:
        vlcodec.decompress(file)
    return time.perf_counter() - start


def archive_seconds(pictures: Sequence[Image.Image]) -> float:
    """To decode one archive of them."""
    data = vlcodec.compress_archive(pictures, model=MODEL)
    start = time.perf_counter()
    vlcodec.decompress_archive(data)
    return time.perf_counter() - start


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, keep, show."""
    options = parser(__doc__, "singles")
    options.add_argument("data", type=Path)
    options.add_argument("--pictures", type=int, default=500)
    chosen = options.parse_args(arguments)

    cifar = load_cifar10(chosen.data)
    known_nothing = Image.fromarray(cifar.train.mean(0).round().astype(np.uint8))
    found, files = [], []
    for number, pixels in enumerate(strided(cifar.test, chosen.pictures)):
        image = Image.fromarray(pixels)
        ledger = vlcodec.rate(image, model=MODEL)
        file, lossy = (vlcodec.compress(image, model=MODEL, lossless=kind) for kind in (True, False))
        files.append(file)
        found.append(
            [
                len(file),
                ledger.elbo / 8,
                len(lossy),
                ledger.latents_kl,
                ledger.psnr_mean_db,
                psnr(vlcodec.decompress(lossy), image),
                psnr(known_nothing, image),
                float(vlcodec.decompress(file).tobytes() == image.tobytes()),
            ]
        )
        if (number + 1) % SAID_EVERY == 0:
            say(f"{number + 1}: {np.mean(found, 0).round(3).tolist()}")
    size, elbo, lossy_size, kl, mean_db, sample_db, nothing_db, same = np.array(found).T
    some = [Image.fromarray(pixels) for pixels in strided(cifar.test, TIMED)]
    one_by_one, together = decode_seconds(files[:TIMED]) * TIMED / len(files[:TIMED]), archive_seconds(some)
    row = {
        "pictures": len(found),
        "identical": bool(same.all()),
        "lossless_bytes": size.mean(),
        "elbo_bytes": elbo.mean(),
        "elbo_bits_per_dim": 8 * elbo.mean() / cifar.test[0].size,
        "over_elbo_bytes": (size - elbo).mean(),
        "worst_over_allowance_bytes": (size - ALLOWED_SHARE * elbo - ALLOWED_BYTES).max(),
        "lossy_bytes": lossy_size.mean(),
        "latents_kl_bits": kl.mean(),
        "psnr_mean_image_db": mean_db.mean(),
        "psnr_sample_db": sample_db.mean(),
        "psnr_of_the_sets_mean_db": nothing_db.mean(),
        "least_gain_db": (mean_db - nothing_db).min(),
        "decode_100_files_seconds": one_by_one,
        "decode_archive_of_100_seconds": together,
    }
    keep(chosen.out, row, MODEL)
    show(["singles", "value"], [[key, f"{value:.3f}"] for key, value in row.items()])


if __name__ == "__main__":
    main()
