"""The one family of errors: each message is one line and states the rule that was broken.

Messages name no file; whoever knows the path (the command line) puts it in front.
"""

from typing import Any


class VlcodecError(Exception):
    """Base of everything that vlcodec refuses on purpose; catch this one to catch them all."""


class ImageError(VlcodecError):
    """A picture that cannot be taken: unreadable, damaged, too large, or of a kind that would not come back whole."""


class FormatError(VlcodecError):
    """Bytes that are not a valid .vlz file, or content that the format cannot hold."""


class ArchiveDamage(FormatError):
    """A damaged archive.

    pictures: those before the damage that their checksums vouch for, uint8, (N, H, W), or (N, H, W, 3) of colour ones.
    """

    def __init__(self, message: str, pictures: Any) -> None:
        super().__init__(message)
        self.pictures = pictures[..., 0] if pictures.shape[-1] == 1 else pictures


class ModelError(VlcodecError):
    """A model that is unknown, has other weights than the file was made with, or fails its golden vector here."""


class BoundError(VlcodecError, ValueError):
    """A net whose integers could leave the range in which their float carrier is exact, so that bits might differ."""


class OutputError(VlcodecError):
    """An output that cannot be written: it exists already, is not writable, or the disk is full."""


class ProvisionalWarning(UserWarning):
    """A file made with weights in the making, for which nothing is promised."""
