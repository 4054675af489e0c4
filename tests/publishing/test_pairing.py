"""Notebooks made from chapters: nothing is written twice, every kind of stale notebook is found."""

import json
import os

import jupytext
import nbformat
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_chapter import CHAPTER, HEADER

from fashionnb.errors import RunError
from fashionnb.publishing import chapters
from fashionnb.publishing.chapters import Book


@pytest.fixture
def folder(tmp_path):
    """The folder `book` of a checkout with one chapter and its notebook."""
    folder = tmp_path / "book"
    folder.mkdir()
    (folder / "01-one.md").write_text(CHAPTER)
    (folder / "index.md").write_text("# No chapter\n")
    sync(folder)
    return folder


def sync(folder):
    return chapters.sync(Book(folder.parent, folder.parent / "package"))


def stale(folder):
    return chapters.stale(Book(folder.parent, folder.parent / "package"))


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_sync_makes_the_notebook_once(folder):
    notebook = nbformat.read(folder / "01-one.ipynb", as_version=4)
    nbformat.validate(notebook)
    assert [cell.cell_type for cell in notebook.cells] == ["markdown", "code", "code", "code"]
    assert notebook.cells[1].metadata.tags == ["parameters"]
    assert len({cell.id for cell in notebook.cells}) == 4, (
        "two cells that say the same still have ids of their own"
    )
    assert not (folder / "index.ipynb").exists()
    assert stale(folder) == []
    assert sync(folder) == []


def test_the_markdown_wins_whatever_the_clock_says(folder):
    edit(folder / "01-one.md", "seed = 0", "seed = 1")
    os.utime(
        folder / "01-one.md", (1, 1)
    )  # as after a checkout: the source is older than what was made from it
    [finding] = stale(folder)
    assert "01-one.ipynb is not what 01-one.md says" in finding
    assert "make sync" in finding
    assert sync(folder) == [folder / "01-one.ipynb"]
    assert "seed = 1" in (folder / "01-one.md").read_text()
    assert "seed = 1" in (folder / "01-one.ipynb").read_text()
    assert stale(folder) == []


def test_an_edited_cell_changes_no_other(folder):
    before = json.loads((folder / "01-one.ipynb").read_text())["cells"]
    edit(folder / "01-one.md", "seed = 0", "seed = 1")
    sync(folder)
    after = json.loads((folder / "01-one.ipynb").read_text())["cells"]
    assert [old == new for old, new in zip(before, after, strict=True)] == [True, False, True, True]


@pytest.mark.parametrize("old", ["# A title", "seed = 0", "parameters", "{"])
def test_an_edited_notebook_is_stale(folder, old):
    edit(folder / "01-one.ipynb", old, "other")
    assert "is not what 01-one.md says" in stale(folder)[0]


def test_outputs_are_stale(folder):
    notebook = nbformat.read(folder / "01-one.ipynb", as_version=4)
    notebook.cells[2].outputs = [nbformat.v4.new_output("stream", text="0\n")]
    nbformat.write(notebook, folder / "01-one.ipynb")
    assert "is not what 01-one.md says" in stale(folder)[0]
    sync(folder)
    assert stale(folder) == []


def test_missing_and_orphaned_notebooks_are_named(folder):
    (folder / "01-one.ipynb").rename(folder / "02-two.ipynb")
    missing, orphan = stale(folder)
    assert "01-one.ipynb is not what 01-one.md says" in missing
    assert "there is no 02-two.md" in orphan


FOLDED = """
```{code-cell} ipython3
:tags: [hide-input]
:mystnb: {code_prompt_show: Set-up}

import math
```

```{code-cell} ipython3
:tags: [hide-cell]

# Solution 1
1 + 1
```

```{code-cell} ipython3
:mystnb: {code_prompt_show: Not folded}

2 + 2
```
"""


@pytest.fixture
def with_folds(folder):
    with (folder / "01-one.md").open("a") as file:
        file.write(FOLDED)
    sync(folder)
    return folder


def test_hidden_cells_are_folded_in_the_notebook_and_say_what_they_hold(with_folds):
    notebook = nbformat.read(with_folds / "01-one.ipynb", as_version=4)
    nbformat.validate(notebook)
    setup, solution, visible = notebook.cells[-3:]
    assert setup.source == "#@title Set-up\nimport math"
    assert solution.source == "#@title Solution\n# Solution 1\n1 + 1"
    assert setup.metadata["cellView"] == solution.metadata["cellView"] == "form"
    assert setup.metadata["jupyter"] == {"source_hidden": True}
    assert setup.metadata["_kg_hide-input"]
    assert "_kg_hide-output" not in setup.metadata
    assert solution.metadata["jupyter"] == {"source_hidden": True, "outputs_hidden": True}
    assert solution.metadata["_kg_hide-output"]
    assert visible.source == "2 + 2"
    assert set(visible.metadata) == {"mystnb"}


def test_what_is_run_and_published_has_no_title_lines(with_folds):
    [chapter] = Book(with_folds.parent, with_folds.parent / "package").chapters()
    assert chapter.code[-3:] == ("import math", "# Solution 1\n1 + 1", "2 + 2")


def test_a_new_title_changes_the_id_of_no_cell(with_folds):
    ids = [cell.id for cell in nbformat.read(with_folds / "01-one.ipynb", as_version=4).cells]
    edit(with_folds / "01-one.md", "Set-up", "Imports")
    sync(with_folds)
    after = nbformat.read(with_folds / "01-one.ipynb", as_version=4).cells
    assert after[-3].source.startswith("#@title Imports\n")
    assert [cell.id for cell in after] == ids


@pytest.mark.parametrize("kept", ["tags,mystnb,-all", "all"])
def test_a_notebook_that_jupytext_writes_back_makes_the_same_notebook(with_folds, kept):
    """`tags,mystnb,-all` is what pyproject.toml tells JupyterLab; elsewhere jupytext keeps more."""
    notebook = nbformat.read(with_folds / "01-one.ipynb", as_version=4)
    notebook.metadata["jupytext"]["cell_metadata_filter"] = kept
    text = jupytext.writes(notebook, fmt="md:myst")
    del notebook.metadata["jupytext"]["cell_metadata_filter"]
    assert "#@title Set-up" in text
    (with_folds / "01-one.md").write_text(text.replace(f"  cell_metadata_filter: {kept}\n", ""))
    [chapter] = Book(with_folds.parent, with_folds.parent / "package").chapters()
    again = chapters._folded(chapter.notebook)
    assert again.cells == notebook.cells


def test_bad_input(folder):
    (folder / "01-one.md").write_text("# Only text\n")
    with pytest.raises(RunError, match="its header needs a kernelspec"):
        sync(folder)


lines = st.text(
    st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=20
)


@settings(
    max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(st.lists(st.tuples(st.sampled_from(["text", "code"]), lines), max_size=6))
def test_any_chapter_is_in_step_after_one_sync(tmp_path, cells):
    body = "".join(
        f"\n```{{code-cell}} ipython3\na {text}\n```\n" if kind == "code" else f"\nA {text}\n"
        for kind, text in cells
    )
    folder = tmp_path / "book"
    folder.mkdir(exist_ok=True)
    (folder / "01-one.md").write_text(f"{HEADER}\n# Title\n{body}", encoding="utf-8")
    sync(folder)
    assert stale(folder) == []
    assert sync(folder) == []
