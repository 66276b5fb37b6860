"""The layout gates: imports go down only, files and functions stay small, the words in docs/structure.md stay true."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "slipway"

# From the bottom up; a module may import its own layer's package and everything below, never a sibling package.
LAYERS: tuple[frozenset[str], ...] = (
    frozenset({"errors"}),
    frozenset({"types", "settings"}),
    frozenset({"deployment", "parameters"}),
    frozenset({"formats"}),
    frozenset({"engines", "hubs", "catalogue"}),
    frozenset({"runtime"}),
    frozenset({"control"}),
    frozenset({"gateway"}),
    frozenset({"client"}),
    frozenset({"server"}),
    frozenset({"commands"}),
    frozenset({"cli"}),
    frozenset({"__main__"}),
)
FILE_LINES, FUNCTION_LINES, PARAMETERS = 300, 60, 7
FORBIDDEN_NAMES = {"utils", "helpers", "common", "manager", "core"}


def python_files(*folders: str) -> list[Path]:
    return sorted(file for folder in folders for file in (ROOT / folder).rglob("*.py"))


def package(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def layer(name: str) -> int:
    return next(number for number, names in enumerate(LAYERS) if name in names)


def imported_packages(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and package of every import of Slipway's own, those inside functions too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "slipway":
            yield from ((node.lineno, alias.name) for alias in node.names if not alias.name.startswith("__"))
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("slipway."):
            yield node.lineno, package(node.module or "")
        elif isinstance(node, ast.Import):
            yield from ((node.lineno, package(a.name)) for a in node.names if a.name.startswith("slipway."))


@pytest.mark.parametrize("file", python_files("src/slipway"), ids=lambda file: str(file.relative_to(SOURCE)))
def test_imports_go_down_only(file: Path) -> None:
    own = file.relative_to(SOURCE).parts[0].removesuffix(".py")
    if own in {"__init__", "pilot"}:
        return
    for line, name in imported_packages(ast.parse(file.read_text())):
        assert name == own or layer(name) < layer(own), f"{file.name}:{line}: {own} must not import {name}"


def test_no_relative_imports() -> None:
    for file in python_files("src/slipway"):
        for node in ast.walk(ast.parse(file.read_text())):
            assert not (isinstance(node, ast.ImportFrom) and node.level), f"{file}:{node.lineno}"


@pytest.mark.parametrize(
    "file", python_files("src", "tests", "bench", "training"), ids=lambda file: str(file.relative_to(ROOT))
)
def test_files_and_functions_stay_small(file: Path) -> None:
    text = file.read_text()
    assert text.count("\n") <= FILE_LINES, f"{file} has {text.count(chr(10))} lines"
    assert file.stem not in FORBIDDEN_NAMES
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            assert length <= FUNCTION_LINES, f"{file.name}:{node.lineno} {node.name} has {length} lines"
            arguments = [a.arg for a in (*node.args.args, *node.args.kwonlyargs) if a.arg not in {"self", "cls"}]
            assert len(arguments) <= PARAMETERS, f"{file.name}:{node.lineno} {node.name} takes {len(arguments)}"


@pytest.mark.parametrize("file", python_files("src/slipway"), ids=lambda file: str(file.relative_to(SOURCE)))
def test_modules_say_what_they_are_for(file: Path) -> None:
    assert ast.get_docstring(ast.parse(file.read_text())), f"{file} has no docstring"


def test_structure_names_every_package() -> None:
    text = (ROOT / "docs" / "structure.md").read_text()
    for entry in sorted(SOURCE.iterdir()):
        if entry.name.startswith("__") or (entry.is_file() and entry.suffix != ".py"):
            continue
        assert f"`{entry.name}" in text, f"docs/structure.md does not name {entry.name}"
