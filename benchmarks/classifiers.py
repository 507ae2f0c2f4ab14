"""Classifiers, trained on labelled originals, that say whether a regenerated picture is still of its class.

    python benchmarks/classifiers.py mnist MNIST.npz mnist.pt
    python benchmarks/classifiers.py caltech101 CALTECH101.npz caltech101.pt
    python benchmarks/classifiers.py omniglot OMNIGLOT.npz omniglot.pt --epochs 20
    python benchmarks/classifiers.py cifar10 CIFAR10.npz cifar10.pt --device cuda --epochs 30

The files are those of docs/weights.md's sets. Digits and letters are binarised at random, anew for each batch, as the
models see them; of the letters' 1,623 characters there are some fifteen each. Needs torch and numpy alone.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

Bytes = NDArray[np.uint8]
Draw = Literal["grey", "as it is"]  # a grey value is the probability of a one
CLASSES = {"mnist": 10, "caltech101": 101, "omniglot": 1623, "cifar10": 10}
GREY = ("mnist", "omniglot")
BATCH = 256
PEAK, MOMENTUM, DECAY = 0.1, 0.9, 5e-4  # of the learning rate, and of SGD
MOVED = {28: 2, 32: 4}  # pixels that a picture is moved by at random in training, by its side
AT_ONCE = 500


class Labelled(NamedTuple):
    """pictures: (N, side, side, C) in [0, 1]. labels: (N,) from 0."""

    pictures: Tensor
    labels: Tensor


class Classifier(nn.Module):
    """Three stages of two convolutions, at whole, half and quarter resolution, then the mean over positions."""

    def __init__(self, channels: int, classes: int, width: int) -> None:
        super().__init__()
        self.sizes = {"channels": channels, "classes": classes, "width": width}
        parts, last = list[nn.Module](), channels
        for stage in range(3):
            for i in range(2):
                wide = width << stage
                parts += [nn.Conv2d(last, wide, 3, padding=1, bias=False), nn.BatchNorm2d(wide), nn.ReLU()]
                last = wide
                if i == 1 and stage < 2:
                    parts.append(nn.MaxPool2d(2))
        self.body, self.leave = nn.Sequential(*parts), nn.Linear(last, classes)

    def forward(self, x: Tensor) -> Tensor:
        """x (N, side, side, C) in [0, 1] -> (N, classes)."""
        h: Tensor = self.body(4 * x.movedim(-1, 1) - 2)
        found: Tensor = self.leave(h.mean((2, 3)))
        return found


def train(
    data: Labelled, classes: int, draw: Draw, *, width: int, epochs: float, mirrored: bool, device: str, seed: int = 0
) -> Classifier:
    """SGD with one cycle of the learning rate over so many epochs."""
    torch.manual_seed(seed)
    x, y = (part.to(device) for part in data)
    net = Classifier(x.shape[-1], classes, width).to(device)
    steps = round(epochs * len(x) / BATCH)
    optimiser = torch.optim.SGD(net.parameters(), lr=PEAK, momentum=MOMENTUM, weight_decay=DECAY, nesterov=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, PEAK, total_steps=steps)
    for _ in range(steps):
        chosen = torch.randint(len(x), (BATCH,), device=device)
        some = _moved(x[chosen], MOVED[x.shape[1]], mirrored)
        some = torch.bernoulli(some) if draw == "grey" else some
        with torch.autocast(device, torch.bfloat16):
            loss = F.cross_entropy(net(some).float(), y[chosen], label_smoothing=0.1)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return net.eval()


def _moved(x: Tensor, most: int, mirrored: bool) -> Tensor:
    """A batch cut out anew from a larger picture, whose border is as outside: each picture moved by itself."""
    n, side = x.shape[:2]
    padded = F.pad(x, (0, 0, most, most, most, most))
    rows, columns = torch.randint(0, 2 * most + 1, (2, n, 1), device=x.device) + torch.arange(side, device=x.device)
    if mirrored:
        columns = torch.where(torch.rand(n, 1, device=x.device) < 0.5, columns.flip(1), columns)
    found: Tensor = padded[torch.arange(n, device=x.device)[:, None, None], rows[:, :, None], columns[:, None, :]]
    return found


def classes_of(net: Classifier, pictures: Bytes) -> NDArray[np.int64]:
    """The likeliest class of each picture, (N, side, side) or (N, side, side, C) uint8."""
    x = torch.from_numpy(pictures.reshape(*pictures.shape[:3], -1))
    device = next(net.parameters()).device
    with torch.no_grad():
        found = [net(part.to(device).float() / 255).argmax(1).cpu() for part in x.split(AT_ONCE)]
    return torch.cat(found).numpy()


def save(net: Classifier, path: Path) -> None:
    """Sizes and weights, in half precision."""
    torch.save({"sizes": net.sizes, "weights": {k: v.half() for k, v in net.cpu().state_dict().items()}}, path)


def load(path: Path) -> Classifier:
    """What `save` wrote."""
    kept: dict[str, Any] = torch.load(path, weights_only=True)
    net = Classifier(**kept["sizes"])
    net.load_state_dict(kept["weights"])
    return net.eval()


def read(name: str, path: Path) -> tuple[Labelled, Labelled]:
    """Training and test part; of CIFAR-10 without a test part, the last 1,000 of the training pictures."""
    with np.load(path) as file:
        arrays = {key: file[key] for key in file.files}
    if name == "caltech101":
        parts = [
            (255 * np.unpackbits(arrays[part], axis=1).reshape(-1, 28, 28), arrays[f"{part}_labels"].reshape(-1) - 1)
            for part in ("train", "test")
        ]
    elif name == "omniglot":
        parts = [(arrays[part], arrays[f"{part}_char"]) for part in ("train", "test")]
    elif "test_labels" in arrays:
        parts = [(arrays[f"{part}_images"], arrays[f"{part}_labels"]) for part in ("train", "test")]
    else:
        x, y = arrays["train_images"], arrays["train_labels"]
        parts = [(x[:-1000], y[:-1000]), (x[-1000:], y[-1000:])]
    made = [
        Labelled(torch.from_numpy(x.reshape(*x.shape[:3], -1)).float() / 255, torch.from_numpy(y.astype(np.int64)))
        for x, y in parts
    ]
    return made[0], made[1]


def main() -> None:
    """Train one, keep it, say how often it is right."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("name", choices=list(CLASSES))
    options.add_argument("data", type=Path)
    options.add_argument("out", type=Path)
    options.add_argument("--epochs", type=float, default=6)
    options.add_argument("--device", default="cpu")
    chosen = options.parse_args()
    start = time.perf_counter()
    known, test = read(chosen.name, chosen.data)
    colour = chosen.name == "cifar10"
    draw: Draw = "grey" if chosen.name in GREY else "as it is"
    sizes: dict[str, Any] = {"width": 64 if colour else 24, "epochs": chosen.epochs, "mirrored": colour}
    net = train(known, CLASSES[chosen.name], draw, **sizes, device=chosen.device)
    x = torch.bernoulli(test.pictures) if draw == "grey" else test.pictures
    right = classes_of(net, (255 * x).round().byte().numpy()) == test.labels.numpy()
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    save(net, chosen.out)
    print(f"{chosen.name}: {100 * right.mean():.2f} % of {len(right)} right, {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
