"""Texts and resolutions in chunks of metadata."""


import pytest

from vlcodec.codec.errors import FormatError
from vlcodec.codec.files.metadata import (
    Resolution,
    pack_resolution,
    pack_text,
    unpack_resolution,
    unpack_text,
)
from vlcodec.codec.files.wire import varint


def test_text_and_resolution_come_back() -> None:
    assert unpack_text(pack_text("Title", "Zwei Dünen")) == ("Title", "Zwei Dünen")
    resolution = Resolution("metre", 1, 2**32 - 1)
    assert unpack_resolution(pack_resolution(resolution)) == resolution


@pytest.mark.parametrize("data", [b"", b"key", b"\0text", b"k" * 80 + b"\0", b"key\0\xff", b"\xff\0text"])
def test_bad_texts(data: bytes) -> None:
    with pytest.raises(FormatError, match="a text"):
        unpack_text(data)


@pytest.mark.parametrize("data", [b"", b"\3\1\1", b"\1\0\1", b"\1\1", b"\1\1\1\1", b"\1\1" + varint(2**32)])
def test_bad_resolutions(data: bytes) -> None:
    with pytest.raises(FormatError, match="resolution"):
        unpack_resolution(data)


def test_texts_that_cannot_be_made() -> None:
    for keyword, text in (("", "x"), ("k" * 80, "x"), ("a\0b", "x"), ("\ud800", "x"), ("k", "\ud800")):
        with pytest.raises(FormatError, match="keyword"):
            pack_text(keyword, text)
    with pytest.raises(FormatError, match="unit must be one of none, inch, metre, not mile"):
        Resolution("mile", 1, 1)
