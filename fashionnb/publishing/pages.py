"""Single pages of the site: what publishing takes away from an executed chapter, and what it adds.

Everything here takes text or a notebook and returns another; `publish` reads, writes and builds. Chapters themselves
stay plain Markdown: badges, the measured line, the build stamp and the API reference exist on the site only.
"""

import base64
import html
import re
import textwrap
from collections.abc import Callable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell, new_output

from fashionnb.errors import FashionNBError
from fashionnb.notebook.results_format import Results, Row

PAPERMILL_MARKS = frozenset({"papermill-error-cell-tag"})  # cells that it adds to a run that failed
NOTICE = "stopped-here"  # the tag of the cell that says where a run stopped
WIDGET = "application/vnd.jupyter.widget-view+json"
PROGRESS_WIDGET = re.compile(
    r"\s*(.*\d+%\||Output\(\)|$)", re.DOTALL
)  # tqdm.notebook; rich in a notebook
EMPTY_PRE = re.compile(r"\s*<pre[^>]*>\s*</pre>\s*")
EMPTY_DISPLAY = re.compile(r"<IPython\.core\.display\.\w+ object>")  # such as Markdown("")
TERMINAL_CODE = re.compile(r"\x1b\[(\?25[lh]|\d*[KJABCDG])")  # cursor movements; colours stay
LINK = re.compile(r"(?<!`)(?P<open>\]\()(?P<target>[^()\s]+)(?P<close>(?:\s+\"[^\"]*\")?\))")
ELSEWHERE = re.compile(
    r"[a-z][a-z0-9+.-]*:|//|#", re.IGNORECASE
)  # another site, or another place on this page

API_GROUPS = {
    "data": ("Data", ("data",)),
    "models": ("Models", ("models",)),
    "losses": ("Losses and miners", ("losses", "priors", "miners")),
    "training": (
        "Training, checkpoints and embeddings",
        ("training", "augment", "checkpoints", "embed", "export"),
    ),
    "evaluation": ("Evaluation", ("evaluation", "evaluate", "scoring")),
    "search": ("Search", ("search", "analyse")),
    "figures": (
        "Figures, colour and results",
        ("plots", "colour", "explorer", "listing", "notebook", "results", "rows"),
    ),
    "ground": ("Profiles, files and errors", ("", "profiles", "files", "errors")),
    "running": ("Running and publishing", ()),  # and whatever no other group takes
}


class PublishError(FashionNBError, RuntimeError):
    """The site cannot be built from what there is."""


def clean(notebook: NotebookNode, where: str) -> NotebookNode:
    """A copy of an executed notebook as the site shows it: no progress bars, no injected cell, text in one piece.

    `where` names the notebook in messages.

    Raises
    ------
    PublishError : the run failed or was broken off, or the notebook holds a widget, which would be dead on a page. (Of
        one that is known to have failed, `stopped` makes a page.)
    """
    _refuse_failed(notebook, where)
    notebook = deepcopy(notebook)
    for number, cell in enumerate(notebook.cells, start=1):
        if cell.cell_type != "code":
            continue
        tags = cell.metadata.setdefault("tags", [])
        if "injected-parameters" in tags and "remove-cell" not in tags:
            tags.append("remove-cell")
        cell.outputs = _still(cell.outputs)
        if any(WIDGET in output.get("data", {}) for output in cell.outputs):
            raise PublishError(
                f"{where}, cell {number}: it shows a Jupyter widget, which does nothing on a page without a kernel. "
                "Draw the figure with plotly (its controls work on the page), or show a still one."
            )
    notebook.metadata.pop("widgets", None)
    return notebook


def stopped(notebook: NotebookNode, error: Mapping[str, Any]) -> NotebookNode:
    """A copy of a notebook whose run failed, as far as it came: a notice stands at the place, and no output below it.

    `error` is what `fashionnb.publishing.execute` found out: the number of the code `cell`, `name` and `value` of the
    error.
    """
    notebook = deepcopy(notebook)
    notebook.metadata.get("papermill", {}).pop("exception", None)
    notebook.cells = [
        cell for cell in notebook.cells if PAPERMILL_MARKS.isdisjoint(cell.metadata.get("tags", []))
    ]
    own = [
        cell
        for cell in notebook.cells
        if cell.cell_type == "code" and "injected-parameters" not in cell.metadata.get("tags", [])
    ]
    for number, cell in enumerate(own, start=1):
        cell.execution_count = number  # those below were not executed; the notice says so
        if number >= error["cell"]:
            cell.outputs = [
                output for output in cell.outputs if number == error["cell"] and _is_output(output)
            ]
    place = next(
        index for index, cell in enumerate(notebook.cells) if cell is own[error["cell"] - 1]
    )
    here = f"> **Here this run stopped:** {in_one_line(error)}. Neither this cell nor any below it has finished."
    notebook.cells.insert(place, new_markdown_cell(here, metadata={"tags": [NOTICE]}))
    return notebook


def in_one_line(error: Mapping[str, Any]) -> str:
    """Name and last line of an error, as code in Markdown."""
    value = (error["value"].strip().splitlines() or [""])[-1].replace("`", "'")
    return f"`{error['name']}: {textwrap.shorten(value, 300, placeholder=' …')}`"


def dress(
    notebook: NotebookNode, *, top: str, bottom: str, link: Callable[[str], str]
) -> NotebookNode:
    """A copy with `top` under the title, `bottom` at the end, and every link target `t` in its text made `link(t)`."""
    notebook = deepcopy(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = relink(cell.source, link)
    first = notebook.cells[0] if notebook.cells else None
    if first is None or not first.source.lstrip().startswith("# "):
        raise PublishError(
            "The first cell has no title. Begin the chapter with a line such as `# What is a garment?`."
        )
    title, _, rest = first.source.lstrip().partition("\n")
    first.source = f"{title}\n\n{top}\n{rest}"
    notebook.cells.append(new_markdown_cell(bottom))
    return notebook


def relink(text: str, link: Callable[[str], str]) -> str:
    """`text` with each relative target `t` of a Markdown link or image made `link(t)`; fenced code is left alone."""
    fenced, lines = False, []
    for line in text.split("\n"):
        if line.lstrip().startswith(("```", "~~~")):
            fenced = not fenced
        elif not fenced:
            line = LINK.sub(lambda found: _relinked(found, link), line)
        lines.append(line)
    return "\n".join(lines)


def badges(repository: str, branch: str, page: str) -> str:
    """HTML of the links that open a chapter's notebook in Colab and in Kaggle. `page` is "book/NN-name"."""
    blob = f"{repository}/blob/{branch}/{page}.ipynb"
    colab = f"https://colab.research.google.com/{blob.removeprefix('https://').replace('github.com', 'github', 1)}"
    kaggle = f"https://kaggle.com/kernels/welcome?src={blob}"
    shown = [(colab, "colab", "Open in Colab", 102), (kaggle, "kaggle", "Open in Kaggle", 108)]
    links = (
        f'<a href="{html.escape(url)}"><img class="dark-light" src="../assets/{file}.svg" alt="{label}" '
        f'width="{width}" height="20"></a>'
        for url, file, label, width in shown
    )
    return f'<p class="badges">{" ".join(links)}</p>'


def duration(seconds: float) -> str:
    """Seconds in words: "45 s", "2.1 min", "3.4 h"."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def memory(megabytes: float) -> str:
    """Megabytes in words: "640 MB", "1.2 GB"."""
    return f"{megabytes:.0f} MB" if megabytes < 1000 else f"{megabytes / 1000:.1f} GB"


def picture(notebook: NotebookNode, tag: str) -> bytes | None:
    """The picture (PNG) that the cell with this tag drew; None if there is no such cell or picture."""
    cells = [
        cell
        for cell in notebook.cells
        if tag in cell.metadata.get("tags", []) and cell.cell_type == "code"
    ]
    drawn = [
        output.data["image/png"]
        for cell in cells
        for output in cell.outputs
        if "image/png" in output.get("data", {})
    ]
    return base64.b64decode(drawn[0]) if drawn else None


def results_table(title: str, results: Results, level: int = 3) -> str:
    """Markdown: under the heading `title`, one table for each dataset, a row per method and a column per metric."""
    parts = [f"{'#' * level} {title}"]
    overall = [row for row in results.results if row.class_ is None]
    for data, split, n in dict.fromkeys((row.data, row.split, row.n) for row in overall):
        rows = [row for row in overall if (row.data, row.split, row.n) == (data, split, n)]
        metrics = list(dict.fromkeys(row.metric for row in rows))
        parts.append(
            _table_line([f"{data}, {split}, n = {n:,}", *metrics])
            + "|---" * (len(metrics) + 1)
            + "|"
        )
        for method in dict.fromkeys(row.method for row in rows):
            cells = {row.metric: _with_interval(row) for row in rows if row.method == method}
            parts[-1] += (
                "\n"
                + _table_line([method, *(cells.get(metric, "") for metric in metrics)]).rstrip()
            )
    how = "; ".join(dict.fromkeys(row.interval.how for row in overall))
    return "\n\n".join([*parts, f"Intervals, 95%: {how}."]) if overall else ""


def api_pages(package: Path, name: str = "fashionnb") -> dict[str, str]:
    """The pages of the API reference, made from the modules that lie in the folder `package`.

    Returns
    -------
    pages : page name -> Markdown, in the order of the table of contents. Groups without a module have no page.
    """
    groups: dict[str, list[str]] = {}
    for module in _modules(package):
        room = module.split(".")[0]
        group = next((key for key, (_, rooms) in API_GROUPS.items() if room in rooms), "running")
        groups.setdefault(group, []).append(f"{name}.{module}" if module else name)
    return {key: _api_page(API_GROUPS[key][0], groups[key]) for key in API_GROUPS if key in groups}


def _table_line(cells: list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def _with_interval(row: Row) -> str:
    return row.shown(3).replace(", ", ",\N{NO-BREAK SPACE}")


def _api_page(title: str, modules: list[str]) -> str:
    parts = [f"# {title}"]
    parts += [
        f"## {module}\n\n```{{eval-rst}}\n.. automodule:: {module}\n   :members:\n```"
        for module in modules
    ]
    return "\n\n".join(parts) + "\n"


def _modules(package: Path) -> list[str]:
    """Dotted names below `package`, without importing; "" is the package itself, private modules are left out."""
    names = []
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package).with_suffix("").parts
        parts = parts[:-1] if parts[-1] == "__init__" else parts
        if not any(part.startswith("_") for part in parts):
            names.append(".".join(parts))
    return sorted(names)


def _refuse_failed(notebook: NotebookNode, where: str) -> None:
    papermill = notebook.metadata.get("papermill", {})
    again = "Mend the chapter and run it again with `fashionnb run`."
    if papermill.get("exception"):
        raise PublishError(f"{where}: its last run failed. {again}")
    for number, cell in enumerate(notebook.cells, start=1):
        expected = "raises-exception" in cell.metadata.get("tags", [])
        for output in cell.get("outputs", []):
            if output.output_type == "error" and not expected:
                raise PublishError(
                    f"{where}, cell {number}: it ends in {output.ename}: {output.evalue}. {again}"
                )
        if cell.cell_type == "code" and cell.source.strip() and cell.get("execution_count") is None:
            raise PublishError(f"{where}, cell {number}: it was not executed. {again}")


def _is_output(output: NotebookNode) -> bool:
    """True for what a cell showed before it failed; its error is told above it."""
    return output.output_type != "error"


def _still(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Outputs without progress bars: stderr and progress widgets go, neighbouring pieces of stdout become one."""
    kept: list[NotebookNode] = []
    for output in outputs:
        if output.output_type == "stream":
            if output.name == "stderr":
                continue
            if kept and kept[-1].output_type == "stream":
                kept[-1].text += output.text
            else:
                kept.append(new_output("stream", name="stdout", text=output.text))
        elif not _is_nothing(output.get("data", {})):
            kept.append(output)
    for output in kept:
        if output.output_type == "stream":
            output.text = _final_text(output.text)
    return [output for output in kept if output.output_type != "stream" or output.text.strip()]


def _is_nothing(data: dict) -> bool:
    """True for the bars of tqdm and rich, for what rich says where ipywidgets is missing, and for an empty display."""
    if WIDGET in data:
        return PROGRESS_WIDGET.match(data.get("text/plain", "")) is not None
    shown = data.get("text/html", "")
    return (
        'install "ipywidgets" for Jupyter' in html.unescape(shown)
        or EMPTY_PRE.fullmatch(shown) is not None
        or (
            list(data) == ["text/plain"] and EMPTY_DISPLAY.fullmatch(data["text/plain"]) is not None
        )
    )


def _final_text(text: str) -> str:
    """What a terminal would show in the end: of each line that was written over, only its last version."""
    lines = TERMINAL_CODE.sub("", text).replace("\r\n", "\n").split("\n")
    return "\n".join(line.rstrip("\r").rsplit("\r", 1)[-1] for line in lines)


def _relinked(found: re.Match, link: Callable[[str], str]) -> str:
    target = found["target"]
    return found[0] if ELSEWHERE.match(target) else f"{found['open']}{link(target)}{found['close']}"
