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
from copy import deepcopy
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell, new_output

from fashionnb.errors import PublishError
from fashionnb.files import sha256
from fashionnb.notebook.claims import Claim, claims_in
from fashionnb.notebook.results import load, recorded
from fashionnb.notebook.results_format import Results
from fashionnb.publishing import links
from fashionnb.publishing.chapters import INJECTED, Book, Chapter, tags
from fashionnb.publishing.result_tables import results_table

ERROR_MARK = "papermill-error-cell-tag"  # the tag of cells that it adds to a run that failed
NOTICE = "stopped-here"  # the tag of the cell that says where a run stopped
RECORDED = "Recorded results"  # the heading of what a page shows whose own run failed
STAMPED = ("fashionnb", "torch", "numpy", "scikit-learn", "jupyter-book")  # versions in the stamp

WIDGET = "application/vnd.jupyter.widget-view+json"
# What tqdm and rich show in a notebook.
PROGRESS_WIDGET = re.compile(r"\s*(.*\d+%\||Output\(\)|$)", re.DOTALL)
EMPTY_PRE = re.compile(r"\s*<pre[^>]*>\s*</pre>\s*")
EMPTY_DISPLAY = re.compile(r"<IPython\.core\.display\.\w+ object>")  # such as Markdown("")
CURSOR_CODE = re.compile(r"\x1b\[(\?25[lh]|\d*[KJABCDG])")  # cursor movements; colours stay


@dataclass(frozen=True)
class PublishedChapter:
    """A chapter on the site.

    Attributes
    ----------
    name : str
        For instance "02-style2vec".
    title : str
        Its heading.
    notebook : NotebookNode
        Its page.
    seconds, peak_memory_mb : float
        As measured while it ran.
    results : Results or None
        What that run recorded, or, if it failed before that, the published results.
    error : str
        What its run failed of, one line of Markdown, else empty.
    claims : tuple of Claim
        Those that did not hold.
    """

    name: str
    title: str
    notebook: NotebookNode
    seconds: float
    peak_memory_mb: float
    results: Results | None
    error: str
    claims: tuple[Claim, ...]


def chapter_page(chapter: Chapter, profile: str, book: Book, pages: list[str]) -> PublishedChapter:
    """Make the page of a chapter from its last run in `profile`.

    Parameters
    ----------
    chapter : Chapter
        The chapter.
    profile : str
        Whose run to show.
    book : Book
        The checkout.
    pages : list of str
        All pages of the site, for links between them.

    Raises
    ------
    PublishError
        If the chapter was not run or has changed since, or a link leads nowhere.
    """
    executed, again = _executed(chapter, profile, book)
    run = executed.metadata["fashionnb"]
    error = run.get("error")
    notebook = executed
    if error:
        error = {**error, "value": _without_paths(error["value"], book.root)}
        notebook = stopped(notebook, error)
    notebook = clean(notebook, chapter.name)
    if _sources(notebook) != _sources(chapter.notebook):
        changed = f"{chapter.path.name} changed since it was run in profile {profile}."
        raise PublishError(f"{changed} {again}")
    results = _results(chapter.name, run, book)
    page = f"book/{chapter.name}"
    top = [links.badges(links.repository(book.root), page), _measured_line(run)]
    bottom = [_stamp(run, book.root)]
    if error:
        top.append(_notice(error, chapter.name, profile, results))
    if error and results:
        bottom.insert(0, _recorded_results(results))
    notebook = dress(
        notebook,
        top="\n\n".join(top) + "\n",
        bottom="\n\n".join(bottom),
        link=links.linker(book.root, page, pages),
    )
    return PublishedChapter(
        name=chapter.name,
        title=notebook.cells[0].source.partition("\n")[0].removeprefix("# ").strip(),
        notebook=notebook,
        seconds=float(run["seconds"]),
        peak_memory_mb=float(run["peak_memory_mb"]),
        results=results,
        error=error_line(error) if error else "",
        claims=tuple(claim for claim in claims_in(notebook) if not claim.holds),
    )


def clean(notebook: NotebookNode, name: str) -> NotebookNode:
    """Copy an executed notebook without progress bars, and with the injected cell hidden.

    Parameters
    ----------
    notebook : NotebookNode
        The executed notebook.
    name : str
        What to call it in messages.

    Raises
    ------
    PublishError
        If the run failed or was broken off (`stopped` makes a page of such a run), or if the
        notebook holds a widget, which would do nothing on a page.
    """
    _refuse_failed(notebook, name)
    notebook = deepcopy(notebook)
    for number, cell in enumerate(notebook.cells, start=1):
        if cell.cell_type != "code":
            continue
        if INJECTED in tags(cell):
            cell.metadata["tags"] = [*tags(cell), "remove-cell"]
        cell.outputs = _without_progress(cell.outputs)
        if any(WIDGET in output.get("data", {}) for output in cell.outputs):
            raise PublishError(
                f"{name}, cell {number}: it shows a Jupyter widget, which does nothing on a page "
                "without a kernel. Draw the figure with plotly (its controls work on the page), or "
                "show a still one."
            )
    notebook.metadata.pop("widgets", None)
    return notebook


def stopped(notebook: NotebookNode, error: Mapping[str, Any]) -> NotebookNode:
    """Copy the notebook of a failed run, with a notice at the place and no output below it.

    Parameters
    ----------
    notebook : NotebookNode
        The executed notebook.
    error : mapping
        As `fashionnb.publishing.execute_notebook.finish` describes it.
    """
    notebook = deepcopy(notebook)
    notebook.metadata.get("papermill", {}).pop("exception", None)
    notebook.cells = [cell for cell in notebook.cells if ERROR_MARK not in tags(cell)]
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    own = [cell for cell in code if INJECTED not in tags(cell)]
    failed = own[error["cell"] - 1]
    failed.outputs = [output for output in failed.outputs if output.output_type != "error"]
    for cell in own[error["cell"] :]:
        cell.outputs = []
    for number, cell in enumerate(own, start=1):
        cell.execution_count = number  # those below were not executed; the notice says so
    text = (
        f"> **Here this run stopped:** {error_line(error)}. "
        "Neither this cell nor any below it has finished."
    )
    place = next(index for index, cell in enumerate(notebook.cells) if cell is failed)
    notebook.cells.insert(place, new_markdown_cell(text, metadata={"tags": [NOTICE]}))
    return notebook


def dress(
    notebook: NotebookNode, *, top: str, bottom: str, link: Callable[[str], str]
) -> NotebookNode:
    """Copy a notebook, adding `top` under the title and `bottom` at the end.

    Every relative link target `t` in its text becomes `link(t)`.

    Raises
    ------
    PublishError
        If the first cell has no title.
    """
    notebook = deepcopy(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = links.relink(cell.source, link)
    first = notebook.cells[0].source.lstrip() if notebook.cells else ""
    if not first.startswith("# "):
        raise PublishError(
            "The first cell has no title. Begin the chapter with a line such as "
            "`# What is a garment?`."
        )
    title, _, rest = first.partition("\n")
    notebook.cells[0].source = f"{title}\n\n{top}\n{rest}"
    notebook.cells.append(new_markdown_cell(bottom))
    return notebook


def error_line(error: Mapping[str, Any]) -> str:
    """Write the name and the last line of an error, as code in Markdown."""
    value = (error["value"].strip().splitlines() or [""])[-1].replace("`", "'")
    return f"`{error['name']}: {textwrap.shorten(value, 300, placeholder=' …')}`"


def duration(seconds: float) -> str:
    """Write seconds as "45 s", "2.1 min" or "3.4 h"."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def memory(megabytes: float) -> str:
    """Write megabytes as "640 MB" or "1.2 GB"."""
    return f"{megabytes:.0f} MB" if megabytes < 1000 else f"{megabytes / 1000:.1f} GB"


def picture(notebook: NotebookNode, tag: str) -> bytes | None:
    """Return the picture (PNG) that the cell with this tag drew, if there is one."""
    tagged = [cell for cell in notebook.cells if tag in tags(cell) and cell.cell_type == "code"]
    shown = [output.get("data", {}) for cell in tagged for output in cell.outputs]
    drawn = [data["image/png"] for data in shown if "image/png" in data]
    return base64.b64decode(drawn[0]) if drawn else None


def _executed(chapter: Chapter, profile: str, book: Book) -> tuple[NotebookNode, str]:
    """The executed notebook, and the sentence that says how to run the chapter again."""
    path = book.build / "run" / profile / f"{chapter.name}.ipynb"
    place = path.relative_to(book.root)
    again = f"Run `fashionnb run {chapter.name} --profile {profile}`."
    if not path.exists():
        raise PublishError(
            f"{place} is missing: the chapter was not run in profile {profile}. {again}"
        )
    notebook = nbformat.read(path, as_version=4)
    if not notebook.metadata.get("fashionnb"):
        raise PublishError(f"{place}: it does not say what its run took. {again}")
    return notebook, again


def _sources(notebook: NotebookNode) -> list[str]:
    """The text of the cells, without those that running or publishing added."""
    added = {INJECTED, NOTICE}
    return [cell.source for cell in notebook.cells if added.isdisjoint(tags(cell))]


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


def _notice(error: Mapping[str, Any], name: str, profile: str, results: Results | None) -> str:
    """Markdown for the top of a page whose run failed: where, of what, and what to do."""
    anchor = RECORDED.lower().replace(" ", "-")
    at_the_end = f", and at its end are the [{RECORDED.lower()}](#{anchor})" if results else ""
    out_of_memory = error.get("died") and profile != "quick"
    quick = " with `--profile quick`, which needs less, or" if out_of_memory else ""
    return (
        f"> **This page is not complete.** Its run stopped in code cell {error['cell']}: "
        f"{error_line(error)}. Below stands what it had computed by then{at_the_end}. "
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
    return f"{results_table(RECORDED, results, level=2)}\n\n{made}"


def _without_paths(text: str, root: Path) -> str:
    """The text of an error without the folders of this machine."""
    for place, shown in ((str(root), "."), (sys.prefix, "…"), (str(Path.home()), "~")):
        text = text.replace(place, shown)
    return text


def _measured_line(run: Mapping[str, Any]) -> str:
    """One line of HTML: what this run took, and on what."""
    parts = [duration(run["seconds"]), memory(run["peak_memory_mb"])]
    if run.get("hardware"):
        parts.append(f"on {run['hardware']}")
    parts += [f"profile {run['profile']}", str(run["date"])[:10]]
    text = html.escape(", ".join(parts))
    return f'<p class="measured"><strong>Measured:</strong> {text}</p>'


def _stamp(run: Mapping[str, Any], root: Path) -> str:
    """HTML for the foot of a page: when, from which commit and with which versions it was built."""
    versions = [f"{name} {importlib.metadata.version(name)}" for name in STAMPED]
    built = f"Built {date.today():%Y-%m-%d} from {_commit(root)}"
    parts = [
        f"{built}, profile {run['profile']}, run {str(run['date'])[:10]}",
        f"Python {platform.python_version()}",
        *versions,
    ]
    return f'<p class="build-stamp">{" · ".join(parts)}</p>'


def _commit(root: Path) -> str:
    try:
        changed = " with changes" if _git(root, "status", "--porcelain", "-uno") else ""
        return f"commit {_git(root, 'rev-parse', '--short=10', 'HEAD')}{changed}"
    except (OSError, subprocess.CalledProcessError):
        return "a copy without git"


def _git(root: Path, *words: str) -> str:
    command = ["git", "-C", str(root), *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def _refuse_failed(notebook: NotebookNode, name: str) -> None:
    again = "Mend the chapter and run it again with `fashionnb run`."
    if notebook.metadata.get("papermill", {}).get("exception"):
        raise PublishError(f"{name}: its last run failed. {again}")
    for number, cell in enumerate(notebook.cells, start=1):
        if cell.cell_type != "code":
            continue
        errors = [output for output in cell.outputs if output.output_type == "error"]
        if errors and "raises-exception" not in tags(cell):
            what = f"{errors[0].ename}: {errors[0].evalue}"
            raise PublishError(f"{name}, cell {number}: it ends in {what}. {again}")
        if cell.source.strip() and cell.get("execution_count") is None:
            raise PublishError(f"{name}, cell {number}: it was not executed. {again}")


def _without_progress(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Outputs without stderr and progress bars, neighbouring pieces of stdout joined to one."""
    kept: list[NotebookNode] = []
    for output in outputs:
        if output.output_type != "stream":
            if not _is_nothing(output.get("data", {})):
                kept.append(output)
        elif output.name == "stdout":
            if kept and kept[-1].output_type == "stream":
                kept[-1].text += output.text
            else:
                kept.append(new_output("stream", name="stdout", text=output.text))
    for output in kept:
        if output.output_type == "stream":
            output.text = _final_text(output.text)
    return [output for output in kept if output.output_type != "stream" or output.text.strip()]


def _is_nothing(data: Mapping[str, str]) -> bool:
    """Whether a display shows nothing: bars of tqdm and rich, rich's advice, an empty text."""
    text, shown = data.get("text/plain", ""), data.get("text/html", "")
    if WIDGET in data:
        return bool(PROGRESS_WIDGET.match(text))
    if 'install "ipywidgets" for Jupyter' in html.unescape(shown) or EMPTY_PRE.fullmatch(shown):
        return True
    return list(data) == ["text/plain"] and bool(EMPTY_DISPLAY.fullmatch(text))


def _final_text(text: str) -> str:
    """What a terminal shows in the end: of each line that was written over, its last version."""
    lines = CURSOR_CODE.sub("", text).replace("\r\n", "\n").split("\n")
    return "\n".join(line.rstrip("\r").rsplit("\r", 1)[-1] for line in lines)
