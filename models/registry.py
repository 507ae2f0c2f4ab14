"""The registry: which number, in a file, names which weights for ever.

Numbers below 2^16 are released with the package: what the CHANGELOG releases under a number is one set of weights for
ever. Numbers 1 and 7 were never released. Weights in the making have provisional numbers, for which nothing is
promised, and people's own trainings have numbers of their own; both lie in folders of the search path.

Importing this module is instant: it knows files, not networks.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from vlcodec.codec.errors import ModelError

PACKAGE = Path(__file__).with_name("weights")
VARIABLE = "VLCODEC_WEIGHTS"  # folders, separated as in PATH
RELEASED = range(2**16)
PROVISIONAL = range(2**16, 2**17)
OWN = range(2**31, 2**32)
LAST_OF_VERSION_1 = 8  # numbers from 9 on write version 2 of the format, but for short files
LARGEST_HEADER = 2**24  # bytes of a weights file's header
PHOTO, VLAE, AGAVE, VAPNEV, DVAEPP = (
    f"vlcodec.models.{name}" for name in ("photo", "vlae", "agave", "vapnev", "dvaepp")
)


@dataclass(frozen=True)
class Entry:
    """One set of weights: the file NAME-NUMBER.safetensors.

    family: the package whose `family.FAMILY` makes a codec of it. sha256: of the file, hex. digest: the two bytes that
    .vlz files hold, hex; "" for the first two of the SHA-256. starter: the number of the model that codes an archive's
    first pictures, None for the model itself. retired: it decodes, and no longer encodes. folder: None for the package.
    front: how many arrays of the golden vector encoding depends on, and their digest; None where that is not known.
    """

    number: int
    name: str
    family: str
    description: str
    sha256: str
    digest: str = ""
    starter: int | None = None
    retired: bool = False
    folder: Path | None = None
    front: tuple[int, str] | None = None

    @property
    def file(self) -> str:
        """The weights file's name."""
        return f"{self.name}-{self.number}.safetensors"

    @property
    def path(self) -> Path:
        """The weights file: in its folder, or in the first one of the search path that has it.

        Raises ModelError that says which file is looked for, and where.
        """
        return find(self.file, [self.folder] if self.folder else [PACKAGE, *folders()])

    @property
    def in_files(self) -> bytes:
        """The digest as .vlz files hold it, 2 bytes."""
        return bytes.fromhex(self.digest or self.sha256[:4])

    @property
    def version(self) -> int:
        """Of the format that files of the model are written in."""
        return 1 if self.number <= LAST_OF_VERSION_1 else 2

    @property
    def provisional(self) -> bool:
        """Whether the weights are in the making."""
        return self.number in PROVISIONAL


ENTRIES = [
    Entry(
        45,
        "photo",
        PHOTO,
        "photographs, RGB and grey, any size (AGAVE objective, local PixelCNN, two layers, texture)",
        "4030fa0253bef2d4c85f255ce679af22654915b55cca0f268119550c00af9b5e",
        front=(1254, "c407be3627a30bc35a4757ed5b2e0f008ce2f9ccf3affe12a2b1bc5ec1f26c89"),
    ),
    Entry(
        37,
        "photo",
        PHOTO,
        "photographs, RGB and grey, any size (AGAVE objective, local PixelCNN that knows what it sees, trained on)",
        "12fc7bf232e55dc66741ff591eee298a09fa638b251eb6d5949268551ffbe4fb",
        front=(616, "ec588238a352b6c0b3dbcdabe8e41e712bca7b9f705e7e09c1a4a1e2fc58de2c"),
    ),
    Entry(
        36,
        "photo",
        PHOTO,
        "photographs, RGB and grey, any size (AGAVE objective, local PixelCNN that knows what it sees)",
        "0e08c766a3404ac7a8f6e2a287721327ee81413d8872185b0e41752d112f11a2",
        front=(616, "f1143675f10d32380ba6ba712fa1610857daaa7e460a199dd3fed9c2c41cd58a"),
    ),
    Entry(
        9,
        "photo",
        PHOTO,
        "photographs, RGB and grey, any size (AGAVE objective, local PixelCNN of 8 bits)",
        "4eb410360f4f0f40dcbcc85b4e1e1263d7c5168f65f9606c726a4779ce3303e8",
        front=(616, "e7b8770e93f453495516a2949473c53f8132413d14ff96642222a3f84efed308"),
    ),
    Entry(
        8,
        "photo",
        PHOTO,
        "photographs, RGB and grey, any size (AGAVE objective, local PixelCNN)",
        "fab37a058287d40afde659b252abfab37a49443e940eed805bdc6117a0e214ca",
        "6805",
        front=(616, "e65f77cfc024b7cc0d155d49e0a8e8588f03e01e20d4eb15c90ee0d805d6b33c"),
    ),
    Entry(
        2,
        "vlae-mnist",
        VLAE,
        "black and white digits, 28x28 (VLAE, statically binarised MNIST)",
        "ee06fbbf9156e6c89560a4647c12e97ed58a93b9fac6f5b795a3993e7bfd9d2c",
        "c77a",
    ),
    Entry(
        3,
        "vlae-mnist-dynamic",
        VLAE,
        "black and white digits, 28x28 (VLAE, dynamic MNIST)",
        "d10b2759a477506f199932637b287113281a6bef2aa209364640d080596086a6",
        "90ab",
    ),
    Entry(
        4,
        "vlae-omniglot",
        VLAE,
        "black and white letters, 28x28 (VLAE, a derived OMNIGLOT)",
        "bf9fe97ef6b578c0485ce450e2752a9c110d954fa2a710a3e5dcdd8f8fad274c",
        "c2fb",
    ),
    Entry(
        5,
        "vlae-caltech101",
        VLAE,
        "black and white shapes, 28x28 (VLAE, Caltech-101 Silhouettes)",
        "ceaacdf4d4f47f1806b1763224f2c9fdfd7722c4bc6111dfe178e2d8c8a5ed34",
        "031b",
    ),
    Entry(
        6,
        "agave-cifar10",
        AGAVE,
        "small pictures, 32x32, RGB and grey (AGAVE, CIFAR-10)",
        "f0c9af87294a3ba404204e09e32134bc6014a31ef2fee30fb5fe0bb00f0a3f8e",
        "af08",
    ),
    Entry(
        13,
        "vapnev-cifar10",
        VAPNEV,
        "small pictures, 32x32, RGB, in archives (VAPNEV, CIFAR-10)",
        "424166ee5a931c04d4bf51ed4564139fbbb0638ff23dffadb695cc3b259a04ee",
        starter=6,
    ),
    Entry(
        20,
        "dvaepp-mnist",
        DVAEPP,
        "black and white digits, 28x28, in steps (DVAE++, statically binarised MNIST)",
        "39d34bd41ec973563d1af2c79ae31c61692ce1aea803d663c32c7ebdcccb6936",
    ),
    Entry(
        21,
        "dvaepp-caltech101",
        DVAEPP,
        "black and white shapes, 28x28, in steps (DVAE++, Caltech-101 Silhouettes)",
        "908964ae4967ac62f9905219cc98626bb3f52bf7d697e772e4b45df6bd5dd17b",
    ),
    Entry(
        22,
        "dvaepp-cifar10",
        DVAEPP,
        "small pictures, 32x32, RGB, in steps (DVAE++, CIFAR-10)",
        "13e464a790cb25a3de898bbbf8a4909d43ff8c8c9d617f8fce134253dba57f9b",
    ),
    Entry(
        38,
        "dvaepp-mnist",
        DVAEPP,
        "black and white digits, 28x28, in steps (DVAE++, statically binarised MNIST)",
        "5b79db3a76448403754938114306ec6ad6e7ab37e3b5a4c0946a28376b32d44d",
    ),
    Entry(
        39,
        "dvaepp-caltech101",
        DVAEPP,
        "black and white shapes, 28x28, in steps (DVAE++, Caltech-101 Silhouettes)",
        "214b723e89acad7efd5a9bfcb98f225615279c42945b68424c3d28b314fb05cf",
    ),
    Entry(
        40,
        "dvaepp-cifar10",
        DVAEPP,
        "small pictures, 32x32, RGB, in steps (DVAE++, CIFAR-10)",
        "6c63269b8235f2034708832f00d9ad62967b62bd0bc061ab5e805b0de8bda45b",
    ),
    Entry(
        31,
        "vlae-cifar10",
        AGAVE,
        "small pictures, 32x32, RGB and grey (VLAE of large window, CIFAR-10)",
        "6fcbf1aff0b5c6709895db3050af251b4e44c183e544e412154c7f4a7f4f0530",
    ),
    Entry(
        41,
        "agave-cifar10",
        AGAVE,
        "small pictures, 32x32, RGB and grey, in three qualities (AGAVE, CIFAR-10)",
        "e98cc1c9db6af4c669715907a91c6f291163512cc40666f07ebe432ed547f2ea",
    ),
    Entry(
        42,
        "vlae-cifar10-small",
        AGAVE,
        "small pictures, 32x32, RGB and grey (VLAE whose window is small, CIFAR-10)",
        "42db4ff079364be562c1b2972df7566554469e446c856d4ea0a84ea75f715013",
    ),
    Entry(
        43,
        "vlae-cifar10-grey",
        AGAVE,
        "small pictures, 32x32, RGB and grey (VLAE whose window is grey, so that codes keep colour, CIFAR-10)",
        "5430afe83210b58abb674b1183843b8a4d2e2f699b89ebefc578a8ff9207bac1",
    ),
    Entry(
        44,
        "vlae-cifar10-coarse",
        AGAVE,
        "small pictures, 32x32, RGB and grey (VLAE whose window is every other row and column, CIFAR-10)",
        "ce815ee0006bd83637c157f852ddbc9c00ae783dcd507ee503f8da11f4773dc9",
    ),
    Entry(
        32,
        "vlae-mnist",
        VLAE,
        "black and white digits, 28x28, in three qualities (VLAE, statically binarised MNIST)",
        "91dd91f4c632772b203748cf6f148f0fa3860c2784283e13c83c82e5f5850ca2",
    ),
    Entry(
        33,
        "vlae-caltech101",
        VLAE,
        "black and white shapes, 28x28, in three qualities (VLAE, Caltech-101 Silhouettes)",
        "f4205fdc3118b01f0fdac71d7d0880f70dbc05cf626b1ece2abe655c64426785",
    ),
    Entry(
        34,
        "vlae-omniglot",
        VLAE,
        "black and white letters, 28x28, in three qualities (VLAE, a derived OMNIGLOT)",
        "0c2dbb5ecb5d2becfcd77f0a3cb8cb8fa637725702c3bce79cc1aa2c179b6364",
    ),
    Entry(
        35,
        "vlae-mnist-dynamic",
        VLAE,
        "black and white digits, 28x28, in three qualities (VLAE, dynamic MNIST)",
        "ce5ad54e1603752a9307f5d37e27cb36fbdbbce73fecaf845f7411881d959457",
    ),
]
_chosen: list[Path] = []


def add(entry: Entry) -> None:
    """Register weights. Raises ModelError for a number that is taken."""
    if any(other.number == entry.number for other in ENTRIES):
        raise ModelError(f"number {entry.number} is taken: a number names one set of weights for ever")
    ENTRIES.append(entry)


def search_in(folder: Path) -> None:
    """Put a folder in front of the search path."""
    if folder not in _chosen:
        _chosen.insert(0, folder)


def folders() -> list[Path]:
    """The search path: what `search_in` named, then those of the variable VLCODEC_WEIGHTS."""
    return [*_chosen, *(Path(part) for part in os.environ.get(VARIABLE, "").split(os.pathsep) if part)]


def find(file: str, places: list[Path]) -> Path:
    """A weights file in the first place that has it. Raises ModelError that says what is looked for, and where."""
    for place in places:
        if (place / file).is_file():
            return place / file
    looked = ", ".join("the package" if place == PACKAGE else str(place) for place in places)
    raise ModelError(f"the weights {file} are missing: they were looked for in {looked}; {VARIABLE} names more folders")


def known() -> list[Entry]:
    """All entries: those of the package, then the weights that lie in the search path."""
    return [*ENTRIES, *outside()]


def outside() -> Iterator[Entry]:
    """The weights in the folders of the search path whose numbers are provisional or people's own."""
    for folder in folders():
        for path in sorted(folder.glob("*-*.safetensors")):
            number = path.stem.rpartition("-")[2]
            if number.isdecimal() and (int(number) in PROVISIONAL or int(number) in OWN):
                yield _entry(path, path.stat().st_mtime_ns)


@cache
def _entry(path: Path, modified: int) -> Entry:
    """What a weights file says of itself."""
    about = metadata(path)
    name, _, number = path.stem.rpartition("-")
    if (about.get("name"), about.get("number")) != (name, number):
        raise ModelError(f"{path.name} must be named by what it holds: {about.get('name')}-{about.get('number')}")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    description = "weights in the making" if int(number) in PROVISIONAL else "weights of your own"
    return Entry(int(number), name, about.get("family", ""), description, digest, folder=path.parent)


def by_name(name: str) -> Entry:
    """By NAME, or NAME-NUMBER; of several with one name the newest that encodes, the package's before others.

    Raises ModelError for a name that no model has.
    """
    for entries in (ENTRIES, outside()):  # the search path is looked into only where the package has none
        here = list(entries)
        found = [e for e in here if e.name == name and not e.retired]
        found += [e for e in here if f"{e.name}-{e.number}" == name]
        if found:
            return max(found, key=lambda entry: entry.number)
    raise ModelError(f"unknown model {name!r}: known are {', '.join(dict.fromkeys(e.name for e in known()))}")


def by_number(number: int) -> Entry:
    """Raises ModelError for a number that no model has, or that two sets of weights in the search path have."""
    for entry in ENTRIES:
        if entry.number == number:
            return entry
    found = {entry.sha256: entry for entry in outside() if entry.number == number}
    if len(found) > 1:
        paths = ", ".join(str(entry.path) for entry in found.values())
        raise ModelError(f"number {number} names several weights ({paths}): a number names one set for ever")
    if found:
        return next(iter(found.values()))
    places = ", ".join(["the package", *map(str, folders())])
    kind = "weights in the making, of which nothing is promised" if number in PROVISIONAL else "weights of its writer's"
    which = "" if number in RELEASED else f" ({kind})"
    raise ModelError(
        f"the file needs model number {number}{which}, which this vlcodec does not have: "
        f"no *-{number}.safetensors is in {places}; {VARIABLE} names more folders"
    )


def metadata(path: Path) -> dict[str, Any]:
    """The metadata of a weights file. Raises ModelError where it is not one."""
    try:
        about = path.stat()
    except OSError as error:
        raise ModelError(f"not a file of exported weights: {error.strerror}") from None
    return _metadata(path, (about.st_mtime_ns, about.st_ino, about.st_size))


@cache
def _metadata(path: Path, version: tuple[int, ...]) -> dict[str, Any]:
    """version: what tells one state of the file from another."""
    try:
        with path.open("rb") as stream:
            size = int.from_bytes(stream.read(8), "little")
            if size > LARGEST_HEADER:
                raise ValueError("its header is too long")
            found: dict[str, Any] = json.loads(stream.read(size))["__metadata__"]
            return found
    except OSError as error:
        raise ModelError(f"not a file of exported weights: {error.strerror}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f"not a file of exported weights: {error}") from None
