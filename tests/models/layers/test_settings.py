"""The caller's settings: exact inside, whatever they are, and back outside, in one thread and in several."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from operator import attrgetter

import pytest
import torch
from torch import Tensor

from vlcodec.models.layers import settings
from vlcodec.models.layers.settings import exact_inference, stepwise

PRODUCTS = ("cuda.matmul", "mkldnn.matmul")
NEWER = hasattr(torch.backends, "fp32_precision")  # flags by backend, beside the older ones


def flags() -> dict[str, object]:
    """All that a caller can have set about the precision of products; "none", the default, means "ieee"."""
    newer = {name: attrgetter(name)(torch.backends).fp32_precision for name in PRODUCTS if NEWER}
    older = {"torch": torch.get_float32_matmul_precision(), "cudnn": torch.backends.cudnn.allow_tf32}
    return older | {name: "ieee" if value == "none" else value for name, value in newer.items()}


def products() -> tuple[Tensor, Tensor]:
    """A product as it is computed now, and as it is: every partial sum below 2^24."""
    a, b = torch.randint(-500, 501, (2, 64, 64), generator=torch.Generator().manual_seed(0)).float()
    return a @ b, (a.double() @ b.double()).float()


@pytest.fixture(autouse=True)
def _plain_precision() -> Iterator[None]:
    """Whatever a test leaves behind, the flags are as at the start of the process."""
    yield
    torch.set_float32_matmul_precision("highest")


@pytest.mark.parametrize("wanted", ["highest", "high", "medium"])
def test_reduced_precision_is_off_inside_and_back_outside(wanted: str) -> None:
    torch.set_float32_matmul_precision(wanted)
    before = flags()
    for _ in range(2):
        with exact_inference():
            assert torch.equal(*products())
            inside = [attrgetter(name)(torch.backends).fp32_precision for name in PRODUCTS if NEWER]
            assert set(inside) <= {"ieee"}
            assert NEWER or not torch.backends.cuda.matmul.allow_tf32
        assert flags() == before


@pytest.mark.skipif(not NEWER, reason="this torch has the older flags alone")
@pytest.mark.parametrize(
    ("where", "value"), [("cuda.matmul", "tf32"), ("mkldnn.matmul", "bf16"), ("cudnn.conv", "ieee")]
)
def test_the_newer_flags_too(where: str, value: str) -> None:
    backend = attrgetter(where)(torch.backends)
    before, backend.fp32_precision = backend.fp32_precision, value
    try:
        for _ in range(2):
            with exact_inference():
                assert torch.equal(*products())
            assert backend.fp32_precision == value
    finally:
        backend.fp32_precision = before


def test_autocast_and_gradients_are_off_inside_and_back_outside() -> None:
    a = torch.full((8, 8), 1023.0, requires_grad=True)

    def inside() -> None:
        with exact_inference():
            assert (a @ a).dtype == torch.float32
            assert not (a @ a).requires_grad
            raise KeyError("an error leaves by the same door")

    with torch.autocast("cpu", torch.bfloat16):
        with pytest.raises(KeyError):
            inside()
        assert (a @ a).dtype == torch.bfloat16
        assert (a @ a).requires_grad


def test_tensors_made_in_the_callers_inference_mode_can_be_changed_outside() -> None:
    with torch.inference_mode():
        with exact_inference():
            made = torch.zeros(3)
        assert torch.is_inference_mode_enabled()
    with exact_inference():
        made += 1
        assert not torch.is_grad_enabled()


# ---- several threads, and calls inside each other -------------------------------------------------------------------


@pytest.fixture(params=["newer flags", "older flags"])
def _flags(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "newer flags" and not NEWER:
        pytest.skip("this torch has the older flags alone")
    monkeypatch.setattr(settings, "NEWER_FLAGS", request.param == "newer flags")


class Other:
    """Another thread, which does one thing at a time, when it is told to."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1)

    def enter(self, context: AbstractContextManager[None]) -> None:
        self._thread.submit(context.__enter__).result()

    def leave(self, context: AbstractContextManager[None]) -> None:
        self._thread.submit(context.__exit__, None, None, None).result()

    def threads(self) -> int:
        return self._thread.submit(torch.get_num_threads).result()

    def end(self) -> None:
        self._thread.shutdown()


@pytest.fixture
def other() -> Iterator[Other]:
    thread = Other()
    yield thread
    thread.end()


@pytest.mark.usefixtures("_flags")
def test_a_thread_that_leaves_gives_no_reduced_precision_to_another(other: Other) -> None:
    torch.set_float32_matmul_precision("medium")
    before, first = settings._flags(), exact_inference()
    other.enter(first)
    with exact_inference():
        other.leave(first)
        assert settings._flags() == settings._exact()
        assert torch.equal(*products())
    assert settings._flags() == before != settings._exact()


@pytest.mark.usefixtures("_flags")
def test_the_last_thread_out_gives_the_precision_back(other: Other) -> None:
    torch.set_float32_matmul_precision("high")
    before, last = settings._flags(), exact_inference()

    def fail() -> None:
        with exact_inference():
            other.enter(last)
            raise KeyError("an error leaves by the same door")

    with pytest.raises(KeyError):
        fail()
    assert settings._flags() == settings._exact()
    other.leave(last)
    assert settings._flags() == before


@pytest.mark.usefixtures("_flags")
def test_calls_inside_each_other() -> None:
    torch.set_float32_matmul_precision("high")
    before = settings._flags()
    with exact_inference():
        with stepwise():
            pass
        assert settings._flags() == settings._exact()
        assert not torch.is_grad_enabled()
    assert settings._flags() == before
    assert torch.is_grad_enabled()


@pytest.mark.usefixtures("_flags")
@pytest.mark.parametrize("another", [False, True])
def test_what_the_caller_sets_meanwhile(another: bool) -> None:
    """Calls that begin later are exact all the same; what was set last stays."""
    with exact_inference():
        torch.set_float32_matmul_precision("high")
        wanted = settings._flags()
        if another:
            with exact_inference():
                assert settings._flags() == settings._exact()
    assert settings._flags() == wanted


def test_walks_in_several_threads_give_their_number_back(other: Other) -> None:
    """The other thread first meets torch inside this one's walk, when a new thread begins with one."""
    torch.set_num_threads(2)
    try:
        second = stepwise()
        with stepwise():
            other.enter(second)
            with stepwise():
                pass
            assert torch.get_num_threads() == other.threads() == 1
        assert (torch.get_num_threads(), other.threads()) == (2, 1)
        other.leave(second)
        assert torch.get_num_threads() == other.threads() == 2
    finally:
        torch.set_num_threads(1)
