"""`vlcodec decompress`: .vlz files to PNG."""

import json
from typing import Any, Literal

import click

from vlcodec import facade
from vlcodec.cli import archives, files, options
from vlcodec.cli.progress import progress


@click.command(short_help=".vlz files to PNG pictures.")
@click.argument("sources", nargs=-1, required=True, type=options.path, metavar="F.vlz...")
@click.option(
    "-o",
    "out",
    type=options.path,
    metavar="OUT",
    help="A .png, a folder for several, or - for stdout.  [default: F.vlz.png]",
)
@click.option(
    "--decode",
    type=click.Choice(["sample", "mean"]),
    help="Regenerate with noise, or the mean image.  [default: sample if lossy, every pixel if lossless]",
)
@click.option("--seed", type=click.IntRange(0, 2**64 - 1), help="Another pixel noise than the file's own.")
@click.option("--front", is_flag=True, help="Take what has arrived of a file that may be cut: a coarser picture.")
@click.option("--salvage", is_flag=True, help="Take what is sound of a damaged lossless file; the rest is striped.")
@options.device
@options.jobs
@options.max_pixels
@options.dry_run
@options.weights
@options.json
@options.quiet
@options.force
def decompress(
    sources: tuple[str, ...],
    out: str | None,
    decode: Literal["sample", "mean"] | None,
    seed: int | None,
    front: bool,
    salvage: bool,
    device: str,
    jobs: int | None,
    max_pixels: int,
    dry_run: bool,
    as_json: bool,
    quiet: bool,
    force: bool,
) -> None:
    """Decompress each F.vlz to a PNG; photo.vlz becomes photo.vlz.png beside it, and - is stdin to stdout.

    An archive's pictures go into a folder, F.vlz.pictures, or into one array with -o NAME.npy.
    """
    from vlcodec.codec.image import png_bytes  # late: loads Pillow and numpy

    if salvage and (decode is not None or seed is not None or front):
        raise click.UsageError("--salvage is for every pixel that is sound: without --decode, --seed and --front")
    first = files.peek(sources)
    if facade.is_archive(first) or (len(sources) > 1 and any(archives.is_one(source) for source in sources)):
        if len(sources) > 1 or decode is not None or front or salvage or dry_run:
            raise click.UsageError("an archive is decompressed alone; options of single pictures are none of its own")

        def unpack(source: str) -> files.Said | None:
            with progress(source, quiet or as_json) as show:
                target = archives.unpack(source, first, out, seed, device, max_pixels, force, show)
            return None if quiet else files.Said(archives.report(target, first, as_json))

        files.each(sources, unpack)
        return
    targets = files.targets(sources, out, lambda name: name + ".png")
    for target in targets.values():
        if target != files.STREAM and not target.lower().endswith(".png"):
            raise click.UsageError(f"-o {target}: the output is PNG and its name must end in .png")

    several = len(sources) > 1
    at_once = facade.jobs_of(jobs) if several else 1

    def work(source: str) -> files.Said | None:
        target = targets[source]
        if not dry_run:
            files.check(target, force)
        data = first or files.read(source)
        if dry_run:
            planned = facade.expected_to_decompress(data, decode=decode, jobs=1 if several else jobs)
            return files.Said(files.planned(source, planned, as_json))
        with progress(source, quiet or as_json or at_once > 1) as show:
            shared: dict[str, Any] = {"device": device, "max_pixels": max_pixels, "progress": show}
            shared["jobs"] = 1 if several else jobs
            if salvage:
                found = facade.salvage(data, **shared)
                image, kind = found.image, "salvaged"
            else:
                kind = (decode or "sample") if front else _kind(facade.info(data), decode)
                image = facade.decompress(data, decode=decode, seed=seed, front=front, **shared)
        files.write(target, png_bytes(image), force)
        if salvage and found.lost:
            return files.Said(_lost(source, found.lost, image.height), on_stderr=True, failed=True)
        if quiet:
            return None
        if as_json:
            size = {"width": image.width, "height": image.height, "mode": image.mode}
            line = json.dumps({"input": source, "output": target, **size, "decode": kind})
        else:
            names = f"{click.format_filename(source)} -> {click.format_filename(target)}"
            line = f"{names}  {image.width}x{image.height} {image.mode}, {kind}"
        return files.Said(line, target == files.STREAM)

    files.each(sources, work, at_once)


def _lost(source: str, lost: tuple[range, ...], height: int) -> str:
    """What could not be salvaged, in one line."""
    rows = ", ".join(f"{part.start} to {part.stop - 1}" for part in lost)
    return f"vlcodec: {click.format_filename(source)}: rows {rows} of {height} are lost: striped, the mean image"


def _kind(header: dict[str, Any], decode: str | None) -> str:
    """What a file gives, for the line about it."""
    if "stored" in header:
        return f"stored {header['stored']}"
    usual = "lossless" if header["lossless"] else "sample"
    return "mean" if header["quality"] == 0 else decode or usual
