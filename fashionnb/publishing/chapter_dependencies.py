"""What a chapter's numbers depend on, as one hash; and which datasets it needs.

Two runs with the same key would do the same thing, so the second need not happen. The key covers
the chapter, the modules that it can reach, its data, its profile, parameters, device and precision
as they were asked for, and the libraries.

Which modules a chapter can reach is found without importing anything: grimp reads which module
imports which, this module reads the cells of the chapter, and adds what no import statement shows.
When in doubt the answer is "more": running a chapter once too often costs minutes, publishing an
outdated number costs trust.
"""

import ast
import hashlib
import importlib.metadata
import json
import os
import platform
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import grimp
from IPython.core.inputtransformer2 import TransformerManager
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from fashionnb import files
from fashionnb.data import registry
from fashionnb.publishing.chapters import Book, Chapter, tags

CHOSEN = ("garments", "outfits", "scenes")
"""The parameters by which a reader chooses the data of a chapter: a dataset's name, or a path."""

# With these names a module can import what no `import` statement shows.
IMPORTERS = frozenset({"import_module", "__import__", "exec", "eval", "runpy", "pkgutil"})
# With these a chapter can run code that lies elsewhere. (In a module they start other programs.)
LAUNCHERS = frozenset(
    {"subprocess", "system", "popen", "getoutput", "run_line_magic", "run_cell_magic"}
)
# The one magic of chapters. Any other, and a shell command, may run code of the package.
PIP = re.compile(r"^([ \t]*)%pip .*$", re.MULTILINE)


def key(chapter: Chapter, profile: str, parameters: Mapping[str, Any], book: Book) -> str:
    """Hash all that a run of a chapter depends on: code, modules, data, parameters, libraries.

    Parameters
    ----------
    chapter : Chapter
        The chapter.
    profile : {"quick", "standard", "full"}
        The profile that it runs in.
    parameters : mapping of str to any
        Name -> value, of those that the run was given.
    book : Book
        The checkout.

    Returns
    -------
    str
        The key: a SHA-256 in hexadecimal.
    """
    reached = reach(chapter.code, book.package)
    sources = modules(book.package)
    dependencies = {
        # Titles of folded cells are left out: a new one changes no number.
        "chapter": [(cell.cell_type, cell.source, tags(cell)) for cell in chapter.notebook.cells],
        "profile": profile,
        "device": os.environ.get("FASHIONNB_DEVICE") or "auto",
        "precision": os.environ.get("FASHIONNB_PRECISION"),
        "parameters": parameters,
        "modules": {name: files.sha256(sources[name]) for name in reached},
        "files": _other_files(chapter, profile, book),
        "data": {
            name: registry.fingerprint(name)
            for name, source in registry.SOURCES.items()
            if f"{book.package.name}.data.{source.reader}" in reached
        },
        "own data": {
            name: registry.fingerprint(parameters[name])
            for name in CHOSEN
            if name in parameters and Path(parameters[name]).exists()
        },
        "python": platform.python_version(),
        "libraries": libraries(),
        "chapters": {
            other.name: _made_by(other, profile, book) for other in chapters_read(chapter, book)
        },
    }
    content = json.dumps(dependencies, sort_keys=True, default=repr)
    return hashlib.sha256(content.encode()).hexdigest()


def chapters_read(chapter: Chapter, book: Book) -> list[Chapter]:
    """Find the earlier chapters on whose results or models a chapter depends.

    They are those whose names stand in its code, or all earlier ones if it reads all results.

    Parameters
    ----------
    chapter : Chapter
        The chapter.
    book : Book
        The checkout.

    Returns
    -------
    list of Chapter
        In the order of the book.
    """
    codes = [read_cell(cell) for cell in chapter.code]
    strings = frozenset().union(*(code.strings for code in codes))
    reads_all = any(not code.names.isdisjoint(("load_all", "recorded")) for code in codes)
    earlier = [other for other in book.chapters() if other.name < chapter.name]
    return [other for other in earlier if reads_all or other.name in strings]


def datasets(chapter: Chapter, parameters: Mapping[str, Any], book: Book) -> list[str]:
    """Find the datasets that a chapter depends on, to download them before it runs.

    They are those that the chapter, its parameters or a module that it reaches name in a string.
    Modules of `fashionnb.data` and the like do not count, nor does the default of a
    parameter that has another value in this run.

    Parameters
    ----------
    chapter : Chapter
        The chapter.
    parameters : mapping of str to any
        Name -> value, of those that the run was given.
    book : Book
        The checkout.

    Returns
    -------
    list of str
        Names of datasets, in the order of the registry.
    """
    sources = modules(book.package)
    rooms = ("data", "datasets", "synthetic", "scenes")  # they name datasets that they do not open
    naming = tuple(f"{book.package.name}.{room}." for room in rooms)
    codes = [read_cell(cell) for cell in chapter.code_below_parameters]
    codes += [
        read_cell(default) for name, default in chapter.parameters.items() if name not in parameters
    ]
    for name in reach(chapter.code, book.package):
        if not f"{name}.".startswith(naming):
            codes.append(read_module(sources[name]))
    named = {str(value) for value in parameters.values()}.union(*(code.strings for code in codes))
    return [name for name in registry.SOURCES if name in named]


@cache
def libraries() -> dict[str, str]:
    """List the libraries that fashionnb depends on, with their versions, without development tools.

    Returns
    -------
    dict of str to str
        Name -> version.
    """
    installed = {canonicalize_name(one.name): one for one in importlib.metadata.distributions()}
    found, waiting = {}, ["fashionnb"]
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name in installed and name not in found:
            found[name] = installed[name].version
            left_out = "extra == 'dev'" if name == "fashionnb" else "extra =="
            requirements = [text.replace('"', "'") for text in installed[name].requires or ()]
            waiting += [Requirement(text).name for text in requirements if left_out not in text]
    return found


@dataclass(frozen=True)
class _Code:
    """What a piece of code contains.

    Parameters
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
    """Find every module of the package, on which chapters may depend.

    Parameters
    ----------
    package : Path
        The folder of the package.

    Returns
    -------
    dict of str to Path
        Dotted name -> file.
    """
    found = {}
    for path in sorted(package.rglob("*.py")):
        place = path.parent if path.name == "__init__.py" else path.with_suffix("")
        found[".".join(place.relative_to(package.parent).parts)] = path
    return found


def reach(cells: Iterable[str], package: Path) -> frozenset[str]:
    """Find the modules of the package that code cells depend on, through imports of imports too.

    An import inside a function counts. A module that can import by name (`import_module` and the
    like) reaches its whole folder. Cells that do so, or that run a script or a command, reach the
    whole package; so does a package with a syntax error.

    Parameters
    ----------
    cells : iterable of str
        The sources of code cells.
    package : Path
        The folder of the package.

    Returns
    -------
    frozenset of str
        Dotted names of modules.
    """
    known = modules(package)
    codes = [read_cell(cell) for cell in cells]
    if any(code.hidden for code in codes):
        return frozenset(known)
    versions = tuple((path, path.stat().st_mtime_ns) for path in known.values())
    try:
        graph = import_graph(package, versions)
    except grimp.exceptions.SourceSyntaxError:
        return frozenset(known)
    public = public_names(package)
    named = frozenset().union(*(_named_modules(code, known) for code in codes))
    named |= {public[name] for code in codes for name in code.names & public.keys()}
    return named.union(*(graph.find_upstream_modules(name) for name in named))


def public_names(package: Path) -> dict[str, str]:
    """Read which names the package itself offers to chapters, and the module on which each depends.

    Parameters
    ----------
    package : Path
        The folder of the package.

    Returns
    -------
    dict of str to str
        Name -> dotted name of the module, which is imported when the name is first used.
    """
    for node in ast.parse((package / "__init__.py").read_text(encoding="utf-8")).body:
        match node:
            case ast.Assign(targets=[ast.Name(id="_HOMES")]):
                homes = ast.literal_eval(node.value)
                return {name: f"{package.name}.{home}" for name, home in homes.items()}
    return {}


@lru_cache(maxsize=4)
def import_graph(package: Path, versions: tuple = ()) -> grimp.ImportGraph:
    """Build the graph of imports between modules, from which a chapter's dependencies are found.

    It includes imports by name. A module also counts as importing the package that it lies in, as
    Python runs that first.

    Parameters
    ----------
    package : Path
        The folder of a package that Python can find under its name.
    versions : tuple
        Its files and when each was changed, as the graph is kept for the next call.

    Returns
    -------
    ImportGraph
        Its nodes are dotted names of modules.

    Raises
    ------
    SourceSyntaxError
        If a module is not valid Python.
    """
    graph = grimp.build_graph(package.name, cache_dir=None)
    found = modules(package)
    for name, path in found.items():
        home = name.rpartition(".")[0]
        imported = {home}
        if read_module(path).hidden:
            folder = name if path.name == "__init__.py" else home
            imported |= {other for other in found if other.startswith(f"{folder}.")}
        if home:  # what the package itself imports by name is in `public_names`
            for other in imported:
                graph.add_import(importer=name, imported=other)
    return graph


def read_module(path: Path) -> _Code:
    """Parse a module of the package, on which a chapter may depend.

    Parameters
    ----------
    path : Path
        The file of the module.

    Returns
    -------
    _Code
        Its imports, strings and names; one with a syntax error may import anything.
    """
    return _read(path.read_text(encoding="utf-8"), IMPORTERS)


def read_cell(source: str) -> _Code:
    """Parse a code cell of a notebook, to find what its chapter depends on.

    Parameters
    ----------
    source : str
        The source of the cell.

    Returns
    -------
    _Code
        Its imports, strings and names; one with a syntax error or a shell command may import
        anything.
    """
    python = TransformerManager().transform_cell(PIP.sub(r"\1pass", source))
    return _read(python, IMPORTERS | LAUNCHERS)  # magics and shell commands are calls now


@cache
def _read(source: str, hiding: frozenset[str]) -> _Code:
    """Read Python code, which may import by name if it uses a name among `hiding`."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return _Code()
    imports, strings, names = set(), set(), set()
    for node in ast.walk(tree):
        match node:
            case ast.Import():
                imports |= {alias.name for alias in node.names}
            case ast.ImportFrom():
                # `from a import b`: b is a module of a, or a name in it.
                named = {alias.name for alias in node.names}
                imports |= {f"{node.module}", *(f"{node.module}.{name}" for name in named)}
                names |= named
            case ast.Constant(value=str()):
                strings.add(node.value)
            case ast.Name():
                names.add(node.id)
            # A method may be called eval (a model's is) and import nothing.
            case ast.Attribute() if node.attr not in ("eval", "exec"):
                names.add(node.attr)
    hidden = not hiding.isdisjoint(imports | names)
    return _Code(frozenset(imports), frozenset(strings), frozenset(names), hidden)


def _named_modules(code: _Code, known: Iterable[str]) -> set[str]:
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


def _other_files(chapter: Chapter, profile: str, book: Book) -> dict[str, str]:
    """Hash the files besides modules: of the package and the book, and the full run shown."""
    paths = {path for path in book.package.rglob("*") if path.suffix not in (".py", ".pyc")}
    paths |= {*book.folder.glob("*.py"), *(book.folder / "checkpoints").rglob("*")}
    if profile != "full" and any("full_run" in read_cell(cell).names for cell in chapter.code):
        paths |= set((book.folder / "results" / "full").glob("*.json"))
    found = [path for path in paths if path.is_file()]
    return {os.path.relpath(path, book.root): files.sha256(path) for path in found}


def _made_by(chapter: Chapter, profile: str, book: Book) -> list[str]:
    """What another chapter's results depend on, and the hashes of those that exist."""
    paths = [
        folder / "results" / profile / f"{chapter.name}.json"
        for folder in (book.folder, book.build)
    ]
    return [
        key(chapter, profile, {}, book),
        *(files.sha256(path) for path in paths if path.exists()),
    ]
