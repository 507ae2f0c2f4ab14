"""`vlcodec compress`: pictures to .vlz files."""

import json
import os
from typing import Any

import click

from vlcodec import facade
from vlcodec.cli import archives, files, options
from vlcodec.cli.progress import progress


@click.command(short_help="Pictures to .vlz files.")
@click.argument("images", nargs=-1, required=True, type=options.path, metavar="IMG...")
@click.option(
    "-o",
    "out",
    type=options.path,
    metavar="OUT",
    help="A file, a folder for several, or - for stdout.  [default: IMG.vlz]",
)
@options.quality
@click.option("--size", type=click.IntRange(min=1), help="The best quality that takes no more bytes than this.")
@click.option("--bpp", type=click.FloatRange(min=0, min_open=True), help="Likewise, bits per pixel.")
@click.option("--psnr", type=click.FloatRange(min=0), help="The least quality whose mean image has so many dB.")
@click.option("--lossless/--lossy", default=None, help="Keep every pixel.  [default: lossy; archives lossless]")
@options.seed
@options.model
@options.threshold
@options.device
@options.jobs
@click.option("--max-pixels", type=click.IntRange(min=1), help="A picture that has more is refused.")
@options.dry_run
@click.option("--verify", is_flag=True, help="Decompress what was made and compare, before it is written.")
@options.weights
@options.json
@options.quiet
@options.force
def compress(
    images: tuple[str, ...],
    out: str | None,
    quality: float | None,
    size: int | None,
    bpp: float | None,
    psnr: float | None,
    lossless: bool | None,
    seed: int,
    model: str | None,
    threshold: int | None,
    device: str,
    jobs: int | None,
    max_pixels: int | None,
    dry_run: bool,
    verify: bool,
    as_json: bool,
    quiet: bool,
    force: bool,
) -> None:
    """Compress each IMG; photo.png becomes photo.vlz beside it, and - is stdin to stdout.

    Lossy at -q 3 unless told otherwise. With --lossless, -q chooses the latents that a preview shows, 1 by default.

    Several IMG with -o OUT.vlz, an .npy or .npz array, or a TIFF of several pages become one archive, lossless.
    """
    wishes = {"size": size, "bpp": bpp, "psnr": psnr}
    wished = [f"--{name}" for name, value in wishes.items() if value is not None] + ["-q"] * (quality is not None)
    if len(wished) > 1 or (wished and wished != ["-q"] and lossless):
        raise click.UsageError(f"{' and '.join([*wished, *['--lossless'] * bool(lossless)])} exclude each other")
    first = files.peek(images)
    if archives.wanted(images, out, first):
        if wished or max_pixels is not None or dry_run:
            named = [*wished, *["--max-pixels"] * (max_pixels is not None), "--dry-run"][0]
            raise click.UsageError(f"{named} is for single pictures: an archive has one quality")
        target = files.target_of_all(images, out, vlz_name)

        def pack(_: str) -> files.Said | None:
            files.check(target, force)
            with progress(target, quiet or as_json) as show:
                data = archives.make(
                    images,
                    first,
                    show,
                    model=model,
                    lossless=lossless is not False,
                    seed=seed,
                    threshold=threshold,
                    device=device,
                    verify=verify,
                )
            files.write(target, data, force)
            return None if quiet else files.Said(archives.report(target, data, as_json), target == files.STREAM)

        files.each([images[0] if len(images) == 1 else target], pack)
        return
    targets, several = files.targets(images, out, vlz_name), len(images) > 1
    at_once = facade.jobs_of(jobs) if several else 1
    planned: dict[str, Any] = {"lossless": bool(lossless), "jobs": 1 if several else jobs}

    def work(source: str) -> files.Said | None:
        target = targets[source]
        if not dry_run:
            files.check(target, force)
        image = first or files.read(source)
        if dry_run:
            return files.Said(files.planned(source, facade.expected_to_compress(image, **planned), as_json))
        with progress(source, quiet or as_json or at_once > 1) as show:
            about: dict[str, Any] = {"model": model or "photo", "seed": seed, "threshold": threshold}
            about |= {"max_pixels": max_pixels or facade.MOST_PIXELS, "device": device}
            about |= {"jobs": 1 if several else jobs, "progress": show}
            if set(wished) - {"-q"}:
                data = facade.compress_to(image, size=size, bpp=bpp, psnr=psnr, **about)
            else:
                data = facade.compress(image, lossless=bool(lossless), quality=quality, **about)
            if verify:
                facade.verify(data, image, threshold=threshold, device=device, progress=show)
        files.write(target, data, force)
        return None if quiet else files.Said(report(source, target, data, as_json), target == files.STREAM)

    files.each(images, work, at_once)


def vlz_name(name: str) -> str:
    """photo.png -> photo.vlz"""
    return os.path.splitext(name)[0] + ".vlz"


def report(source: str, target: str, data: bytes, as_json: bool) -> str:
    """What became of one picture, in one line."""
    header = facade.info(data)
    bpp = 8 * len(data) / (header["width"] * header["height"])
    if as_json:
        kept = {key: header[key] for key in ("model", "width", "height", "mode", "lossless", "quality", "seed")}
        return json.dumps({"input": source, "output": target, "bytes": len(data), "bits_per_pixel": bpp} | kept)
    kind = "lossless" if header["lossless"] else f"lossy q{header['quality']}"
    names = f"{click.format_filename(source)} -> {click.format_filename(target)}"
    return f"{names}  {len(data):,} bytes, {bpp:.3f} bits/pixel, {kind}"
