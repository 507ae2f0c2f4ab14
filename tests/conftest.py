"""What the tests share: pictures, models, settings of the machine, and one meaning of "round trip"."""

import hashlib
import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from vlcodec.codec.coding import tables
from vlcodec.codec.coding.stack import Stack, split_digits
from vlcodec.codec.coding.walk import Walk
from vlcodec.codec.errors import ImageError
from vlcodec.codec.interface import Block, Distribution, Ints, Source
from vlcodec.models import registry, zoo
from vlcodec.models.agave import codec as small
from vlcodec.models.agave import data as cifar10
from vlcodec.models.blocks.residual_block import ResidualBlock
from vlcodec.models.layers.exact import layers
from vlcodec.models.photo.codec import PhotoModel
from vlcodec.models.photo.net import GridAgave, GridShape
from vlcodec.models.vlae import data as binary_data
from vlcodec.models.vlae import training as train_binary
from vlcodec.models.vlae.data import load_binary
from vlcodec.models.weights.integers import freeze_from, integer_tensors

BOTTOM = bytes(range(1, 24))  # what lies on a stack before a round trip
TINY = GridShape(
    residual_steps=(),
    residual_channels=0,
    residual_depth=0,
    residual_hidden=0,
    restoration_channels=0,
    restoration_blocks=0,
    texture_channels=0,
    texture_blocks=0,
    latents=4,
    features=2,
    widths=(8, 8, 8),
    hidden=(8, 8, 8),
    encoder_blocks=(1, 1, 1),
    decoder_blocks=(1, 1, 1),
    prior_channels=8,
    prior_groups=2,
    pixel_channels=8,
    pixel_depth=2,
    pixel_hidden=8,
    mixtures=2,
    pixel_bits=10,
    prior_depth=4,
    prior_hidden=96,
    prior_mixtures=2,
    told=0,
    told_drawn=256,
    told_near=0,
    factors=0,
    aux_sigma=(13.0, 10.0, 7.6, 5.0),
    kl_weight=(14.0, 7.7, 4.4, 1.8),
)


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Records of passed checks are the tests' own, those of the commands that they run included."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session", autouse=True)
def _numpy_alone() -> Iterator[None]:
    """Compiled loops run where a test asks for them (`carriers`), whichever tests have run before."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VLCODEC_NUMBA", "0")
        yield


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """Small products gain nothing from more, and lose much where the machine is busy."""
    with _threads(1):
        yield


# ---- pictures and models -------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def photograph() -> Callable[[str, int, int], Image.Image]:
    """(name, height, width) -> the middle of one of scikit-image's photographs; camera is grey."""

    def middle(name: str, height: int, width: int) -> Image.Image:
        data = pytest.importorskip("skimage.data")
        image = Image.fromarray(getattr(data, name)())
        left, top = (image.width - width) // 2, (image.height - height) // 2
        return image.crop((left, top, left + width, top + height))

    return middle


@pytest.fixture(scope="session")
def photo() -> PhotoModel:
    """The model of the package."""
    found = zoo.load(registry.by_name("photo"), "cpu")
    assert isinstance(found, PhotoModel)
    return found


@pytest.fixture(scope="session")
def tiny() -> PhotoModel:
    """A small frozen model with random weights, and biases that show where they do not belong."""
    net = random_agave(0)
    freeze_from(net, integer_tensors(net))
    return PhotoModel(net, torch.device("cpu"), guide_width=0.5, edges=(100, 115))


@pytest.fixture(scope="session")
def agave() -> Callable[[int], GridAgave]:
    """seed -> a small net of real weights, not frozen."""
    return random_agave


@pytest.fixture(scope="session")
def far() -> PhotoModel:
    """Likewise, with latents that reach far, qualities between others, and a PixelCNN that is told of noise."""
    sizes: dict[str, Any] = {"latents": 6, "pixel_channels": 32, "pixel_hidden": 32, "pixel_bits": 8}
    shape = replace(TINY, **sizes, told=1, told_near=32, factors=3)
    net = random_agave(1, shape)
    freeze_from(net, integer_tensors(net))
    return PhotoModel(net, torch.device("cpu"), guide_width=0.5, edges=(100, 115))


def random_agave(seed: int, shape: GridShape = TINY) -> GridAgave:
    """See the fixture `agave`."""
    net, rng = GridAgave(shape), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, layer in layers(net):
            gain = 0.3 if "params" in name else 1.0
            layer.weight.normal_(0, gain * math.sqrt(2 / layer.weight.shape[1]), generator=rng)
            layer.bias.add_(torch.randn(layer.outputs, generator=rng))
    return net


# ---- data sets -------------------------------------------------------------------------------------------------------


@pytest.fixture
def binary_sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a small grey set and a small binary one, in the real sets' places."""
    monkeypatch.setattr(train_binary, "CENTRED_ON", 50)
    rng = np.random.default_rng(0)
    grey = rng.integers(0, 256, (60, 28, 28), np.uint8)
    folder = tmp_path / "sets"
    for model, source in binary_data.SOURCES.items():
        path = folder / source.file
        path.parent.mkdir(parents=True, exist_ok=True)
        if source.key:
            key = "_images" if model == "vlae-mnist-dynamic" else ""
            arrays: dict[str, Any] = {f"train{key}": grey[:50], f"test{key}": grey[50:]}
        else:
            packed = np.packbits(grey[:20].reshape(20, -1) > 128, 1)
            arrays = dict.fromkeys(("train", "valid", "test"), packed)
        np.savez(path, **arrays)
    sources = {k: binary_data._Source(s.file, "", min(s.valid, 10), s.key) for k, s in binary_data.SOURCES.items()}
    for name in sources:
        monkeypatch.setattr(binary_data, "SOURCES", sources)
        with pytest.raises(ImageError, match="its SHA-256 is") as caught:
            load_binary(name, folder)
        source = sources[name]
        sources[name] = binary_data._Source(source.file, str(caught.value).split()[-1], source.valid, source.key)
    return folder


@pytest.fixture
def cifar_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a small set in CIFAR-10's place."""
    both = small.golden_pictures()
    some = np.stack([np.roll(both[n % 2], (n, 3 * n), (0, 1)) for n in range(30)])
    np.savez(tmp_path / cifar10.FILE, train_images=some[:26], test_images=some[26:])
    monkeypatch.setattr(cifar10, "HELD_OUT", 6)
    with pytest.raises(ImageError, match="its SHA-256 is") as caught:
        cifar10.load_cifar10(tmp_path)
    monkeypatch.setattr(cifar10, "SHA256", str(caught.value).split()[-1])
    return tmp_path


# ---- distributions -------------------------------------------------------------------------------------------------


def _mixture(rng: np.random.Generator) -> tables.LogisticMixture:
    n, k = 60, 3
    centre, scale = rng.integers(-5000, 5000, (n, k)), rng.integers(0, 192, (n, k))
    centre[:6], scale[:6] = [[-9000], [9000], [0], [0], [15], [16]], [[0], [0], [0], [191], [0], [40]]
    return tables.LogisticMixture(rng.integers(-255, 256, (n, k)), centre, scale)


def _gaussian(rng: np.random.Generator) -> tables.GaussianGrid:
    centre, scale = rng.integers(-70_000, 70_000, 60), rng.integers(0, 192, 60)
    centre[:4], scale[:4] = [-80_000, 80_000, 0, 0], [0, 0, 0, 191]
    return tables.GaussianGrid(centre, scale)


def _thin_gaussian(rng: np.random.Generator) -> tables.GaussianGrid:
    wide = _gaussian(rng)
    return tables.GaussianGrid(wide.centre, wide.scale, floor_shift=22)


def _bernoulli(rng: np.random.Generator) -> tables.Bernoulli:
    return tables.Bernoulli(np.concatenate([[-99_999, 99_999, 0], rng.integers(-20_000, 20_000, 57)]))


DISTRIBUTIONS: dict[str, Callable[[np.random.Generator], Distribution]] = {
    "mixture": _mixture,
    "gaussian": _gaussian,
    "gaussian, thin floor": _thin_gaussian,
    "categorical": lambda rng: tables.Categorical(rng.integers(-600, 600, (60, 5))),
    "bernoulli": _bernoulli,
    "uniform": lambda rng: tables.Uniform(60, 1000),
}


@pytest.fixture(params=DISTRIBUTIONS)
def distribution(request: pytest.FixtureRequest) -> Distribution:
    """Sixty rows of each family of tables, ordinary ones and the most extreme ones."""
    return DISTRIBUTIONS[request.param](np.random.default_rng(0))


# ---- round trips ---------------------------------------------------------------------------------------------------


def _digest(distribution: Distribution, index: Ints, symbols: Ints) -> str:
    digits = split_digits(symbols, distribution.radix)
    arrays = [index, *(distribution.counts(digits[:i]) for i in range(len(digits)))]
    return hashlib.sha256(b"".join(np.ascontiguousarray(a, "<i8").tobytes() for a in arrays)).hexdigest()[:16]


class Watched:
    """A source that notes the tables it was asked with, as one digest a step."""

    def __init__(self, source: Source) -> None:
        self.source, self.steps = source, list[str]()

    @property
    def exhausted(self) -> bool:
        return self.source.exhausted

    def pop(self, distribution: Distribution, index: Ints) -> Ints:
        symbols = self.source.pop(distribution, index)
        self.steps.append(_digest(distribution, index, symbols))
        return symbols


class Known:
    """A source that gives back known symbols."""

    exhausted = False

    def __init__(self, symbols: Ints) -> None:
        self.flat = symbols.reshape(-1)

    def pop(self, distribution: Distribution, index: Ints) -> Ints:
        return self.flat[index]


@pytest.fixture(scope="session")
def watched() -> type[Watched]:
    """The class: wrap a source, and `steps` holds a digest of each step's tables."""
    return Watched


@pytest.fixture(scope="session")
def check_round_trip() -> Callable[..., bytes]:
    """The stack gives back the symbols AND itself; both walks of a walk show the same tables bit for bit.

    Returns what the symbols take on an empty stack, or on the one given as the bottom of a block that takes bits off.
    """

    def check(block: Block, symbols: Ints, below: bytes = b"") -> bytes:
        assert block.shape == symbols.shape
        if isinstance(block, Walk):
            _check_walks(block, symbols)
        for bottom in (below,) if below else (b"", BOTTOM):
            stack = Stack(bottom)
            block.push(symbols, stack)
            data = stack.to_bytes()
            back = Stack(data)
            assert np.array_equal(block.pop(back), symbols)
            assert (back.to_bytes(), back.empty) == (bottom, not bottom)
            if bottom == below:
                alone = data
        return alone

    return check


def _check_walks(block: Walk, symbols: Ints) -> None:
    flat = symbols.reshape(-1)
    walk = list(block.parallel(symbols))[::-1]
    known = Watched(Known(symbols))
    assert np.array_equal(block.pop(known), symbols)
    assert known.steps == [_digest(s.distribution, s.index, flat[s.index]) for s in walk]
    assert len(walk) <= block.count
    coded = np.sort(np.concatenate([s.index for s in walk]))
    if isinstance(block, ResidualBlock):  # what is 0 beyond an extent, or goes no further, is not told
        assert not flat[np.setdiff1d(np.arange(flat.size), coded)].any()
        assert len(np.unique(coded)) == len(coded)
    else:
        assert np.array_equal(coded, np.arange(flat.size))


# ---- settings of the machine ---------------------------------------------------------------------------------------


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _reduced_products(precision: str) -> Iterator[None]:
    torch.set_float32_matmul_precision(precision)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision("highest")


@contextmanager
def _default_type(kind: torch.dtype) -> Iterator[None]:
    torch.set_default_dtype(kind)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


@contextmanager
def _without_onednn() -> Iterator[None]:
    before = torch.backends.mkldnn.set_flags(False)
    try:
        yield
    finally:
        torch.backends.mkldnn.set_flags(before[0])


SETTINGS: dict[str, Callable[[], AbstractContextManager[object]]] = {
    "one thread": lambda: _threads(1),
    "two threads": lambda: _threads(2),
    "no oneDNN": _without_onednn,
    "TF32": lambda: _reduced_products("high"),
    "bfloat16": lambda: _reduced_products("medium"),
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "inference mode": torch.inference_mode,
    "float64": lambda: _default_type(torch.float64),
    "bfloat16 by default": lambda: _default_type(torch.bfloat16),
}


@pytest.fixture(params=list(SETTINGS))
def setting(request: pytest.FixtureRequest) -> Iterator[str]:
    """The test runs under each of the settings that a caller, or a machine, may have."""
    with ExitStack() as stack:
        stack.enter_context(SETTINGS[request.param]())
        yield request.param
