"""The chapters of a checkout: which there are, what code they hold, which parameters they take.

Reads the Markdown (MyST) sources; runs nothing. `fashionnb.publishing.runner` executes them.
"""

import ast
import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from nbformat import NotebookNode

import fashionnb
from fashionnb.errors import FashionNBError, RunError
from fashionnb.files import write_text
from fashionnb.notebook.results import checkout


@dataclass(frozen=True)
class Chapter:
    """One chapter, `book/NN-name.md`."""

    path: Path

    @property
    def name(self) -> str:
        """Its file name without the ending, for instance "02-style2vec"."""
        return self.path.stem

    @cached_property
    def text(self) -> str:
        """The file as it was when it was first read: what is executed is what was hashed."""
        try:
            return self.path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise RunError(f"{self.path}: cannot be read ({error}).") from error

    @cached_property
    def notebook(self) -> "NotebookNode":
        """The chapter as a notebook without outputs. Raises `RunError` if it cannot be read or has no Python kernel."""
        try:
            import jupytext
        except ImportError as error:
            raise RunError(
                "Running chapters needs jupytext and papermill: `pip install 'fashionnb[book]'`."
            ) from error
        try:
            notebook = jupytext.reads(self.text, fmt="md:myst")
        except Exception as error:  # jupytext lets through whatever its YAML and MyST parsers raise
            raise RunError(f"{self.path}: cannot be read as a MyST notebook ({error}).") from error
        if notebook.metadata.get("kernelspec", {}).get("language") != "python":
            raise RunError(
                f"{self.path}: its header needs a kernelspec with name python3 and language python; copy the one of "
                "another chapter."
            )
        return notebook

    @cached_property
    def code(self) -> tuple[str, ...]:
        """The sources of its code cells."""
        return tuple(cell.source for cell in self.notebook.cells if cell.cell_type == "code")

    @cached_property
    def parameters(self) -> dict[str, str]:
        """What the cell tagged `parameters` sets: name -> its default, as written there."""
        cells = [
            cell.source
            for cell in self.notebook.cells
            if cell.cell_type == "code" and "parameters" in cell.metadata.get("tags", [])
        ]
        try:
            body = [node for source in cells for node in ast.parse(source).body]
        except SyntaxError as error:
            raise RunError(
                f"{self.path}: the parameters cell is not plain Python ({error})."
            ) from error
        found = {}
        for node in body:
            targets = (
                node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
            )
            for target in targets:
                if isinstance(target, ast.Name) and getattr(node, "value", None) is not None:
                    found[target.id] = ast.unparse(node.value)
        return found

    def typed(self, given: Mapping[str, str]) -> dict[str, Any]:
        """The values given on a command line, each of the type of the parameter's default.

        YAML says what a text means ("3" is a number, "false" a truth value), except where the default is a string.

        Raises
        ------
        RunError : the chapter has no such parameter, or the value is of another type than the default.
        """
        unknown = [name for name in given if name not in self.parameters]
        if unknown:
            listed = (
                ", ".join(f"{name} ({default})" for name, default in self.parameters.items())
                or "none"
            )
            raise RunError(f"{self.name} has no parameter {unknown[0]!r}. It has: {listed}.")
        if "profile" in given:
            raise RunError(
                "The profile is not set with -p. Use --profile: it also says where results go."
            )
        return {name: self._value(name, text) for name, text in given.items()}

    def _value(self, name: str, text: str) -> Any:
        try:
            default = ast.literal_eval(self.parameters[name])
        except ValueError:  # the default is an expression; any value may be meant
            default = None
        value = text if isinstance(default, str) else _yaml(text)
        number = (int, float)
        if default is None or value is None or type(value) is type(default):
            return value
        if isinstance(default, tuple | list) and isinstance(value, tuple | list):
            return value
        if (
            type(default) in number
            and type(value) in number
            and (type(default) is float or value == int(value))
        ):
            return type(default)(value)
        kind = type(default).__name__
        raise RunError(
            f"{self.name}: parameter {name} is {kind} (default {self.parameters[name]}), got {text!r}."
        )


@dataclass(frozen=True)
class Book:
    """A checkout (`root`: it holds `_toc.yml` and `book/`) and the folder of the `package` that its chapters import."""

    root: Path
    package: Path

    @classmethod
    def find(cls, start: Path | str | None = None) -> "Book":
        """The checkout that `start` (the working folder) lies in, else the one that fashionnb itself lies in.

        Raises
        ------
        RunError : neither lies in a checkout.
        """
        package = Path(fashionnb.__file__).parent
        root = checkout(start) or checkout(package)
        if root is None:
            raise RunError(
                f"No book here: neither {Path(start or Path.cwd())} nor the installed package lies in a folder with "
                "_toc.yml and book/. Clone the repository and run the command inside it."
            )
        return cls(root, package)

    @property
    def folder(self) -> Path:
        """Where the chapters lie, and the working folder in which they run."""
        return self.root / "book"

    @property
    def build(self) -> Path:
        """Where everything goes that can be made again."""
        return self.root / "_build"

    def chapters(self, wanted: Sequence[str] = ()) -> list[Chapter]:
        """The chapters that `wanted` names, in the order of the book; without names, all.

        A chapter is named by its number ("2", "02"), its name ("02-style2vec", also with an ending or a folder), or how
        the name begins ("02-st").

        Raises
        ------
        RunError : nothing is called so, or there are no chapters at all.
        """
        every = [Chapter(path) for path in sorted(self.folder.glob("[0-9][0-9]-*.md"))]
        if not every:
            raise RunError(
                f"{self.folder}: there are no chapters (files named like 02-style2vec.md)."
            )
        chosen = {chapter.name for name in wanted for chapter in _named(name, every)}
        return [chapter for chapter in every if not wanted or chapter.name in chosen]


def _named(wanted: str, every: list[Chapter]) -> list[Chapter]:
    name = re.sub(r"\.(md|ipynb)$", "", Path(wanted).name)
    if name.isdigit():
        found = [chapter for chapter in every if int(chapter.name[:2]) == int(name)]
    else:
        found = [chapter for chapter in every if chapter.name == name]
        found = found or [chapter for chapter in every if name and chapter.name.startswith(name)]
    if not found:
        raise RunError(
            f"There is no chapter {wanted!r}. There are: {', '.join(chapter.name for chapter in every)}."
        )
    return found


def _yaml(text: str) -> Any:
    """What YAML takes `text` for; and "1e-3" for a number, as everyone but YAML does."""
    import yaml

    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise RunError(
            f"The value {text!r} is not YAML ({getattr(error, 'problem', error)})."
        ) from error
    if not isinstance(value, str):
        return (
            value if isinstance(value, bool | int | float | list | dict | None) else text
        )  # YAML knows dates, too
    if value == "None":
        return None
    try:
        return float(value)
    except ValueError:
        return value


CHAPTERS = "[0-9][0-9]-*"


class PairError(FashionNBError, ValueError):
    """A chapter's Markdown or notebook cannot be read."""


def sources(book: Path | str) -> list[Path]:
    """The chapters in the folder `book`, in order: its files `NN-name.md`.

    Raises
    ------
    PairError : `book` is not a folder.
    """
    book = Path(book)
    if not book.is_dir():
        raise PairError(
            f"{book}: there is no such folder. Run this in a checkout of the book, where `book/` lies."
        )
    return sorted(book.glob(f"{CHAPTERS}.md"))


def sync(book: Path | str) -> list[Path]:
    """Make the notebook of every chapter from its Markdown, and return those that were written.

    A notebook that already says the same is left alone, so a second run writes nothing.

    Raises
    ------
    PairError : a chapter is no MyST notebook. WriteError : a notebook cannot be written.
    """
    written = []
    for chapter in sources(book):
        if _finding(chapter):
            write_text(chapter.with_suffix(".ipynb"), nbformat.writes(as_notebook(chapter)) + "\n")
            written.append(chapter.with_suffix(".ipynb"))
    return written


def stale(book: Path | str) -> list[str]:
    """One sentence for each pair that does not agree; an empty list if all is well.

    Raises
    ------
    PairError : a chapter is no MyST notebook.
    """
    found = [finding for chapter in sources(book) if (finding := _finding(chapter))]
    alone = [
        path
        for path in sorted(Path(book).glob(f"{CHAPTERS}.ipynb"))
        if not path.with_suffix(".md").exists()
    ]
    return found + [
        f"{path}: there is no {path.stem}.md that it was made from; delete it, or write one."
        for path in alone
    ]


def as_notebook(chapter: Path) -> NotebookNode:
    """The notebook that the Markdown file `chapter` stands for: no outputs, and the same cell ids every time.

    Raises
    ------
    PairError : it is no MyST notebook, or it names no Python kernel.
    """
    notebook = _read(chapter)
    if notebook.metadata.get("kernelspec", {}).get("language") != "python":
        raise PairError(
            f"{chapter}: its header names no kernel. Begin it with a `jupytext:` and a `kernelspec:` block "
            "(name: python3, language: python); copy those of another chapter."
        )
    seen: Counter[str] = Counter()
    for cell in notebook.cells:
        # An id that follows from the text keeps diffs small: a new cell changes no other cell's id.
        digest = hashlib.sha256(f"{cell.cell_type}\n{cell.source}".encode()).hexdigest()[:8]
        seen[digest] += 1
        cell.id = digest if seen[digest] == 1 else f"{digest}-{seen[digest]}"
    notebook.nbformat, notebook.nbformat_minor = 4, 5  # the first format with cell ids
    return notebook


def _finding(chapter: Path) -> str:
    """What is wrong with the notebook beside `chapter`, or nothing."""
    path = chapter.with_suffix(".ipynb")
    if not path.exists():
        return f"{path} is missing: run `make sync`."
    notebook = _read(path)
    if any(cell.get("outputs") or cell.get("execution_count") for cell in notebook.cells):
        return f"{path} holds outputs, which are not committed: run `make sync`."
    if _essence(notebook) != _essence(as_notebook(chapter)):
        return f"{path} does not say what {chapter.name} says. Edit the .md, then run `make sync`."
    return ""


def _essence(notebook: NotebookNode) -> list:
    """All that must agree; ids and versions of the format may differ between tools."""
    cells = [
        (cell.cell_type, cell.source, sorted(cell.metadata.get("tags", [])))
        for cell in notebook.cells
    ]
    return [notebook.metadata.get("kernelspec", {}).get("name"), *cells]


def _read(path: Path) -> NotebookNode:
    try:
        return jupytext.read(path)
    except Exception as error:  # jupytext, yaml and json each raise their own
        raise PairError(
            f"{path}: it cannot be read as a notebook ({error}). Compare its header and its fences."
        ) from error
