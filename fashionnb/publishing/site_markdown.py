"""What the site replaces in the Markdown of a page: links, and comments that ask for results.

Chapters link to files as on GitHub, for instance `[chapter 02](02-style2vec.md)`. A page asks for
results with comments: `<!-- results: here -->` for the tables of all chapters, and
`<!-- result: 02-style2vec; net; mrr -->` for one number.
"""

import os
import re
import tomllib
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pandas as pd

from fashionnb.errors import PublishError
from fashionnb.notebook import comparisons
from fashionnb.notebook.results import Results, Row, load

if TYPE_CHECKING:
    from fashionnb.publishing.chapter_page import PublishedChapter

BRANCH = "main"
PICTURES = (".png", ".jpg", ".jpeg", ".svg", ".gif", ".webp")
LINK = re.compile(
    r"(?<!`\]\()(?<=\]\()"  # after "](", but not in `[a]`(b)
    r"(?![a-z][a-z0-9+.-]*:|//|#)"  # neither to another site nor to a place on the same page
    r"[^()\s]+"
    r"(?=(?:\s+\"[^\"]*\")?\))",
    re.IGNORECASE,
)
"""The relative target of a link or image in Markdown."""

RESULTS_HERE = re.compile(r"<!--\s*results:.*?-->", re.DOTALL)
RESULT_HERE = re.compile(r"<!--\s*result: ([^;]+); ([^;]+); ([^\s;]+)(?:; (full))?\s*-->")
"""Asks for one number: chapter, method, metric; with "full", that of the committed full run."""

NOT_HERE = "*(not measured in this profile)*"

BADGES = (
    '<p class="badges">'
    '<a href="https://colab.research.google.com/github/{place}"><img class="dark-light" '
    'src="../assets/colab.svg" alt="Open in Colab" width="102" height="20"></a> '
    '<a href="https://kaggle.com/kernels/welcome?src=https://github.com/{place}">'
    '<img class="dark-light" src="../assets/kaggle.svg" alt="Open in Kaggle" width="108" '
    'height="20"></a></p>'
)


def repository(root: Path) -> str:
    """Read the repository's URL, to which links on the site lead, from the project's settings.

    Parameters
    ----------
    root : Path
        The folder of the checkout; its pyproject.toml is the one place that names the URL.

    Returns
    -------
    str
        The URL, without a slash at its end.
    """
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return project["urls"]["Repository"].rstrip("/")


def badges(repository: str, page: str) -> str:
    """Write the links at the top of a page of the site that open its notebook in Colab and Kaggle.

    Parameters
    ----------
    repository : str
        The URL of the repository on GitHub.
    page : str
        The page without its ending, for instance "book/02-style2vec".

    Returns
    -------
    str
        HTML.
    """
    name = repository.removeprefix("https://github.com/")
    return BADGES.format(place=f"{name}/blob/{BRANCH}/{page}.ipynb")


def relink(text: str, link: Callable[[str], str]) -> str:
    """Replace the target of each relative link or image in the Markdown of a page.

    Fenced code is left alone.

    Parameters
    ----------
    text : str
        The Markdown.
    link : callable
        Takes a target (str) and returns the new one.

    Returns
    -------
    str
        The Markdown with the new targets.
    """
    fenced, lines = False, []
    for line in text.split("\n"):
        if line.lstrip().startswith(("```", "~~~")):
            fenced = not fenced
        lines.append(line if fenced else LINK.sub(lambda found: link(found[0]), line))
    return "\n".join(lines)


def linker(root: Path, page: str, pages: list[str]) -> Callable[[str], str]:
    """Make the function that turns the target of a Markdown link on GitHub into one for the site.

    Parameters
    ----------
    root : Path
        The folder of the checkout.
    page : str
        The page that holds the links, for instance "book/02-style2vec".
    pages : list of str
        All pages of the site.

    Returns
    -------
    callable
        Raises `PublishError` for a target that does not exist.
    """

    def link(target: str) -> str:
        path, _, anchor = target.partition("#")
        place = Path(os.path.normpath((root / page).parent / unquote(path)))
        if not place.exists() or not place.is_relative_to(root):
            written = place.with_suffix(".md").exists()
            hint = f" Write {place.name}.md, which works on GitHub too." if written else ""
            raise PublishError(
                f"{page}.md: it links to {target}, but {place.name} is not there.{hint}"
            )
        inside = place.relative_to(root)
        if place.suffix.lower() in PICTURES and inside.parts[0] == "book":
            return target
        if str(inside.with_suffix("")) in pages:
            chapter = re.match(r"\d\d-", inside.name)  # these are staged as notebooks
            path = str(Path(path).with_suffix(".ipynb" if chapter else ".md"))
        else:
            path = f"{repository(root)}/blob/{BRANCH}/{inside}"
        return f"{path}#{anchor}" if anchor else path

    return link


def fill_results(text: str, chapters: Sequence["PublishedChapter"], book: Path) -> str:
    """Replace the comments in the Markdown of a page that ask for results by what was recorded.

    Parameters
    ----------
    text : str
        The Markdown of a page.
    chapters : sequence of PublishedChapter
        All chapters of the site.
    book : Path
        The folder `book`, which holds the results of full runs.

    Returns
    -------
    str
        The Markdown with tables and numbers.
    """
    tables = [
        results_table(f"[{chapter.title}]({chapter.name}.md)", chapter.results)
        for chapter in chapters
        if chapter.results
    ]
    everything = "\n\n".join(tables) or "*Nothing was recorded in this profile.*"
    by_name = {chapter.name: chapter for chapter in chapters}

    def number(found: re.Match) -> str:
        name, method, metric, full = found.groups()
        if full:
            return _number(load(name, "full", book / "results"), method, metric)
        chapter = by_name.get(name)
        shown = _number(chapter.results if chapter else None, method, metric)
        stopped = chapter and chapter.error and shown != NOT_HERE
        return f"{shown} *(the run of that chapter was not completed)*" if stopped else shown

    return RESULT_HERE.sub(number, RESULTS_HERE.sub(lambda _: everything, text))


def results_table(title: str, results: Results, level: int = 3) -> str:
    """Write the results of a chapter as Markdown tables for the site, one for each dataset.

    A table has a row per method and a column per metric. Results of single classes are left out.

    Parameters
    ----------
    title : str
        The heading.
    results : Results
        What a chapter recorded.
    level : int
        The level of the heading, at least 1.

    Returns
    -------
    str
        Markdown, empty if nothing is left to show.
    """
    rows = [row for row in results.results if row.class_ is None]
    if not rows:
        return ""
    by_data: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_data[f"{row.data}, {row.split}, n = {row.n:,}"].append(row)
    tables = [_table(about, found) for about, found in by_data.items()]
    how = "; ".join(dict.fromkeys(row.interval.how for row in rows))
    return "\n\n".join([f"{'#' * level} {title}", *tables, f"Intervals, 95%: {how}."])


def _table(about: str, rows: list[Row]) -> str:
    values: dict[str, dict[str, str]] = defaultdict(dict)
    for row in rows:
        values[row.metric][row.method] = row.shown(3).replace(", ", ",\N{NO-BREAK SPACE}")
    table = pd.DataFrame(values).fillna("")
    head = [_line(about, *table.columns), "|---" * (1 + len(table.columns)) + "|"]
    return "\n".join([*head, *(_line(*cells) for cells in table.itertuples())])


def _line(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _number(results: Results | None, method: str, metric: str) -> str:
    """A number with its interval, of the test data if there is one."""
    shown = comparisons.shown(results.results if results else (), method, metric)
    return NOT_HERE if shown == comparisons.NOT_MEASURED else f"**{shown}**"
