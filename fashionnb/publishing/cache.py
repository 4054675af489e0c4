"""What a chapter's numbers depend on, as one hash; and which datasets it uses.

Two runs with the same key would do the same thing, so the second need not happen. The key covers the chapter, the
modules it can reach, its data, its profile and parameters, and the libraries it runs on.
"""

import hashlib
import importlib.metadata
import json
import platform
import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from fashionnb import files
from fashionnb.publishing import import_graph
from fashionnb.publishing.chapters import Book, Chapter


def key(chapter: Chapter, profile: str, parameters: Mapping[str, Any], book: Book) -> str:
    """The SHA-256 (hexadecimal) over everything that a run of `chapter` depends on."""
    return _digest(ingredients(chapter, profile, parameters, book))


def ingredients(
    chapter: Chapter, profile: str, parameters: Mapping[str, Any], book: Book
) -> dict[str, Any]:
    """What goes into the key: names, with hashes of contents."""
    reached = import_graph.reach(chapter.code, book.package)
    known = import_graph.modules(book.package)
    shows_full = profile != "full" and any(
        "full_run" in import_graph.read_cell(cell).names for cell in chapter.code
    )
    full = (book.folder / "results" / "full").glob("*.json") if shows_full else ()
    beside = [
        path
        for path in book.package.rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc")
    ]
    book_files = [
        *book.folder.glob("*.py"),
        *(path for path in (book.folder / "checkpoints").rglob("*")),
    ]
    return {
        "chapter": hashlib.sha256(chapter.text.encode()).hexdigest(),
        "profile": profile,
        "parameters": dict(parameters),
        "modules": {name: files.sha256(known[name]) for name in sorted(reached.modules)},
        "files": {
            str(
                path.relative_to(
                    book.root if path.is_relative_to(book.folder) else book.package.parent
                )
            ): digest
            for path in sorted([*beside, *book_files, *full])
            if path.is_file() and (digest := files.sha256(path))
        },
        "data": {
            name: _fingerprint(name)
            for name, reader in _readers(book).items()
            if reader in reached.modules
        },
        "python": platform.python_version(),
        "libraries": libraries(),
        "chapters": {other.name: _made_by(other, profile, book) for other in needs(chapter, book)},
    }


def needs(chapter: Chapter, book: Book) -> list[Chapter]:
    """The earlier chapters that this one names in its code, to read their results or models."""
    strings = set().union(*(import_graph.read_cell(cell).strings for cell in chapter.code))
    earlier = [other for other in book.chapters() if other.name < chapter.name]
    return [other for other in earlier if other.name in strings or _reads_all(chapter)]


def uses(chapter: Chapter, parameters: Mapping[str, Any], book: Book) -> list[str]:
    """The sources whose data the chapter may load: those that it names, or all if it may reach any of them.

    The key of a run is made of these: when in doubt, more. Modules of the data layer itself do not count, since they
    name every source.
    """
    reached = import_graph.reach(chapter.code, book.package)
    codes = _outside(chapter, reached, book)
    if reached.whole or any("SOURCES" in code.names for code in codes):
        return list(_readers(book))
    return _named(codes, parameters, book)


def names(chapter: Chapter, parameters: Mapping[str, Any], book: Book) -> list[str]:
    """The sources that the chapter, its parameters or the modules it reaches call by name, or whose reader they import.

    These are fetched before it runs, and drawn garments may stand in for them.
    """
    return _named(
        _outside(chapter, import_graph.reach(chapter.code, book.package), book), parameters, book
    )


def _outside(chapter: Chapter, reached: import_graph.Reach, book: Book) -> list[import_graph.Code]:
    """The chapter's cells, and the modules that it reaches outside the data layer."""
    known = import_graph.modules(book.package)
    layer = tuple(f"{book.package.name}.{room}." for room in ("data", "datasets", "synthetic"))
    outside = [name for name in reached.modules if not f"{name}.".startswith(layer)]
    return [import_graph.read_cell(cell) for cell in chapter.code] + [
        import_graph.code_of(name, known) for name in outside
    ]


def _named(codes: list[import_graph.Code], parameters: Mapping[str, Any], book: Book) -> list[str]:
    known = import_graph.modules(book.package)
    strings = {str(value) for value in parameters.values()}.union(*(code.strings for code in codes))
    imported = set().union(*(import_graph.named_by(code, known) for code in codes))
    return [
        name for name, reader in _readers(book).items() if name in strings or reader in imported
    ]


@cache
def libraries() -> dict[str, str]:
    """The versions of everything that fashionnb needs, and that these need, except tools for development."""
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


def _readers(book: Book) -> dict[str, str]:
    """Every source that can be read, and the module that reads it."""
    from fashionnb.data.registry import SOURCES

    return {
        name: f"{book.package.name}.data.{source.reader}"
        for name, source in SOURCES.items()
        if source.reader
    }


def _fingerprint(name: str) -> str:
    from fashionnb.data import registry

    return registry.fingerprint(name)


def _reads_all(chapter: Chapter) -> bool:
    """True if the chapter reads the results of all others."""
    return any(
        not import_graph.read_cell(cell).names.isdisjoint(("load_all", "recorded"))
        for cell in chapter.code
    )


def _made_by(chapter: Chapter, profile: str, book: Book) -> list[str]:
    """What stands for the results and models of another chapter: how they would be made, and what is there."""
    there = [
        folder / "results" / profile / f"{chapter.name}.json"
        for folder in (book.folder, book.build)
    ]
    return [
        key(chapter, profile, {}, book),
        *(files.sha256(path) for path in there if path.exists()),
    ]


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=repr).encode()).hexdigest()
