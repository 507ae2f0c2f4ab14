"""`vlcodec compress`: pictures to .vlz files."""

import json
import os
from typing import Any

import click

from vlcodec import facade
from vlcodec.cli import archives, files, options, trees
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
@options.near_lossless
@options.effort
@options.seed
@options.model
@options.threshold
@options.strip
@options.device
@options.jobs
@options.recursive
@options.skip_existing
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
    near: int | None,
    effort: int | None,
    seed: int,
    model: str | None,
    threshold: int | None,
    strip: bool,
    device: str,
    jobs: int | None,
    recursive: bool,
    skip_existing: bool,
    max_pixels: int | None,
    dry_run: bool,
    verify: bool,
    as_json: bool,
    quiet: bool,
    force: bool,
) -> None:
    """Compress each IMG; photo.png becomes photo.vlz beside it, and - is stdin to stdout.

    Lossy at -q 3 unless told otherwise. With --lossless, -q chooses the latents that a preview shows, 1 by default.
    Levels of 16 bits are kept by --lossless, and otherwise rounded to 8.
    Where planes, PNG or WebP take fewer bytes, without a loss, the file holds these, unless --model is given.

    -r takes the pictures in folders, and gives OUT a tree like theirs. Names depend on neighbours: a.png becomes a.vlz,
    but beside a.jpg it becomes a.png.vlz, and that one a.jpg.vlz.
    Several IMG with -o OUT.vlz, an .npy or .npz array, or a TIFF of several pages become one archive, lossless.
    """
    wishes = {"size": size, "bpp": bpp, "psnr": psnr}
    wished = [f"--{name}" for name, value in wishes.items() if value is not None] + ["-q"] * (quality is not None)
    kept = ["--lossless"] * bool(lossless) + ["--near-lossless"] * (near is not None)
    kept += ["--lossy"] * (near is not None and lossless is False)
    if len(wished) > 1 or len(kept) > 1 or (kept and wished and wished != ["-q"]):
        raise click.UsageError(f"{' and '.join([*wished, *kept])} exclude each other")
    tree, unread = trees.found(images, facade.PICTURES) if recursive else (None, [])
    first = files.peek(images) if tree is None else b""
    if tree is None and archives.wanted(images, out, first):
        if wished or near is not None or effort is not None or max_pixels is not None or dry_run:
            options_of_one = "-q, -e, --size, --bpp, --psnr, --near-lossless, --max-pixels and --dry-run"
            raise click.UsageError(f"{options_of_one} are for single pictures")
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
            return None if quiet else files.Said(archives.report(target, data, as_json))

        files.each([images[0] if len(images) == 1 else target], pack, aside=target == files.STREAM)
        return
    targets = files.targets(images, out, vlz_name) if tree is None else trees.targets(tree, out, vlz_name, ".vlz")
    several = len(targets) > 1
    at_once = facade.jobs_of(jobs) if several else 1
    room = facade.Room()
    planned: dict[str, Any] = {"lossless": bool(lossless or near), "jobs": 1 if several else jobs}
    planned["effort"] = effort or 1

    def work(source: str) -> files.Said | None:
        target = targets[source]
        if skip_existing and os.path.lexists(target):
            return files.SKIPPED
        if not dry_run:
            files.check(target, force, new_folder=recursive)
        image = first or files.read(source)
        if dry_run:
            return files.Said(files.planned(source, facade.expected_to_compress(image, **planned), as_json))
        needed = facade.expected_to_compress(image, **planned) if several else None
        with room.of(needed), progress(source, quiet or as_json or several) as show:
            about: dict[str, Any] = {"model": model, "seed": seed, "threshold": threshold, "strip": strip}
            about |= {"device": device, "max_pixels": max_pixels or facade.MOST_PIXELS}
            about |= {"jobs": 1 if several else jobs, "progress": show, "effort": effort or 1}
            if set(wished) - {"-q"}:
                data = facade.compress_to(image, size=size, bpp=bpp, psnr=psnr, **about)
            else:
                about |= {"lossless": bool(lossless), "near_lossless": near or 0}
                data = facade.compress(image, quality=quality, **about)
            if verify:
                facade.verify(data, image, threshold=threshold, strip=strip, device=device, progress=show)
        if recursive:
            files.make_folder(target)
        files.write(target, data, force)
        line = "" if quiet else report(source, target, data, as_json)
        return files.Said(line, before=len(image), after=len(data))

    aside = files.STREAM in targets.values() and not dry_run
    files.each(list(targets), work, at_once, total=not (quiet or as_json), aside=aside, unread=unread)


def vlz_name(name: str) -> str:
    """photo.png -> photo.vlz"""
    return os.path.splitext(name)[0] + ".vlz"


def report(source: str, target: str, data: bytes, as_json: bool) -> str:
    """What became of one picture, in one line."""
    header = facade.info(data)
    bpp = 8 * len(data) / (header["width"] * header["height"])
    if as_json:
        told = ("model", "stored", "width", "height", "mode", "bits", "lossless", "near_lossless", "quality", "seed")
        kept = {key: header[key] for key in told if key in header}
        return json.dumps({"input": source, "output": target, "bytes": len(data), "bits_per_pixel": bpp} | kept)
    kind = "lossless" if header["lossless"] else f"lossy q{header['quality']}"
    kind = f"within {header['near_lossless']} levels" if "near_lossless" in header else kind
    kind += f", {header['bits']} bits" if "bits" in header else ""
    kind += f", as {header['stored']}" if "stored" in header else ""
    names = f"{click.format_filename(source)} -> {click.format_filename(target)}"
    return f"{names}  {len(data):,} bytes, {bpp:.3f} bits/pixel, {kind}"
