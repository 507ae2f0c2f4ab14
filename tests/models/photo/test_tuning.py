"""Gains of the last layer of the network that mends a picture."""

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from layered_parts import LAYERS, layered_net
from PIL import Image

import vlcodec
from vlcodec.codec.errors import FormatError
from vlcodec.codec.files import picture_file
from vlcodec.models import registry, zoo
from vlcodec.models.layers.exact import frozen_copy
from vlcodec.models.photo.adapted import pack_changes, unpack_changes
from vlcodec.models.photo.layered import codec as layered
from vlcodec.models.photo.layered.restoration import Rendered, Restoration, mended, rows_of, strips_of
from vlcodec.models.photo.layered.tuning import MOST, Fit, tuned
from vlcodec.models.photo.net import GridAgave

CHANNELS = 8


@pytest.fixture(scope="module")
def net(agave: Callable[[int], GridAgave]) -> Restoration:
    return frozen_copy(layered_net(agave)).restoration


@pytest.fixture
def name(agave: Callable[[int], GridAgave], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Weights of one's own, on the search path."""
    made = layered_net(agave)
    config = {"net": asdict(made.shape), "guide_width": 0.5, "correction": (70, 90, 110), "layers": LAYERS}
    monkeypatch.setenv(registry.VARIABLE, str(tmp_path))
    return zoo.save(made, config, "photo", registry.PHOTO, tmp_path).stem


def picture(rng: np.random.Generator) -> tuple[Rendered, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Mean image, residual, hidden maps and the step."""
    mean, added = (torch.from_numpy(rng.integers(-300, 301, (1, 64, 48, 3))).float() for _ in range(2))

    def rendered(rows: range) -> torch.Tensor:
        return mean[:, rows.start : rows.stop]

    body = torch.from_numpy(rng.integers(-1023, 1024, (1, 16, 12, 8))).float()
    return rendered, added, body, torch.tensor([64.0, 0, 0])


def test_gains_of_the_least_error_are_found_again(net: Restoration, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the strips; they are exact: a channel of gain 0 says as much as before."""
    rng = np.random.default_rng(0)
    seen, k = picture(rng), rng.integers(-12, 13, CHANNELS)
    target = mended(tuned(net, pack_changes([k])), *seen) - seen[1]
    for rows in (3, 64):
        monkeypatch.setattr("vlcodec.models.photo.layered.restoration.ROWS", rows)
        fit = Fit(net)
        for strip in strips_of(range(16), net.reach, seen[0], rows_of(seen[1]), *seen[2:]):
            fit.add(strip, target[:, strip.pixels.start : strip.pixels.stop])
        (found,) = unpack_changes(fit.gains(1.0), [CHANNELS])
        assert np.abs(found - k).max() <= 1
    assert fit.gains(1e-9) == b""
    same = tuned(net, pack_changes([np.zeros(CHANNELS, np.int64)]))
    assert torch.equal(mended(same, *seen), mended(net, *seen))


def test_gains_that_are_none_are_refused(net: Restoration) -> None:
    with pytest.raises(FormatError, match="changes of weights of 32: a lossy file's are at most 31"):
        tuned(net, pack_changes([np.full(CHANNELS, MOST + 1)]))
    with pytest.raises(FormatError, match="changes of weights"):
        tuned(net, bytes([254]))


def test_files_have_them_from_effort_2_on(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layered, "BLOCK_PRICE", 1e6)
    shown = Image.fromarray(np.random.default_rng(1).integers(0, 256, (40, 56, 3), dtype=np.uint8))
    plain, slow = (vlcodec.compress(shown, model=name, quality=2, effort=effort) for effort in (1, 2))
    files = [picture_file.unpack(data) for data in (plain, slow)]
    assert [bool(file.changes) for file in files] == [False, True]
    with_gains = np.asarray(vlcodec.decompress(slow, decode="mean"))
    without = np.asarray(vlcodec.decompress(picture_file.pack(replace(files[1], changes=b"")), decode="mean"))
    error = [np.square(image.astype(float) - np.asarray(shown)).mean() for image in (with_gains, without)]
    assert error[0] < error[1]
    with pytest.raises(FormatError, match="nothing that was coded with them"):
        vlcodec.decompress(picture_file.pack(replace(files[1], refinements=())))
