"""The fences: arrows between packages, the purity of `decisions`, the maps, and the length of
files."""

from __future__ import annotations

import ast
import re
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("decisions", "snapshots", "edge")
ALLOWED = {"decisions": set(), "snapshots": {"decisions"}, "edge": {"decisions", "snapshots"}}
PURE = {
    "msgspec",
    "re2",
    "mmh3",
    "zoneinfo",
}  # what `decisions` may use besides the harmless standard library
HARMLESS = {
    "__future__", "abc", "bisect", "calendar", "collections", "contextlib", "dataclasses",
    "datetime", "difflib", "enum", "functools", "hashlib", "heapq", "hmac", "html", "itertools",
    "json", "math", "operator", "re", "string", "struct", "types", "typing", "uuid", "base64",
    "binascii", "decimal", "fractions", "urllib",
}  # fmt: skip
MAX_LINES = 400

FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
MAPS = sorted(
    path
    for path in FILES
    if path.name == "__init__.py" and "Read in this order" in path.read_text(encoding="utf-8")
)
ROW = re.compile(r"^    (\w+) {2,}\S", re.MULTILINE)


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def imported(path: Path) -> set[str]:
    """Every module that a file imports, by its whole dotted name; relative imports are refused by
    ruff."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def rows(path: Path) -> list[str]:
    """The modules that a package's map lists, in reading order."""
    return ROW.findall(
        ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")), clean=False) or ""
    )


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_package_imports_only_what_lies_below_it(path: Path) -> None:
    home = path.relative_to(ROOT).parts[0]
    tops = {name.split(".")[0] for name in imported(path)}
    assert tops & set(PACKAGES) - {home} <= ALLOWED[home]
    if home == "decisions":
        assert tops - {home} <= PURE | HARMLESS


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_module_says_in_its_first_line_what_it_is_for_and_stays_short(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert (ast.get_docstring(ast.parse(text)) or "").split("\n")[0].strip()
    assert len(text.splitlines()) <= MAX_LINES


@pytest.mark.parametrize("path", MAPS, ids=name_of)
def test_a_module_imports_only_from_those_above_it_on_the_map(path: Path) -> None:
    package = ".".join(path.parent.relative_to(ROOT).parts)
    order = rows(path)
    here = {
        entry.stem
        for entry in path.parent.iterdir()
        if entry.suffix == ".py" or (entry / "__init__.py").exists()
    }
    assert here - {"__init__"} == set(order), (
        "the map lists what is in the folder, no more and no less"
    )
    for place, module in enumerate(order):
        source = path.parent / f"{module}.py"
        files = [source] if source.exists() else sorted((path.parent / module).rglob("*.py"))
        later = {f"{package}.{name}" for name in order[place + 1 :]}
        for file in files:
            reached = {
                ".".join(name.split(".")[: package.count(".") + 2]) for name in imported(file)
            }
            assert not reached & later, f"{name_of(file)} imports from below itself on the map"


def test_the_edge_never_imports_the_builder_but_for_the_commands_that_need_it() -> None:
    commands = {ROOT / "edge" / "cli.py", *(ROOT / "edge" / "commands").rglob("*.py")}
    for path in set(FILES) - commands:
        if path.is_relative_to(ROOT / "snapshots" / "build"):
            continue
        assert not any(name.startswith("snapshots.build") for name in imported(path)), name_of(path)


def test_no_folder_of_tests_is_one_that_pytest_passes_over(pytestconfig: pytest.Config) -> None:
    folders = {path.parent.relative_to(ROOT) for path in (ROOT / "tests").rglob("test_*.py")}
    names = {name for folder in folders for name in folder.parts}
    passed_over = pytestconfig.getini("norecursedirs")
    assert not {name for name in names for pattern in passed_over if fnmatch(name, pattern)}
