"""`vlcodec rate --html, --heatmap, --csv` and `vlcodec compare`."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from commands import failure, ok, run
from PIL import Image

import vlcodec

MODEL = ("--model", "vlae-mnist")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the pictures a.png and b.png, of 28 x 28."""
    for number, name in enumerate("ab"):
        pixels = np.zeros((28, 28), np.uint8)
        pixels[6:22, 12 : 16 + number] = 255
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    return tmp_path


def test_a_page_and_a_map_beside_the_table(folder: Path) -> None:
    text = ok("rate", "a.png", *MODEL, "--html", "a.html", "--heatmap", "map.png", cwd=folder)
    assert text == f"a.png\n{vlcodec.rate(folder / 'a.png', model='vlae-mnist').table()}\n"
    assert (folder / "a.html").read_text().startswith("<!doctype html>")
    bits = vlcodec.bit_map(folder / "a.png", model="vlae-mnist")
    with Image.open(folder / "map.png") as image:
        assert image.tobytes() == vlcodec.heat_map(bits).tobytes()


def test_a_page_on_stdout_is_alone(folder: Path) -> None:
    assert ok("rate", "a.png", *MODEL, "--html", "-", cwd=folder).startswith("<!doctype html>")


def test_pages_are_not_overwritten(folder: Path) -> None:
    (folder / "a.html").write_text("mine")
    assert "a.html exists" in failure("rate", "a.png", *MODEL, "--html", "a.html", cwd=folder)
    ok("rate", "a.png", *MODEL, "--html", "a.html", "--force", cwd=folder)
    assert (folder / "a.html").read_text() != "mine"


def test_rows_of_figures(folder: Path) -> None:
    text = ok("rate", "a.png", "b.png", *MODEL, "--csv", cwd=folder)
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["input"] for row in rows] == ["a.png", "b.png"]
    for row in rows:
        report = vlcodec.rate(folder / row["input"], model="vlae-mnist")
        assert (float(row["elbo"]), int(row["lossless_bytes"])) == (report.elbo, report.lossless_bytes)


@pytest.mark.parametrize(
    ("args", "rule"),
    [
        ("a.png b.png --html a.html", "IMG must be one"),
        ("a.png b.png --heatmap a.png", "IMG must be one"),
        ("a.png --csv --json", "two forms of one thing"),
        ("a.png --heatmap a.png --force", "--heatmap would be written to a.png, which is the input a.png"),
        ("a.png --html ./a.png --force", "--html would be written to ./a.png, which is the input a.png"),
        ("a.png --html m.png --heatmap ./m.png", "./m.png, which is the output for --html"),
        ("a.png --heatmap map.jpg", "its name must end in .png"),
    ],
)
def test_wrong_usage(folder: Path, args: str, rule: str) -> None:
    assert rule in failure("rate", *args.split(), cwd=folder, code=2)


def test_archives_have_no_page(folder: Path) -> None:
    np.save(folder / "all.npy", np.zeros((2, 28, 28), np.uint8))
    assert "are for single pictures" in failure("rate", "all.npy", "--html", "a.html", cwd=folder, code=2)


def test_compare(folder: Path) -> None:
    ok("compress", "a.png", *MODEL, "--lossless", "--quiet", cwd=folder)
    text = ok("compare", "a.png", "a.vlz", cwd=folder)
    assert "identical  yes" in text
    assert f"a.vlz  {(folder / 'a.vlz').stat().st_size} bytes" in text

    done = run("compare", "a.png", "b.png", "--json", cwd=folder)
    found = json.loads(done.stdout)
    assert (done.returncode, found["identical"], found["largest"]) == (1, False, 255)
    assert found["bytes"] == [(folder / f"{name}.png").stat().st_size for name in "ab"]


def test_compare_says_what_it_cannot_read(folder: Path) -> None:
    assert "no.png" in failure("compare", "a.png", "no.png", cwd=folder)
    (folder / "bad.png").write_bytes(b"no picture")
    assert failure("compare", "a.png", "bad.png", cwd=folder).startswith("vlcodec: bad.png: not a picture: ")
