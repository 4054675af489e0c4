"""What a chapter's numbers depend on, as one hash; and which datasets it needs.

Two runs with the same key would do the same thing, so the second need not happen. The key covers
the chapter, the modules that it can reach, its data, its profile and parameters, and the libraries.
"""

import hashlib
import importlib.metadata
import json
import platform
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from fashionnb import files
from fashionnb.publishing import import_graph
from fashionnb.publishing.chapters import Book, Chapter


def key(chapter: Chapter, profile: str, parameters: Mapping[str, Any], book: Book) -> str:
    """Hash (SHA-256, hexadecimal) everything that a run of `chapter` depends on."""
    content = json.dumps(
        dependencies(chapter, profile, parameters, book), sort_keys=True, default=repr
    )
    return hashlib.sha256(content.encode()).hexdigest()


def dependencies(
    chapter: Chapter, profile: str, parameters: Mapping[str, Any], book: Book
) -> dict[str, Any]:
    """List what a run depends on, by name, with hashes of contents."""
    reached = import_graph.reach(chapter.code, book.package)
    sources = import_graph.modules(book.package)
    readers = _readers(book)
    return {
        "chapter": hashlib.sha256(chapter.text.encode()).hexdigest(),
        "profile": profile,
        "parameters": dict(parameters),
        "modules": {name: files.sha256(sources[name]) for name in sorted(reached)},
        "files": _other_files(chapter, profile, book),
        "data": {name: _fingerprint(name) for name in readers if readers[name] in reached},
        "python": platform.python_version(),
        "libraries": libraries(),
        "chapters": {
            other.name: _made_by(other, profile, book) for other in chapters_read(chapter, book)
        },
    }


def chapters_read(chapter: Chapter, book: Book) -> list[Chapter]:
    """Find the earlier chapters whose results or models this one reads, as its code names them."""
    codes = _cells(chapter)
    strings = frozenset().union(*(code.strings for code in codes))
    reads_all = any(not code.names.isdisjoint(("load_all", "recorded")) for code in codes)
    earlier = [other for other in book.chapters() if other.name < chapter.name]
    return [other for other in earlier if reads_all or other.name in strings]


def datasets(chapter: Chapter, parameters: Mapping[str, Any], book: Book) -> list[str]:
    """Find the datasets to download before a chapter runs.

    They are those that the chapter, its parameters or a module that it reaches name in a string,
    or whose reader they import. Modules of `fashionnb.data` do not count: they name every dataset.
    """
    sources = import_graph.modules(book.package)
    opening = tuple(f"{book.package.name}.{room}." for room in ("data", "datasets", "synthetic"))
    reached = import_graph.reach(chapter.code, book.package)
    outside = [name for name in reached if not f"{name}.".startswith(opening)]
    codes = [*_cells(chapter), *(import_graph.read_module(sources[name]) for name in outside)]
    named = {str(value) for value in parameters.values()}.union(*(code.strings for code in codes))
    imported = set().union(*(import_graph.named_modules(code, sources) for code in codes))
    readers = _readers(book)
    return [name for name in readers if name in named or readers[name] in imported]


@cache
def libraries() -> dict[str, str]:
    """List the versions of everything that fashionnb requires, except tools for development."""
    found: dict[str, str] = {}
    waiting = ["fashionnb"]
    while waiting:
        name = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
        if name in found:
            continue
        try:
            installed = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        found[name] = installed.version
        for requirement in installed.requires or ():
            extra = re.search(r"extra == ['\"]([\w-]+)", requirement)
            if extra is None or (name == "fashionnb" and extra[1] != "dev"):
                waiting.append(re.match(r"[\w.-]+", requirement)[0])
    return dict(sorted(found.items()))


def _cells(chapter: Chapter) -> list[import_graph.Code]:
    return [import_graph.read_cell(cell) for cell in chapter.code]


def _other_files(chapter: Chapter, profile: str, book: Book) -> dict[str, str]:
    """Hash the files besides modules: of the package and the book, and the full run shown."""
    paths = {path for path in book.package.rglob("*") if path.suffix not in (".py", ".pyc")}
    paths |= {*book.folder.glob("*.py"), *(book.folder / "checkpoints").rglob("*")}
    if profile != "full" and any("full_run" in code.names for code in _cells(chapter)):
        paths |= set((book.folder / "results" / "full").glob("*.json"))
    return {_place(path, book): files.sha256(path) for path in sorted(paths) if path.is_file()}


def _place(path: Path, book: Book) -> str:
    """The path relative to the checkout or to the package, so that it is the same everywhere."""
    in_book = path.is_relative_to(book.folder)
    return str(path.relative_to(book.root if in_book else book.package.parent))


def _readers(book: Book) -> dict[str, str]:
    """Every dataset, and the module that reads it."""
    from fashionnb.data.registry import SOURCES

    return {name: f"{book.package.name}.data.{source.reader}" for name, source in SOURCES.items()}


def _fingerprint(name: str) -> str:
    from fashionnb.data import registry

    return registry.fingerprint(name)


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
