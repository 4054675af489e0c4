"""Public docstrings: valid for numpydoc, and with a first line that tells each thing from all others."""

import ast
import re
import tomllib
from collections import defaultdict
from pathlib import Path

import pytest
from numpydoc.validate import validate

ROOT = Path(__file__).resolve().parents[1]
CHECKS = set(
    tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["numpydoc_validation"]["checks"]
)
PUBLIC = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
FILE = re.compile(r"\.py\b|\bfashionnb[./]\w", re.IGNORECASE)  # of a module, or its dotted name


def first_lines() -> dict[str, dict[str, str]]:
    """Those of all public functions and classes, found by reading: module -> name -> line."""
    found = {}
    for path in sorted((ROOT / "fashionnb").rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        if parts[-1] == "__init__":
            parts = parts[:-1]
        if any(part.startswith("_") for part in parts):
            continue
        names = {
            node.name: (ast.get_docstring(node) or "").partition("\n")[0]
            for node in ast.parse(path.read_text(encoding="utf-8")).body
            if isinstance(node, PUBLIC) and not node.name.startswith("_")
        }
        if names:
            found[".".join(parts)] = names
    return found


LINES = first_lines()
# The docstrings of commands are their help texts.
MODULES = [module for module in LINES if not module.startswith("fashionnb.cli")]


@pytest.mark.parametrize("module", MODULES)
def test_docstrings_are_valid(module):
    problems = [
        f"{name}: {code} {message}"
        for name in LINES[module]
        for code, message in validate(f"{module}.{name}")["errors"]
        if code in CHECKS
    ]
    assert problems == []


def test_no_two_first_lines_are_alike():
    places = defaultdict(list)
    for module, names in LINES.items():
        for name, line in names.items():
            places[line.casefold()].append(f"{module}.{name}")
    assert {line: where for line, where in places.items() if len(where) > 1} == {}


@pytest.mark.parametrize("module", MODULES)
def test_no_first_line_names_a_module_file(module):
    assert [line for line in LINES[module].values() if FILE.search(line)] == []


@pytest.mark.parametrize(
    ("code", "docstring"),
    [
        ("GL03", "Count items.\n\n\n    Parameters\n    ----------\n    a : int\n        The items.\n    "),
        ("PR01", "Count items."),
        ("PR09", "Count items.\n\n    Parameters\n    ----------\n    a : int\n        The items\n    "),
        ("SS05", "Counts items."),
        ("SS06", "Count items,\n    whatever they are."),
    ],
)  # fmt: skip
def test_what_is_wrong_is_found(code, docstring, tmp_path, monkeypatch):
    source = f'def count(a):\n    """{docstring}"""\n'
    name = f"documented_{code.lower()}"
    (tmp_path / f"{name}.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    assert code in {found for found, _ in validate(f"{name}.count")["errors"]} & CHECKS
