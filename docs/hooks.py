"""What the site takes from outside its folder: pages and pictures of the repository, and the conformance kit.

Pages link to files as they lie in the repository. Links to what the site has lead there; of the others the text stays.
"""

import re
import shutil
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
BROUGHT = {"codec/FORMAT.md": "format.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
ELSEWHERE = {"README.md": "index.md", **BROUGHT}
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s#]+)(#[^)]*)?\)")


def on_files(files: Files, config: Any) -> Files:
    """Add the repository's pages and pictures."""
    for source, name in BROUGHT.items():
        files.append(File.generated(config, name, content=(ROOT / source).read_text()))
    for path in sorted((ROOT / "samples").glob("*.[pj][np]g")):
        files.append(File.generated(config, f"samples/{path.name}", abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Lead links to where the site has what they name."""
    homes = {name: ROOT / source for source, name in BROUGHT.items()}
    folder = homes.get(page.file.src_uri, ROOT / "docs" / page.file.src_uri).parent

    def moved(link: re.Match[str]) -> str:
        mark, text, place, anchor = link.groups()
        target = (folder / place).resolve()
        if "://" in place or not target.is_relative_to(ROOT) or not target.exists():
            return link[0]
        name = target.relative_to(ROOT).as_posix()
        if name.startswith(("docs/", "samples/")):
            return f"{mark}[{text}]({name.removeprefix('docs/')}{anchor or ''})"
        return f"[{text}]({ELSEWHERE[name]}{anchor or ''})" if name in ELSEWHERE else text

    return LINK.sub(moved, markdown)


def on_post_build(config: Any) -> None:
    """Pack the files that a second decoder is held to."""
    shutil.make_archive(str(Path(config["site_dir"]) / "conformance"), "zip", ROOT / "tests" / "golden")
