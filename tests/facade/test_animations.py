"""Animations: every frame comes back, from a file of them or from an image that Pillow has opened."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import failure, ok
from PIL import Image

import vlcodec
from vlcodec import facade
from vlcodec.codec.animation import as_file, open_animation, same_frames, written
from vlcodec.codec.errors import FormatError, ImageError, ModelError
from vlcodec.codec.files.stored_file import Stored, pack_stored, unpack_stored

TIMES = [40, 120, 80]


def frames(alpha: bool = False) -> list[Image.Image]:
    """Three, in which a square moves over a ramp."""
    found = []
    for number in range(3):
        image = Image.linear_gradient("L").resize((28, 20)).convert("RGB").quantize(20).convert("RGBA")
        image.paste((200, 30, 60, 0 if alpha else 255), (4 + 5 * number, 5, 12 + 5 * number, 12))
        found.append(image)
    return found


def file_of(format: str, **options: Any) -> bytes:
    out = io.BytesIO()
    first, *others = frames(alpha=format != "GIF")
    if format == "WEBP":
        options |= {"lossless": True, "exact": True}
    first.save(out, format, save_all=True, append_images=others, duration=TIMES, loop=2, **options)
    return out.getvalue()


formats = pytest.mark.parametrize("format", ["GIF", "PNG", "WEBP"])


@formats
@pytest.mark.parametrize("lossless", [True, False])
def test_all_frames_come_back(format: str, lossless: bool) -> None:
    data = file_of(format)
    original = open_animation(data)
    assert original is not None
    assert (len(original.frames), original.durations, original.loops) == (3, tuple(TIMES), 2)
    made = vlcodec.compress(data, lossless=lossless)
    assert len(made) <= len(data) + 16
    facade.verify(made, data)
    image = vlcodec.decompress(made)
    assert image.size == (28, 20)
    for number, frame in enumerate(original.frames):
        image.seek(number)
        shown = np.array(image.convert("RGBA"))
        shown[shown[..., 3] == 0] = 0
        assert shown.tobytes() == frame.tobytes()
        assert vlcodec.decompress(made, frame=number + 1).tobytes() == frame.tobytes()
    for kind in ("PNG", "WebP"):
        back = open_animation(as_file(original, kind))
        assert back is not None
        assert same_frames(back, original)
    about = facade.info(made)
    assert (about["width"], about["height"], about["lossless"]) == (28, 20, True)


@formats
def test_an_image_that_pillow_has_opened(format: str) -> None:
    with Image.open(io.BytesIO(file_of(format))) as image:
        image.seek(1)
        made = vlcodec.compress(image)
        assert image.tell() == 1
    original, back = open_animation(file_of(format)), open_animation(unpack_stored(made).data)
    assert original is not None
    assert back is not None
    assert same_frames(back, original)


def test_the_file_that_came_or_a_webp_whichever_is_smaller() -> None:
    data = file_of("PNG", compress_level=0)
    assert unpack_stored(vlcodec.compress(data)).format == "WebP"
    small = unpack_stored(vlcodec.compress(data)).data
    assert unpack_stored(vlcodec.compress(small)) == Stored("WebP", small)


def test_metadata_are_kept_or_stripped() -> None:
    data = file_of("WEBP", icc_profile=b"a profile", xmp=b"a packet")
    assert b"a packet" in vlcodec.compress(data)
    stripped = vlcodec.compress(data, strip=True)
    assert b"a packet" not in stripped
    assert b"a profile" not in stripped
    facade.verify(stripped, data, strip=True)


def test_refusals() -> None:
    data = file_of("PNG")
    made = vlcodec.compress(data)
    with pytest.raises(ImageError, match="model photo codes single pictures: an animation is kept as a file of frames"):
        vlcodec.compress(data, model="photo")
    for number in (0, 4, -1):
        with pytest.raises(ImageError, match=f"an animation of 3 frames has no frame {number}: they count from 1"):
            vlcodec.decompress(made, frame=number)
    with pytest.raises(ImageError, match="3 frames of 28 x 20 are more than 1,679 pixels"):
        vlcodec.decompress(made, max_pixels=3 * 28 * 20 - 1)
    with pytest.raises(ImageError, match="a TIFF holds no animation"):
        written(vlcodec.decompress(made), "TIFF")
    with pytest.raises(ImageError, match="one picture, no animation"):
        vlcodec.decompress(vlcodec.compress(frames()[0].quantize(4), lossless=True), frame=1)
    other = io.BytesIO()
    frames()[0].save(other, "GIF", save_all=True, append_images=frames()[2:], duration=40)
    with pytest.raises(FormatError, match="the file does not give all frames back"):
        facade.verify(made, other.getvalue())


def test_an_animation_of_a_size(tmp_path: Path) -> None:
    data = file_of("WEBP")
    made = vlcodec.compress(data)
    bpp = 8 * len(made) / (28 * 20)
    wishes: list[dict[str, Any]] = [{"size": len(made)}, {"bpp": bpp + 1e-9}, {"psnr": 99.0}]
    for wish in wishes:
        assert vlcodec.compress_to(data, **wish) == made
    with pytest.raises(ModelError, match=f"all its frames: this one has {len(made):,} bytes, and at most 100"):
        vlcodec.compress_to(io.BytesIO(data), size=100)
    with pytest.raises(ImageError, match="model photo codes single pictures"):
        vlcodec.compress_to(data, size=10_000, model="photo")


def test_a_jpeg_of_two_pictures_says_what_it_is() -> None:
    out = io.BytesIO()
    frames()[0].convert("RGB").save(out, "MPO", save_all=True, append_images=[frames()[1].convert("RGB")])
    for work in (vlcodec.compress, lambda data: vlcodec.compress_to(data, size=900), vlcodec.bit_map):
        with pytest.raises(ImageError, match=r"a JPEG of 2 pictures \(MPO\)"):
            work(out.getvalue())


@formats
def test_damaged_animations_raise_nothing_but_image_errors(format: str) -> None:
    data, rng = file_of(format), np.random.default_rng(0)
    for _ in range(60):
        altered = bytearray(data)
        altered[int(rng.integers(len(data)))] = int(rng.integers(256))
        for bad in (bytes(altered), data[: int(rng.integers(len(data)))]):
            try:
                open_animation(bad)
            except ImageError:
                continue


def test_the_command_writes_apng_or_one_frame(tmp_path: Path) -> None:
    (tmp_path / "a.gif").write_bytes(file_of("GIF"))
    assert "as " in ok("compress", "a.gif", "--verify", cwd=tmp_path)
    assert ok("decompress", "a.vlz", cwd=tmp_path).startswith("a.vlz -> a.vlz.png  28x20 ")
    ok("decompress", "a.vlz", "-o", "a.webp", "--quiet", cwd=tmp_path)
    ok("decompress", "a.vlz", "-o", "two.png", "--frame", "2", "--quiet", cwd=tmp_path)
    original = open_animation(file_of("GIF"))
    assert original is not None
    for name in ("a.vlz.png", "a.webp"):
        back = open_animation((tmp_path / name).read_bytes())
        assert back is not None
        assert same_frames(back, original)
    with Image.open(tmp_path / "two.png") as image:
        assert image.convert("RGBA").tobytes() == original.frames[1].tobytes()
    rule = "a TIFF holds no animation: PNG and WebP do, and --frame takes one frame"
    assert rule in failure("decompress", "a.vlz", "-o", "a.tif", cwd=tmp_path)


def exif(orientation: int) -> bytes:
    return b"II*\0" + bytes([8, 0, 0, 0, 1, 0, 0x12, 1, 3, 0, 1, 0, 0, 0, orientation, 0, 0, 0, 0, 0, 0, 0])


def test_a_comment_is_kept() -> None:
    data = file_of("GIF", comment=b"hello there")
    made = vlcodec.compress(data)
    facade.verify(made, data)
    assert vlcodec.decompress(made).info["comment"] == b"hello there"
    bare = vlcodec.compress(data, strip=True)
    facade.verify(bare, data, strip=True)
    with pytest.raises(FormatError, match="does not give all metadata back"):
        facade.verify(bare, data)


@pytest.mark.parametrize("format", ["PNG", "WEBP"])
@pytest.mark.parametrize("strip", [True, False])
def test_an_orientation_is_applied_once(format: str, strip: bool) -> None:
    data = file_of(format, exif=exif(6))
    original = open_animation(data)
    assert original is not None
    assert original.frames[0].size == (20, 28)
    made = vlcodec.compress(data, strip=strip)
    facade.verify(made, data, strip=strip)
    shown = open_animation(written(vlcodec.decompress(made), "PNG"))
    assert shown is not None
    assert same_frames(shown, original)


def test_more_pixels_than_allowed_are_refused() -> None:
    with pytest.raises(ImageError, match="too large: 3 frames of 28 x 20 are more than 1,679 pixels"):
        vlcodec.compress(file_of("GIF"), max_pixels=3 * 28 * 20 - 1)
    vlcodec.compress(file_of("GIF"), max_pixels=3 * 28 * 20)


def test_a_file_of_ours_that_pillow_has_opened_and_not_loaded() -> None:
    """Its pixels are decoded while Pillow's settings are ours."""
    import vlcodec.pillow

    picture = Image.effect_noise((16, 16), 50)
    out = io.BytesIO()
    picture.save(out, "PNG")
    stored = pack_stored(Stored("PNG", out.getvalue()))
    again = vlcodec.compress(Image.open(io.BytesIO(stored)), lossless=True)
    assert vlcodec.decompress(again).tobytes() == picture.tobytes()
