"""Several threads at once, whatever the caller's settings: the bytes that one thread gives."""

import threading
import zlib
from collections.abc import Callable, Iterator

import pytest
import torch
from PIL import Image

import vlcodec
from vlcodec.models.agave import codec as agave
from vlcodec.models.photo.codec import golden_pictures
from vlcodec.models.vlae import codec as vlae

THREADS = 4
PICTURE = Image.fromarray(golden_pictures()[0])
DIGITS, COLOURS = vlae.golden_pictures()[..., 0], agave.golden_pictures()


def archived() -> bytes:
    """A lossless archive, and its pictures."""
    data = vlcodec.compress_archive(DIGITS, extra=b"extra")
    found = vlcodec.decompress_archive(data)
    return data + b"".join(image.tobytes() for image in found.images) + found.extra


def kept() -> bytes:
    data = vlcodec.compress(PICTURE, lossless=True, model="photo")
    return data + vlcodec.decompress(data).tobytes()


def regenerated() -> bytes:
    data = vlcodec.compress(PICTURE, quality=4, seed=5)
    return data + vlcodec.decompress(data).tobytes() + vlcodec.decompress(data, decode="mean").tobytes()


def ledgers() -> bytes:
    one = vlcodec.rate(PICTURE, quality=2)
    return repr((one, vlcodec.rate(Image.fromarray(DIGITS[0]), model="vlae-mnist", samples=2))).encode()


def colours() -> bytes:
    data = vlcodec.compress_archive(COLOURS, lossless=False, seed=2)
    return data + b"".join(image.tobytes() for image in vlcodec.decompress_archive(data).images)


WORK: list[Callable[[], bytes]] = [kept, regenerated, archived, ledgers, colours]


@pytest.fixture
def _reduced() -> Iterator[None]:
    """TF32, sums of bfloat16, autocast: what a caller may have switched on."""
    torch.set_float32_matmul_precision("medium")
    try:
        with torch.autocast("cpu", torch.bfloat16):
            yield
    finally:
        torch.set_float32_matmul_precision("highest")


@pytest.mark.slow
@pytest.mark.usefixtures("_reduced")
def test_four_threads_give_the_bytes_of_one() -> None:
    """Each thread does all the work, and begins with another part of it; the settings are the caller's again after."""
    alone = {work: work() for work in WORK}
    numbers, start = torch.get_num_threads(), threading.Barrier(THREADS)
    found: list[dict[Callable[[], bytes], bytes]] = [{} for _ in range(THREADS)]
    settings = list[tuple[str, int]]()

    def run(thread: int) -> None:
        start.wait()
        for work in [*WORK[thread:], *WORK[:thread]]:
            found[thread][work] = work()
        settings.append((torch.get_float32_matmul_precision(), torch.get_num_threads()))

    threads = [threading.Thread(target=run, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for results in found:
        assert results.keys() == alone.keys()
        for work, bytes_of in results.items():
            assert bytes_of == alone[work], work.__name__
    assert (torch.get_float32_matmul_precision(), torch.get_num_threads()) == ("medium", numbers)
    assert torch.is_autocast_enabled("cpu")
    assert torch.is_grad_enabled()
    assert settings[-1] == ("medium", numbers)  # of the last one out


def test_the_settings_of_a_call_that_fails_are_given_back() -> None:
    damaged = bytearray(vlcodec.compress(PICTURE, lossless=True, model="photo"))
    damaged[-9] ^= 1
    body = bytes(damaged[:-4])
    torch.set_float32_matmul_precision("high")
    try:
        with pytest.raises(vlcodec.FormatError):
            vlcodec.decompress(body + zlib.crc32(body).to_bytes(4, "little"))
        assert torch.get_float32_matmul_precision() == "high"
    finally:
        torch.set_float32_matmul_precision("highest")
