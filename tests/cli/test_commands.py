"""The command as a user meets it; in a process of its own where that proves more."""

import errno
import io
import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from commands import HEAVY, failure, loaded, ok, process, run
from PIL import Image

import vlcodec
from vlcodec.cli import files
from vlcodec.cli.main import main
from vlcodec.cli.progress import CLEAR, progress
from vlcodec.codec.errors import OutputError
from vlcodec.codec.files.stored_file import Stored, pack_stored

COMMANDS = ("compress", "decompress", "rate", "info", "models", "selftest", "train")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the pictures a.png and b.png."""
    ramp = Image.linear_gradient("L").resize((32, 24))
    Image.merge("RGB", (ramp, ramp.rotate(180), ramp)).save(tmp_path / "a.png")
    ramp.save(tmp_path / "b.png")
    return tmp_path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a picture and what the command makes of it: a.vlz is lossy, b.vlz lossless."""
    path = tmp_path_factory.mktemp("made")
    Image.linear_gradient("L").resize((32, 24)).convert("RGB").save(path / "a.png")
    ok("compress", "a.png", "--quiet", "--model", "photo", cwd=path)
    ok("compress", "a.png", "--quiet", "--model", "photo", "--lossless", "--verify", "-o", "b.vlz", cwd=path)
    return path


# What needs no model.


def test_the_installed_command_is_main() -> None:
    (script,) = entry_points(group="console_scripts", name="vlcodec")
    assert script.load() is main


def test_help_names_every_command_and_loads_nothing_heavy(tmp_path: Path) -> None:
    text = ok("--help", cwd=tmp_path)
    assert all(f"\n  {command} " in text for command in COMMANDS)
    assert loaded("--help", cwd=tmp_path).isdisjoint(HEAVY)


def test_each_command_has_help(tmp_path: Path) -> None:
    for command in COMMANDS:
        assert ok(command, "--help", cwd=tmp_path).startswith(f"Usage: vlcodec {command} ")


def test_version(tmp_path: Path) -> None:
    assert ok("--version", cwd=tmp_path) == f"vlcodec, version {vlcodec.__version__}\n"


@pytest.mark.parametrize(
    ("args", "rule"),
    [
        ("explode a.png", "No such command"),
        ("compress", "Missing argument"),
        ("compress a.png -q -1", "not in the range x>=0"),
        ("compress a.png -q best", "not a valid float range"),
        ("compress a.png --seed -1", "not in the range"),
        ("compress a.png --device tpu", "'tpu' is not one of"),
        ("compress a.png b.png -o out.png", "several inputs need a folder"),
        ("compress a.png -o missing/", "no such folder"),
        ("compress - -o .", "what comes from stdin has no name"),
        ("compress a.png -o a.png --force", "a.png would be written to a.png, which is the input a.png"),
        ("compress a.png ./a.png", "which is the output for a.png"),
        ("compress a.png a.jpg", "a.jpg would be written to a.vlz, which is the output for a.png"),
        ("compress - -", "which is the output for -"),
        ("decompress a.vlz -o a.jpg", "the output is PNG"),
        ("decompress a.vlz --decode best", "'best' is not one of"),
        ("info", "Missing argument"),
        ("train photo . ", "Missing option '-o'"),
        ("train photo missing -o runs", "'missing' does not exist"),
    ],
)
def test_wrong_usage_exits_2_before_any_work(args: str, rule: str, folder: Path) -> None:
    assert rule in failure(*args.split(), cwd=folder, code=2)


def test_a_missing_file_is_one_line(folder: Path) -> None:
    assert failure("compress", "none.png", cwd=folder) == "vlcodec: none.png: No such file or directory\n"


def test_a_folder_is_not_a_picture(folder: Path) -> None:
    assert failure("compress", ".", cwd=folder) == "vlcodec: .: Is a directory\n"


def test_an_output_that_exists_stays(folder: Path) -> None:
    (folder / "a.vlz").write_bytes(b"precious")
    assert failure("compress", "a.png", cwd=folder) == "vlcodec: a.png: a.vlz exists; --force overwrites it\n"


def test_a_device_is_never_replaced_by_a_file(folder: Path) -> None:
    rule = "vlcodec: a.png: /dev/null exists and is not a file\n"
    assert failure("compress", "a.png", "-o", "/dev/null", "--force", cwd=folder) == rule


def test_a_missing_output_folder_is_one_line(folder: Path) -> None:
    rule = "vlcodec: a.png: none/a.vlz cannot be written: no such folder\n"
    assert failure("compress", "a.png", "-o", "none/a.vlz", cwd=folder) == rule


def test_an_unwritable_folder_is_refused_before_the_work(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write anywhere
    with pytest.raises(OutputError, match=r"a\.vlz cannot be written: the folder is read-only"):
        files.check(str(folder / "a.vlz"), force=False)


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    (tmp_path / "a.vlz").write_bytes(b"precious")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match=r"a\.vlz cannot be written: No space left on device"):
        files.write(str(tmp_path / "a.vlz"), b"new", force=True)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"precious"]


def test_an_interrupted_write_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        files.write(str(tmp_path / "a.vlz"), b"new", force=False)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_appears_during_the_work_stays(tmp_path: Path) -> None:
    target = tmp_path / "a.vlz"
    files.check(str(target), force=False)
    target.write_bytes(b"precious")
    with pytest.raises(OutputError, match="--force overwrites it"):
        files.write(str(target), b"new", force=False)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"precious"]


def test_a_written_file_has_the_usual_permissions(tmp_path: Path) -> None:
    (tmp_path / "usual").touch()
    files.write(str(tmp_path / "a.vlz"), b"new", force=False)
    assert (tmp_path / "a.vlz").stat().st_mode == (tmp_path / "usual").stat().st_mode


class Terminal(io.StringIO):
    """A stderr that somebody looks at."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("seconds", "drawn"), [(0.9, 0), (1.0, 1), (1.05, 1), (1.3, 3)])
def test_a_bar_is_for_what_takes_longer_than_a_second(
    seconds: float, drawn: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    stderr, clock = Terminal(), iter([0.0, *(step / 20 for step in range(round(20 * seconds) + 1))])
    monkeypatch.setattr(sys, "stderr", stderr)
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    with progress("a.png", hidden=False) as show:
        assert show is not None
        for step in range(round(20 * seconds) + 1):
            show("pixels", step, 40)
    assert stderr.getvalue().count("a.png: pixels") == drawn
    assert stderr.getvalue().endswith(CLEAR if drawn else "")


@pytest.mark.parametrize(("stderr", "hidden"), [(Terminal(), True), (io.StringIO(), False)])
def test_no_bar_where_nobody_looks(stderr: io.StringIO, hidden: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", stderr)
    with progress("a.png", hidden) as show:
        assert show is None


def test_ctrl_c_is_quiet_and_exits_130(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")
    command = [sys.executable, "-m", "vlcodec", "compress", "a.png"]
    heeds = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # what a shell runs in the background ignores Ctrl-C
    pipe = subprocess.PIPE
    started = subprocess.Popen(command, cwd=tmp_path, preexec_fn=heeds, stdout=pipe, stderr=pipe)
    with (tmp_path / "a.png").open("wb"):  # opens once the command is at its work, reading
        started.send_signal(signal.SIGINT)
        assert started.communicate(timeout=60) == (b"", b"\n")
    assert started.returncode == 130
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_ctrl_c_while_the_command_loads_is_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted:
        def find_spec(self, name: str, *_: object) -> None:
            if name == "vlcodec.cli.group":
                raise KeyboardInterrupt

    monkeypatch.delitem(sys.modules, "vlcodec.cli.group", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Interrupted(), *sys.meta_path])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 130


def test_a_closed_pipe_is_quiet(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([sys.executable, "-m", "vlcodec", "--help"], stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, b"")


def test_a_full_stdout_is_one_line() -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run([sys.executable, "-m", "vlcodec", "--help"], stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 1
    assert done.stderr.decode().splitlines() == ["vlcodec: [Errno 28] No space left on device"]


# What compresses and decompresses.


def test_the_two_commands_work_one_after_the_other(folder: Path) -> None:
    """In processes of their own, which write what this one writes."""
    done = process("compress", "a.png", cwd=folder)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"a.png -> a.vlz  ")
    original = (folder / "a.png").read_bytes()
    ok("compress", "a.png", "-o", "again.vlz", "--quiet", cwd=folder)
    assert (folder / "a.vlz").read_bytes() == (folder / "again.vlz").read_bytes()
    (folder / "again.vlz").unlink()
    done = process("decompress", "a.vlz", cwd=folder)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"a.vlz -> a.vlz.png  32x24 RGB, sample\n", b"")
    assert (folder / "a.png").read_bytes() == original
    with Image.open(folder / "a.vlz.png") as image:
        assert (image.size, image.mode, image.format) == ((32, 24), "RGB", "PNG")
    assert sorted(path.name for path in folder.iterdir()) == ["a.png", "a.vlz", "a.vlz.png", "b.png"]


def test_a_file_that_asks_for_too_much_is_one_line(made: Path) -> None:
    rule = "vlcodec: a.vlz: the file asks for 768 pixels: at most 767 are decoded (--max-pixels)\n"
    assert failure("decompress", "a.vlz", "-o", "c.png", "--max-pixels", "767", cwd=made) == rule
    assert "not in the range" in failure("decompress", "a.vlz", "--max-pixels", "0", cwd=made, code=2)


def test_lossless_keeps_every_pixel(made: Path, tmp_path: Path) -> None:
    line = ok("decompress", str(made / "b.vlz"), "-o", "b.png", cwd=tmp_path)
    assert line.endswith("b.vlz -> b.png  32x24 RGB, lossless\n")
    with Image.open(made / "a.png") as original, Image.open(tmp_path / "b.png") as restored:
        assert restored.tobytes() == original.tobytes()


def test_stdin_to_stdout_gives_the_same_file(made: Path, tmp_path: Path) -> None:
    done = run("compress", "-", cwd=tmp_path, stdin=(made / "a.png").read_bytes())
    assert done.stdout == (made / "a.vlz").read_bytes()
    assert done.stderr.startswith(b"- -> -  ")
    done = run("decompress", "-", "--quiet", cwd=tmp_path, stdin=(made / "b.vlz").read_bytes())
    assert done.stdout.startswith(b"\x89PNG")
    assert done.stderr == b""
    assert list(tmp_path.iterdir()) == []


def test_stdout_has_the_file_alone(folder: Path, tmp_path: Path) -> None:
    data = (folder / "b.png").read_bytes()
    done = run("compress", "-", "a.png", "--lossless", cwd=folder, stdin=data)
    assert done.stdout == vlcodec.compress(data, lossless=True)
    lines = done.stderr.decode().splitlines()
    assert [line.split("  ")[0] for line in lines[:2]] == ["- -> -", "a.png -> a.vlz"]
    assert lines[2].startswith("2 files: ")
    back = run("decompress", "-", "a.vlz", cwd=folder, stdin=done.stdout)
    with Image.open(io.BytesIO(back.stdout)) as image, Image.open(folder / "b.png") as first:
        assert image.tobytes() == first.tobytes()
    assert back.stdout.endswith(b"IEND\xaeB`\x82")


def test_one_bad_file_does_not_stop_the_others(folder: Path) -> None:
    (folder / "empty.png").touch()
    (folder / "text.png").write_text("no picture")
    (folder / "out").mkdir()
    done = run("compress", "empty.png", "a.png", "text.png", "b.png", "-o", "out", "--json", cwd=folder)
    assert done.returncode == 1
    empty, text = done.stderr.decode().splitlines()
    assert empty.startswith("vlcodec: empty.png: ")
    assert text.startswith("vlcodec: text.png: ")
    reports = [json.loads(line) for line in done.stdout.splitlines()]
    assert [report["input"] for report in reports] == ["a.png", "b.png"]
    assert sorted(path.name for path in (folder / "out").iterdir()) == ["a.vlz", "b.vlz"]
    for report in reports:
        size = (folder / report["output"]).stat().st_size
        assert (report["bytes"], report["bits_per_pixel"]) == (size, 8 * size / (32 * 24))


def test_force_overwrites(folder: Path) -> None:
    (folder / "b.vlz").write_bytes(b"worthless")
    ok("compress", "b.png", "--force", "--quiet", cwd=folder)
    assert (folder / "b.vlz").read_bytes() != b"worthless"


def test_a_damaged_file_is_one_line(made: Path, tmp_path: Path) -> None:
    (tmp_path / "cut.vlz").write_bytes((made / "b.vlz").read_bytes()[:-1])
    (line,) = failure("decompress", "cut.vlz", cwd=tmp_path).splitlines()
    assert line.startswith("vlcodec: cut.vlz: ")


def test_an_unknown_model_is_one_line(folder: Path) -> None:
    (line,) = failure("compress", "a.png", "--model", "nobody", cwd=folder).splitlines()
    assert line.startswith("vlcodec: a.png: ")
    assert "nobody" in line


def test_mean_and_seed_reach_the_decoder(made: Path, tmp_path: Path) -> None:
    for name, *options in (("file",), ("same", "--seed", "0"), ("mean", "--decode", "mean")):
        ok("decompress", str(made / "a.vlz"), *options, "-o", f"{name}.png", "--quiet", cwd=tmp_path)
    assert (tmp_path / "file.png").read_bytes() == (tmp_path / "same.png").read_bytes()
    assert (tmp_path / "file.png").read_bytes() != (tmp_path / "mean.png").read_bytes()


def test_a_lossless_file_can_be_previewed(made: Path, tmp_path: Path) -> None:
    line = ok("decompress", str(made / "b.vlz"), "--decode", "mean", "--json", "-o", "b.png", cwd=tmp_path)
    report = json.loads(line)
    assert (report["width"], report["height"], report["decode"]) == (32, 24, "mean")


def test_info_reads_the_header_without_loading_anything_heavy(made: Path) -> None:
    assert "quality" in ok("info", "a.vlz", cwd=made)
    lossy, lossless = map(json.loads, ok("info", "a.vlz", "b.vlz", "--json", cwd=made).splitlines())
    assert (lossy["model"], lossy["width"], lossy["height"], lossy["mode"]) == ("photo", 32, 24, "RGB")
    assert (lossy["lossless"], lossy["quality"], lossy["seed"]) == (False, 3, 0)
    assert (lossless["lossless"], lossless["quality"]) == (True, 1)
    assert loaded("info", "a.vlz", cwd=made).isdisjoint(HEAVY)


def test_what_is_no_vlz_file_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read, most = files._vlz(io.BytesIO(b"PK\x03\x04" + bytes(100))), files._vlz(io.BytesIO(b"\x96V\r\n" + bytes(100)))
    assert (len(read), len(most)) == (4, 104)
    (tmp_path / "a.zip").write_bytes(b"PK\x03\x04" + bytes(100))
    for command in ("info", "decompress"):
        rule = "vlcodec: a.zip: not a .vlz file: it must begin with the bytes 96 56 0D 0A\n"
        assert failure(command, "a.zip", cwd=tmp_path) == rule


def test_rate_prints_a_table_or_json(made: Path) -> None:
    assert ok("rate", "a.png", cwd=made).startswith("a.png\n")
    assert json.loads(ok("rate", "a.png", "--json", cwd=made))["input"] == "a.png"


def test_models_lists_photo(tmp_path: Path) -> None:
    assert "\nphoto " in ok("models", cwd=tmp_path)
    assert "photo" in [json.loads(line)["name"] for line in ok("models", "--json", cwd=tmp_path).splitlines()]


def test_selftest_passes_here(tmp_path: Path) -> None:
    lines = ok("selftest", "--device", "cpu", cwd=tmp_path).splitlines()
    assert lines
    assert all(line.startswith("ok ") for line in lines)


def test_a_stored_picture_comes_back(folder: Path) -> None:
    """A file that holds another codec's, as later releases write them."""
    data = pack_stored(Stored("PNG", (folder / "a.png").read_bytes()))
    (folder / "s.vlz").write_bytes(data)
    assert len(data) == (folder / "a.png").stat().st_size + 10
    assert ok("decompress", "s.vlz", cwd=folder).endswith("32x24 RGB, stored PNG\n")
    with Image.open(folder / "a.png") as original, Image.open(folder / "s.vlz.png") as back:
        assert back.tobytes() == original.tobytes()
    assert "stored bytes" in ok("info", "s.vlz", cwd=folder)
    assert "more than 700 pixels" in failure("decompress", "s.vlz", "--force", "--max-pixels", "700", cwd=folder)
