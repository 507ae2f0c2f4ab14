"""Coefficients that are not worth their bits."""

import numpy as np
import pytest

from vlcodec.models.photo.rounding import _trim


@pytest.mark.parametrize(
    ("cost", "extent", "kept"),
    [
        ([-50, -50, -50], [0, 0, 0, 0], 3),
        ([-50, -50, 10], [0, 0, 0, 0], 2),
        ([-50, 60, -20], [0, 0, 0, 0], 1),
        ([-50, 60, -70], [0, 0, 0, 0], 3),
        ([5, 10, 10], [0, 0, 0, 0], 0),
        ([5, 10, 10], [-90, 0, 0, 0], 1),
        ([-50, -50, -20], [0, 0, 40, 0], 2),
    ],
)
def test_a_block_ends_where_it_is_cheapest(cost: list[int], extent: list[int], kept: int) -> None:
    """Given what each group saves, and what logits say of each extent."""
    steps = np.arange(1, 7).reshape(1, 1, 6)
    _trim(steps, np.array([cost]), np.array([extent]))
    assert steps.reshape(-1).tolist() == [k if k <= 2 * kept else 0 for k in range(1, 7)]


def test_no_block_ends_later_than_it_did() -> None:
    steps = np.array([[[3, 0, 0, 0, 0, 0]], [[0, 0, 0, 0, 0, 0]]])
    before = steps.copy()
    _trim(steps, np.array([[-9, -9, -9]] * 2), np.array([[-99, -99, -99, 99]] * 2))
    assert np.array_equal(steps, before)
