"""A prior by mean-only autoregressive flow: MADEs whose shifts, rounded, make the flow a bijection of a finite grid.

Chen et al., "Variational Lossy Autoencoder", appendix .1; Germain et al., "MADE". From latents to noise every step
subtracts shifts that depend on earlier latents only, all at once; from noise to latents they are added, one latent
after the other. Shifts are integers and the grid is cyclic, so there is no Jacobian and no rounding error.

    z ---> [ - m(z) ] ---> flip ---> [ - m(.) ] ---> flip ---> ... ---> noise      (flips only where they alternate)
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vlcodec.models.layers.activations import FINE_UNIT
from vlcodec.models.layers.exact import OWN
from vlcodec.models.layers.fine import fine_layer
from vlcodec.models.layers.mode import IntegerModule


class Made(nn.Module):
    """Shifts m(x): m_i from x_j with j < i, by two hidden layers of ReLU.

    Args:
        size: of x. hidden: units a layer. unit: integers per 1.0 of x. input_max: largest |x|; limit: largest |m|.
    """

    def __init__(self, size: int, hidden: int, unit: int, input_max: int, limit: int) -> None:
        super().__init__()
        degrees = torch.arange(hidden) * max(1, size - 1) // hidden + 1  # unit j sees x_0 .. x_(degree - 1); sorted
        places = torch.arange(size)
        self.ends = torch.searchsorted(degrees, torch.arange(size + 1), right=True).tolist()  # units of degree <= d
        sees, tells = (degrees[:, None] > places[None]).float(), (places[:, None] >= degrees[None]).float()
        between = (degrees[:, None] >= degrees[None]).float()
        up, down = FINE_UNIT / unit, unit / FINE_UNIT
        self.enter = fine_layer(OWN, size, hidden, gain=up, low=0, unit=unit, input_max=input_max, mask=sees)
        self.middle = fine_layer(OWN, hidden, hidden, low=0, mask=between)
        self.leave = fine_layer(OWN, hidden, size, gain=down, low=-limit, high=limit, mask=tells, init=0.05)

    def forward(self, x: Tensor) -> Tensor:
        """x (n, size) -> shifts (n, size)."""
        shifts: Tensor = self.leave(self.middle(self.enter(x)))
        return shifts


class OneByOne:
    """A frozen Made fed with one x_i after the other: each hidden unit is computed once, when all it sees is known."""

    def __init__(self, made: Made, n: int, device: torch.device) -> None:
        self.made = made
        sizes = (made.enter.inputs, made.middle.inputs, made.leave.inputs)
        self.x, self.first, self.second = (torch.zeros(n, s, dtype=torch.float32, device=device) for s in sizes)

    def shift(self, i: int) -> Tensor:
        """(n,) m_i, once x_0 .. x_(i-1) are put."""
        end = self.made.ends[i]
        return self.made.leave.part(self.second[:, :end], slice(0, end), slice(i, i + 1))[:, 0]

    def put(self, i: int, value: Tensor) -> None:
        """(n,) x_i."""
        self.x[:, i] = value
        a, b = self.made.ends[i], self.made.ends[i + 1]
        self.first[:, a:b] = self.made.enter.part(self.x[:, : i + 1], slice(0, i + 1), slice(a, b))
        self.second[:, a:b] = self.made.middle.part(self.first[:, :b], slice(0, b), slice(a, b))


class Flow(IntegerModule):
    """Steps of Made from latents to noise.

    Args:
        steps: none makes the prior a plain one. alternate: turn the order of the latents around after each step.
        period: size of the cyclic grid, a power of two; 0 where latents do not wrap around.
        unit: integers per 1.0. limit: largest |latent| and |shift|.
    """

    def __init__(
        self, size: int, steps: int, hidden: int, *, unit: int, limit: int, period: int, alternate: bool
    ) -> None:
        super().__init__()
        self.period, self.alternate = period, alternate
        reach = limit if period else limit * (steps + 1)
        self.steps = nn.ModuleList(Made(size, hidden, unit, reach, limit) for _ in range(steps))

    def mades(self) -> list[Made]:
        """The steps, from latents to noise."""
        return [step for step in self.steps if isinstance(step, Made)]

    def wrap(self, x: Tensor) -> Tensor:
        """x brought into [-period / 2, period / 2)."""
        half = self.period // 2
        return x - self.period * torch.floor((x + half) / self.period) if self.period else x

    def forward(self, z: Tensor) -> Tensor:
        """Latents (n, size) -> noise. The grid's edge, far outside what is trained on, is left out of training."""
        for step in self.steps:
            z = z - step(z)
            z = self.wrap(z) if self.mode == "frozen" else z
            z = z.flip(-1) if self.alternate else z
        return z

    def inverse(self, noise: Tensor) -> Tensor:
        """Noise (n, size) -> latents, on frozen integers."""
        x = noise
        for step in reversed(self.mades()):
            x = (x.flip(-1) if self.alternate else x).clone()
            walk = OneByOne(step, len(x), x.device)
            for i in range(x.shape[1]):
                x[:, i] = self.wrap(x[:, i] + walk.shift(i))
                walk.put(i, x[:, i])
        return x
