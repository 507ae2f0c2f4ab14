"""The snippets of docs/scale.md."""

import re
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs" / "scale.md"


def snippet(library: str) -> str:
    """The one that imports a library."""
    found = re.findall(r"^```python\n(.*?)^```$", DOCS.read_text(), re.MULTILINE | re.DOTALL)
    (code,) = (code for code in found if code.startswith(f"import {library}\n"))
    return str(code)
