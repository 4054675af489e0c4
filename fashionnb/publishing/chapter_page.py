"""The page of one chapter: its executed notebook, cleaned, with what only the site shows.

Chapters themselves stay plain Markdown: badges, the line of what the run took, notices of a failed
run and the build stamp exist on the site only. `fashionnb.publishing.site` puts the pages together.
"""

import base64
import html
import importlib.metadata
import platform
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import nbformat

from fashionnb.errors import PublishError
from fashionnb.files import sha256
from fashionnb.notebook.claims import Claim, claims_in
from fashionnb.notebook.results import Results, load, recorded
from fashionnb.publishing import site_markdown
from fashionnb.publishing.chapters import INJECTED, Book, Chapter, folded_title, own_code, tags
from fashionnb.publishing.run_book import SLOW, duration

RECORDED = "Recorded results"  # the heading of what a page shows whose own run failed
STAMPED = ("fashionnb", "torch", "numpy", "scikit-learn", "jupyter-book")  # versions in the stamp

WIDGET = "application/vnd.jupyter.widget-view+json"
PROGRESS_WIDGET = re.compile(r"\s*(.*\d+%\||$)", re.DOTALL)  # what tqdm shows in a notebook
EMPTY_DISPLAY = re.compile(r"<IPython\.core\.display\.\w+ object>")  # such as Markdown("")


@dataclass(frozen=True)
class PublishedChapter:
    """The page of one chapter on the site, with what its run took, recorded and failed of.

    Parameters
    ----------
    name : str
        For instance "02-style2vec".
    title : str
        Its heading.
    notebook : nbformat.NotebookNode
        Its page.
    run : mapping
        What it took, as `fashionnb.publishing.run_chapter.run_chapter` describes it.
    results : Results or None
        What that run recorded, or, if it failed before that, the published results.
    error : str
        What its run failed of, one line of Markdown, else empty.
    claims : tuple of Claim
        Those that did not hold.
    """

    name: str
    title: str
    notebook: nbformat.NotebookNode
    run: Mapping[str, Any]
    results: Results | None
    error: str
    claims: tuple[Claim, ...]


def chapter_page(chapter: Chapter, profile: str, book: Book, pages: list[str]) -> PublishedChapter:
    """Make the page of a chapter from the notebook of its last run in a profile.

    Parameters
    ----------
    chapter : Chapter
        The chapter.
    profile : {"quick", "standard", "full"}
        Whose run to show.
    book : Book
        The checkout.
    pages : list of str
        All pages of the site, for links between them.

    Returns
    -------
    PublishedChapter
        The page, and what the site says of the run elsewhere.

    Raises
    ------
    PublishError
        If the chapter was not run or has changed since, or a link leads nowhere.
    """
    notebook = _executed(chapter, profile, book)
    run = notebook.metadata["fashionnb"]
    results = _results(chapter.name, run, book)
    page = f"book/{chapter.name}"
    top = [site_markdown.badges(site_markdown.repository(book.root), page), _measured_line(run)]
    bottom = [_stamp(run, book.root)]
    clean(notebook, chapter.name)
    error = run.get("error")
    if error:
        error["value"] = _without_paths(error["value"], book.root)
        _mark_stop(notebook, error)
        top.append(_notice(error, chapter.name, profile, results))
        if results:
            bottom.insert(0, _recorded_results(results))
    dress(
        notebook,
        top="\n\n".join(top) + "\n",
        bottom="\n\n".join(bottom),
        link=site_markdown.linker(book.root, page, pages),
    )
    return PublishedChapter(
        name=chapter.name,
        title=notebook.cells[0].source.partition("\n")[0].removeprefix("# ").strip(),
        notebook=notebook,
        run=run,
        results=results,
        error=_error_line(error) if error else "",
        claims=tuple(claim for claim in claims_in(notebook) if not claim.holds),
    )


def clean(notebook: nbformat.NotebookNode, name: str) -> None:
    """Remove stderr, progress bars and empty displays from the notebook of a chapter's page.

    The cell of injected parameters is hidden. The site itself merges the pieces of stdout
    (`nb_merge_streams`).

    Parameters
    ----------
    notebook : nbformat.NotebookNode
        The executed notebook, which is changed.
    name : str
        What to call it in messages.

    Raises
    ------
    PublishError
        If the notebook holds a widget, which would do nothing on a page.
    """
    for number, cell in enumerate(notebook.cells, start=1):
        if INJECTED in tags(cell):
            cell.metadata["tags"] = [*tags(cell), "remove-cell"]
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if not _is_nothing(output)]
            if any(WIDGET in output.get("data", {}) for output in cell.outputs):
                raise PublishError(
                    f"{name}, cell {number}: it shows a Jupyter widget, which does nothing on a "
                    "page without a kernel. Draw the figure with plotly (its controls work on the "
                    "page), or show a still one."
                )
    notebook.metadata.pop("widgets", None)


def dress(
    notebook: nbformat.NotebookNode, *, top: str, bottom: str, link: Callable[[str], str]
) -> None:
    """Add text under the title of a chapter's page and at its end, and adapt its links to the site.

    Parameters
    ----------
    notebook : nbformat.NotebookNode
        The cleaned notebook, which is changed.
    top, bottom : str
        Markdown or HTML, for the place under the title and for the end.
    link : callable
        Takes the target of a relative link (str) and returns the one on the site.

    Raises
    ------
    PublishError
        If the first cell has no title.
    """
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = site_markdown.relink(cell.source, link)
    title, _, rest = notebook.cells[0].source.lstrip().partition("\n")
    if not title.startswith("# "):
        raise PublishError(
            "The first cell has no title. Begin the chapter with a line such as "
            "`# What is a garment?`."
        )
    notebook.cells[0].source = f"{title}\n\n{top}\n{rest}"
    notebook.cells.append(nbformat.v4.new_markdown_cell(bottom))


def memory(megabytes: float) -> str:
    """Format the memory that a chapter took, for its page: "640 MB" or "1.2 GB".

    Parameters
    ----------
    megabytes : float
        The peak memory in MB, at least 0.

    Returns
    -------
    str
        The number with its unit.
    """
    return f"{megabytes:.0f} MB" if megabytes < 1000 else f"{megabytes / 1000:.1f} GB"


def picture(notebook: nbformat.NotebookNode, tag: str) -> bytes | None:
    """Extract the picture that the cell with a given tag drew on a chapter's page.

    Parameters
    ----------
    notebook : nbformat.NotebookNode
        The page.
    tag : str
        A tag of the cell, such as "cover".

    Returns
    -------
    bytes or None
        The picture as PNG, None if there is none.
    """
    tagged = [cell for cell in notebook.cells if tag in tags(cell)]
    shown = [output.get("data", {}) for cell in tagged for output in cell.outputs]
    drawn = [data["image/png"] for data in shown if "image/png" in data]
    return base64.b64decode(drawn[0]) if drawn else None


def _executed(chapter: Chapter, profile: str, book: Book) -> nbformat.NotebookNode:
    """The executed notebook, if it is the one of the chapter as it is now."""
    path = book.build / "run" / profile / f"{chapter.name}.ipynb"
    again = f"Run `fashionnb run {chapter.name} --profile {profile}`."
    if not path.exists():
        raise PublishError(
            f"{path.relative_to(book.root)} is missing: "
            f"the chapter was not run in profile {profile}. {again}"
        )
    notebook = nbformat.read(path, as_version=4)
    own = [cell for cell in notebook.cells if INJECTED not in tags(cell)]
    now = chapter.notebook.cells
    same = [cell.source for cell in own] == [cell.source for cell in now]
    if not same or "fashionnb" not in notebook.metadata:
        raise PublishError(
            f"{chapter.path.name} changed since it was run in profile {profile}. {again}"
        )
    for cell, as_now in zip(own, now, strict=True):
        if heading := folded_title(as_now):  # a new title needs no new run
            prompts = {"code_prompt_show": heading, "code_prompt_hide": heading}
            cell.metadata["mystnb"] = prompts | as_now.metadata.get("mystnb", {})
    return notebook


def _results(chapter: str, run: Mapping[str, Any], book: Book) -> Results | None:
    """What a run recorded, found by its hash; of one that failed before, the published results."""
    profile, published = run["profile"], book.folder / "results"
    for folder in (published, book.build / "results"):
        path = folder / profile / f"{chapter}.json"
        if path.exists() and sha256(path) == run.get("results"):
            return load(chapter, profile, folder)
    if "error" in run and chapter in recorded(profile, published):
        return load(chapter, profile, published)
    return None


def _mark_stop(notebook: nbformat.NotebookNode, error: Mapping[str, Any]) -> None:
    """Put a notice above the cell at which a run failed, in place of its error output.

    Parameters
    ----------
    notebook : nbformat.NotebookNode
        The executed notebook, which is changed.
    error : mapping
        As `fashionnb.publishing.run_chapter.run_chapter` describes it.
    """
    place = own_code(notebook)[error["cell"] - 1]
    failed = notebook.cells[place]
    failed.outputs = [output for output in failed.outputs if output.output_type != "error"]
    text = (
        f"> **Here this run stopped:** {_error_line(error)}. "
        "Neither this cell nor any below it has finished."
    )
    notebook.cells.insert(place, nbformat.v4.new_markdown_cell(text))


def _error_line(error: Mapping[str, Any]) -> str:
    """Write the name and the last line of an error, as code in Markdown."""
    value = (error["value"].strip().splitlines() or [""])[-1].replace("`", "'")
    return f"`{error['name']}: {textwrap.shorten(value, 300, placeholder=' …')}`"


def _notice(error: Mapping[str, Any], name: str, profile: str, results: Results | None) -> str:
    """Markdown for the top of a page whose run failed: where, of what, and what to do."""
    anchor = RECORDED.lower().replace(" ", "-")
    at_the_end = f", and at its end are the [{RECORDED.lower()}](#{anchor})" if results else ""
    out_of_memory = error.get("died") and profile != "quick"
    quick = " with `--profile quick`, which needs less, or" if out_of_memory else ""
    return (
        f"> **This page is not complete.** Its run stopped in code cell {error['cell']}: "
        f"{_error_line(error)}. Below stands what it had computed by then{at_the_end}. "
        f"*What to do:* run it again{quick} with `fashionnb run {name} --profile {profile}`, and "
        f"build the page with `fashionnb publish --profile {profile}`. If it stops at the same "
        "place, please report it with this line."
    )


def _recorded_results(results: Results) -> str:
    """Markdown: what was recorded in this profile, by this run or an earlier one, and when."""
    run = results.run
    seeds = ", ".join(map(str, run.seeds))
    made = (
        f"Profile {run.profile}, {run.date:%Y-%m-%d}, {duration(run.seconds)} on {run.hardware}, "
        f"{run.device}, seeds {seeds}."
    )
    return f"{site_markdown.results_table(RECORDED, results, level=2)}\n\n{made}"


def _without_paths(text: str, root: Path) -> str:
    """The text of an error without the folders of this machine."""
    for place, shown in ((str(root), "."), (sys.prefix, "…"), (str(Path.home()), "~")):
        text = text.replace(place, shown)
    return text


def _measured_line(run: Mapping[str, Any]) -> str:
    """One line of HTML: what this run took, on what, and what it takes on slow cores."""
    took = f"{duration(run['seconds'])}, {memory(run['peak_memory_mb'])}, on {run['hardware']}"
    text = f"{took}, profile {run['profile']}, {run['date'][:10]}"
    if run.get("device") == "cpu" and "error" not in run:
        text += (
            f"; up to {duration(SLOW * run['seconds'])} on two slow cores, as of Colab's free CPU"
        )
    text = html.escape(text, quote=False)
    return f'<p class="measured"><strong>Measured:</strong> {text}</p>'


def _stamp(run: Mapping[str, Any], root: Path) -> str:
    """HTML for the foot of a page: when, from which commit and with which versions it was built."""
    parts = [
        f"Built {date.today():%Y-%m-%d} from {_commit(root)}, profile {run['profile']}, "
        f"run {run['date'][:10]}",
        f"Python {platform.python_version()}",
        *(f"{name} {importlib.metadata.version(name)}" for name in STAMPED),
    ]
    return f'<p class="build-stamp">{" · ".join(parts)}</p>'


def _commit(root: Path) -> str:
    options = ("--always", "--dirty= with changes", "--abbrev=10", "--exclude=*")  # never a tag
    command = ["git", "-C", str(root), "describe", *options]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "a copy without git"
    return f"commit {done.stdout.strip()}"


def _is_nothing(output: nbformat.NotebookNode) -> bool:
    """Whether an output has no place on a page: stderr, bars of tqdm, an empty text."""
    if output.output_type == "stream":
        return output.name == "stderr" or not output.text.strip()
    data = output.get("data", {})
    text = data.get("text/plain", "")
    if WIDGET in data:
        return bool(PROGRESS_WIDGET.match(text))
    return list(data) == ["text/plain"] and bool(EMPTY_DISPLAY.fullmatch(text))
