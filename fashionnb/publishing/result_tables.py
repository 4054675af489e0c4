"""Recorded results on the pages of the site: whole tables, and single numbers.

A page asks for them with comments: `<!-- results: here -->` for the tables of all chapters, and
`<!-- result: 02-style2vec; net; mrr -->` for one number.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fashionnb.notebook.results import load
from fashionnb.notebook.results_format import Results, Row

if TYPE_CHECKING:
    from fashionnb.publishing.chapter_page import PublishedChapter

RESULTS_HERE = re.compile(r"<!--\s*results:.*?-->", re.DOTALL)
RESULT_HERE = re.compile(r"<!--\s*result: ([^;]+); ([^;]+); ([^\s;]+)(?:; (full))?\s*-->")
"""Asks for one number: chapter, method, metric; with "full", that of the committed full run."""


def fill_results(text: str, chapters: Sequence["PublishedChapter"], book: Path) -> str:
    """Replace the comments that ask for results by what this run recorded.

    Parameters
    ----------
    text : str
        The Markdown of a page.
    chapters : sequence of PublishedChapter
        All chapters of the site.
    book : Path
        The folder `book`, which holds the results of full runs.
    """
    tables = [
        results_table(f"[{chapter.title}]({chapter.name}.md)", chapter.results)
        for chapter in chapters
        if chapter.results
    ]
    everything = "\n\n".join(tables) or "*Nothing was recorded in this profile.*"
    text = RESULTS_HERE.sub(lambda _: everything, text)
    by_name = {chapter.name: chapter for chapter in chapters}

    def number(found: re.Match) -> str:
        name, method, metric, full = found.groups()
        if full:
            return _number(load(name, "full", book / "results"), method, metric)
        chapter = by_name.get(name)
        shown = _number(chapter.results if chapter else None, method, metric)
        stopped = chapter and chapter.error and shown != NOT_MEASURED
        return f"{shown} *(the run of that chapter was not completed)*" if stopped else shown

    return RESULT_HERE.sub(number, text)


def results_table(title: str, results: Results, level: int = 3) -> str:
    """Write Markdown tables, one for each dataset: a row per method, a column per metric.

    Results of single classes are left out.

    Parameters
    ----------
    title : str
        The heading.
    results : Results
        What a chapter recorded.
    level : int
        The level of the heading.
    """
    rows = [row for row in results.results if row.class_ is None]
    if not rows:
        return ""
    by_data: dict[tuple, list[Row]] = {}
    for row in rows:
        by_data.setdefault((row.data, row.split, row.n), []).append(row)
    tables = [_table(*about, found) for about, found in by_data.items()]
    how = "; ".join(dict.fromkeys(row.interval.how for row in rows))
    return "\n\n".join([f"{'#' * level} {title}", *tables, f"Intervals, 95%: {how}."])


def _table(data: str, split: str, n: int, rows: list[Row]) -> str:
    metrics = list(dict.fromkeys(row.metric for row in rows))
    values: dict[str, dict[str, str]] = {}
    for row in rows:
        shown = row.shown(3).replace(", ", ",\N{NO-BREAK SPACE}")
        values.setdefault(row.method, {})[row.metric] = shown
    lines = [_line(f"{data}, {split}, n = {n:,}", *metrics), "|---" * (len(metrics) + 1) + "|"]
    for method, shown in values.items():
        lines.append(_line(method, *(shown.get(metric, "") for metric in metrics)))
    return "\n".join(lines)


def _line(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


NOT_MEASURED = "*(not measured in this profile)*"


def _number(results: Results | None, method: str, metric: str) -> str:
    """A number with its interval, of the test data if there is one."""
    rows = results.results if results else []
    found = [row for row in rows if (row.method, row.metric) == (method, metric)]
    overall = [row for row in found if row.class_ is None]
    best = min(overall, key=lambda row: row.split != "test", default=None)
    return f"**{best.shown(3)}**" if best else NOT_MEASURED
