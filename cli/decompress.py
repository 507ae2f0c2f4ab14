"""`vlcodec decompress`: .vlz files to PNG, WebP or TIFF."""

import json
import os
from typing import Any, Literal

import click

from vlcodec import facade
from vlcodec.cli import archives, files, options, trees
from vlcodec.cli.progress import progress

FORMATS = {".png": "PNG", ".webp": "WebP", ".tif": "TIFF", ".tiff": "TIFF"}


@click.command(short_help=".vlz files to PNG pictures.")
@click.argument("sources", nargs=-1, required=True, type=options.path, metavar="F.vlz...")
@click.option(
    "-o",
    "out",
    type=options.path,
    metavar="OUT",
    help="A .png, .webp or .tif, a folder for several, or - for stdout.  [default: F.vlz.png]",
)
@click.option(
    "--decode",
    type=click.Choice(["sample", "mean"]),
    help="Regenerate with noise, or the mean image.  [default: sample if lossy, every pixel if lossless]",
)
@click.option("--seed", type=click.IntRange(0, 2**64 - 1), help="Another pixel noise than the file's own.")
@click.option("--texture", type=click.FloatRange(0, 1), help="Of a sample: 0 is the mean image.  [default: 1]")
@click.option("--preview", is_flag=True, help="The mean image, from the front of a file or pipe: the rest is not read.")
@click.option("--front", is_flag=True, help="Take what has arrived of a file that may be cut: a coarser picture.")
@click.option("--salvage", is_flag=True, help="Take what is sound of a damaged lossless file; the rest is striped.")
@click.option("--frame", type=click.IntRange(min=1), help="One frame of an animation.  [default: all, as APNG]")
@options.device
@options.jobs
@options.recursive
@options.skip_existing
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
    texture: float | None,
    preview: bool,
    front: bool,
    salvage: bool,
    frame: int | None,
    device: str,
    jobs: int | None,
    recursive: bool,
    skip_existing: bool,
    max_pixels: int,
    dry_run: bool,
    as_json: bool,
    quiet: bool,
    force: bool,
) -> None:
    """Decompress each F.vlz to a PNG; photo.vlz becomes photo.vlz.png beside it, and - is stdin to stdout.

    An archive's pictures go into a folder, F.vlz.pictures, or into one array with -o NAME.npy.
    """
    from vlcodec.codec.animation import written  # late: loads Pillow and numpy

    if preview and (decode is not None or front):
        raise click.UsageError("--preview is the mean image of a front: without --decode and --front")
    if preview:
        decode, front = "mean", True
    if texture is not None and decode == "mean":
        raise click.UsageError("--texture is of a sample: not with the mean image alone")
    drawn = decode is not None or seed is not None or texture is not None
    if salvage and (drawn or front or frame is not None):
        rule = "without --decode, --seed, --texture, --front and --frame"
        raise click.UsageError(f"--salvage is for every sound pixel: {rule}")
    tree, unread = trees.found(sources, (".vlz",)) if recursive else (None, [])
    first = files.peek(sources, files.read_vlz) if tree is None and not preview else b""
    if facade.is_archive(first) or (
        tree is None and len(sources) > 1 and any(archives.is_one(source) for source in sources)
    ):
        if len(sources) > 1 or decode is not None or texture is not None or front or salvage or dry_run:
            raise click.UsageError("an archive is decompressed alone; options of single pictures are none of its own")

        def unpack(source: str) -> files.Said | None:
            with progress(source, quiet or as_json) as show:
                target = archives.unpack(source, first, out, seed, device, max_pixels, force, show)
            return None if quiet else files.Said(archives.report(target, first, as_json))

        files.each(sources, unpack)
        return
    if tree is None:
        targets = files.targets(sources, out, lambda name: name + ".png")
    else:
        targets = trees.targets(tree, out, lambda name: name + ".png", ".png")
    for target in targets.values():
        if target != files.STREAM and not target.lower().endswith(tuple(FORMATS)):
            raise click.UsageError(f"-o {target}: the output is PNG, WebP or TIFF by its name: {', '.join(FORMATS)}")

    several = len(targets) > 1
    at_once = facade.jobs_of(jobs) if several else 1
    room = facade.Room()

    def work(source: str) -> files.Said | None:
        target = targets[source]
        if skip_existing and os.path.lexists(target):
            return files.SKIPPED
        if not dry_run:
            files.check(target, force, new_folder=recursive)
        data = first or (files.read_front(source) if preview else files.read_vlz(source))
        planned: dict[str, Any] = {"decode": decode, "jobs": 1 if several else jobs}
        if dry_run:
            return files.Said(files.planned(source, facade.expected_to_decompress(data, **planned), as_json))
        needed = facade.expected_to_decompress(data, **planned) if several else None
        format = FORMATS.get(os.path.splitext(target)[1].lower(), "PNG")
        with room.of(needed), progress(source, quiet or as_json or several) as show:
            shared: dict[str, Any] = {"device": device, "max_pixels": max_pixels, "progress": show}
            shared["jobs"] = 1 if several else jobs
            if salvage:
                found = facade.salvage(data, **shared)
                image, deep, kind, lost = found.image, False, "salvaged", _lost(found)
                made = written(image, format)
            else:
                how = "sample" if front and decode is None else decode
                cut = front and facade.preview_size(data) is not None  # a file of which the front alone may be here
                kind = str(how) if cut else _kind(facade.info(data), how)
                shared |= {"seed": seed, "texture": 1.0 if texture is None else texture}
                whole = facade.decoded(data, decode=decode, front=front, frame=frame, **shared)
                image, lost, deep = whole.image, "", whole.low is not None
                made = written(whole, format)
        if recursive:
            files.make_folder(target)
        files.write(target, made, force)
        if lost:
            return files.Said(f"vlcodec: {click.format_filename(source)}: {lost}", failed=True)
        if quiet:
            return files.Said("", before=len(data), after=len(made))
        if as_json:
            size = {"width": image.width, "height": image.height, "mode": image.mode, **({"bits": 16} if deep else {})}
            line = json.dumps({"input": source, "output": target, **size, "decode": kind})
        else:
            names = f"{click.format_filename(source)} -> {click.format_filename(target)}"
            line = f"{names}  {image.width}x{image.height} {image.mode}{', 16 bits' * deep}, {kind}"
        return files.Said(line, before=len(data), after=len(made))

    aside = files.STREAM in targets.values() and not dry_run
    files.each(list(targets), work, at_once, total=not (quiet or as_json), aside=aside, unread=unread)


def _lost(found: facade.Salvaged) -> str:
    """What could not be salvaged, in one line; nothing where all was."""
    parts = []
    if found.lost:
        rows = ", ".join(f"{part.start} to {part.stop - 1}" for part in found.lost)
        parts.append(f"rows {rows} of {found.image.height} are lost: striped, the mean image")
    if found.missing:
        parts.append(f"{', '.join(found.missing)} lost")
    if found.unsure:
        parts.append(f"{', '.join(found.unsure)} unchecked: the file is damaged, and nothing tells where else")
    return "; ".join(parts)


def _kind(header: dict[str, Any], decode: str | None) -> str:
    """What a file gives, for the line about it."""
    if "stored" in header:
        return f"stored {header['stored']}"
    usual = "lossless" if header["lossless"] else "sample"
    usual = f"within {header['near_lossless']} levels" if "near_lossless" in header else usual
    return "mean" if header["quality"] == 0 else decode or usual
