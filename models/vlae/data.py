"""Binary pictures of 28 x 28: the four sets of the VLAE paper, and their fixed draws.

Grey sets are binarised dynamically: training draws every picture anew, Bernoulli(grey / 255), while validation and test
sets are drawn once, from numpy's raw Philox stream with a fixed key, and known by the SHA-256 of their packed bits.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vlcodec.codec.errors import ImageError

SIDE = 28
Pictures = NDArray[np.uint8]  # (N, 28, 28)


@dataclass(frozen=True)
class BinarySet:
    """train: (N, 28, 28) grey where `grey`, otherwise bits; valid and test: (N, 28, 28) bits."""

    train: Pictures
    valid: Pictures
    test: Pictures
    grey: bool

    def batch(self, count: int, rng: torch.Generator) -> Tensor:
        """(count, 28, 28, 1) float of 0 and 1, drawn with replacement."""
        chosen = torch.randint(len(self.train), (count,), generator=rng)
        pictures = torch.from_numpy(self.train[chosen.numpy()])[..., None]
        if self.grey:
            return (torch.rand(pictures.shape, generator=rng) * 255 < pictures).float()
        return pictures.float()


@dataclass(frozen=True)
class _Source:
    """Where a set lies below the data folder. sha256: of the packed validation and test bits, one after the other."""

    file: str
    sha256: str
    valid: int = 0  # pictures at the end of a grey set's training part that are its validation set
    key: int = 0  # of a grey set's draws


SOURCES = {
    "vlae-mnist": _Source(
        "mnist_static_binarized/mnist_static_binarized.npz",
        "09d50f16e25f52a3c5250f3149eb52836b4ff9052a5eefac6b15d3924f5555d6",
    ),
    "vlae-mnist-dynamic": _Source(
        "mnist/mnist.npz", "4d3abb3ddfef47637e64276995377c646849483b25e989be010fd068c58c156c", valid=10_000, key=1
    ),
    "vlae-omniglot": _Source(
        "omniglot/omniglot_28_derived_NOT_BURDA.npz",
        "1ca83dbfe1bd99033498994af03d8b94f0e8563a8cde4545a63e57b6897436a5",
        valid=1_345,
        key=2,
    ),
    "vlae-caltech101": _Source(
        "caltech101_silhouettes/caltech101_silhouettes_28_split1.npz",
        "9e93de812bcf0d62ab8d0826b3b09588494b97573cf028df1dcefa7bb3b6ba0c",
    ),
}


def draw(grey: Pictures, key: int, stream: int) -> Pictures:
    """Bernoulli(grey / 255) of every pixel, from the low 32 bits of its Philox word; the same on every machine."""
    words = np.random.Philox(key=np.array([key, stream], np.uint64), counter=0).random_raw(grey.size)
    low = words & np.uint64(0xFFFFFFFF)
    ones = low * np.uint64(255) < grey.reshape(-1).astype(np.uint64) << np.uint64(32)
    return ones.astype(np.uint8).reshape(grey.shape)


def _unpacked(packed: Pictures) -> Pictures:
    """(N, 98) -> (N, 28, 28) bits."""
    return np.unpackbits(packed, axis=1).reshape(-1, SIDE, SIDE)


def load_binary(name: str, folder: Path) -> BinarySet:
    """The set that a model is trained on. Raises ImageError where its file is missing, or is another one."""
    source = SOURCES[name]
    path = folder / source.file
    try:
        with np.load(path) as file:
            arrays = {key: file[key] for key in file.files}
        if source.key:
            train = arrays["train_images" if "train_images" in arrays else "train"]
            test = arrays["test_images" if "test_images" in arrays else "test"]
            found = BinarySet(
                train[: -source.valid], draw(train[-source.valid :], source.key, 1), draw(test, source.key, 2), True
            )
        else:
            train, valid, test = (_unpacked(arrays[key]) for key in ("train", "valid", "test"))
            found = BinarySet(train, valid, test, grey=False)
    except (OSError, KeyError, ValueError) as error:
        raise ImageError(f"the training set of {name} must be at {source.file} in the data folder: {error}") from None
    packed = b"".join(np.packbits(part.reshape(-1)).tobytes() for part in (found.valid, found.test))
    digest = hashlib.sha256(packed).hexdigest()
    if digest != source.sha256:
        raise ImageError(f"{source.file} is not the set that {name} is measured on: its SHA-256 is {digest}")
    return found
