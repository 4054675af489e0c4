"""Which modules of a package a piece of code can reach: the import graph, read without importing anything.

`keys` hashes what a chapter reaches, so that editing a helper runs exactly the chapters that could notice it.
When in doubt the answer is "more": a chapter run once too often costs minutes, a stale number costs trust.
"""

import ast
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

# With these names a module can import what no `import` statement shows.
IMPORTERS = frozenset({"import_module", "__import__", "exec", "eval", "runpy", "pkgutil"})
# With these a chapter can run code that lies elsewhere. (In a module they start tools, such as jupyter-book.)
LAUNCHERS = frozenset(
    {"subprocess", "system", "popen", "getoutput", "run_line_magic", "run_cell_magic"}
)
# Magics that bring in no code of ours; a cell with any other magic or with a shell command counts as hiding something.
HARMLESS = frozenset(
    {"autoreload", "capture", "conda", "config", "load_ext", "matplotlib", "pip", "time"}
)
_MAGIC = re.compile(r"^(?P<indent>[ \t]*)(?:[%]{1,2}(?P<name>\w+)|!).*$", re.MULTILINE)


@dataclass(frozen=True)
class Code:
    """What one piece of code says about its imports.

    imports : dotted names, absolute. strings : its string constants. names : the names and attributes that it uses.
    hidden : it may import what is not among `imports`.
    """

    imports: frozenset[str] = frozenset()
    strings: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()
    hidden: bool = True


@dataclass(frozen=True)
class Reach:
    """What code reaches in a package. modules : dotted names. whole : all of it, as nobody can follow the code."""

    modules: frozenset[str]
    whole: bool


def modules(package: Path) -> dict[str, Path]:
    """Every module of the package in the folder `package`, by its dotted name."""
    found = {}
    for path in sorted(package.rglob("*.py")):
        parts = [package.name, *path.relative_to(package).with_suffix("").parts]
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def reach(chapter: Iterable[str], package: Path) -> Reach:
    """Which modules of `package` the code cells `chapter` can reach, through imports of imports, in functions too.

    A module whose code can import by name (`import_module` and the like) reaches all of its own folder, and whatever
    its strings name. A chapter that does so, or that runs a script or a command, reaches the whole package.
    """
    known = modules(package)
    cells = [read_cell(cell) for cell in chapter]
    if any(cell.hidden for cell in cells):
        return Reach(frozenset(known), whole=True)
    waiting = {name for cell in cells for name in named_by(cell, known)}
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        seen.add(name)
        waiting |= imported(name, known) - seen
    return Reach(frozenset(seen), whole=False)


def imported(name: str, known: dict[str, Path]) -> set[str]:
    """The modules among `known` that the module called `name` may import itself."""
    code = code_of(name, known)
    found = named_by(code, known)
    if code.hidden:
        home = _home(name, known)
        found |= {other for other in known if other == home or other.startswith(f"{home}.")}
        for text in code.strings:
            found |= _with_parents(text.partition(":")[0], known)
    return found


def code_of(name: str, known: dict[str, Path]) -> Code:
    """What the module called `name` says; one that is not Python (half edited, say) may hide anything."""
    try:
        return read_module(known[name].read_text(encoding="utf-8"), _home(name, known))
    except SyntaxError:
        return Code(hidden=True)


def read_cell(source: str) -> Code:
    """What a notebook's cell says. One that is neither Python nor harmless magics counts as hiding something."""
    magics = list(_MAGIC.finditer(source))
    if any(magic["name"] not in HARMLESS or _is_statement(magic) for magic in magics):
        return Code(hidden=True)
    try:
        return read_module(_MAGIC.sub(r"\g<indent>pass", source), "", IMPORTERS | LAUNCHERS)
    except SyntaxError:
        return Code(hidden=True)


@cache
def read_module(source: str, home: str, hiding: frozenset[str] = IMPORTERS) -> Code:
    """What Python `source` says. home : the package that its relative imports start from. hiding : suspicious names."""
    imports, strings, names = set(), set(), set()
    nodes = list(ast.walk(ast.parse(source)))
    harmless = {
        id(node.func)
        for node in nodes
        if isinstance(node, ast.Call) and _calls_harmless_magic(node)
    }
    for node in nodes:
        if isinstance(node, ast.Import):
            imports |= {alias.name for alias in node.names}
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = home.split(".")[: len(home.split(".")) - node.level + 1] if node.level else []
            origin = ".".join([*above, *([node.module] if node.module else [])])
            # `from a import b`: b may be a module of a, or a name in it; `*` may be any of them.
            imports |= {origin, *(f"{origin}.{alias.name}" for alias in node.names)}
            names |= {origin, *(alias.name for alias in node.names)}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            strings.add(node.value)
        elif isinstance(node, ast.Name):
            names.add(node.id)
        # A method may be called eval (that of a model is) and hide nothing.
        elif (
            isinstance(node, ast.Attribute)
            and node.attr not in ("eval", "exec")
            and id(node) not in harmless
        ):
            names.add(node.attr)
    return Code(
        frozenset(imports), frozenset(strings), frozenset(names), not hiding.isdisjoint(names)
    )


def _home(name: str, known: dict[str, Path]) -> str:
    """The package that a module lies in; a package lies in itself."""
    return name if known[name].name == "__init__.py" else name.rpartition(".")[0]


def _is_statement(magic: re.Match) -> bool:
    """True for `%time something`: the rest of the line is code of its own. (`%%time` only heads a cell.)"""
    return magic["name"] == "time" and "%%" not in magic[0]


def _calls_harmless_magic(call: ast.Call) -> bool:
    """True for `get_ipython().run_line_magic("pip", …)`: what `%pip` becomes, and the way to write it after an `if`."""
    named = isinstance(call.func, ast.Attribute) and call.func.attr == "run_line_magic"
    return (
        named
        and bool(call.args)
        and isinstance(call.args[0], ast.Constant)
        and call.args[0].value in HARMLESS
    )


def named_by(code: Code, known: dict[str, Path]) -> set[str]:
    """The modules among `known` that the imports of `code` name."""
    found: set[str] = set()
    for name in code.imports:
        if name.endswith(".*"):
            found |= {other for other in known if other.startswith(name[:-1])}
        found |= _with_parents(name, known)
    return found


def _with_parents(name: str, known: dict[str, Path]) -> set[str]:
    """`name` and the packages it lies in, as far as they are modules here: importing a.b.c runs a and a.b first."""
    parts = name.split(".")
    return {".".join(parts[:end]) for end in range(1, len(parts) + 1)} & set(known)
