"""What a run has come to: figures of units, added up, and shown as a table with a histogram of rates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import floor, log2
from typing import Any

BINS_AN_OCTAVE = 2  # of the histogram, of bits/pixel
WIDTH = 40  # characters of the longest bar


@dataclass
class Figures:
    """Of pictures, failed ones apart. plain, coded: bytes before and after coding. seconds: of one worker.

    rates: pictures by bin of log2 of their bits/pixel. errors: texts by id.
    """

    pictures: int = 0
    pixels: int = 0
    plain: int = 0
    coded: int = 0
    failed: int = 0
    seconds: float = 0.0
    rates: Counter[int] = field(default_factory=Counter)
    errors: dict[str, str] = field(default_factory=dict)

    def add_rows(self, columns: Mapping[str, Any], plain: str, coded: str) -> None:
        """Rows of a batch. plain, coded: their columns of bytes."""
        sizes = (columns[name] for name in ("id", "error", "width", "height", plain, coded))
        for name, error, width, height, before, after in zip(*sizes, strict=True):
            if error is not None:
                self.failed += 1
                self.errors[name] = error
                continue
            self.pictures += 1
            self.pixels += width * height
            self.plain += before
            self.coded += after
            self.rates[floor(BINS_AN_OCTAVE * log2(max(1, 8 * after) / (width * height)))] += 1

    def add(self, other: Figures) -> None:
        """Another unit's; errors are counted, not kept."""
        self.pictures += other.pictures
        self.pixels += other.pixels
        self.plain += other.plain
        self.coded += other.coded
        self.failed += other.failed
        self.seconds += other.seconds
        self.rates.update(other.rates)

    def to_dict(self) -> dict[str, Any]:
        """As it stands in a unit's JSON."""
        return vars(self) | {"rates": {str(place): count for place, count in sorted(self.rates.items())}}

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> Figures:
        """The inverse of to_dict."""
        return cls(**{**found, "rates": Counter({int(place): count for place, count in found["rates"].items()})})

    @property
    def saved(self) -> int:
        """Bits."""
        return 8 * (self.plain - self.coded)

    @property
    def bits_per_pixel(self) -> float:
        """Of all pictures together."""
        return 8 * self.coded / max(1, self.pixels)

    def table(self) -> str:
        """A printable summary."""
        rows = [
            ("pictures", f"{self.pictures:,}"),
            ("failed", f"{self.failed:,}"),
            ("pixels", f"{self.pixels:,}"),
            ("bytes, as pictures", f"{self.plain:,}"),
            ("bytes, as .vlz", f"{self.coded:,}"),
            ("bits/pixel", f"{self.bits_per_pixel:.4f}"),
            ("seconds of workers", f"{self.seconds:,.1f}"),
        ]
        lines = [f"{name:20}{value:>20}" for name, value in rows]
        return "\n".join(lines + self._histogram())

    def _histogram(self) -> list[str]:
        """Pictures by their bits/pixel, in half octaves."""
        if not self.rates:
            return []
        most, bins = max(self.rates.values()), range(min(self.rates), max(self.rates) + 1)
        edges = [2 ** (place / BINS_AN_OCTAVE) for place in (*bins, bins.stop)]
        return ["", f"{'bits/pixel':20}{'pictures':>20}"] + [
            f"{edges[i]:8.3f} .. {edges[i + 1]:<8.3f}{self.rates[place]:>20,}  "
            + "#" * -(-WIDTH * self.rates[place] // most)
            for i, place in enumerate(bins)
        ]


def total(found: Iterable[Mapping[str, Any]]) -> Figures:
    """Of all units."""
    figures = Figures()
    for part in found:
        figures.add(Figures.of(part))
    return figures
