"""From executed chapters to the site: stage the pages, add the API reference, let jupyter-book build.

`fashionnb run` executes the chapters first and keeps them in `_build/run/<profile>`; nothing is executed here. What
happens to a single page stands in `fashionnb.publishing.pages`. The staged tree has the shape of the repository, so
that links mean the same in both.
"""

import html
import importlib.metadata
import importlib.util
import logging
import os
import platform
import re
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from urllib.parse import unquote

import jupytext
import nbformat
import yaml
from nbformat import NotebookNode

from fashionnb.files import sha256, write_text
from fashionnb.notebook.claims import Claim, claims_in
from fashionnb.notebook.results import load, recorded
from fashionnb.notebook.results_format import Results
from fashionnb.publishing import chapters, pages
from fashionnb.publishing.chapters import Book
from fashionnb.publishing.pages import PublishError
from fashionnb.publishing.runner import not_held

log = logging.getLogger(__name__)

BRANCH = "main"
RESULTS_HERE = re.compile(
    r"<!--\s*results:.*?-->", re.DOTALL
)  # on a page: put the table of results here
# One number, of a chapter, a method, a metric; with "full" that of the committed full run.
RESULT_HERE = re.compile(r"<!--\s*result: ([^;]+); ([^;]+); ([^\s;]+)(?:; (full))?\s*-->")
RECORDED = "Recorded results"  # the heading of what a page shows whose own run failed
COVER = "book/_static/cover.png"
PICTURES = (".png", ".jpg", ".jpeg", ".svg", ".gif", ".webp")
FRONT_DOOR = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Fashion embeddings</title>
<meta http-equiv="refresh" content="0; url={page}">
<link rel="icon" href="assets/favicon.svg" type="image/svg+xml"></head>
<body><a href="{page}">Read the book</a></body></html>
"""  # jupyter-book's own has no icon, and browsers then ask for one that is not there
STAMPED = ("torch", "numpy", "scikit-learn", "jupyter-book")  # versions that the build stamp names


@dataclass(frozen=True)
class Chapter:
    """A published chapter.

    page : "book/NN-name". title : its heading. seconds, peak_memory_mb : as measured while it ran.
    results : what that run recorded, or, if it failed before that, the published ones; None if there are none.
    error : what its run failed of, one line of Markdown, else "". claims : those that did not hold.
    """

    page: str
    title: str
    seconds: float
    peak_memory_mb: float
    results: Results | None = None
    error: str = ""
    claims: tuple[Claim, ...] = ()


@dataclass(frozen=True)
class Site:
    """What `publish` made. index : the page to open first. chapters : in the order of the book."""

    index: Path
    profile: str
    chapters: tuple[Chapter, ...]

    def report(self) -> str:
        """Lines that say what is where: seconds and peak memory of each chapter, what failed, what did not hold."""
        width = max((len(chapter.page) for chapter in self.chapters), default=0)
        lines = [
            f"  {c.page:<{width}}  {pages.duration(c.seconds):>8}  "
            + (f"stopped: {c.error}" if c.error else f"{pages.memory(c.peak_memory_mb):>8}")
            for c in self.chapters
        ]
        claims = not_held({Path(chapter.page).name: chapter.claims for chapter in self.chapters})
        failed = [Path(chapter.page).name for chapter in self.chapters if chapter.error]
        notice = (
            f"{len(failed)} of them not complete, with a notice on its page: {', '.join(failed)}."
        )
        return "\n".join(
            [
                f"Published {len(lines)} chapters, as run in profile {self.profile}:",
                *lines,
                *claims,
                *([notice] if failed else []),
                f"{self.index}",
            ]
        )


def publish(
    profile: str = "cpu", out: Path | str | None = None, *, root: Path | str | None = None
) -> Site:
    """Build the site from the chapters that were last run in `profile`.

    A chapter whose run failed has a page too: a notice, what it had computed so far, and the results of the repository.

    Parameters
    ----------
    profile : whose run to publish: "quick", "cpu" or "full".
    out : where the site goes (its pages lie in `out`/_build/html); without it `_build/site` of the checkout.
    root : the checkout; without it the one around the working folder.

    Raises
    ------
    RunError : no checkout here.
    PublishError : a chapter is not in `_toc.yml`, was not run, or changed since; a link leads nowhere; or jupyter-book
        warns of anything (the pages are there then).
    """
    root = Book.find().root if root is None else Path(root).resolve()
    out = root / "_build" / "site" if out is None else Path(out).resolve()
    staged = root / "_build" / f"{out.name}-src"
    chapters = stage(root, profile, staged)
    if profile != "quick":  # quick is for tests, which have no time to spare
        _look_at_the_demo(staged / "book" / "_static")
    built, warnings = _build(staged, out, root / "_build" / f"{out.name}.log")
    write_text(built / "index.html", FRONT_DOOR.format(page=f"{_toc(root)['root']}.html"))
    if warnings:
        raise PublishError(warnings)
    return Site(built / "index.html", profile, chapters)


def repository(root: Path) -> str:
    """The URL of the repository, from pyproject.toml: the one place that names it."""
    return tomllib.loads((root / "pyproject.toml").read_text())["project"]["urls"][
        "Repository"
    ].rstrip("/")


def stage(root: Path, profile: str, staged: Path) -> tuple[Chapter, ...]:
    """Write everything that jupyter-book needs into the folder `staged`, which is emptied first.

    Raises
    ------
    PublishError : as `publish`, but for what jupyter-book itself finds.
    """
    shutil.rmtree(staged, ignore_errors=True)
    toc = _toc(root)
    names = [toc["root"], *(entry["file"] for part in toc["parts"] for entry in part["chapters"])]
    executed = {page.stem: page for page in chapters.sources(root / "book")}
    if missing := [name for name in executed if f"book/{name}" not in names]:
        raise PublishError(
            f"_toc.yml: it does not list {', '.join(missing)}. Add a line `- file: book/{missing[0]}`."
        )

    if missing := [name for name in names if not (root / f"{name}.md").exists()]:
        raise PublishError(
            f"_toc.yml: it lists {missing[0]}, but there is no {missing[0]}.md. Write it, or take the line out."
        )

    _stage_files(root, staged)
    staged_chapters = []
    for name in [name for name in names if Path(name).name in executed]:
        notebook, chapter = _chapter(root, profile, name, names)
        write_text(staged / f"{name}.ipynb", nbformat.writes(notebook))
        staged_chapters.append(chapter)
        if cover := pages.picture(
            notebook, "cover"
        ):  # the front page shows what this very run drew
            (staged / COVER).write_bytes(cover)
    for name in [name for name in names if Path(name).name not in executed]:
        text = RESULTS_HERE.sub(
            lambda _: _all_results(staged_chapters), (root / f"{name}.md").read_text()
        )
        text = RESULT_HERE.sub(
            lambda found: _one_result(staged_chapters, root, *found.groups()), text
        )
        write_text(staged / f"{name}.md", pages.relink(text, _linker(root, name, names)))

    reference = pages.api_pages(root / "fashionnb")
    for name, text in reference.items():
        write_text(staged / "api" / f"{name}.md", text)
    if reference:
        toc["parts"].append(
            {
                "caption": "API reference",
                "chapters": [{"file": f"api/{name}"} for name in reference],
            }
        )
    write_text(staged / "_toc.yml", yaml.safe_dump(toc, sort_keys=False))
    config = yaml.safe_load((root / "_config.yml").read_text())
    config["repository"] = {"url": repository(root), "branch": BRANCH}
    write_text(staged / "_config.yml", yaml.safe_dump(config, sort_keys=False, allow_unicode=True))
    return tuple(staged_chapters)


def _toc(root: Path) -> dict:
    return yaml.safe_load((root / "_toc.yml").read_text())


def _chapter(root: Path, profile: str, name: str, names: list[str]) -> tuple[NotebookNode, Chapter]:
    """The executed notebook of a chapter, ready for the site, and what was measured while it ran."""
    path = root / "_build" / "run" / profile / f"{Path(name).name}.ipynb"
    where, again = (
        path.relative_to(root),
        f"Run `fashionnb run {Path(name).name} --profile {profile}`.",
    )
    if not path.exists():
        raise PublishError(
            f"{where} is missing: the chapter was not run in profile {profile}. {again}"
        )
    notebook = nbformat.read(path, as_version=4)
    measured = notebook.metadata.get("fashionnb")
    if not measured:
        raise PublishError(f"{where}: it does not say what its run took. {again}")
    error = measured.get("error")
    if error:
        error = {**error, "value": _without_paths(error["value"], root)}
        notebook = pages.stopped(notebook, error)
    notebook = pages.clean(notebook, str(where))
    if _sources(notebook) != _sources(jupytext.read(root / f"{name}.md")):
        raise PublishError(f"{name}.md changed since it was run in profile {profile}. {again}")
    results = _results(root, Path(name).name, measured)
    claims = tuple(one for one in claims_in(notebook) if not one.holds)
    top, bottom = (
        [pages.badges(repository(root), BRANCH, name), _measured_line(measured)],
        [_stamp(root, measured)],
    )
    if error:
        top.append(_notice(error, Path(name).name, profile, results))
        bottom = [_recorded_results(results), *bottom] if results else bottom
    notebook = pages.dress(
        notebook,
        top="\n\n".join(top) + "\n",
        bottom="\n\n".join(bottom),
        link=_linker(root, name, names),
    )
    title = notebook.cells[0].source.partition("\n")[0].removeprefix("# ").strip()
    took = float(measured["seconds"]), float(measured["peak_memory_mb"])
    return notebook, Chapter(
        name, title, *took, results, pages.in_one_line(error) if error else "", claims
    )


def _sources(notebook: NotebookNode) -> list[str]:
    """The text of the cells, without those that running or publishing put in."""
    added = {"injected-parameters", pages.NOTICE}
    return [
        cell.source for cell in notebook.cells if added.isdisjoint(cell.metadata.get("tags", []))
    ]


def _notice(error: dict, name: str, profile: str, results: Results | None) -> str:
    """Markdown for the top of a page whose run failed: where, of what, and what to do."""
    anchor = RECORDED.lower().replace(" ", "-")
    at_the_end = f", and at its end are the [{RECORDED.lower()}](#{anchor})" if results else ""
    less = (
        " with `--profile quick`, which needs less, or"
        if error.get("died") and profile != "quick"
        else ""
    )
    return (
        f"> **This page is not complete.** Its run stopped in code cell {error['cell']}: {pages.in_one_line(error)}. "
        f"Below stands what it had computed by then{at_the_end}. *What to do:* run it again{less} with "
        f"`fashionnb run {name} --profile {profile}`, and build the page with `fashionnb publish --profile {profile}`. "
        "If it stops at the same place, please report it with this line."
    )


def _recorded_results(results: Results) -> str:
    """Markdown: what was recorded in this profile, by this run or an earlier one, and when and on what."""
    run = results.run
    made = (
        f"Profile {run.profile}, {run.date:%Y-%m-%d}, {pages.duration(run.seconds)} on {run.hardware}, "
        f"{run.device}, seeds {', '.join(map(str, run.seeds))}."
    )
    return f"{pages.results_table(RECORDED, results, level=2)}\n\n{made}"


def _without_paths(text: str, root: Path) -> str:
    """The text of an error without the places of this machine."""
    for place, shown in ((str(root), "."), (sys.prefix, "…"), (str(Path.home()), "~")):
        text = text.replace(place, shown)
    return text


def _measured_line(measured: dict) -> str:
    """One line of HTML: what this very run took, and on what."""
    took = [pages.duration(measured["seconds"]), pages.memory(measured["peak_memory_mb"])]
    hardware = f", on {measured['hardware']}" if measured.get("hardware") else ""
    text = (
        f"{', '.join(took)}{hardware}, profile {measured['profile']}, {str(measured['date'])[:10]}"
    )
    return f'<p class="measured"><strong>Measured:</strong> {html.escape(text)}</p>'


def _results(root: Path, chapter: str, measured: dict) -> Results | None:
    """What that run recorded: the file with the hash that it noted. Runs on other data keep theirs in `_build`.

    Of a run that failed without recording anything: what the repository holds for this profile.
    """
    for folder in (root / "book" / "results", root / "_build" / "results"):
        path = folder / measured["profile"] / f"{chapter}.json"
        if path.exists() and sha256(path) == measured.get("results"):
            return load(chapter, measured["profile"], folder)
    book = root / "book" / "results"
    published = "error" in measured and chapter in recorded(measured["profile"], book)
    return load(chapter, measured["profile"], book) if published else None


def _all_results(chapters: list[Chapter]) -> str:
    """Markdown: the results of all chapters that recorded some."""
    tables = [
        pages.results_table(f"[{c.title}]({Path(c.page).name}.md)", c.results)
        for c in chapters
        if c.results
    ]
    return "\n\n".join(tables) or "*Nothing was recorded in this profile.*"


def _one_result(
    chapters: list[Chapter], root: Path, name: str, method: str, metric: str, full: str | None
) -> str:
    """The number that a page asks for, of the test data if there is one; in a small profile it may be missing."""
    results = next(
        (chapter.results for chapter in chapters if Path(chapter.page).name == name), None
    )
    if full:
        results = load(name, "full", root / "book" / "results")
    rows = [row for row in results.results if row.class_ is None] if results else []
    found = [row for row in rows if (row.method, row.metric) == (method, metric)]
    best = min(found, key=lambda row: row.split != "test", default=None)
    if best is None:
        return "*(not measured in this profile)*"
    stopped = not full and any(
        Path(chapter.page).name == name and chapter.error for chapter in chapters
    )
    return f"**{best.shown(3)}**" + (
        " *(the run of that chapter was not completed)*" if stopped else ""
    )


def _stamp(root: Path, measured: dict) -> str:
    """HTML for the foot of a chapter: when, from which commit and with which versions the page was built."""
    versions = [f"{name} {importlib.metadata.version(name)}" for name in ("fashionnb", *STAMPED)]
    return (
        f'<p class="build-stamp">Built {date.today():%Y-%m-%d} from {_commit(root)}, profile {measured["profile"]}, '
        f"run {str(measured['date'])[:10]} · Python {platform.python_version()} · {' · '.join(versions)}</p>"
    )


def _commit(root: Path) -> str:
    def git(*words: str) -> str:
        return subprocess.run(
            ["git", "-C", root, *words], capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        changed = " with changes" if git("status", "--porcelain", "--untracked-files=no") else ""
        return f"commit {git('rev-parse', '--short=10', 'HEAD')}{changed}"
    except (OSError, subprocess.CalledProcessError):
        return "a copy without git"


def _linker(root: Path, page: str, names: list[str]):
    """How links on `page` are made fit for the site: to another page, to a picture, or to a file of the repository."""

    def link(target: str) -> str:
        path, _, anchor = target.partition("#")
        place = Path(
            os.path.normpath((root / page).parent / unquote(path))
        )  # as written: links are not followed
        if not place.exists() or not place.is_relative_to(root):
            hint = (
                f" Write {place.name}.md, which works on GitHub too."
                if place.with_suffix(".md").exists()
                else ""
            )
            raise PublishError(
                f"{page}.md: it links to {target}, but {place.name} is not there.{hint}"
            )
        inside = place.relative_to(root)
        if str(inside.with_suffix("")) in names:
            chapter = place.with_suffix(".md") in chapters.sources(
                root / "book"
            )  # these are staged as notebooks
            return str(Path(path).with_suffix(".ipynb" if chapter else ".md")) + (
                f"#{anchor}" if anchor else ""
            )
        if place.suffix.lower() in PICTURES and inside.parts[0] == "book":
            return target
        return f"{repository(root)}/blob/{BRANCH}/{inside}" + (f"#{anchor}" if anchor else "")

    return link


def _stage_files(root: Path, staged: Path) -> None:
    """Copy pictures, the site's own files, and the scripts that pages would otherwise fetch from other hosts."""
    book = root / "book"
    for path in book.rglob("*"):
        inside = path.relative_to(book)
        if path.suffix.lower() in PICTURES and inside.parts[0] not in (
            "_extra",
            "results",
            "checkpoints",
        ):
            (staged / "book" / inside).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, staged / "book" / inside)
    for folder in ("_ext", "_extra"):
        shutil.copytree(
            book / folder, staged / folder, ignore=shutil.ignore_patterns("__pycache__")
        )
    assets = staged / "_extra" / "assets"
    mathjax = importlib.util.find_spec(
        "sphinx-mathjax-offline"
    )  # its folder's name, hyphens and all
    if mathjax is None:
        raise PublishError(
            "The package sphinx-mathjax-offline is not installed. Run `make`, or `pip install -e .[book]`."
        )
    shutil.copyfile(
        Path(mathjax.origin).parent / "static" / "mathjax" / "tex-svg-full.js",
        assets / "tex-svg-full.js",
    )
    from plotly.offline import get_plotlyjs  # 5 MB of text: read only now

    write_text(assets / "plotly.min.js", get_plotlyjs())


def _look_at_the_demo(folder: Path) -> None:
    """Take the pictures of the demo anew; where there is no Gradio or no browser, those of the repository stay."""
    from fashionnb.apps.demo import screenshots
    from fashionnb.apps.demo.server import DemoError, Server
    from fashionnb.apps.demo.stylist import open_stylist

    try:
        with Server(open_stylist(), port=0) as server:
            screenshots.take(server.address, folder)
    except DemoError as error:
        log.warning("The pictures of the demo are those of the repository. %s", error)


def _build(staged: Path, out: Path, log: Path) -> tuple[Path, str]:
    """Let jupyter-book build `staged` into `out`; return the folder of the pages, and what it warned of, else ""."""
    built = out / "_build"
    for old in (built / "html", built / ".doctrees"):  # only its own folders: `out` may be anywhere
        shutil.rmtree(old, ignore_errors=True)
    command = "from jupyter_book.cli.main import main; main()"
    words = ["build", str(staged), "--path-output", str(out), "-W", "--keep-going", "-n"]
    done = subprocess.run(
        [sys.executable, "-c", command, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    write_text(log, done.stdout)
    if not done.returncode:
        return built / "html", ""
    plain = re.sub(r"\x1b\[[\d;]*m", "", done.stdout)
    told = [
        line for line in plain.splitlines() if re.search(r"WARNING|ERROR|Error:|Exception", line)
    ]
    return built / "html", "\n".join(
        ["jupyter-book does not build the site:", *told[:20], f"All it said is in {log}."]
    )
