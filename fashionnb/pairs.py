"""The pairs of the book: each chapter is written as `NN-name.md` and lies beside it as `NN-name.ipynb`.

The Markdown (MyST) file is the truth. The notebook is made from it, one way and without outputs, for Colab, Kaggle,
Binder and GitHub. `sync` makes the notebooks; `stale` says which ones are behind. `publish` is what makes the pages.
"""

import hashlib
from collections import Counter
from pathlib import Path

import jupytext
import nbformat
from nbformat import NotebookNode

from fashionnb.errors import FashionNBError
from fashionnb.files import write_text

CHAPTERS = "[0-9][0-9]-*"


class PairError(FashionNBError, ValueError):
    """A chapter's Markdown or notebook cannot be read."""


def chapters(book: Path | str) -> list[Path]:
    """The chapters in the folder `book`, in order: its files `NN-name.md`.

    Raises
    ------
    PairError : `book` is not a folder.
    """
    book = Path(book)
    if not book.is_dir():
        raise PairError(f"{book}: there is no such folder. Run this in a checkout of the book, where `book/` lies.")
    return sorted(book.glob(f"{CHAPTERS}.md"))


def sync(book: Path | str) -> list[Path]:
    """Make the notebook of every chapter from its Markdown, and return those that were written.

    A notebook that already says the same is left alone, so a second run writes nothing.

    Raises
    ------
    PairError : a chapter is no MyST notebook. WriteError : a notebook cannot be written.
    """
    written = []
    for chapter in chapters(book):
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
    found = [finding for chapter in chapters(book) if (finding := _finding(chapter))]
    alone = [path for path in sorted(Path(book).glob(f"{CHAPTERS}.ipynb")) if not path.with_suffix(".md").exists()]
    return found + [
        f"{path}: there is no {path.stem}.md that it was made from; delete it, or write one." for path in alone
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
    cells = [(cell.cell_type, cell.source, sorted(cell.metadata.get("tags", []))) for cell in notebook.cells]
    return [notebook.metadata.get("kernelspec", {}).get("name"), *cells]


def _read(path: Path) -> NotebookNode:
    try:
        return jupytext.read(path)
    except Exception as error:  # jupytext, yaml and json each raise their own
        raise PairError(
            f"{path}: it cannot be read as a notebook ({error}). Compare its header and its fences."
        ) from error
