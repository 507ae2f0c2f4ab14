"""The house stays in order: who may import whom, and what is shipped is what lies in the folders."""

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TOPS = {"codec/_root": "vlcodec", "codec": "vlcodec.codec", "models": "vlcodec.models", "cli": "vlcodec.cli"}
ROOMS = (
    TOPS
    | {
        path.parent.relative_to(ROOT).as_posix(): "vlcodec."
        + path.parent.relative_to(ROOT).as_posix().replace("/", ".")
        for top in ("codec", "models")
        for path in sorted((ROOT / top).glob("*/**/__init__.py"))
        if path.parent.name != "_root"
    }
    | {"codec/_root/batch": "vlcodec.batch"}
)
FILES = {
    f"{name}.{path.stem}".removesuffix(".__init__"): path
    for room, name in ROOMS.items()
    for path in sorted((ROOT / room).glob("*.py"))
}

FLOORS = ("layers", "lanes", "walks", "compiled", "gpu", "blocks")  # of models

# The only files that may load these; a module not listed here is free.
HOMES = {
    "click": {name for name in FILES if name.startswith("vlcodec.cli.")},
    "constriction": {"vlcodec.codec.coding.stack"},
    "numba": {"vlcodec.codec.coding.compiled", "vlcodec.models.lanes.pairs", "vlcodec.models.compiled.tiles"},
    "llvmlite": {"vlcodec.models.lanes.pairs", "vlcodec.models.compiled.tiles"},
    "PIL": {
        f"vlcodec.codec.{name}" for name in ("animation", "image", "peers", "sixteen", "sixteen_files", "tags", "whole")
    }
    | {"vlcodec.models.photo.data", "vlcodec.pillow"},
    "imagecodecs": {"vlcodec.codec.sixteen"},
    "imageio": {"vlcodec.imageio"},
    "pyarrow": {"vlcodec.batch.driver", "vlcodec.batch.outputs", "vlcodec.batch.sources"},
    "ray": {"vlcodec.batch.on_ray"},
    "onnx": {"vlcodec.models.photo.layered.perceptual"},
    "safetensors": {"vlcodec.models.zoo", "vlcodec.models.weights.integers"},
    "platformdirs": {"vlcodec.codec.coding.compiled", "vlcodec.models.checks"},
    "triton": {f"vlcodec.models.gpu.{part}" for part in ("mixtures", "network", "steps")},
    "torch": {name for name in FILES if name.startswith("vlcodec.models.")} | {"vlcodec._shared"},
}


def imports(path: Path, typing_only: bool = True) -> Iterator[str]:
    """The full names of the modules that a file imports, anywhere in it, perhaps without the typing-only ones."""
    tree = ast.parse(path.read_text())
    hidden: set[ast.AST] = set()
    if not typing_only:
        branches = (node for node in ast.walk(tree) if isinstance(node, ast.If))
        guards = (node for node in branches if ast.unparse(node.test) == "TYPE_CHECKING")
        hidden = {child for guard in guards for statement in guard.body for child in ast.walk(statement)}
    for node in ast.walk(tree):
        if node in hidden:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            submodules = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in FILES else str(node.module) for name in submodules)


def layer(module: str) -> int:
    """codec 0, models 1, the facade 2, cli 3: nobody imports from a higher one."""
    if module.startswith("vlcodec.codec"):
        return 0
    if module.startswith("vlcodec.models"):
        return 1
    return 3 if module.startswith("vlcodec.cli") or module == "vlcodec.__main__" else 2


@pytest.mark.parametrize("module", FILES)
def test_imports_point_one_way(module: str) -> None:
    ours = [name for name in imports(FILES[module]) if name.split(".")[0] == "vlcodec"]
    assert [name for name in ours if layer(name) > layer(module)] == []


@pytest.mark.parametrize("module", [name for name in FILES if name.split(".")[2:3] and name.split(".")[2] in FLOORS])
def test_floors_of_models_stand_on_those_below(module: str) -> None:
    """What all families share: each folder imports its own files and those of folders before it, and no family."""
    below = FLOORS[: FLOORS.index(module.split(".")[2]) + 1]
    ours = {name.split(".")[2] for name in imports(FILES[module]) if name.startswith("vlcodec.models.")}
    assert ours <= set(below)


def test_imports_make_no_circle() -> None:
    """Those for type checkers alone apart; those inside functions count."""
    graph = {
        module: {name for name in imports(path, typing_only=False) if name in FILES} for module, path in FILES.items()
    }
    while leaves := [module for module, below in graph.items() if not below & graph.keys()]:
        for module in leaves:
            del graph[module]
    assert graph == {}


@pytest.mark.parametrize("room", ["codec", "models", "cli", "tests", "benchmarks", "samples"])
def test_nobody_asks_for_a_family(room: str) -> None:
    """What families differ in stands in their own folders: no comparison of families, no question for a class."""
    own = {ROOT / "models" / name for name in ("photo", "agave", "vlae", "vapnev", "dvaepp")}
    for path in sorted((ROOT / room).rglob("*.py")):
        if not own & set(path.parents):
            assert list(asked_of_families(path)) == [], path


def asked_of_families(path: Path) -> Iterator[str]:
    """The places where a file tells families or models apart."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Compare):
            sides = [ast.unparse(side) for side in (node.left, *node.comparators)]
            if any(side.split(".")[-1] == "family" for side in sides):
                yield ast.unparse(node)
        elif (
            isinstance(node, ast.Call)
            and ast.unparse(node.func) == "isinstance"
            and path.is_relative_to(ROOT / "codec")
        ) and ast.unparse(node.args[1]).endswith(("Model", "Latents")):
            yield ast.unparse(node)


@pytest.mark.parametrize("module", FILES)
def test_names_are_imported_as_they_are_installed(module: str) -> None:
    assert {name.split(".")[0] for name in imports(FILES[module])}.isdisjoint({"codec", "models", "cli"})


def test_the_command_is_a_thin_skin() -> None:
    allowed = {"vlcodec", "vlcodec.batch", "vlcodec.facade"}
    allowed |= {f"vlcodec.codec.{name}" for name in ("animation", "errors", "image")}
    for module, path in FILES.items():
        if module.startswith("vlcodec.cli"):
            ours = {name for name in imports(path) if name.split(".")[0] == "vlcodec"}
            assert {name for name in ours if not name.startswith("vlcodec.cli")} <= allowed, module


@pytest.mark.parametrize("module", FILES)
def test_each_library_has_its_home(module: str) -> None:
    libraries = {name.split(".")[0] for name in imports(FILES[module], typing_only=False)}
    assert [library for library in libraries & HOMES.keys() if module not in HOMES[library]] == []


@pytest.mark.parametrize("module", ROOMS.values())
def test_packages_import_nothing_foreign(module: str) -> None:
    libraries = {name.split(".")[0] for name in imports(FILES[module])}
    assert libraries <= sys.stdlib_module_names | {"vlcodec"}


def test_importing_vlcodec_is_free() -> None:
    heavy = "{'torch', 'numpy', 'numba', 'PIL', 'constriction', 'click'}"
    code = f"import sys, vlcodec; print(*{heavy} & sys.modules.keys())"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"


@pytest.mark.parametrize("module", FILES)
def test_every_module_says_what_it_is(module: str) -> None:
    assert ast.get_docstring(ast.parse(FILES[module].read_text()))


def test_every_folder_with_code_is_shipped() -> None:
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    rooms = {path.parent for top in ("codec", "models", "cli") for path in (ROOT / top).rglob("*.py")}
    assert {folder: name for name, folder in setuptools["package-dir"].items()} == TOPS
    assert sorted(setuptools["packages"]) == sorted(ROOMS[room.relative_to(ROOT).as_posix()] for room in rooms)


def test_nothing_but_vlcodec_is_installed() -> None:
    assert (distribution("vlcodec").read_text("top_level.txt") or "").split() == ["vlcodec"]
