"""The website of the book: stage its pages, and let jupyter-book build them.

`fashionnb run` executes the chapters first and keeps them in `_build/run/<profile>`; nothing is
executed here. The staged tree has the shape of the repository, so that links mean the same in both.
Read `fashionnb.publishing.chapter_page` next: it makes the page of one chapter.
"""

import ast
import importlib.util
import logging
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import nbformat
import yaml

from fashionnb.errors import MissingExtra, PublishError
from fashionnb.files import check_target, only_writer, write_text
from fashionnb.publishing import site_markdown
from fashionnb.publishing.chapter_dependencies import modules
from fashionnb.publishing.chapter_page import PublishedChapter, chapter_page, memory, picture
from fashionnb.publishing.chapters import Book
from fashionnb.publishing.run_book import duration, not_held

log = logging.getLogger(__name__)

COVER = "book/_static/cover.png"
# jupyter-book's own first page has no icon, and browsers then ask for one that does not exist.
FIRST_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Fashion embeddings</title>
<meta http-equiv="refresh" content="0; url={page}">
<link rel="icon" href="assets/favicon.svg" type="image/svg+xml"></head>
<body><a href="{page}">Read the book</a></body></html>
"""


@dataclass(frozen=True)
class Site:
    """The website of the book, as `publish` built it.

    Parameters
    ----------
    index : Path
        The page to open first.
    profile : {"quick", "standard", "full"}
        Whose run is shown.
    chapters : tuple of PublishedChapter
        In the order of the book.
    """

    index: Path
    profile: str
    chapters: tuple[PublishedChapter, ...]

    def report(self) -> str:
        """List what each chapter took, what failed, and which claims did not hold."""
        width = max(len(chapter.name) for chapter in self.chapters)
        lines = [f"Published {len(self.chapters)} chapters, as run in profile {self.profile}:"]
        for chapter in self.chapters:
            end = f"{memory(chapter.run['peak_memory_mb']):>8}"
            if chapter.error:
                end = f"stopped: {chapter.error}"
            lines.append(f"  {chapter.name:<{width}}  {duration(chapter.run['seconds']):>8}  {end}")
        lines += not_held({chapter.name: chapter.claims for chapter in self.chapters})
        failed = [chapter.name for chapter in self.chapters if chapter.error]
        if failed:
            lines.append(
                f"{len(failed)} of them not complete, with a notice on its page: "
                f"{', '.join(failed)}."
            )
        return "\n".join([*lines, str(self.index)])


def publish(
    profile: str = "standard", out: Path | str | None = None, *, book: Book | None = None
) -> Site:
    """Build the website of the book from the chapters that were last run in a profile.

    A chapter whose run failed has a page too: a notice, what it had computed by then, and the
    results of the repository.

    Parameters
    ----------
    profile : {"quick", "standard", "full"}
        Whose run to publish.
    out : path, optional
        Where the site goes (its pages lie in `out/_build/html`); without it `_build/site`.
    book : Book, optional
        The checkout; without it as `Book.find`.

    Returns
    -------
    Site
        What was built.

    Raises
    ------
    RunError
        Without a checkout.
    PublishError
        If a chapter is not in `_toc.yml`, was not run, or changed since; if a link leads nowhere;
        or if jupyter-book warns of anything (the pages are there then).
    """
    book = book or Book.find()
    out = Path(out).resolve() if out else book.build / "site"
    staged = book.build / f"{out.name}-src"
    index = out / "_build" / "html" / "index.html"
    check_target(index)
    with only_writer(book.build, staged.name):
        chapters = stage(book, profile, staged)
        if profile != "quick":  # quick is for tests, which have no time to spare
            _take_demo_screenshots(staged / "book" / "_static")
        warnings = _build(staged, out, book.build / f"{out.name}.log")
        write_text(index, FIRST_PAGE.format(page=f"{_contents(book)['root']}.html"))
    if warnings:
        raise PublishError(warnings)
    return Site(index, profile, chapters)


def stage(book: Book, profile: str, staged: Path) -> tuple[PublishedChapter, ...]:
    """Write all that jupyter-book needs to build the website into a folder, which is emptied first.

    Parameters
    ----------
    book : Book
        The checkout.
    profile : {"quick", "standard", "full"}
        Whose run to publish.
    staged : Path
        The folder.

    Returns
    -------
    tuple of PublishedChapter
        In the order of the book.

    Raises
    ------
    PublishError
        As `publish`, but for what jupyter-book itself finds.
    """
    shutil.rmtree(staged, ignore_errors=True)
    contents = _contents(book)
    entries = [entry for part in contents["parts"] for entry in part["chapters"]]
    names = [contents["root"], *(entry["file"] for entry in entries)]
    _check_contents(book, names)
    _copy_files(book.folder, staged)
    chapters = []
    for chapter in book.chapters():
        page = chapter_page(chapter, profile, book, names)
        write_text(staged / "book" / f"{page.name}.ipynb", nbformat.writes(page.notebook))
        if cover := picture(page.notebook, "cover"):  # the front page shows what this run drew
            (staged / COVER).write_bytes(cover)
        chapters.append(page)
    executed = {f"book/{page.name}" for page in chapters}
    for name in [name for name in names if name not in executed]:
        text = (book.root / f"{name}.md").read_text(encoding="utf-8")
        text = site_markdown.fill_results(text, chapters, book.folder)
        text = site_markdown.relink(text, site_markdown.linker(book.root, name, names))
        write_text(staged / f"{name}.md", text)
    reference = write_reference(book.package, staged / "api")
    if reference:
        contents["parts"].append({"caption": "API reference", "chapters": reference})
    write_text(staged / "_toc.yml", yaml.safe_dump(contents, sort_keys=False))
    config = yaml.safe_load((book.root / "_config.yml").read_text(encoding="utf-8"))
    config["repository"] = {
        "url": site_markdown.repository(book.root),
        "branch": site_markdown.BRANCH,
    }
    write_text(staged / "_config.yml", yaml.safe_dump(config, sort_keys=False, allow_unicode=True))
    return tuple(chapters)


def write_reference(package: Path, folder: Path) -> list[dict[str, str]]:
    """Write the website's pages of the API reference, one for each room (folder) of the package.

    One more is for the modules directly in the package; private modules are left out. The heading
    is the first sentence of the room's docstring. Sphinx's autodoc reads the other docstrings when
    the site is built. (sphinx-autoapi makes a page for each module, and only after jupyter-book has
    closed the table of contents.)

    Parameters
    ----------
    package : Path
        The folder of the package.
    folder : Path
        Where the pages go.

    Returns
    -------
    list of dict
        The entries of the pages for the table of contents, with `file` and `title`.
    """
    rooms: dict[str, list[str]] = {}
    found = modules(package)
    for module in sorted(found):
        if "._" not in module:
            below = found[module].relative_to(package).parts[:-1]
            rooms.setdefault(below[0] if below else package.name, []).append(module)
    for room, members in rooms.items():
        docstring = ast.get_docstring(ast.parse(found[members[0]].read_text(encoding="utf-8")))
        sentence = " ".join((docstring or members[0]).partition("\n\n")[0].split())
        parts = [f"# {sentence.partition('. ')[0].removesuffix('.')}"]
        parts += [
            f"## {module}\n\n```{{eval-rst}}\n.. automodule:: {module}\n   :members:\n```"
            for module in members
        ]
        write_text(folder / f"{room}.md", "\n\n".join(parts) + "\n")
    return [{"file": f"api/{room}", "title": members[0]} for room, members in rooms.items()]


def _contents(book: Book) -> dict:
    """The table of contents."""
    return yaml.safe_load((book.root / "_toc.yml").read_text(encoding="utf-8"))


def _check_contents(book: Book, names: list[str]) -> None:
    """Raise `PublishError` if the table of contents and the files do not agree."""
    chapters = [f"book/{chapter.name}" for chapter in book.chapters()]
    missing = [Path(name).name for name in chapters if name not in names]
    if missing:
        raise PublishError(
            f"_toc.yml: it does not list {', '.join(missing)}. "
            f"Add a line `- file: book/{missing[0]}`."
        )
    absent = [name for name in names if not (book.root / f"{name}.md").exists()]
    if absent:
        raise PublishError(
            f"_toc.yml: it lists {absent[0]}, but there is no {absent[0]}.md. "
            "Write it, or take the line out."
        )


def _copy_files(book: Path, staged: Path) -> None:
    """Copy pictures, the site's extensions, and scripts that pages would fetch from other hosts."""
    others = ("*.md", "*.ipynb", "_ext", "_extra", "results", "checkpoints", "__pycache__")
    shutil.copytree(book, staged / "book", ignore=shutil.ignore_patterns(*others))
    for folder in ("_ext", "_extra"):
        shutil.copytree(
            book / folder, staged / folder, ignore=shutil.ignore_patterns("__pycache__")
        )
    assets = staged / "_extra" / "assets"
    mathjax = importlib.util.find_spec("sphinx-mathjax-offline")  # a folder's name, with hyphens
    if mathjax is None:
        raise PublishError(
            "The package sphinx-mathjax-offline is not installed. "
            "Run `make`, or `pip install -e .[book]`."
        )
    script = Path(mathjax.origin).parent / "static" / "mathjax" / "tex-svg-full.js"
    shutil.copyfile(script, assets / script.name)
    from plotly.offline import get_plotlyjs  # 5 MB of text: read only now

    write_text(assets / "plotly.min.js", get_plotlyjs())


def _take_demo_screenshots(folder: Path) -> None:
    """Take the pictures of the demo anew; without Gradio or a browser, the old ones stay."""
    from fashionnb.apps.demo import screenshots
    from fashionnb.apps.demo.backend import open_backend
    from fashionnb.apps.demo.server import DemoError, Server

    try:
        with Server(open_backend(), port=0) as server:
            screenshots.take(server.address, folder)
    except (DemoError, MissingExtra) as error:
        log.warning("The pictures of the demo are those of the repository. %s", error)


def _build(staged: Path, out: Path, log_file: Path) -> str:
    """Let jupyter-book build `staged` into `out/_build/html`; return its warnings, if any."""
    for old in ("html", ".doctrees"):  # only its own folders: `out` may be anywhere
        shutil.rmtree(out / "_build" / old, ignore_errors=True)
    program = "from jupyter_book.cli.main import main; main()"
    options = ["--path-output", str(out), "-W", "--keep-going", "-n"]
    done = subprocess.run(
        [sys.executable, "-c", program, "build", str(staged), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        env={**os.environ, "PYTHONUTF8": "1"},
        check=False,
    )
    write_text(log_file, done.stdout)
    if not done.returncode:
        return ""
    plain = re.sub(r"\x1b\[[\d;]*m", "", done.stdout)
    found = [
        line for line in plain.splitlines() if re.search(r"WARNING|ERROR|Error:|Exception", line)
    ]
    lines = ["jupyter-book does not build the site:", *found[:20]]
    return "\n".join([*lines, f"Its whole output is in {log_file}."])
