"""A record of golden vectors that were reproduced, in the user's cache folder, so that each is checked once.

It names what carried the integers then (`layers.probe`), so that this is chosen once too.
What could change a bit stands in the key: the weights, the device, the processor, the versions of the libraries, and
the package's own sources.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from functools import cache
from pathlib import Path

KEPT = 200  # records
SOURCES = Path(__file__).parent


def folder() -> Path:
    """The user's cache folder for vlcodec."""
    from platformdirs import user_cache_path

    return user_cache_path("vlcodec", appauthor=False)


def passed(weights: str, device: str) -> str | None:
    """The carrier in which these weights have reproduced their golden vector on this device. weights: SHA-256, hex."""
    return _read().get(_key(weights, device))


def record(weights: str, device: str, carrier: str) -> None:
    """Keep that they have; where the folder cannot be written, they are checked again each time."""
    key, kept = _key(weights, device), _read()
    kept.pop(key, None)
    kept[key] = carrier
    path = folder() / "checks.json"
    part = path.with_name(f"{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(json.dumps(dict(list(kept.items())[-KEPT:])))
        part.replace(path)
    except OSError:
        return


def _read() -> dict[str, str]:
    """Carriers by key, the latest last."""
    try:
        found = json.loads((folder() / "checks.json").read_text())
    except (OSError, ValueError):
        return {}
    return {key: name for key, name in found.items() if isinstance(name, str)} if isinstance(found, dict) else {}


def _key(weights: str, device: str) -> str:
    import numpy
    import torch

    cuda = f"{torch.cuda.get_device_name()} {torch.version.cuda}" if device == "cuda" else ""
    machine = [_processor(), platform.system(), platform.machine(), cuda]
    software = [numpy.__version__, torch.__version__, _sources()]
    return hashlib.sha256("\n".join([weights, device, *machine, *software]).encode()).hexdigest()


@cache
def _sources() -> str:
    """What tells one state of the code from another."""
    found = [(path.stat(), path) for room in (SOURCES, SOURCES.parent / "codec") for path in sorted(room.rglob("*.py"))]
    return "\n".join(f"{path.name} {about.st_size} {about.st_mtime_ns}" for about, path in found)


@cache
def _processor() -> str:
    """The processor's model and what it can do."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = ("model name", "flags", "Features")
    return "\n".join({line.partition(":")[0]: line for line in lines if line.startswith(names)}.values())
