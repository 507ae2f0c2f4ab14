"""Compiled loops of a benchmark compute what the net does."""

import binary_pixels
import pytest
import torch

from vlcodec.models.layers.exact import layers
from vlcodec.models.vlae.net import Vlae, VlaeShape

SHAPE = VlaeShape(
    posterior="gaussian", latents=4, widths=(4, 4), blocks=(1, 1), bottleneck=4, hidden=8, flow_steps=1, flow_hidden=8,
    features=2, pixel_channels=4, window=4, dilation=1, tied=False, flow_in="prior", auxiliary=False, kl_weight=1.0,
)  # fmt: skip


@pytest.mark.parametrize("samples", [1, 67])
def test_nats_are_those_of_the_net(samples: int) -> None:
    torch.manual_seed(0)
    net = Vlae(SHAPE)
    with torch.no_grad():
        for _, layer in layers(net.pixels):
            layer.bias.normal_()
        x, features = (torch.rand(1, 28, 28, 1) > 0.5).float(), 2000 * torch.randn(samples, 28, 28, 2)
        wanted = net._pixel_nats(x.expand(samples, -1, -1, -1), features)
    assert binary_pixels.serves(SHAPE)
    found = binary_pixels.pixel_nats(net.pixels, binary_pixels.weights_of(net.pixels), x[0, ..., 0], features)
    assert found.shape == (samples,)
    assert torch.allclose(found, wanted, rtol=1e-5)
