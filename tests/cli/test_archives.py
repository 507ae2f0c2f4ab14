"""Archives through the command: several pictures into one file, and back."""

import json
import shutil
import struct
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from commands import HEAVY, failure, loaded, ok, process, run
from PIL import Image

import vlcodec
from vlcodec.codec.coding import archive
from vlcodec.codec.errors import FormatError
from vlcodec.codec.files import archive_data, archive_file
from vlcodec.codec.files.file_names import check_file_names
from vlcodec.codec.interface import Bytes
from vlcodec.models.agave import codec as small
from vlcodec.models.vlae import codec as binary


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Bilevel pictures digits/0.png to 2.png, the same as bits.npy and as pages.tif, and one grey picture."""
    (tmp_path / "digits").mkdir()
    pages = [Image.fromarray(picture).convert("1") for picture in golden_pictures()]
    for number, page in enumerate(pages):
        page.copy().save(tmp_path / "digits" / f"{number}.png")
    np.save(tmp_path / "bits.npy", golden_pictures() > 0)
    pages[0].save(tmp_path / "pages.tif", save_all=True, append_images=pages[1:])
    Image.linear_gradient("L").resize((28, 28)).save(tmp_path / "grey.png")
    return tmp_path


def golden_pictures() -> Bytes:
    """(3, 28, 28) uint8, 0 or 255."""
    return binary.golden_pictures()[..., 0]


DIGITS = tuple(f"digits/{number}.png" for number in range(3))


def two_deep_pages() -> bytes:
    """A TIFF of two pages of 28x28, RGB of 16 bits a channel, which Pillow would read as 8 bits."""
    pixels, pages, at = bytes(28 * 28 * 6), b"", 8
    for last in (False, True):
        entries = [(256, 3, 1, 28), (257, 3, 1, 28), (258, 3, 3, at + 2 + 12 * 9 + 4), (259, 3, 1, 1), (262, 3, 1, 2)]
        entries += [(273, 4, 1, at + 2 + 12 * 9 + 4 + 6), (277, 3, 1, 3), (278, 3, 1, 28), (279, 4, 1, len(pixels))]
        after = at + 2 + 12 * 9 + 4 + 6 + len(pixels)
        table = struct.pack("<H", 9) + b"".join(struct.pack("<HHII", *entry) for entry in entries)
        page = table + struct.pack("<I", 0 if last else after) + struct.pack("<3H", 16, 16, 16) + pixels
        pages, at = pages + page, after
    return b"II*\0" + struct.pack("<I", 8) + pages


def in_folder(path: Path) -> dict[str, Bytes]:
    found = {}
    for file in path.iterdir():
        with Image.open(file) as image:
            found[file.name] = np.asarray(image.convert("L"))
    return found


def test_pictures_and_names_come_back(folder: Path) -> None:
    line = ok("compress", *DIGITS, "-o", "digits.vlz", "--verify", cwd=folder)
    assert line.startswith("3 pictures -> digits.vlz  ")
    text = ok("info", "digits.vlz", cwd=folder)
    assert all(name in text for name in ("vlae-mnist", "0.png", "1.png", "2.png"))
    (report,) = map(json.loads, ok("info", "digits.vlz", "--json", cwd=folder).splitlines())
    assert (report["pictures"], report["names"], report["lossless"]) == (3, ["0.png", "1.png", "2.png"], True)
    assert loaded("info", "digits.vlz", cwd=folder).isdisjoint(HEAVY)
    assert "digits.vlz.pictures" in ok("decompress", "digits.vlz", cwd=folder)
    found = in_folder(folder / "digits.vlz.pictures")
    for number, picture in enumerate(golden_pictures()):
        assert np.array_equal(found.pop(f"{number}.png"), picture)
    assert not found


@pytest.mark.parametrize("source", ["bits.npy", "pages.tif"])
def test_arrays_and_pages_are_archives_without_names(source: str, folder: Path) -> None:
    ok("compress", source, "-o", "a.vlz", "--quiet", cwd=folder)
    ok("decompress", "a.vlz", "-o", "back.npy", "--quiet", cwd=folder)
    assert np.array_equal(np.load(folder / "back.npy"), golden_pictures())
    ok("decompress", "a.vlz", "--quiet", cwd=folder)
    assert sorted(in_folder(folder / "a.vlz.pictures")) == ["00000.png", "00001.png", "00002.png"]


def test_a_lossy_archive_is_regenerated_otherwise_with_another_seed(folder: Path) -> None:
    ok("compress", "bits.npy", "--lossy", "-o", "a.vlz", "--quiet", cwd=folder)
    for name, *options in (("file.npy",), ("same.npy", "--seed", "0"), ("other.npy", "--seed", "1")):
        ok("decompress", "a.vlz", "-o", name, *options, "--quiet", cwd=folder)
    file, same, other = (np.load(folder / f"{name}.npy") for name in ("file", "same", "other"))
    assert np.array_equal(file, same)
    assert file.shape == other.shape == (3, 28, 28)
    assert not np.array_equal(file, other)


def test_one_picture_alone(folder: Path) -> None:
    ok("compress", "digits/0.png", "--model", "vlae-mnist", "--lossless", "-o", "0.vlz", "--quiet", cwd=folder)
    assert ok("decompress", "0.vlz", cwd=folder) == "0.vlz -> 0.vlz.png  28x28 L, lossless\n"
    with Image.open(folder / "0.vlz.png") as image:
        assert np.array_equal(np.asarray(image), golden_pictures()[0])


def test_rate_of_an_archive_and_of_a_picture_with_samples(folder: Path) -> None:
    assert json.loads(ok("rate", "bits.npy", "--json", cwd=folder))["pictures"] == 3
    assert "names" in ok("rate", "bits.npy", cwd=folder)
    report = json.loads(ok("rate", *DIGITS[:1], "--model", "vlae-mnist", "--samples", "3", "--json", cwd=folder))
    assert report["samples"] == 3
    assert report["likelihood"] == pytest.approx(report["elbo"], rel=0.1)


def test_names_that_would_collide_are_refused_with_nothing_written(folder: Path) -> None:
    """a and a.png: as files they would both be a.png."""
    shutil.copy(folder / "digits" / "0.png", folder / "a")
    shutil.copy(folder / "digits" / "1.png", folder / "a.png")
    ok("compress", "a", "a.png", "-o", "a.vlz", "--quiet", cwd=folder)
    assert "would get the same file name" in failure("decompress", "a.vlz", "--force", cwd=folder)
    ok("decompress", "a.vlz", "-o", "a.npy", "--quiet", cwd=folder)
    assert np.array_equal(np.load(folder / "a.npy"), golden_pictures()[:2])


BAD_NAMES = {
    "a:b.png": "it must have none of",
    "a?.png": "it must have none of",
    "a\x1b[2J.png": "it must have no control characters",
    "a\x7f.png": "it must have no control characters",
    "a\u2028b.png": "it must have no control characters",
    "a\nb.png": "it must have no control characters",
    "con.png": "Windows keeps it for a device",
    "Aux.tar.png": "Windows keeps it for a device",
    "LPT1": "Windows keeps it for a device",
    "com\u00b9.png": "Windows keeps it for a device",
    " a.png": "it must not begin or end with a space",
    "nul .png": "Windows keeps it for a device",
}


@pytest.mark.parametrize("name", BAD_NAMES, ids=ascii)
def test_names_that_no_system_should_have_are_refused_with_nothing_written(
    name: str, digits: bytes, tmp_path: Path
) -> None:
    """One line that no terminal takes for a command; the pictures themselves are still there for the asking."""
    (tmp_path / "a.vlz").write_bytes(renamed(digits, (name, "1", "2")))
    (line,) = failure("decompress", "a.vlz", "-o", "out", cwd=tmp_path).splitlines()
    assert line.startswith("vlcodec: a.vlz: ")
    assert line.isprintable()
    assert BAD_NAMES[name] in line
    assert "-o NAME.npy takes all pictures" in line
    ok("decompress", "a.vlz", "-o", "a.npy", "--quiet", cwd=tmp_path)
    assert np.array_equal(np.load(tmp_path / "a.npy"), golden_pictures())


@pytest.mark.parametrize(
    "names", [("a.png", "A.png", "b"), ("stra\u00dfe", "STRASSE.png", "b"), ("x", "x.PNG", "y")], ids=ascii
)
def test_names_that_collide_where_case_is_not_told_apart(
    names: tuple[str, ...], digits: bytes, tmp_path: Path
) -> None:
    (tmp_path / "a.vlz").write_bytes(renamed(digits, names))
    (line,) = failure("decompress", "a.vlz", cwd=tmp_path).splitlines()
    assert "two pictures would get the same file name; -o NAME.npy takes them all" in line
    ok("decompress", "a.vlz", "-o", "a.npy", "--quiet", cwd=tmp_path)
    assert np.array_equal(np.load(tmp_path / "a.npy"), golden_pictures())


def test_a_trailing_dot_or_space_is_refused_where_no_ending_follows() -> None:
    """On the command line `.png` follows; a file's own name that ends so is another one on Windows."""
    for name in ("a.", "a ", "a. .", "a.png."):
        with pytest.raises(FormatError, match="it must not begin or end with a space, or end with a dot"):
            check_file_names([name])
    check_file_names(["a.png", "b .png", ".hidden", "contact.png", "com10", "com0", "\u00e4\U0001f600.png", "nulls"])


def renamed(data: bytes, names: tuple[str, ...]) -> bytes:
    """The archive with other names, as any program may write them."""
    return archive_file.pack(replace(archive_file.unpack(data), names=names))


@pytest.fixture(scope="module")
def digits() -> bytes:
    """An archive of the golden digits."""
    return vlcodec.compress_archive(golden_pictures())


def test_an_archive_that_asks_for_too_much_is_one_line(digits: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.vlz").write_bytes(digits)
    rule = "vlcodec: a.vlz: the file asks for 2,352 pixels: at most 2,351 are decoded (--max-pixels)\n"
    assert failure("decompress", "a.vlz", "--max-pixels", "2351", cwd=tmp_path) == rule
    ok("decompress", "a.vlz", "--max-pixels", "2352", "--quiet", cwd=tmp_path)


def test_a_folder_is_filled_whole_or_not_at_all(folder: Path) -> None:
    """A name of 252 bytes has no room for its .png."""
    (folder / ("n" * 252)).write_bytes((folder / "digits" / "0.png").read_bytes())
    ok("compress", "digits/1.png", "n" * 252, "-o", "a.vlz", "--quiet", cwd=folder)
    (line,) = failure("decompress", "a.vlz", cwd=folder).splitlines()
    assert "cannot be written: File name too long" in line


def test_pipes(folder: Path) -> None:
    bits = (folder / "bits.npy").read_bytes()
    made = run("compress", "-", "-o", "-", "--quiet", cwd=folder, stdin=bits).stdout
    ok("decompress", "-", "-o", "back.npy", "--quiet", cwd=folder, stdin=made)
    done = process("decompress", "/dev/stdin", "-o", "again.npy", "--quiet", cwd=folder, stdin=made)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    for name in ("back.npy", "again.npy"):
        assert np.array_equal(np.load(folder / name), golden_pictures())
    one = run("compress", "digits/0.png", "--model", "vlae-mnist", "-o", "-", "--quiet", cwd=folder).stdout
    line = process("decompress", "/dev/stdin", "-o", "one.png", cwd=folder, stdin=one).stdout
    assert line.endswith(b"28x28 L, sample\n")


def test_a_threshold_is_for_grey_pictures(folder: Path) -> None:
    rule = failure("compress", *DIGITS, "grey.png", "-o", "a.vlz", cwd=folder)
    assert "--threshold" in rule
    assert "picture 3" in rule
    ok("compress", *DIGITS, "grey.png", "-o", "a.vlz", "--threshold", "100", "--quiet", cwd=folder)


@pytest.mark.parametrize(
    ("args", "rule"),
    [
        ("compress bits.npy -o a.vlz -q 2", "are for single pictures"),
        ("decompress a.vlz b.vlz", "an archive is decompressed alone"),
        ("decompress a.vlz --decode mean", "options of single pictures"),
        ("decompress a.vlz -o a.png", "go into a folder or an .npy file"),
        ("decompress a.vlz -o -", "go into a folder or an .npy file"),
        ("rate bits.npy --samples 3", "are for single pictures"),
        ("compress digits/0.png a.vlz -o a.vlz --force", "which is the input a.vlz"),
    ],
)
def test_wrong_usage_exits_2(args: str, rule: str, folder: Path) -> None:
    ok("compress", "bits.npy", "-o", "a.vlz", "--quiet", cwd=folder)
    assert rule in failure(*args.split(), cwd=folder, code=2)


def test_colour(folder: Path) -> None:
    """Arrays and files of 32 x 32 in colour, by the model that takes them."""
    pictures = small.golden_pictures()
    np.save(folder / "rgb.npy", pictures)
    for number, picture in enumerate(pictures):
        Image.fromarray(picture).save(folder / f"{number}.png")
    assert ok("compress", "rgb.npy", "--verify", cwd=folder).startswith("2 pictures -> rgb.vlz")
    ok("decompress", "rgb.vlz", "-o", "back.npy", "--quiet", cwd=folder)
    assert np.array_equal(np.load(folder / "back.npy"), pictures)
    ok("compress", "0.png", "1.png", "-o", "files.vlz", "--quiet", cwd=folder)
    ok("decompress", "files.vlz", "-o", "back", "--quiet", cwd=folder)
    with Image.open(folder / "back" / "1.png") as image:
        assert (image.mode, image.tobytes()) == ("RGB", pictures[1].tobytes())
    ok("compress", "1.png", "--model", "agave-cifar10", "--lossless", "--quiet", cwd=folder)
    ok("decompress", "1.vlz", "--quiet", cwd=folder)
    with Image.open(folder / "1.vlz.png") as image:
        assert image.tobytes() == pictures[1].tobytes()


@pytest.mark.parametrize(
    ("args", "rule"),
    [
        ("compress large.png digits/0.png -o a.vlz", "28 x 28"),
        ("compress empty.npy", "no pictures"),
        ("compress noise.npy", "noise.npy: "),
        ("compress digits/0.png none.png -o a.vlz", "none.png: No such file or directory"),
        ("compress flat.npy", "(N, H, W) of uint8 or bool"),
        ("compress objects.npy", "(N, H, W) of uint8 or bool"),
        ("compress two.npz", "must hold one array, not 2"),
        ("compress bomb.npz", "too large"),
        ("compress deep.tif", "more than 8 bits"),
        ("compress bits.npy --model photo", "does not take archives; these do: vlae-mnist"),
        ("compress bits.npy --model agave-cifar10", "takes pictures of 32 x 32, not 28 x 28"),
        ("compress digits/0.png --model agave-cifar10", "takes pictures of 32 x 32, not 28 x 28"),
        ("compress four.npy", "(N, H, W, 3) of uint8"),
        ("compress rgb28.npy", "black and white pictures"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(args: str, rule: str, folder: Path) -> None:
    Image.new("1", (30, 28)).save(folder / "large.png")
    np.save(folder / "empty.npy", np.zeros((0, 28, 28), np.uint8))
    np.save(folder / "flat.npy", np.zeros((28, 28), np.uint8))
    np.save(folder / "objects.npy", np.array([{}], object), allow_pickle=True)
    np.save(folder / "four.npy", np.zeros((2, 32, 32, 4), np.uint8))
    np.save(folder / "rgb28.npy", np.full((2, 28, 28, 3), 7, np.uint8))
    np.savez(folder / "two.npz", a=golden_pictures(), b=golden_pictures())
    with zipfile.ZipFile(folder / "bomb.npz", "w") as packed, packed.open("a.npy", "w") as stream:
        header = {"descr": "|u1", "fortran_order": False, "shape": (2**30, 28, 28)}
        np.lib.format.write_array_header_1_0(stream, header)
    (folder / "deep.tif").write_bytes(two_deep_pages())
    (folder / "noise.npy").write_bytes(b"\x93NUMPY, but no more")
    (line,) = failure(*args.split(), cwd=folder).splitlines()
    assert line.startswith("vlcodec: ")
    assert rule in line


def test_a_damaged_archive_gives_what_is_sound(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the runs before the damage; nothing is written where there is none."""
    for module in (archive, archive_data):
        monkeypatch.setattr(module, "CHECKED", 8)
    pictures = np.tile(golden_pictures(), (4, 1, 1))
    np.save(folder / "many.npy", pictures)
    ok("compress", "many.npy", "--quiet", cwd=folder)
    data = bytearray((folder / "many.vlz").read_bytes())
    data[len(data) // 5] ^= 1
    (folder / "hurt.vlz").write_bytes(bytes(data))
    done = run("decompress", "hurt.vlz", "-o", "back.npy", cwd=folder)
    assert done.returncode == 1
    assert b"hurt.vlz: " in done.stderr
    found = np.load(folder / "back.npy")
    assert len(found) == 8
    assert np.array_equal(found, pictures[: len(found)])
    assert str(len(found)) in done.stderr.decode()
    data[-40] ^= 1  # what is first in the archive is last in the file
    (folder / "hurt.vlz").write_bytes(bytes(data))
    before = (folder / "back.npy").read_bytes()
    assert run("decompress", "hurt.vlz", "-o", "back.npy", "--force", cwd=folder).returncode == 1
    assert (folder / "back.npy").read_bytes() == before
