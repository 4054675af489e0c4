"""Every notebook runs as a reader without any data has it, top to bottom, in the quick profile, on drawn garments.

On real data the same chapters are run by `fashionnb run` for the pages of `test_book`.
"""

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import nbformat
import pytest

from fashionnb.publishing import chapters
from fashionnb.publishing.chapters import Book

BOOK = Path(__file__).resolve().parents[1] / "book"
NOTEBOOKS = sorted(BOOK.glob("[0-9][0-9]-*.ipynb"))


def test_no_pair_is_stale():
    assert chapters.stale(Book.find(BOOK)) == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_hidden_cells_and_no_others_are_folded_wherever_the_notebook_is_opened(path):
    """In Colab, Kaggle, JupyterLab and VS Code. Each says what it holds."""
    found = {True: 0, False: 0}
    for cell in nbformat.read(path, as_version=4).cells:
        hidden = any(tag.startswith("hide-") for tag in cell.metadata.get("tags", []))
        found[hidden] += 1
        folds = (
            cell.metadata.get("cellView") == "form",
            re.match(r"#@title \S.*\n", cell.source) is not None,
            cell.metadata.get("_kg_hide-input") is True,
            cell.metadata.get("jupyter", {}).get("source_hidden") is True,
        )
        assert folds == (hidden,) * 4, cell.source
    assert min(found.values()) > 0


@pytest.fixture(scope="session")
def failures(tmp_path_factory) -> dict[str, str]:
    """Notebook -> the cells that failed and why. All run in one process of nbval, each in a kernel of its own."""
    there = tmp_path_factory.mktemp("outputs")
    own = {
        "FASHIONNB_PROFILE": "quick",
        "FASHIONNB_RESULTS": str(
            there / "results"
        ),  # a later chapter may read those of an earlier one
        "FASHIONNB_MODELS": str(there / "models"),
        "FASHIONNB_OFFLINE": "1",
        "FASHIONNB_CACHE": str(
            there / "cache"
        ),  # no data here: what is drawn and embedded once is shared by all
    }
    words = [
        "--nbval-lax",
        "--nbval-current-env",
        "--nbval-cell-timeout",
        "600",
        "-p",
        "no:cacheprovider",
    ]
    report = there / "report.xml"
    # A pytest of its own, since the notebooks' environment must not reach the other tests.
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words, f"--junitxml={report}", *map(str, NOTEBOOKS)],
        env={name: value for name, value in os.environ.items() if name != "FASHIONNB_DATA"} | own,
        cwd=BOOK.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert report.exists(), done.stdout[-6000:]
    found = {path.stem: "" for path in NOTEBOOKS}
    ran = set()
    for case in ET.parse(report).iter("testcase"):
        name = next(stem for stem in found if stem in case.get("classname"))
        ran.add(name)
        for wrong in (*case.iter("failure"), *case.iter("error")):
            found[name] += f"{case.get('name')}: {wrong.text}\n"
    return {name: why or ("" if name in ran else "it was not run") for name, why in found.items()}


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(notebook, failures):
    assert failures[notebook.stem] == "", failures[notebook.stem][-6000:]
