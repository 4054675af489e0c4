"""Which modules of the package the code of a chapter can reach, found without importing anything.

grimp reads which module imports which; this module reads the cells of a chapter and adds what no
import statement shows. `fashionnb.publishing.cache` hashes the modules found, so that editing a
helper runs exactly the chapters that could notice it. When in doubt the answer is "more": running
a chapter once too often costs minutes, publishing an outdated number costs trust.
"""

import ast
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

import grimp
from grimp.exceptions import SourceSyntaxError

# With these names a module can import what no `import` statement shows.
IMPORTERS = frozenset({"import_module", "__import__", "exec", "eval", "runpy", "pkgutil"})
# With these a chapter can run code that lies elsewhere. (In a module they start other programs.)
LAUNCHERS = frozenset(
    {"subprocess", "system", "popen", "getoutput", "run_line_magic", "run_cell_magic"}
)
# Magics that run no code of the package. A cell with another magic or a shell command may.
HARMLESS = frozenset(
    {"autoreload", "capture", "conda", "config", "load_ext", "matplotlib", "pip", "time"}
)
MAGIC = re.compile(r"^(?P<indent>[ \t]*)(?:[%]{1,2}(?P<name>\w+)|!).*$", re.MULTILINE)


@dataclass(frozen=True)
class Code:
    """What a piece of code contains.

    Attributes
    ----------
    imports : frozenset of str
        The dotted names that its absolute imports name.
    strings : frozenset of str
        Its string constants.
    names : frozenset of str
        The names and attributes that it uses.
    hidden : bool
        Whether it may import what is not among `imports`.
    """

    imports: frozenset[str] = frozenset()
    strings: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()
    hidden: bool = True


def modules(package: Path) -> dict[str, Path]:
    """Find every module of the package in the folder `package`: dotted name -> file."""
    found = {}
    for path in sorted(package.rglob("*.py")):
        parts = [package.name, *path.relative_to(package).with_suffix("").parts]
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def reach(cells: Iterable[str], package: Path) -> frozenset[str]:
    """Find the modules of `package` that code cells can reach, through imports of imports too.

    An import inside a function counts. A module that can import by name (`import_module` and the
    like) reaches its whole folder, and whatever its strings name. Cells that do so, or that run a
    script or a command, reach the whole package; so does a package with a syntax error.
    """
    found = modules(package)
    known = frozenset(found)
    codes = [read_cell(cell) for cell in cells]
    if any(code.hidden for code in codes):
        return known
    try:
        graph = import_graph(
            package, tuple((path, path.stat().st_mtime_ns) for path in found.values())
        )
    except SourceSyntaxError:
        return known
    named = frozenset().union(*(named_modules(code, known) for code in codes))
    public = public_names(package)
    for code in codes:
        named |= {public[name] for name in code.names & public.keys()}
    return named.union(*(graph.find_upstream_modules(name) for name in named))


def public_names(package: Path) -> dict[str, str]:
    """Read which names the package offers itself, imported when first used: name -> module."""
    names = {}
    for node in ast.parse((package / "__init__.py").read_text(encoding="utf-8")).body:
        match node:
            case ast.Assign(targets=[ast.Name(id="_HOMES")], value=ast.Dict() as homes):
                for name, home in ast.literal_eval(homes).items():
                    names[name] = f"{package.name}.{home}"
    return names


@lru_cache(maxsize=4)
def import_graph(package: Path, versions: tuple = ()) -> grimp.ImportGraph:
    """Build the graph of which module of `package` imports which, imports by name included.

    A module also counts as importing the package that it lies in, as Python runs that first.

    Parameters
    ----------
    package : Path
        The folder of a package that Python can find under its name.
    versions : tuple
        Its files and when each was changed, as the graph is kept for the next call.

    Raises
    ------
    SourceSyntaxError
        If a module is not valid Python.
    """
    graph = grimp.build_graph(package.name, cache_dir=None)
    found = modules(package)
    for name, path in found.items():
        home = name.rpartition(".")[0]
        if home:
            graph.add_import(importer=name, imported=home)
        code = read_module(path)
        if code.hidden and home:  # what the package itself imports by name is in `public_names`
            folder = name if path.name == "__init__.py" else home
            inside = {other for other in found if other.startswith(f"{folder}.")}
            named = {text.partition(":")[0] for text in code.strings}
            for other in inside | named.intersection(found):
                graph.add_import(importer=name, imported=other)
    return graph


def named_modules(code: Code, known: Iterable[str]) -> set[str]:
    """Select from `known` the modules that the imports of `code` run at once.

    Importing a.b.c runs a and a.b first; `from a import *` may run every module of a.
    """
    found = set()
    for imported in code.imports:
        if imported.endswith(".*"):
            found |= {name for name in known if name.startswith(imported[:-1])}
        parts = imported.split(".")
        found |= {".".join(parts[:end]) for end in range(1, len(parts) + 1)}
    return found.intersection(known)


def read_module(path: Path) -> Code:
    """Read a module of the package; one with a syntax error may import anything."""
    try:
        return _read(path.read_text(encoding="utf-8"), IMPORTERS)
    except SyntaxError:
        return Code()


def read_cell(source: str) -> Code:
    """Read a cell of a notebook; one with a syntax error or a shell command may import anything."""
    if any(_runs_code(magic) for magic in MAGIC.finditer(source)):
        return Code()
    try:
        return _read(MAGIC.sub(r"\g<indent>pass", source), IMPORTERS | LAUNCHERS)
    except SyntaxError:
        return Code()


@cache
def _read(source: str, hiding: frozenset[str]) -> Code:
    """Read Python code, which may import by name if it uses a name among `hiding`."""
    imports, strings, names = set(), set(), set()
    nodes = list(ast.walk(ast.parse(source)))
    harmless = [node.func for node in nodes if _calls_harmless_magic(node)]
    for node in nodes:
        match node:
            case ast.Import():
                imports |= {alias.name for alias in node.names}
                names |= {alias.name for alias in node.names}
            case ast.ImportFrom():
                # `from a import b`: b is a module of a, or a name in it.
                origin = node.module or ""
                imports |= {origin, *(f"{origin}.{alias.name}" for alias in node.names)}
                names |= {origin, *(alias.name for alias in node.names)}
            case ast.Constant(value=str()):
                strings.add(node.value)
            case ast.Name():
                names.add(node.id)
            # A method may be called eval (a model's is) and import nothing.
            case ast.Attribute() if node.attr not in ("eval", "exec") and node not in harmless:
                names.add(node.attr)
    hidden = not hiding.isdisjoint(names)
    return Code(frozenset(imports), frozenset(strings), frozenset(names), hidden)


def _runs_code(magic: re.Match) -> bool:
    """Whether a magic may run code of the package, as `%time f()` does and `%%time` does not."""
    on_a_line = magic["name"] == "time" and "%%" not in magic[0]
    return magic["name"] not in HARMLESS or on_a_line


def _calls_harmless_magic(node: ast.AST) -> bool:
    """Whether this is `get_ipython().run_line_magic("pip", …)`, which is `%pip` in a line."""
    match node:
        case ast.Call(
            func=ast.Attribute(attr="run_line_magic"), args=[ast.Constant(value=name), *_]
        ):
            return name in HARMLESS
    return False
