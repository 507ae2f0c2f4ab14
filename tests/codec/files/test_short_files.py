"""Short lossy files of models from number 32 on."""

from dataclasses import replace

import pytest

from vlcodec.codec.errors import FormatError
from vlcodec.codec.files import picture_file, picture_v2
from vlcodec.codec.files.chunks import RESOLUTION
from vlcodec.codec.files.metadata import Resolution, pack_resolution
from vlcodec.codec.files.picture_file import Band, File, Header


def test_short_files_are_of_version_1() -> None:
    """From number 32 on, where version 1 holds all that they have."""
    header = Header(32, b"\x5e\xed", 28, 28, grey=True, lossless=False, quality=2, seed=0, version=2)
    file = File(header, b"\xc0\xff\xee")
    data = picture_file.pack(file)
    assert len(data) == 15 + 3
    assert sum(picture_file.sizes(file).values()) == len(data)
    assert picture_file.unpack(data) == replace(file, header=replace(header, version=1))
    longer = [
        File(replace(header, model_id=31), b"\xc0"),
        File(replace(header, hundredths=35), b"\xc0"),
        File(header, b"\xc0" * 128),
        replace(file, refinements=(b"",)),
        replace(file, changes=b"x"),
        replace(file, alpha=b"x"),
        replace(file, metadata=((RESOLUTION, pack_resolution(Resolution("inch", 300_000, 300_000))),)),
        File(replace(header, lossless=True), b"\xc0", (Band(b"", 0),)),
    ]
    for other in longer:
        assert picture_file.read_header(picture_file.pack(other)).version == 2
        assert picture_file.unpack(picture_file.pack(other)) == other
    with pytest.raises(FormatError, match="a short lossy file of model 32 must be of version 1"):
        picture_file.unpack(picture_v2.pack(file))
