"""Folders, totals, formats by name, and previews of fronts."""

import errno
import io
import json
import os
import threading
from pathlib import Path

import pytest
from commands import failure, ok, run
from PIL import Image

import vlcodec
from vlcodec import facade
from vlcodec.cli import files, trees
from vlcodec.cli.compress import vlz_name
from vlcodec.codec.files import picture_file


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """in/ with a picture, another below it, two of one name, a hidden one, one that is damaged, and a text."""
    ramp = Image.linear_gradient("L").resize((24, 20))
    for name in ("a.png", "sub/b.png", "sub/b.bmp", ".hidden.png", ".git/c.png"):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        ramp.save(path)
    (tmp_path / "in" / "bad.png").write_bytes(b"no picture")
    (tmp_path / "in" / "notes.txt").write_text("no picture")
    return tmp_path


def below(path: Path) -> list[str]:
    return sorted(found.relative_to(path).as_posix() for found in path.rglob("*") if found.is_file())


def test_a_tree_comes_back_as_a_tree(folder: Path) -> None:
    done = run("compress", "-r", "--lossless", "in", "-o", "out", cwd=folder)
    assert done.returncode == 1
    assert done.stderr.decode().startswith("vlcodec: in/bad.png: not a picture")
    assert below(folder / "out") == ["a.vlz", "sub/b.bmp.vlz", "sub/b.png.vlz"]
    *_, total = done.stdout.decode().splitlines()
    before = sum((folder / "in" / name).stat().st_size for name in ("a.png", "sub/b.png", "sub/b.bmp"))
    after = sum((folder / "out" / name).stat().st_size for name in below(folder / "out"))
    share = f"{100 * after / before:.1f}"
    assert total == f"4 files: {before:,} -> {after:,} bytes ({share} %), 1 failed"
    assert " files: " in ok("decompress", "-r", "out", "-o", "back", cwd=folder).splitlines()[-1]
    assert below(folder / "back") == ["a.vlz.png", "sub/b.bmp.vlz.png", "sub/b.png.vlz.png"]
    with Image.open(folder / "back" / "sub" / "b.bmp.vlz.png") as image, Image.open(folder / "in" / "a.png") as first:
        assert image.tobytes() == first.tobytes()


def test_a_second_run_skips_what_is_there(folder: Path) -> None:
    (folder / "in" / "bad.png").unlink()
    ok("compress", "-r", "--lossless", "in", "--quiet", cwd=folder)
    assert set(below(folder / "in")) >= {"a.vlz", "sub/b.bmp.vlz", "sub/b.png.vlz"}
    times = {path: path.stat().st_mtime_ns for path in folder.rglob("*.vlz")}
    (folder / "in" / "sub" / "b.png.vlz").unlink()
    lines = ok("compress", "-r", "--lossless", "--skip-existing", "in", cwd=folder).splitlines()
    assert len(lines) == 2
    assert lines[1].endswith(", 2 skipped")
    kept = [path for path in times if path.name != "b.png.vlz"]
    assert all(path.stat().st_mtime_ns == times[path] for path in kept)
    done = run("compress", "-r", "in", cwd=folder)
    assert done.stdout == b"3 files: 0 -> 0 bytes, 3 failed\n"
    assert done.stderr.count(b"exists; --force overwrites it") == 3


def test_names_in_a_tree() -> None:
    tree = {"d/a.png": "a.png", "d/a.jpg": "a.jpg", "d/s/a.png": "s/a.png"}
    assert list(trees.targets(tree, "out", vlz_name, ".vlz").values()) == [
        os.path.join("out", name) for name in ("a.png.vlz", "a.jpg.vlz", os.path.join("s", "a.vlz"))
    ]
    assert trees.targets(tree, None, vlz_name, ".vlz")["d/s/a.png"] == "d/s/a.vlz"
    three = {name: name for name in ("a.png", "a.jpg", "a.png.png", "b.png")}  # a.png.vlz would be the result of two
    names = ["a.png.vlz", "a.jpg.vlz", "a.png.png.vlz", "b.vlz"]
    assert list(trees.targets(three, None, vlz_name, ".vlz").values()) == names


def test_a_source_in_a_tree_is_not_overwritten(folder: Path) -> None:
    (folder / "named.vlz").write_bytes((folder / "in" / "a.png").read_bytes())
    rule = "named.vlz would be written to named.vlz, which is the input named.vlz"
    assert rule in failure("compress", "-r", "named.vlz", "in", "--force", cwd=folder, code=2)


def test_folders_that_cannot_be_read_are_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scan = os.scandir

    def refuse(path: str) -> object:
        if path in (os.path.join("in", "sub"), "other"):  # root may read any folder
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    (folder / "in" / "bad.png").unlink()
    done = run("compress", "-r", "in", "--lossless", cwd=folder)
    said = f"vlcodec: {os.path.join('in', 'sub')}: Permission denied\n"
    assert (done.returncode, done.stderr.decode()) == (1, said)
    assert done.stdout.startswith(b"in/a.png -> in/a.vlz")
    (folder / "other").mkdir()
    assert failure("compress", "-r", "other", cwd=folder) == "vlcodec: other: Permission denied\n"


def test_only_regular_files_are_taken(folder: Path) -> None:
    os.mkfifo(folder / "in" / "pipe.png")
    tree, _ = trees.found([str(folder / "in")], facade.PICTURES)
    assert sorted(tree.values()) == ["a.png", "bad.png", os.path.join("sub", "b.bmp"), os.path.join("sub", "b.png")]


def test_wrong_usage(folder: Path) -> None:
    (folder / "empty").mkdir()
    assert "no files that end in .png, " in failure("compress", "-r", "empty", cwd=folder, code=2)
    assert "must be a folder" in failure("compress", "-r", "in", "-o", "in/a.png", cwd=folder, code=2)
    (folder / "in" / "sub" / "b.bmp.png").write_bytes(b"")
    two = ("compress", "-r", "in/a.png", "in/sub", "in/./a.png", "-o", "out")
    assert "which is the output for" in failure(*two, cwd=folder, code=2)
    assert "stdin is none" in failure("compress", "-r", "-", cwd=folder, code=2)
    assert "must be a folder" in failure("compress", "-r", "in", "-o", "-", cwd=folder, code=2)
    rule = "--preview is the mean image of a front"
    assert rule in failure("decompress", "a.vlz", "--preview", "--decode", "mean", cwd=folder, code=2)


def test_metadata_are_kept_or_stripped(folder: Path) -> None:
    with Image.open(folder / "in" / "a.png") as image:
        image.save(folder / "p.png", icc_profile=b"profile", dpi=(72, 72))
    for options, kept in (((), b"profile"), (("--strip",), None)):
        ok("compress", "p.png", "--lossless", "--verify", *options, "--force", "--quiet", cwd=folder)
        ok("decompress", "p.vlz", "--force", "--quiet", cwd=folder)
        with Image.open(folder / "p.vlz.png") as image:
            assert image.info.get("icc_profile") == kept
            assert ("dpi" in image.info) == (kept is not None)


@pytest.mark.parametrize(
    ("name", "format"), [("x.webp", "WEBP"), ("x.tif", "TIFF"), ("x.TIFF", "TIFF"), ("x.png", "PNG")]
)
def test_the_output_s_name_says_its_format(folder: Path, name: str, format: str) -> None:
    image = Image.linear_gradient("L").resize((24, 20)).convert("RGB")
    image.putalpha(Image.linear_gradient("L").resize((24, 20)))
    image.save(folder / "x.png", icc_profile=b"profile")
    ok("compress", "x.png", "--lossless", "--quiet", cwd=folder)
    ok("decompress", "x.vlz", "-o", name, "--force", "--quiet", cwd=folder)
    with Image.open(folder / name) as back:
        assert (back.format, back.mode, back.tobytes()) == (format, "RGBA", image.tobytes())
        assert back.info["icc_profile"] == b"profile"


# ---- previews ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lossless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("previews") / "a.vlz"
    image = Image.radial_gradient("L").resize((64, 48)).convert("RGB")
    path.write_bytes(vlcodec.compress(image, lossless=True, model="photo"))
    return path


def test_a_preview_is_the_mean_image_and_reads_the_front_alone(lossless: Path, tmp_path: Path) -> None:
    data = lossless.read_bytes()
    needed = facade.info(data)["preview"]
    assert needed < len(data) // 2
    (tmp_path / "cut.vlz").write_bytes(data[:needed])
    line = ok("decompress", "cut.vlz", "--preview", cwd=tmp_path)
    assert line == "cut.vlz -> cut.vlz.png  64x48 RGB, mean\n"
    with Image.open(tmp_path / "cut.vlz.png") as image:
        assert image.tobytes() == vlcodec.decompress(data, decode="mean").tobytes()


def test_no_more_of_a_pipe_is_read_than_a_preview_needs(lossless: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As of a file of 24 million pixels, whose bands nobody waits for."""
    file = picture_file.unpack(lossless.read_bytes())
    front = picture_file.pack(file)[: facade.info(lossless.read_bytes())["preview"]]
    monkeypatch.setattr(facade, "FRONT_BYTES", len(front) - 20)  # the table, and not all latents

    class Counted(io.BytesIO):
        taken = 0

        def read(self, size: int | None = -1) -> bytes:
            assert size is not None
            found = super().read(size if size < 0 else min(size, 100))
            self.taken += len(found)
            return found

    stream = Counted(lossless.read_bytes())
    assert files._front(stream) == front
    assert stream.taken == len(front)
    reader, writer = os.pipe()
    sender = threading.Thread(target=lambda: os.write(writer, front))  # and then nothing comes, and no end
    sender.start()
    with os.fdopen(reader, "rb", buffering=0) as pipe:
        assert files._front(pipe) == front
    sender.join()
    os.close(writer)


def test_files_without_a_front_are_read_whole(lossless: Path, tmp_path: Path) -> None:
    image = Image.new("RGBA", (9, 7), (1, 2, 3, 4))
    kinds = [
        vlcodec.compress(image, lossless=True),
        vlcodec.compress(image.convert("RGB"), model="photo-8", lossless=True),
    ]
    for data in kinds:
        assert facade.preview_size(data) is None
        (tmp_path / "b.vlz").write_bytes(data)
        report = json.loads(ok("decompress", "b.vlz", "--preview", "--json", "--force", cwd=tmp_path))
        assert (report["width"], report["height"]) == (9, 7)
        assert report["decode"] == ("mean" if "model" in facade.info(data) else f"stored {facade.info(data)['stored']}")
