"""The chapters of a checkout: which there are, their code and parameters, and their notebooks.

A chapter is the Markdown file `book/NN-name.md` in MyST format; the notebook `NN-name.ipynb` beside
it is made from it and never edited. Nothing is run here: `fashionnb.publishing.run_book` does that.
"""

import ast
import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from pydantic import TypeAdapter, ValidationError

import fashionnb
from fashionnb.errors import RunError
from fashionnb.files import write_text
from fashionnb.notebook.results import checkout

PATTERN = "[0-9][0-9]-*"
"""The names of the files of chapters, without their ending."""

PARAMETERS = "parameters"
"""The tag of the cell with the parameters of a chapter and their defaults."""

INJECTED = "injected-parameters"
"""The tag of the cell that papermill adds to an executed notebook to set the parameters."""

FOLDED = {"hide-cell": "Solution", "hide-input": "Code of this result"}
"""Tags of the cells whose code is folded, and the title of one that has no title of its own.

With "hide-cell" what the cell shows is folded, too.
"""

_TITLE_LINE = re.compile(r"\A#@title .*\n")  # only in the notebooks that `sync` writes


@dataclass(frozen=True)
class Chapter:
    """A chapter of the book: its Markdown file, with the notebook, code and parameters in it.

    Parameters
    ----------
    path : Path
        Its file, `book/NN-name.md`.
    """

    path: Path

    @property
    def name(self) -> str:
        """Its file name without the ending, for instance "02-style2vec"."""
        return self.path.stem

    @cached_property
    def text(self) -> str:
        """The file as it was when it was first read: what is executed is what was hashed."""
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def notebook(self) -> nbformat.NotebookNode:
        """The chapter as a notebook without outputs and with the same cell ids every time.

        Raises
        ------
        RunError
            If it cannot be read as a MyST notebook, or its header names no Python kernel.
        """
        try:
            notebook = jupytext.reads(self.text, fmt="md:myst")
        except Exception as error:  # jupytext lets through whatever its YAML and MyST parsers raise
            raise RunError(
                f"{self.path}: cannot be read as a MyST notebook ({error}). Correct it, or "
                "take it from the repository again."
            ) from error
        if notebook.metadata.get("kernelspec", {}).get("language") != "python":
            raise RunError(
                f"{self.path}: its header needs a kernelspec with name python3 and language "
                "python; copy the header of another chapter."
            )
        seen: Counter[str] = Counter()
        for cell in notebook.cells:
            if folded_title(cell):  # jupytext has written back a notebook that `sync` made
                cell.source = _TITLE_LINE.sub("", cell.source)
            # An id that follows from the text: a new cell changes no other cell's id.
            digest = hashlib.sha256(f"{cell.cell_type}\n{cell.source}".encode()).hexdigest()[:8]
            seen[digest] += 1
            cell.id = digest if seen[digest] == 1 else f"{digest}-{seen[digest]}"
        notebook.nbformat, notebook.nbformat_minor = 4, 5  # the first format with cell ids
        return notebook

    @property
    def code(self) -> tuple[str, ...]:
        """The sources of its code cells."""
        return tuple(cell.source for cell in self.notebook.cells if cell.cell_type == "code")

    @property
    def code_below_parameters(self) -> tuple[str, ...]:
        """The sources of its code cells, without the one that sets the parameters."""
        cells = [cell for cell in self.notebook.cells if PARAMETERS not in tags(cell)]
        return tuple(cell.source for cell in cells if cell.cell_type == "code")

    @cached_property
    def parameters(self) -> dict[str, str]:
        """What the cell tagged `parameters` sets: name -> its default, as written there.

        Raises
        ------
        RunError
            If that cell is not plain Python.
        """
        cells = [cell for cell in self.notebook.cells if PARAMETERS in tags(cell)]
        try:
            body = ast.parse("\n".join(cell.source for cell in cells)).body
        except SyntaxError as error:
            raise RunError(
                f"{self.path}: the parameters cell is not plain Python ({error})."
            ) from error
        found = {}
        for statement in body:
            match statement:
                case (
                    ast.Assign(targets=[ast.Name(id=name)], value=ast.expr() as value)
                    | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value)
                ):
                    found[name] = ast.unparse(value)
        return found

    def typed(self, given: Mapping[str, str]) -> dict[str, Any]:
        """Convert values given on a command line to the types of the parameters' defaults.

        A text means what it does in Python ("3" is a number); `null`, `true` and `false` are None,
        True and False; and any other text stands for itself. Where the default is a string, all do.

        Raises
        ------
        RunError
            If the chapter has no such parameter, or a value is of another type than the default.
        """
        unknown = [name for name in given if name not in self.parameters]
        if unknown:
            listed = [f"{name} ({default})" for name, default in self.parameters.items()]
            raise RunError(
                f"{self.name} has no parameter {unknown[0]!r}. "
                f"It has: {', '.join(listed) or 'none'}."
            )
        if "profile" in given:
            raise RunError(
                "The profile is not set with -p. Use --profile: it also says where results go."
            )
        return {name: self._value(name, text) for name, text in given.items()}

    def _value(self, name: str, text: str) -> Any:
        default = _literal(self.parameters[name], None)  # None: an expression; it may be anything
        if isinstance(default, str):
            return text
        value = None if text == "null" else _literal(text, text)
        if default is None or value is None:
            return {"true": True, "false": False}.get(text, value)
        try:
            return TypeAdapter(type(default)).validate_python(value)
        except ValidationError as error:
            raise RunError(
                f"{self.name}: parameter {name} is {type(default).__name__} "
                f"(default {self.parameters[name]}), got {text!r}."
            ) from error


@dataclass(frozen=True)
class Book:
    """A checkout of the book: the folders of its chapters, of the package and of what is built.

    Parameters
    ----------
    root : Path
        Its folder, which holds `_toc.yml` and `book`.
    package : Path
        The folder of the package that its chapters import.
    """

    root: Path
    package: Path

    @classmethod
    def find(cls, start: Path | str | None = None) -> "Book":
        """Find the checkout around `start`, or else around the installed package.

        Parameters
        ----------
        start : Path or str, optional
            A folder; without it the working folder.

        Raises
        ------
        RunError
            If neither lies in a checkout.
        """
        package = Path(fashionnb.__file__).parent
        root = checkout(start) or checkout(package)
        if root is None:
            raise RunError(
                f"No book here: neither {Path(start or Path.cwd())} nor the installed package lies "
                "in a folder with _toc.yml and book/. Clone the repository and run the command "
                "inside it."
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
        """List the chapters that `wanted` names, in the order of the book; without names, all.

        Parameters
        ----------
        wanted : sequence of str
            Numbers ("2", "02"), names ("02-style2vec", also with an ending or a folder), or parts
            of names that only one chapter has ("style2vec").

        Raises
        ------
        RunError
            If nothing has such a name or several have such a part, or there are no chapters at all.
        """
        every = [Chapter(path) for path in sorted(self.folder.glob(f"{PATTERN}.md"))]
        if not every:
            raise RunError(
                f"{self.folder}: there are no chapters (files named like 02-style2vec.md)."
            )
        chosen = {chapter.name for name in wanted for chapter in _named(name, every)}
        return [chapter for chapter in every if not wanted or chapter.name in chosen]


def tags(cell: nbformat.NotebookNode) -> list[str]:
    """Return the tags of a cell of a chapter's notebook.

    Parameters
    ----------
    cell : nbformat.NotebookNode
        The cell.

    Returns
    -------
    list of str
        The tags, such as "parameters" or "hide-input".
    """
    return cell.metadata.get("tags", [])


def folded_title(cell: nbformat.NotebookNode) -> str:
    """Return what a folded cell of a chapter says that it holds.

    Parameters
    ----------
    cell : nbformat.NotebookNode
        The cell. `:mystnb: {code_prompt_show: Set-up}` below its tags gives it a title of its own.

    Returns
    -------
    str
        Such as "Set-up"; empty if the cell is not folded.
    """
    of_tag = [FOLDED[tag] for tag in tags(cell) if tag in FOLDED]
    own = cell.metadata.get("mystnb", {}).get("code_prompt_show")
    return own or of_tag[0] if of_tag else ""


def own_code(notebook: nbformat.NotebookNode) -> list[int]:
    """Find the code cells of a notebook that its chapter wrote, not papermill.

    Parameters
    ----------
    notebook : nbformat.NotebookNode
        A notebook of a chapter, executed or not.

    Returns
    -------
    list of int
        The indices of the cells.
    """
    return [
        index
        for index, cell in enumerate(notebook.cells)
        if cell.cell_type == "code" and INJECTED not in tags(cell)
    ]


def sync(book: Book) -> list[Path]:
    """Make the notebook of every chapter from its Markdown, unless it is up to date.

    Parameters
    ----------
    book : Book
        The checkout.

    Returns
    -------
    list of Path
        The notebooks that were written; a second run writes none.

    Raises
    ------
    RunError
        If a chapter cannot be read.
    WriteError
        If a notebook cannot be written.
    """
    changed = _changed(book)
    for path, text in changed.items():
        write_text(path, text)
    return list(changed)


def stale(book: Book) -> list[str]:
    """List the notebooks that do not agree with the Markdown of their chapter.

    Parameters
    ----------
    book : Book
        The checkout.

    Returns
    -------
    list of str
        One sentence for each notebook that is not what `sync` would make.

    Raises
    ------
    RunError
        If a chapter cannot be read.
    """
    orphans = [
        path
        for path in sorted(book.folder.glob(f"{PATTERN}.ipynb"))
        if not path.with_suffix(".md").exists()
    ]
    advice = "Edit the .md if it is to say something else, then run `make sync`."
    return [
        *(f"{path} is not what {path.stem}.md says. {advice}" for path in _changed(book)),
        *(f"{path}: there is no {path.stem}.md; delete it, or write one." for path in orphans),
    ]


def _changed(book: Book) -> dict[Path, str]:
    """Every notebook that is missing or not what its chapter says, and the text it should have."""
    texts = {
        chapter.path.with_suffix(".ipynb"): nbformat.writes(_folded(chapter.notebook)) + "\n"
        for chapter in book.chapters()
    }
    return {
        path: text
        for path, text in texts.items()
        if not path.exists() or path.read_bytes() != text.encode()
    }


def _folded(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """A copy whose hidden cells are folded in Colab, Kaggle, JupyterLab and VS Code."""
    notebook = deepcopy(notebook)
    for cell in notebook.cells:
        if heading := folded_title(cell):
            cell.source = f"#@title {heading}\n{cell.source}"  # Colab shows it as a heading
            cell.metadata |= {
                "cellView": "form",  # Colab
                "_kg_hide-input": True,  # Kaggle
                "jupyter": {"source_hidden": True},  # JupyterLab and VS Code
            }
        if "hide-cell" in tags(cell):
            cell.metadata["_kg_hide-output"] = cell.metadata["jupyter"]["outputs_hidden"] = True
    return notebook


def _named(wanted: str, every: list[Chapter]) -> list[Chapter]:
    name = re.sub(r"\.(md|ipynb)$", "", Path(wanted).name)
    if name.isdigit():
        name = f"{int(name):02}-"
        found = [chapter for chapter in every if chapter.name.startswith(name)]
    else:
        found = [chapter for chapter in every if chapter.name == name]
        found = found or [chapter for chapter in every if name and name in chapter.name]
        if len(found) > 1:
            raise RunError(f"{wanted!r} is a part of several chapters: {_listed(found)}. Name one.")
    if not found:
        raise RunError(f"There is no chapter {wanted!r}. There are: {_listed(every)}.")
    return found


def _listed(chapters: list[Chapter]) -> str:
    return ", ".join(chapter.name for chapter in chapters)


def _literal(text: str, otherwise: Any) -> Any:
    """The value of a Python literal; `otherwise` if the text is none."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return otherwise
