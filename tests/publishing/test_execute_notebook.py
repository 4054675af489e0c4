"""One notebook executed in this process: the progress, the report, the notebook that is left."""

import json

import nbformat
import pytest
import tiny

from fashionnb.publishing.chapters import Chapter
from fashionnb.publishing.execute_notebook import KERNEL_DIED, _failure, execute, finish


@pytest.fixture
def job(tmp_path):
    (tmp_path / "scratch").mkdir()
    path = tmp_path / "01-look.md"
    path.write_text(tiny.chapter("print(size)", parameters="size = 1"))
    return {
        "notebook": nbformat.writes(Chapter(path).notebook),
        "target": str(tmp_path / "out" / "01-look.ipynb"),
        "folder": str(tmp_path),
        "parameters": {"size": 7},
        "results": str(tmp_path / "results.json"),
        "scratch": str(tmp_path / "scratch"),
        "metadata": {"key": "abc", "profile": "quick", "parameters": {"size": 7}},
    }


def test_execute(job, tmp_path):
    (tmp_path / "results.json").write_text("{}")  # an older one, which this run does not write
    cells = []
    metadata = execute(job, lambda done, of: cells.append((done, of)))
    notebook = nbformat.read(job["target"], as_version=4)
    assert cells == [(index, len(notebook.cells)) for index in range(len(notebook.cells))]
    assert notebook.metadata.fashionnb == metadata
    assert metadata["key"] == "abc"
    assert not {"error", "results"} & set(metadata)
    assert [cell.outputs[0].text for cell in notebook.cells if cell.get("outputs")] == ["7\n"]
    assert any("injected-parameters" in cell.metadata.get("tags", []) for cell in notebook.cells)
    assert str(tmp_path) not in json.dumps(notebook.metadata)


CLAIMS = """
from fashionnb.notebook.claims import claim
claim("It is so.", 1, at_least=0)
claim("It is **more**.", 0.5, at_least=0.75)
"""


def test_claims_are_counted_and_those_that_do_not_hold_are_kept(job, tmp_path):
    path = tmp_path / "01-look.md"
    path.write_text(tiny.chapter(CLAIMS))
    metadata = execute(
        {**job, "notebook": nbformat.writes(Chapter(path).notebook)}, lambda done, of: None
    )
    assert metadata["claims"] == {
        "made": 2,
        "not_held": [
            {"sentence": "It is **more**.", "measured": 0.5, "at_least": 0.75, "at_most": None}
        ],
    }


def test_what_is_left_of_a_chapter_whose_process_was_killed(job, tmp_path):
    """papermill saves after each cell: what was computed by then is kept."""
    path = tmp_path / "01-look.md"
    path.write_text(tiny.chapter("print('first')", "print('second')"))
    job["notebook"] = nbformat.writes(Chapter(path).notebook)
    half = nbformat.reads(job["notebook"], as_version=4)
    half.cells[1].outputs = [nbformat.v4.new_output("stream", text="first\n")]
    nbformat.write(half, tmp_path / "scratch" / "executed.ipynb")
    measured = {"seconds": 2.0, "peak_memory_mb": 0.0}
    metadata = finish(job, measured, 3, ("RunError", "it was killed"))
    assert (
        metadata["error"]
        | {"cell": 2, "value": "it was killed", "source": "print('second')", "died": True}
        == (metadata["error"])
    )
    left = nbformat.read(job["target"], as_version=4)
    assert left.cells[1].outputs[0].text == "first\n"
    (tmp_path / "scratch" / "executed.ipynb").unlink()
    assert finish(job, measured, 0, ("RunError", "it was killed"))["error"]["cell"] == 1
    assert nbformat.read(job["target"], as_version=4).cells[1].outputs == []


def cell(source, *outputs, tags=()):
    made = nbformat.v4.new_code_cell(source, outputs=list(outputs))
    made.metadata["tags"] = list(tags)
    return made


def wrong(name, value, *trace):
    return nbformat.v4.new_output("error", ename=name, evalue=value, traceback=list(trace))


def test_failures_are_found_among_the_chapters_own_cells():
    trace = [
        "\x1b[31m---\x1b[0m",
        "Cell In[4], line 2\n      1 a\n----> 2 b",
        "File x.py:3, in f()",
        "ValueError: v",
    ]
    notebook = nbformat.v4.new_notebook(
        cells=[
            nbformat.v4.new_markdown_cell("# Title"),
            cell("size = 1", tags=["parameters"]),
            cell("size = 7", tags=["injected-parameters"]),
            cell("1 / 0", wrong("ZeroDivisionError", "on purpose"), tags=["raises-exception"]),
            cell("a\nb", wrong("ValueError", "\x1b[1mv", *trace)),
        ]
    )
    found = _failure(notebook, None, KERNEL_DIED)
    assert (found["cell"], found["line"], found["name"], found["value"]) == (
        3,
        2,
        "ValueError",
        "v",
    )
    assert found["traceback"][0] == "---"
    assert found["traceback"][-1] == "ValueError: v"
    assert not found["died"]
    del notebook.cells[-1]
    assert _failure(notebook, None, KERNEL_DIED) is None
    died = _failure(notebook, 3, KERNEL_DIED)
    assert (died["cell"], died["died"], died["name"]) == (2, True, "DeadKernelError")
