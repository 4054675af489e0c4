"""A tiny book with a package of its own, for the tests that run chapters."""

import textwrap
from pathlib import Path

from fashionnb.publishing.chapters import Book

HEADER = "---\nkernelspec:\n  display_name: Python 3\n  language: python\n  name: python3\n---\n\n"


def chapter(*cells: str, parameters: str = "") -> str:
    """The Markdown of a chapter with these code cells, the first one tagged `parameters` if there are any."""
    tagged = [f":tags: [parameters]\n\n{parameters}"] if parameters else []
    blocks = [*tagged, *(textwrap.dedent(cell).strip() for cell in cells)]
    return (
        HEADER
        + "# A chapter\n\n"
        + "\n".join(f"```{{code-cell}} ipython3\n{block}\n```\n\nText.\n" for block in blocks)
    )


def book(folder: Path, **chapters: str) -> Book:
    """A checkout in `folder` with these chapters (`c02_x` is 02-x) and the package `tinypackage`."""
    (folder / "book").mkdir(parents=True)
    (folder / "_toc.yml").touch()
    package = folder / "source" / "tinypackage"
    for name, text in {"__init__": "", "helper": "VALUE = 1\n", "other": "VALUE = 1\n"}.items():
        package.mkdir(parents=True, exist_ok=True)
        (package / f"{name}.py").write_text(text)
    for name, text in chapters.items():
        (folder / "book" / f"{name.removeprefix('c').replace('_', '-')}.md").write_text(text)
    return Book(folder, package)
