"""Archives on the command line: several pictures into one .vlz file, and back into a folder or an array."""

from __future__ import annotations

import io
import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vlcodec import facade
from vlcodec.cli import files
from vlcodec.codec.errors import ArchiveDamage, OutputError, VlcodecError

if TYPE_CHECKING:
    from vlcodec.facade import Progress

PICTURES = (".png", ".tif", ".tiff", ".npz")  # names that would mislead as a folder's


def wanted(sources: tuple[str, ...], out: str | None, data: bytes) -> bool:
    """Whether sources become one archive: several into one .vlz file, or one that holds several pictures (`data`)."""
    if len(sources) > 1:
        return out is not None and out.lower().endswith(".vlz") and not os.path.isdir(out)
    from vlcodec.codec.image import holds_many

    return holds_many(data)


def is_one(source: str) -> bool:
    """Whether a file begins like an archive; a pipe, which opening would break, is left to its reader."""
    if not os.path.isfile(source):
        return False
    try:
        with open(source, "rb") as stream:
            return facade.is_archive(stream.read(5))
    except OSError:
        return False


def read(sources: tuple[str, ...], data: bytes) -> tuple[Any, list[str] | None]:
    """Pictures and their names; those of one source that holds them all, `data`, have none.

    Raises what reading one of them raises.
    """
    from vlcodec.codec.image import load, load_many

    if len(sources) == 1:
        return load_many(data), None
    pictures, names = [], []
    for source in sources:
        try:
            pictures.append(load(files.read(source)))
        except (VlcodecError, OSError) as error:
            raise VlcodecError(f"{click.format_filename(source)}: {files.reason(error)}") from error
        names.append(os.path.basename(source))
    return pictures, names


def unpack(
    source: str,
    data: bytes,
    out: str | None,
    seed: int | None,
    device: str,
    max_pixels: int,
    force: bool,
    show: Any,
) -> str:
    """Write an archive's pictures into a folder, or one array; returns where they are.

    A damaged archive gives the pictures before the damage, and raises ArchiveDamage after they are written.
    """
    import numpy as np

    target = out or source + ".pictures"
    if target == files.STREAM or (source == files.STREAM and out is None) or target.lower().endswith(PICTURES):
        raise click.UsageError(
            "an archive's pictures go into a folder or an .npy file: -o is needed, and no other name"
        )
    as_array = target.lower().endswith(".npy")
    if as_array:
        files.check(target, force)
    elif os.path.lexists(target) and not os.path.isdir(target):
        raise OutputError(f"{target} exists and is not a folder")
    elif out is None and os.path.isdir(target) and not force:
        raise OutputError(f"{target} exists; --force overwrites what is in it")
    damage: ArchiveDamage | None = None
    try:
        archive = facade.decompress_archive(data, seed=seed, device=device, max_pixels=max_pixels, progress=show)
        pictures, names = np.stack([np.asarray(image) for image in archive.images]), archive.names
    except ArchiveDamage as error:
        damage, pictures, names = error, error.pictures, ()
    if as_array and len(pictures):
        buffer = io.BytesIO()
        np.save(buffer, pictures)
        files.write(target, buffer.getvalue(), force)
    elif len(pictures):
        _write_folder(Path(target), pictures, names, force)
    if damage is not None:
        raise damage
    return target


def _write_folder(folder: Path, pictures: Any, names: tuple[str, ...], force: bool) -> None:
    """All pictures or none: first into a folder beside, then into place."""
    import numpy as np

    from vlcodec.codec.image import png_bytes, to_image

    stems = names or tuple(f"{number:05}.png" for number in range(len(pictures)))
    stems = tuple(stem if stem.lower().endswith(".png") else stem + ".png" for stem in stems)
    facade.check_file_names(stems)
    part = folder.with_name(f".vlcodec-{os.urandom(4).hex()}.part")
    try:
        part.mkdir()
        for stem, picture in zip(stems, pictures, strict=True):
            (part / stem).write_bytes(png_bytes(to_image(np.atleast_3d(picture), picture.ndim == 2)))
        for stem in stems:
            files.check(str(folder / stem), force, new_folder=True)
        folder.mkdir(exist_ok=True)
        for stem in stems:
            (part / stem).replace(folder / stem)
    except OSError as error:
        raise OutputError(f"{folder} cannot be written: {files.reason(error)}") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def report(target: str, data: bytes, as_json: bool) -> str:
    """What became of an archive's pictures, in one line."""
    header = facade.info(data)
    bits = 8 * len(data) / header["pictures"]
    if as_json:
        kept = {key: header[key] for key in ("model", "pictures", "width", "height", "lossless", "seed")}
        return json.dumps({"output": target, "bytes": len(data), "bits_per_picture": bits} | kept)
    kind = "lossless" if header["lossless"] else "lossy"
    name = click.format_filename(target)
    return f"{header['pictures']} pictures -> {name}  {len(data):,} bytes, {bits:.2f} bits/picture, {kind}"


def show_info(header: dict[str, Any]) -> None:
    """Print what an archive says of itself; its names last, one a line."""
    parts, names = header.pop("bytes"), header.pop("names")
    for key, value in [*header.items(), *((f"{part} bytes", f"{count:,}") for part, count in parts.items())]:
        click.echo(f"  {key:<16} {value}")
    for name in names:
        click.echo(f"    {name if name.isprintable() else ascii(name)}")


def make(
    sources: tuple[str, ...],
    data: bytes,
    show: Progress | None,
    *,
    model: str | None,
    lossless: bool,
    seed: int,
    threshold: int | None,
    device: str,
    verify: bool,
) -> bytes:
    """The bytes of an archive of all sources; verified, its pictures are held against them."""
    pictures, names = read(sources, data)
    made = facade.compress_archive(
        pictures,
        model=model,
        lossless=lossless,
        names=names,
        seed=seed,
        threshold=threshold,
        device=device,
        progress=show,
    )
    if verify:
        facade.verify_archive(made, pictures, threshold=threshold, device=device, progress=show)
    return made
