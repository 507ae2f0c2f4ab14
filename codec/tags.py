"""What a picture's file tells beside its pixels <-> the chunks of metadata: profile, EXIF, XMP, texts, resolution.

Bytes are kept as they are. Only the orientation is altered, to 1, since it is applied to the pixels.
"""

import re
import struct
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from typing import Any, Final

from PIL import Image, PngImagePlugin
from PIL.ExifTags import Base

from vlcodec.codec.errors import FormatError
from vlcodec.codec.files.chunks import EXIF, ICC, RESOLUTION, TEXT, XMP
from vlcodec.codec.files.metadata import (
    MAX_TEXTS,
    Metadata,
    Resolution,
    pack_resolution,
    pack_text,
    unpack_resolution,
    unpack_text,
)

METRES_PER_INCH: Final = 0.0254
_RAW_EXIF: Final = "Raw profile type exif"  # how some write EXIF into a PNG's text
_PNG_XMP: Final = "XML:com.adobe.xmp"
_MEANT: Final = frozenset({  # keys of an image's info that mean something to Pillow, whatever a text is called
    "aspect", "background", "comment", "default_image", "disposal", "dpi", "duration", "exif", "gamma", "icc_profile",
    "interlace", "jfif", "loop", "srgb", "transparency", "xmp",
})  # fmt: skip
SUB_IFDS: Final = (Base.ExifOffset, Base.GPSInfo)
_DESCRIBING: Final = (  # a TIFF's own tags that are kept; all others say how its pixels lie
    Base.ImageDescription, Base.Make, Base.Model, Base.Software, Base.DateTime, Base.Artist, Base.HostComputer,
    Base.Copyright, Base.DocumentName,
)  # fmt: skip


def metadata_of(image: Image.Image) -> Metadata:
    """All that is kept of an image that is loaded. Damaged metadata are left out: sound pixels are taken without."""
    found: list[tuple[int, bytes]] = []
    info = image.info
    if isinstance(profile := info.get("icc_profile"), bytes) and profile:
        found.append((ICC, profile))
    if exif := _exif(image):
        found.append((EXIF, exif))
    if isinstance(xmp := info.get("xmp"), bytes) and xmp:  # a text that is called so is a str
        found.append((XMP, re.sub(rb'(tiff:Orientation(?:="|>))[2-8]', rb"\g<1>1", xmp)))
    for keyword, text in islice(_texts(image), MAX_TEXTS):
        with suppress(FormatError):
            found.append((TEXT, pack_text(keyword, text)))
    with suppress(FormatError, ArithmeticError, LookupError, TypeError, ValueError):
        if (resolution := _resolution(image)) is not None:
            found.append((RESOLUTION, pack_resolution(resolution)))
    return tuple(found)


def attach(image: Image.Image, metadata: Metadata) -> None:
    """Into the image's info, as Pillow has what it reads from a PNG file; metadata that cannot be read are left out."""
    texts: dict[str, str] = {}
    for kind, data in metadata:
        with suppress(FormatError):
            if kind == ICC:
                image.info["icc_profile"] = data
            elif kind == EXIF:
                image.info["exif"] = b"Exif\0\0" + data
            elif kind == XMP:
                image.info["xmp"] = data
            elif kind == TEXT:
                keyword, text = unpack_text(data)
                texts[keyword] = text
                if keyword not in _MEANT:
                    image.info[keyword] = text
            elif kind == RESOLUTION:
                resolution = unpack_resolution(data)
                numbers = resolution.horizontal / 1000, resolution.vertical / 1000
                scale = METRES_PER_INCH if resolution.unit == "metre" else 1
                key = "aspect" if resolution.unit == "none" else "dpi"
                image.info[key] = tuple(number * scale for number in numbers)
    if texts:
        image.text = texts  # type: ignore[attr-defined]


def saved_in(format: str, metadata: Metadata) -> dict[str, Any]:
    """What Pillow is told when it writes a file: PNG holds all (see `physical`), TIFF all but texts, WebP profile, EXIF
    and XMP."""
    options: dict[str, Any] = {}
    texts, tags = PngImagePlugin.PngInfo(), Image.Exif()
    for kind, data in metadata:
        if kind == ICC:
            options["icc_profile"] = data
        elif kind == EXIF and format == "TIFF":
            with suppress(Exception):  # on damaged metadata Pillow raises whatever it runs into
                told = Image.Exif()
                told.load(b"Exif\0\0" + data)
                tags = _describing(told)
        elif kind == EXIF:
            options["exif"] = b"Exif\0\0" + data
        elif kind == XMP and format == "WEBP":
            options["xmp"] = data
        elif kind == XMP and format == "TIFF":
            tags[Base.XMLPacket] = data
        elif kind == XMP:
            texts.add_itxt(_PNG_XMP, data)
        elif kind == TEXT and format == "PNG":
            with suppress(FormatError, UnicodeEncodeError):
                texts.add_text(*unpack_text(data), zip=len(data) > 1000)
        elif kind == RESOLUTION and format == "TIFF":
            with suppress(FormatError):
                resolution = unpack_resolution(data)
                scale = METRES_PER_INCH if resolution.unit == "metre" else 1
                options["dpi"] = (resolution.horizontal * scale / 1000, resolution.vertical * scale / 1000)
    if format == "PNG":
        options["pnginfo"] = texts
    elif format == "TIFF" and tags:
        options["exif"] = tags
        if any(tag in tags for tag in SUB_IFDS):
            options["compression"] = "raw"  # libtiff, which deflates, takes none from Pillow
    return options


def physical(metadata: Metadata) -> bytes:
    """The data of a PNG's chunk pHYs, 9 bytes, or none; Pillow writes no ratios, and whole dots per inch alone."""
    for kind, data in metadata:
        if kind == RESOLUTION:
            with suppress(FormatError, struct.error):
                resolution = unpack_resolution(data)
                scale = METRES_PER_INCH if resolution.unit == "inch" else 1
                numbers = (round(n / 1000 / scale) for n in (resolution.horizontal, resolution.vertical))
                return struct.pack(">IIB", *numbers, resolution.unit != "none")
    return b""


def _exif(image: Image.Image) -> bytes:
    """The TIFF structure, its orientation 1, or none."""
    raw = image.info.get("exif")
    if isinstance(raw, bytes):
        return upright_exif(raw.removeprefix(b"Exif\0\0"))
    if _RAW_EXIF not in image.info and image.format != "TIFF":
        return b""
    try:
        exif = image.getexif()
        if image.format == "TIFF":
            kept = _describing(exif)
        else:
            kept = exif
            kept.pop(Base.Orientation, None)
        return kept.tobytes().removeprefix(b"Exif\0\0") if kept else b""
    except Exception:  # on damaged metadata Pillow raises whatever it runs into
        return b""


def _describing(exif: Image.Exif) -> Image.Exif:
    """What describes the picture, whatever file it stands in."""
    kept = Image.Exif()
    kept.update((tag, exif[tag]) for tag in _DESCRIBING if tag in exif)
    for tag in SUB_IFDS:
        if tag in exif:
            kept.get_ifd(tag).update(exif.get_ifd(tag))  # in this order: Pillow would read it from a file otherwise
            kept[tag] = kept.get_ifd(tag)
    return kept


def upright_exif(data: bytes) -> bytes:
    """The same with an orientation of 1, if it tells another; none for what is no TIFF structure."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(data[:4])
    if order is None:
        return b""
    out = bytearray(data)
    with suppress(struct.error):
        (at,) = struct.unpack_from(order + "I", data, 4)
        (count,) = struct.unpack_from(order + "H", data, at)
        for place in range(at + 2, at + 2 + 12 * count, 12):
            (tag,) = struct.unpack_from(order + "H", data, place)
            if tag == Base.Orientation:  # as one short number, whatever it was: Pillow takes others too
                struct.pack_into(order + "HIHH", out, place + 2, 3, 1, 1, 0)
    return bytes(out)


def _texts(image: Image.Image) -> Iterator[tuple[str, str]]:
    texts: dict[str, str] = getattr(image, "text", None) or {}
    for keyword, text in texts.items():
        if keyword not in (_PNG_XMP, _RAW_EXIF):
            yield keyword, str(text)
    comment = image.info.get("comment")
    if isinstance(comment, bytes) and comment and "Comment" not in texts:
        try:
            yield "Comment", comment.decode()
        except UnicodeDecodeError:
            yield "Comment", comment.decode("latin-1")


def _resolution(image: Image.Image) -> Resolution | None:
    """What the file itself tells; Pillow makes up some, of a JPEG without any, and of a TIFF."""
    info = image.info
    if "jfif_density" in info:
        unit, density = info.get("jfif_unit", 0), info["jfif_density"]
        if unit == 0 and density[0] == density[1]:
            return None
        scale = 100_000 if unit == 2 else 1000  # dots per centimetre
        return Resolution(("none", "inch", "metre")[unit], *(scale * number for number in density))
    if (ratio := info.get("aspect")) is not None:
        return Resolution("none", *(round(1000 * number) for number in ratio))
    dots = None if image.format == "JPEG" else info.get("dpi")
    if dots is None or (image.format == "TIFF" and tuple(dots) == (1, 1)):
        return None
    per_metre = [float(number) / METRES_PER_INCH for number in dots]
    if all(abs(number - round(number)) < 1e-6 * number for number in per_metre):
        return Resolution("metre", *(1000 * round(number) for number in per_metre))
    return Resolution("inch", *(round(1000 * float(number)) for number in dots))
