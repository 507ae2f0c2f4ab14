"""The training loop: pictures in, trained weights and a checkpoint out; stops at a time limit and resumes exactly.

Runs with torch, numpy and Pillow alone. The schedule is by steps: warm-up, a plateau, and a decay over the last 30 %.
Rounding is simulated (`exact.set_quantised`) while the rate decays, so that what is exported is what was trained; from
exported weights it is simulated from the first step.
"""

from __future__ import annotations

import contextlib
import csv
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from vlcodec.codec.errors import ImageError
from vlcodec.models.agave import Agave, Shape
from vlcodec.models.data import Pixels, draw_patches, make_pool, read_rgb
from vlcodec.models.exact import Layer, layers, set_quantised

QUALITY_SHARES = (0.4, 0.2, 0.2, 0.2)  # of a batch; lossless files use the lowest quality's latents
WARM_UP_STEPS, DECAY_FROM, ANNEALED_AT = 200, 0.7, 0.05  # the last two as shares of the steps
AVERAGE = 0.999  # per step, of the exponential average of the weights
FULL_RATE_INPUTS = 256
POOL_STEPS = 6000  # steps between new random variants of the pictures
LOG_STEPS = 100
Progress = Callable[[str, int, int], None]
Part = Literal["all", "autoencoder", "pixels"]


def learning_rate(peak: float, step: int, steps: int) -> float:
    """Warm-up, plateau, cosine decay to 1 % of the peak."""
    done = min(1.0, step / steps)
    decay = 0.0 if done < DECAY_FROM else (done - DECAY_FROM) / (1 - DECAY_FROM)
    return peak * min(1.0, (step + 1) / WARM_UP_STEPS) * (0.505 + 0.495 * math.cos(math.pi * decay))


def rate_share(layer: Layer) -> float:
    """Share of the learning rate that a layer takes: wide ones less, or Adam's even steps silence their channels."""
    return min(1.0, FULL_RATE_INPUTS / layer.weight.shape[1])


def split_batch(batch: int) -> list[tuple[int, int]]:
    """(quality, pictures) for each quality; every quality gets at least one picture."""
    counts = [max(1, round(batch * share)) for share in QUALITY_SHARES]
    counts[0] = max(1, batch - sum(counts[1:]))
    return list(enumerate(counts))


class Average:
    """Exponential moving average of the trainable weights."""

    def __init__(self, model: nn.Module) -> None:
        self.values = {k: v.detach().clone() for k, v in model.named_parameters()}

    def update(self, model: nn.Module, step: int) -> None:
        keep = min(AVERAGE, (1 + step) / (10 + step))
        new = [v.detach() for _, v in model.named_parameters()]
        torch._foreach_lerp_(list(self.values.values()), new, 1 - keep)

    @contextlib.contextmanager
    def applied(self, model: nn.Module):  # type: ignore[no-untyped-def]
        """The model with the averaged weights, for measuring and for export."""
        own = {k: v.detach().clone() for k, v in model.named_parameters()}
        with torch.no_grad():
            for k, v in model.named_parameters():
                v.copy_(self.values[k])
        try:
            yield model
        finally:
            with torch.no_grad():
                for k, v in model.named_parameters():
                    v.copy_(own[k])


def measure(model: Agave, pictures: Sequence[Pixels], device: torch.device) -> list[dict[str, float]]:
    """For each quality, means over pictures: bits/pixel of the latents, PSNR of the mean image, bits/dim in all."""
    rows = []
    with torch.no_grad():
        for q in range(model.qualities):
            sums = torch.zeros(3, dtype=torch.float64)
            for picture in pictures:
                h, w = (s // 16 * 16 for s in picture.shape[:2])
                x = torch.from_numpy(picture[None, :h, :w]).to(device)[..., [1, 0, 2]].float() - 128
                terms = {k: float(v) for k, v in model.losses(x, x.new_zeros(1), [(q, 1)]).items()}
                kl, pixels = terms["kl"] / math.log(2), terms["pixels"] / math.log(2)
                sums += torch.tensor([kl, 10 * math.log10(255**2 / terms["mse"]), (kl + pixels) / 3])
            bpp, psnr, bpd = (sums / len(pictures)).tolist()
            rows.append({"quality": q + 1, "latent_bpp": bpp, "psnr": psnr, "bpd": bpd})
    return rows


def train(
    pictures: Sequence[Path],
    out: Path,
    *,
    steps: int,
    minutes: float | None = None,
    init: dict[str, Tensor] | None = None,
    validation: Sequence[Path] = (),
    seed: int = 0,
    device: str = "cpu",
    batch: int = 10,
    patch: int = 96,
    variants: int = 3,
    rate: float = 1.2e-3,
    part: Part = "all",
    shape: Shape | None = None,
    progress: Progress | None = None,
) -> Agave:
    """Train the photo model and return it with its averaged weights, not frozen.

    pictures: files to learn from. out: folder of `checkpoint.pt` (resumed from where it exists) and `log.csv`.
    steps: length of the schedule; minutes: stop earlier and leave a checkpoint. init: exported weights to start from.
    validation: files that are only measured, at the end. rate: peak learning rate of Adam.
    part: "autoencoder" trains that and the prior alone, at a ninth of the cost; "pixels" the PixelCNN and the decoder's
    last layer, which makes its features, with the rest fixed.
    """
    on = torch.device(device)
    torch.manual_seed(seed)
    rng = torch.Generator().manual_seed(seed)
    model = Agave(shape or Shape()).to(on)
    if init is not None:
        model.load_state_dict(init)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(part != "pixels" or name.startswith(("pixels.", "decoder.leave.")))
    groups = [{"params": list(layer.parameters()), "share": rate_share(layer)} for _, layer in layers(model)]
    optimiser = torch.optim.Adam(groups, lr=rate, betas=(0.9, 0.99), fused=on.type == "cuda")
    average, step, rounded = Average(model), 0, init is not None
    out.mkdir(parents=True, exist_ok=True)
    if (out / "checkpoint.pt").exists():
        step, rounded = _restore(out / "checkpoint.pt", model, optimiser, average, rng)
    objective = model.objective
    if on.type == "cuda":
        torch.set_float32_matmul_precision("high")  # TF32 holds 11 bits: all that the simulated integers have
        torch.backends.cudnn.allow_tf32 = True
        torch.backends.cudnn.benchmark = True
        objective = torch.compile(model.objective)
    sources = [read_rgb(p) for p in pictures]
    held_out = [read_rgb(p) for p in validation]
    split, pool_number, pool = split_batch(batch), -1, []
    started, first_step = time.monotonic(), step
    model.train()
    with (out / "log.csv").open("a", newline="") as file:
        log = csv.writer(file)
        if not file.tell():
            log.writerow(["step", "seconds", "loss", "pixels_nats", "kl_nats", "mse"])
        sums, summed = torch.zeros(4, device=on), 0
        while step < steps and not (minutes and time.monotonic() - started > 60 * minutes):
            if step // POOL_STEPS != pool_number:
                pool_number = step // POOL_STEPS
                fresh = make_pool(sources, variants, [seed, pool_number], patch)
                pool = [torch.from_numpy(p).to(on) for p in fresh]
                if not pool:
                    raise ImageError(f"no picture is as large as a patch, {patch} x {patch}")
            set_quantised(model, rounded or step >= DECAY_FROM * steps)
            for group in optimiser.param_groups:
                group["lr"] = group["share"] * learning_rate(rate, step, steps)
            x, grey = draw_patches(pool, batch, patch, rng)
            warm = 1.0 if rounded else min(1.0, 0.2 + 0.8 * step / (ANNEALED_AT * steps))
            anneal = torch.tensor(warm, device=on)
            terms = objective(x, grey, split, anneal, part != "autoencoder")
            optimiser.zero_grad(set_to_none=True)
            terms["loss"].backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            step += 1
            average.update(model, step)
            sums += torch.stack([terms[k].detach().mean() for k in ("loss", "pixels", "kl", "mse")])
            summed += 1
            if step % LOG_STEPS == 0:
                row = [f"{v / summed:.5f}" for v in sums.tolist()]
                log.writerow([step, f"{time.monotonic() - started:.1f}", *row])
                file.flush()
                sums, summed = torch.zeros(4, device=on), 0
            if progress is not None:
                progress("train", step, steps)
            if step % 5000 == 0:
                _save(out / "checkpoint.pt", model, optimiser, average, rng, step, rounded)
        speed = (step - first_step) / max(1e-9, time.monotonic() - started)
        log.writerow([f"# step {step}", f"{speed:.2f} steps/s", f"{speed * batch * patch**2 / 1e6:.2f} Mpixel/s"])
        _save(out / "checkpoint.pt", model, optimiser, average, rng, step, rounded)
        for k, v in model.named_parameters():
            v.data.copy_(average.values[k])
        model.eval()
        for means in measure(model, held_out, on) if held_out else []:
            log.writerow(["# held out", *(f"{k} {v:.4f}" for k, v in means.items())])
    return model


def _save(
    path: Path, model: Agave, optimiser: Any, average: Average, rng: torch.Generator, step: int, rounded: bool
) -> None:
    state = {
        "model": model.state_dict(),
        "optimiser": optimiser.state_dict(),
        "average": average.values,
        "rng": rng.get_state(),
        "torch_rng": torch.get_rng_state(),
        "cuda_rng": torch.cuda.get_rng_state() if torch.cuda.is_available() else None,
        "step": step,
        "rounded": rounded,
    }
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    partial.replace(path)


def _restore(path: Path, model: Agave, optimiser: Any, average: Average, rng: torch.Generator) -> tuple[int, bool]:
    state = torch.load(path, map_location="cpu", weights_only=True)
    model.load_state_dict(state["model"])
    optimiser.load_state_dict(state["optimiser"])
    for k, v in average.values.items():
        v.copy_(state["average"][k])
    rng.set_state(state["rng"])
    torch.set_rng_state(state["torch_rng"])
    if state["cuda_rng"] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda_rng"])
    return int(state["step"]), bool(state["rounded"])
