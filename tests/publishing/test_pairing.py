"""Pairs: one way from Markdown to notebook, nothing written twice, every kind of stale pair found."""

import json
import os

import nbformat
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_chapter import CHAPTER, HEADER

from fashionnb.publishing import chapters


@pytest.fixture
def book(tmp_path):
    (tmp_path / "01-one.md").write_text(CHAPTER)
    (tmp_path / "index.md").write_text("# No chapter\n")
    chapters.sync(tmp_path)
    return tmp_path


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_sync_makes_the_notebook_once(book):
    notebook = nbformat.read(book / "01-one.ipynb", as_version=4)
    nbformat.validate(notebook)
    assert [cell.cell_type for cell in notebook.cells] == ["markdown", "code", "code", "code"]
    assert notebook.cells[1].metadata.tags == ["parameters"]
    assert len({cell.id for cell in notebook.cells}) == 4, (
        "two cells that say the same still have ids of their own"
    )
    assert not (book / "index.ipynb").exists()
    assert chapters.stale(book) == []
    assert chapters.sync(book) == []


def test_the_markdown_wins_whatever_the_clock_says(book):
    edit(book / "01-one.md", "seed = 0", "seed = 1")
    os.utime(
        book / "01-one.md", (1, 1)
    )  # as after a checkout: the source is older than what was made from it
    [finding] = chapters.stale(book)
    assert "01-one.ipynb does not say what 01-one.md says" in finding
    assert "make sync" in finding
    assert chapters.sync(book) == [book / "01-one.ipynb"]
    assert "seed = 1" in (book / "01-one.md").read_text()
    assert "seed = 1" in (book / "01-one.ipynb").read_text()
    assert chapters.stale(book) == []


def test_an_edited_cell_changes_no_other(book):
    before = json.loads((book / "01-one.ipynb").read_text())["cells"]
    edit(book / "01-one.md", "seed = 0", "seed = 1")
    chapters.sync(book)
    after = json.loads((book / "01-one.ipynb").read_text())["cells"]
    assert [old == new for old, new in zip(before, after, strict=True)] == [True, False, True, True]


@pytest.mark.parametrize("old", ["# A title", "seed = 0", "parameters"])
def test_an_edited_notebook_is_stale(book, old):
    edit(book / "01-one.ipynb", old, "other")
    assert "does not say" in chapters.stale(book)[0]


def test_outputs_are_stale(book):
    notebook = nbformat.read(book / "01-one.ipynb", as_version=4)
    notebook.cells[2].outputs = [nbformat.v4.new_output("stream", text="0\n")]
    nbformat.write(notebook, book / "01-one.ipynb")
    assert "holds outputs" in chapters.stale(book)[0]
    chapters.sync(book)
    assert chapters.stale(book) == []


def test_missing_and_orphaned_notebooks_are_named(book):
    (book / "01-one.ipynb").rename(book / "02-two.ipynb")
    missing, orphan = chapters.stale(book)
    assert "01-one.ipynb is missing" in missing
    assert "there is no 02-two.md" in orphan


def test_bad_input(tmp_path):
    with pytest.raises(chapters.PairError, match="there is no such folder"):
        chapters.stale(tmp_path / "nowhere")
    (tmp_path / "01-one.md").write_text("# Only text\n")
    with pytest.raises(chapters.PairError, match="names no kernel"):
        chapters.sync(tmp_path)
    (tmp_path / "01-one.md").write_text(CHAPTER)
    (tmp_path / "01-one.ipynb").write_text("{")
    with pytest.raises(chapters.PairError, match="cannot be read as a notebook"):
        chapters.stale(tmp_path)


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
    (tmp_path / "01-one.md").write_text(f"{HEADER}\n# Title\n{body}", encoding="utf-8")
    chapters.sync(tmp_path)
    assert chapters.stale(tmp_path) == []
    assert chapters.sync(tmp_path) == []
