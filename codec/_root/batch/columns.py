"""Columns in, columns out: what a batch engine maps over its batches, whichever engine it is.

    compress = CompressBatch(CompressOptions(model="photo", lossless=True))  # loads the model: once a worker
    compress({"bytes": [png, jpeg], "caption": ["a", "b"]})  # {"caption": ..., "vlz": ..., "error": ..., ...}

A batch is a dict of columns, each a sequence of one value a row; all but the column of bytes come back as they are. New
columns are lists, with None where a row has no such value. A row that cannot be done has a text in the column "error",
and the others are done. Pictures of one size go side by side where the model takes many (`lanes`): the files, and the
pixels, are those of one by one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import vlcodec
from vlcodec import beside, pictures, placeholder
from vlcodec._shared import MAX_PIXELS, check_alone, check_near, device_of, effort_steps, encoder, load, memory
from vlcodec.batch import lanes
from vlcodec.codec.errors import ImageError, VlcodecError
from vlcodec.codec.files import composite_file, picture_file, stored_file
from vlcodec.codec.files.picture_file import File, Header
from vlcodec.codec.ledger.report import RateReport
from vlcodec.measure import measured, report_of
from vlcodec.models import registry, zoo

if TYPE_CHECKING:
    from vlcodec.codec.interface import Bytes, Model
    from vlcodec.codec.whole import Whole
    from vlcodec.models.registry import Entry

MOST_LANES = {"cpu": 256, "cuda": 1024}  # pictures side by side; a GPU has room for more
ARROW = {"int": "int64", "float": "double", "float | None": "double", "bool": "bool"}  # of a report's fields
Columns = Mapping[str, Sequence[Any]]
Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Options:
    """What all batches share.

    column: of the bytes. device: "auto", "cpu" or "cuda". threads: of this process; an engine has a process a core.
    weights: folders of further weights, as `--weights` names them.
    """

    column: str = "bytes"
    device: str = "auto"
    threads: int = 1
    weights: tuple[Path, ...] = ()


@dataclass(frozen=True, kw_only=True)
class CompressOptions(Options):
    """See `vlcodec.compress`. Rates are those of an effort of 1."""

    model: str = "photo"
    lossless: bool = False
    near_lossless: int = 0
    effort: int = 1
    quality: float | None = None
    seed: int = 0
    threshold: int | None = None


@dataclass(frozen=True, kw_only=True)
class DecompressOptions(Options):
    """See `vlcodec.decompress`."""

    decode: Literal["sample", "mean"] | None = None
    seed: int | None = None
    max_pixels: int = MAX_PIXELS

    def __post_init__(self) -> None:
        pictures.check_decode(self.decode)


class _Batch(ABC):
    """A row after the other; those of one key wait for each other, and go side by side."""

    columns: Mapping[str, str]  # that are added, besides "error", and their Arrow types
    plain: str  # the column of bytes before coding
    coded: str  # and of those after

    def __init__(self, options: Options) -> None:
        from vlcodec.models.layers.settings import use_threads

        self._column, self._threads, self._device = options.column, options.threads, device_of(options.device)
        for folder in reversed(options.weights):
            registry.search_in(folder)
        use_threads(options.threads)

    def __call__(self, batch: Columns) -> dict[str, Any]:
        """See the module. Raises VlcodecError where there is no column of bytes."""
        if self._column not in batch:
            raise VlcodecError(f"a batch has its bytes in a column {self._column!r}: it has {', '.join(batch)}")
        table, waiting = _Table(len(batch[self._column])), dict[Hashable, list[tuple[int, Any]]]()
        for place, value in enumerate(batch[self._column]):
            with table.row(place):
                part = self._opened(_bytes(value))
                key = self._key(part)
                if key is None:
                    table.rows[place] = self._alone(part)
                    continue
                group = waiting.setdefault(key, [])
                group.append((place, part))
                if len(group) == MOST_LANES[self._device]:
                    self._finish(waiting.pop(key), table)
        for group in waiting.values():
            self._finish(group, table)
        kept = {name: values for name, values in batch.items() if name != self._column}
        made = {name: [row.get(name) for row in table.rows] for name in self.columns}
        return kept | made | {"error": table.errors}

    def _finish(self, group: list[tuple[int, Any]], table: _Table) -> None:
        """The rows of one key: together, or, where that fails, each alone, so that the others are done."""
        made = list[Row]()
        if len(group) > 1:
            with suppress(Exception), memory():
                made = self._together([part for _, part in group])
        for number, (place, part) in enumerate(group):
            with table.row(place):
                table.rows[place] = made[number] if made else self._alone(part)

    @abstractmethod
    def _opened(self, data: bytes) -> Any:
        """What is known of a row before any net has seen it. Raises VlcodecError for one that cannot be done."""

    @abstractmethod
    def _key(self, part: Any) -> Hashable | None:
        """The same of all rows that can go side by side; None of one that goes alone."""

    @abstractmethod
    def _alone(self, part: Any) -> Row:
        """A row's new columns."""

    @abstractmethod
    def _together(self, parts: list[Any]) -> list[Row]:
        """Of rows of one key."""


class _Table:
    """The new columns, row by row, and what went wrong."""

    def __init__(self, count: int) -> None:
        self.rows: list[Row] = [{} for _ in range(count)]
        self.errors: list[str | None] = [None] * count

    @contextmanager
    def row(self, place: int) -> Iterator[None]:
        """Work on a row: what it raises is the row's error."""
        try:
            with memory():
                yield
        except VlcodecError as error:
            self.errors[place] = str(error)
        except Exception as error:  # whatever is wrong with a picture, the others are to be done
            self.errors[place] = f"{type(error).__name__}: {error}"


def _golden(entry: Entry) -> bytes:
    """A picture that a model takes."""
    from vlcodec.codec import image as images

    picture = zoo.golden_pictures(entry)[0]
    return images.png_bytes(images.to_image(picture, picture.shape[-1] == 1))


def _bytes(value: Any) -> bytes:
    if not isinstance(value, bytes | bytearray | memoryview):
        raise ImageError(f"a row must hold the bytes of a file, not {type(value).__name__}")
    return bytes(value)


class _Given(NamedTuple):
    """A picture (1, H, W, C), and what it is to become. size: bytes that it came in."""

    pixels: Bytes
    header: Header
    size: int


class _Coding(_Batch):
    """What compression and rates share."""

    made_by = dict.fromkeys(("model", "weights", "codec"), "string")

    def __init__(self, options: CompressOptions, lossless: bool) -> None:
        super().__init__(options)
        entry = encoder(options.model)
        check_alone(entry, lossless)
        check_near(entry, options.near_lossless)
        self._options, self._lossless = options, lossless
        self._steps = effort_steps(options.effort, lossless)
        self._lanes = bool(zoo.takes(entry).archives)  # which many pictures begin side by side
        self._model = load(entry, self._device)
        self._opened(_golden(entry))  # refuses what would be every picture's error
        names = (f"{entry.name}-{entry.number}", entry.in_files.hex(), vlcodec.__version__)
        self._made_by = dict(zip(self.made_by, names, strict=True))

    def _opened(self, data: bytes) -> _Given:
        from vlcodec.codec import image as images

        o = self._options
        how = (o.model, self._lossless, o.quality, o.seed, o.threshold, self._device)
        pixels, _, header = pictures.prepare(images.load(data), *how)
        return _Given(pixels, replace(header, near=o.near_lossless), len(data))

    def _key(self, part: _Given) -> Hashable | None:
        alone = not self._lanes or part.header.near or part.header.quality == placeholder.QUALITY
        return None if alone else part.header

    def _side_by_side(self, parts: list[_Given], metered: bool) -> lanes.Written:
        import numpy as np

        header = parts[0].header
        pixels = np.concatenate([part.pixels for part in parts])
        return lanes.write(pictures.net_of(self._model, header), pixels, header, metered)


class CompressBatch(_Coding):
    """Bytes of pictures -> "vlz", the bytes of their files, with sizes, the ledger of what was written, and versions.

    Raises ModelError for a model or device that is not here.
    """

    columns = (
        {"vlz": "binary"}
        | dict.fromkeys(("width", "height", "channels", "bytes_in", "bytes_out"), "int64")
        | {"bits_per_pixel": "double"}
        | dict.fromkeys(("header_bits", "latents_written", "pixels_written"), "int64")
        | _Coding.made_by
    )
    plain, coded = "bytes_in", "bytes_out"

    def __init__(self, options: CompressOptions) -> None:
        super().__init__(options, options.lossless or options.near_lossless > 0)

    def _alone(self, part: _Given) -> Row:
        file = pictures.file_of(self._model, part.pixels, part.header, self._threads, steps=self._steps)
        return self._row(part, file)

    def _together(self, parts: list[_Given]) -> list[Row]:
        files = self._side_by_side(parts, metered=False).files
        return [self._row(part, file) for part, file in zip(parts, files, strict=True)]

    def _row(self, part: _Given, file: File) -> Row:
        data, sizes, (_, height, width, channels) = picture_file.pack(file), picture_file.sizes(file), part.pixels.shape
        return {
            "vlz": data,
            "width": width,
            "height": height,
            "channels": channels,
            "bytes_in": part.size,
            "bytes_out": len(data),
            "bits_per_pixel": 8 * len(data) / (width * height),
            "header_bits": 8 * sizes["header"],
            "latents_written": 8 * sizes["latents"],
            "pixels_written": 8 * sizes["pixels"],
        } | self._made_by


class RateBatch(_Coding):
    """Bytes of pictures -> the fields of `vlcodec.RateReport`, but for those that hold several values, and versions; of
    lossless or near-lossless files, that are not kept.

    Raises ModelError for a model or device that is not here, VlcodecError for an effort.
    """

    columns = (
        {field.name: ARROW[str(field.type)] for field in fields(RateReport) if str(field.type) in ARROW}
        | {"bytes_in": "int64"}
        | _Coding.made_by
    )
    plain, coded = "bytes_in", "lossless_bytes"

    def __init__(self, options: CompressOptions) -> None:
        if options.effort != 1:
            raise VlcodecError(f"rates are of files that are made with an effort of 1, not {options.effort}")
        super().__init__(options, lossless=True)

    def _alone(self, part: _Given) -> Row:
        net = pictures.net_of(self._model, part.header)
        return self._row(part, measured(net, part.pixels, part.header, self._threads))

    def _together(self, parts: list[_Given]) -> list[Row]:
        header, made = parts[0].header, self._side_by_side(parts, metered=True)
        net, latents = pictures.net_of(self._model, header), made.symbols[0].size
        mean = net.mean_images(made.fz, header.height, header.width)
        return [
            self._row(part, report_of(file, part.pixels[0], shown, latents, net.posterior_kind, kl, promised))
            for part, file, shown, kl, promised in zip(parts, made.files, mean, made.groups, made.promised, strict=True)
        ]

    def _row(self, part: _Given, report: RateReport) -> Row:
        numbers = {name: value for name, value in report.to_dict().items() if name in self.columns}
        return numbers | {"bytes_in": part.size} | self._made_by


class _Read(NamedTuple):
    """A file that is to be decoded, the seed of its pixels, and its model. size: bytes it came in."""

    file: File
    seed: int
    model: Model
    size: int


class DecompressBatch(_Batch):
    """Bytes of .vlz files -> "png", the bytes of their pictures, with their sizes. Models are loaded as files come."""

    columns = {"png": "binary"} | dict.fromkeys(("width", "height", "channels", "bytes_in", "bytes_out"), "int64")
    plain, coded = "bytes_out", "bytes_in"

    def __init__(self, options: DecompressOptions) -> None:
        super().__init__(options)
        self._options = options

    def _opened(self, data: bytes) -> _Read | bytes:
        o = self._options
        if stored_file.is_stored(data) or composite_file.is_composite(data):  # which need no model
            return data
        return _Read(*pictures.opened(data, o.seed, self._device, o.max_pixels), len(data))

    def _key(self, part: _Read | bytes) -> Hashable | None:
        if isinstance(part, bytes) or part.file.header.near or part.file.header.quality == placeholder.QUALITY:
            return None
        header = part.file.header
        return (header, part.seed) if zoo.takes(registry.by_number(header.model_id)).archives else None

    def _alone(self, part: _Read | bytes) -> Row:
        if isinstance(part, bytes):
            return _shown(pictures.decoded(part, max_pixels=self._options.max_pixels), len(part))
        pixels = pictures.regenerated(part.model, part.file, self._options.decode, part.seed, self._threads)
        return self._row(part, pixels)

    def _together(self, parts: list[_Read]) -> list[Row]:
        net = pictures.net_of(parts[0].model, parts[0].file.header)
        made = lanes.read(net, [part.file for part in parts], self._options.decode, parts[0].seed)
        return [self._row(part, pixels) for part, pixels in zip(parts, made, strict=True)]

    def _row(self, part: _Read, pixels: Bytes) -> Row:
        kept = pictures.as_kept(pixels, part.file.header)
        return _shown(beside.dressed(kept, part.file, self._options.decode), part.size)


def _shown(found: Whole, size: int) -> Row:
    from vlcodec.codec.animation import written

    data, image = written(found, "PNG"), found.image
    return {
        "png": data,
        "width": image.width,
        "height": image.height,
        "channels": len(image.getbands()),
        "bytes_in": size,
        "bytes_out": len(data),
    }
