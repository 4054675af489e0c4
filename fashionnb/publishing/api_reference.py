"""The pages of the API reference, made from the folders of the package.

One page for each room (folder of the package), and one for the modules directly in it. Sphinx's
autodoc reads the docstrings when the site is built; here only the pages that ask for them are made.
sphinx-autoapi makes pages of its own, but one for each module, and only after jupyter-book has
closed the table of contents.
"""

import ast
import inspect
from dataclasses import dataclass
from pathlib import Path

from fashionnb.publishing.import_graph import modules


@dataclass(frozen=True)
class ApiPage:
    """One page of the API reference.

    Attributes
    ----------
    name : str
        Its file name without the ending.
    title : str
        What the table of contents calls it: the dotted name of the room.
    text : str
        Markdown. The heading is the first sentence of the room's docstring.
    """

    name: str
    title: str
    text: str


def api_pages(package: Path) -> list[ApiPage]:
    """Make the pages for the package in a folder. Private modules are left out."""
    rooms: dict[str, list[str]] = {}
    for module in sorted(modules(package)):
        _, *inside = module.split(".")
        if not any(name.startswith("_") for name in inside):
            folder = bool(inside) and (package / inside[0]).is_dir()
            rooms.setdefault(inside[0] if folder else package.name, []).append(module)
    return [_page(package, room, rooms[room]) for room in rooms]


def _page(package: Path, room: str, members: list[str]) -> ApiPage:
    title = members[0]  # of a folder the first one is its __init__
    folder = package if room == package.name else package / room
    parts = [f"# {_first_sentence(folder / '__init__.py') or title}"]
    parts += [
        f"## {module}\n\n```{{eval-rst}}\n.. automodule:: {module}\n   :members:\n```"
        for module in members
    ]
    return ApiPage(room, title, "\n\n".join(parts) + "\n")


def _first_sentence(path: Path) -> str:
    """The first sentence of a module's docstring on one line, without its full stop."""
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    paragraph = " ".join(inspect.cleandoc(docstring).partition("\n\n")[0].split())
    return paragraph.partition(". ")[0].removesuffix(".")
