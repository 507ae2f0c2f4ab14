"""The linear start: before any training, the autoencoder is the best linear transform coder of the pictures."""

from dataclasses import replace

import numpy as np
import torch

from vlcodec.models.layers.mixture import FINE
from vlcodec.models.photo import training
from vlcodec.models.photo.linear_start import principal, start_linear
from vlcodec.models.photo.net import GridAgave

SHAPE = replace(
    training.SHAPE,
    latents=96,
    widths=(64, 96, 96),
    prior_groups=2,
    prior_channels=8,
    pixel_channels=8,
    pixel_depth=1,
)


def pictures() -> torch.Tensor:
    """(12, 64, 64, 3) in [-128, 127]: waves of all directions, the same in each colour but for its height."""
    rng = np.random.default_rng(0)
    r, c = np.indices((64, 64))
    waves = [np.sin(rng.uniform(-0.3, 0.3) * r + rng.uniform(-0.3, 0.3) * c + rng.uniform(0, 6)) for _ in range(36)]
    light = np.stack(waves).reshape(12, 3, 64, 64).sum(1)[..., None]
    return torch.from_numpy(30 * light * [1.0, 0.8, 0.6]).float().round()


def test_principal_directions() -> None:
    x = torch.randn(1000, 3, generator=torch.Generator().manual_seed(0)) * torch.tensor([1.0, 5.0, 0.1])
    found = principal(x, 2)
    assert torch.allclose(found.abs(), torch.tensor([[0.0, 1, 0], [1, 0, 0]]), atol=0.05)
    assert torch.allclose(found @ found.t(), torch.eye(2), atol=1e-5)


def test_a_transform_coder_from_the_first_step() -> None:
    """The mean image is near, the better the higher the quality; a net of random weights knows nothing."""
    torch.manual_seed(0)
    net, x = GridAgave(SHAPE), pictures()
    split = [[(q, len(x))] for q in range(net.qualities)]
    with torch.no_grad():
        before = float(net.losses(x, x[:, 0, 0, 0], split[-1], False)["mse"].mean())
        start_linear(net, x)
        after = [net.losses(x, x[:, 0, 0, 0], each, False) for each in split]
        mu = net.encoder(x, split[-1]) / FINE
    errors = [float(terms["mse"].mean()) for terms in after]
    assert before > float(x.square().mean()) / 2
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < float(x.square().mean()) / 20
    spread = mu.flatten(0, 2).square().mean(0)
    assert spread[0] == spread.max()
    assert spread[:48].sum() > 10 * spread[48:].sum()
    assert float(after[0]["kl"].mean()) < float(after[-1]["kl"].mean())
