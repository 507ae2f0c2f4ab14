"""imageio's plugin: after `import vlcodec.imageio`, `imageio.v3` reads and writes .vlz files.

It is Pillow's (`vlcodec.pillow`), which imageio is told to take for these names; its options pass through:
`imwrite("photo.vlz", array, lossless=True)`.
"""

from imageio.config import extension_list, known_extensions
from imageio.config.extensions import FileExtension

from vlcodec.pillow import VlzImageFile

EXTENSION = FileExtension(name=VlzImageFile.format_description, extension=".vlz", priority=["pillow"])

if EXTENSION.extension not in known_extensions:
    extension_list.append(EXTENSION)
    known_extensions[EXTENSION.extension] = [EXTENSION]
