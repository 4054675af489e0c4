"""One chapter: its run, when an earlier one is kept, its models. (More runs are in test_run_book.)"""

import json
import os

import nbformat
import pytest
import tiny

from fashionnb.files import sha256
from fashionnb.publishing import run_chapter
from fashionnb.publishing.run_chapter import KERNEL_DIED, _failure


@pytest.fixture
def job(tmp_path):
    book = tiny.book(tmp_path, c01_look=tiny.chapter("print(size)", parameters="size = 1"))
    job = run_chapter.Job(
        book.chapters()[0],
        book,
        "quick",
        {"size": 7},
        book.build,
        book.folder / "results",
        "",
        False,
        1,
    )
    job.notebook.parent.mkdir(parents=True)
    job.recorded.parent.mkdir(parents=True)
    job.recorded.write_text("{}")
    keep(job)
    return job


def keep(job, **change):
    metadata = {
        "key": "abc",
        "seconds": 1,
        "peak_memory_mb": 2,
        "results": sha256(job.recorded),
    } | change
    job.notebook.write_text(json.dumps({"metadata": {"fashionnb": metadata}}))


def test_a_good_run_with_the_same_key_is_kept(job):
    assert run_chapter.kept_run(job, "abc")["metadata"]["fashionnb"]["seconds"] == 1


@pytest.mark.parametrize(
    "spoil",
    [
        lambda job: keep(job, key="other"),
        lambda job: keep(job, error={"cell": 1}),
        lambda job: job.recorded.unlink(),
        lambda job: job.recorded.write_text("{} "),
        lambda job: job.notebook.unlink(),
        lambda job: job.notebook.write_text("half a noteb"),
        lambda job: job.notebook.write_text('{"metadata": {}}'),
        lambda job: job.notebook.write_text("[]"),
        lambda job: job.notebook.write_bytes(b"\xff\xfe"),
    ],
)
def test_anything_else_is_not(job, spoil):
    spoil(job)
    assert run_chapter.kept_run(job, "abc") is None


def test_a_run(job, tmp_path, monkeypatch):
    """It reports each cell, and leaves the notebook with what was measured."""
    monkeypatch.setenv("PYTHONPATH", str(job.book.package.parent), prepend=os.pathsep)
    monkeypatch.syspath_prepend(job.book.package.parent)
    cells = []
    outcome = run_chapter.run_chapter(job, True, set(), lambda *done: cells.append(done))
    notebook = nbformat.read(outcome.notebook, as_version=4)
    of = len(notebook.cells)
    assert list(dict.fromkeys(cells)) == [
        *(("01-look", n, of) for n in range(of)),
        ("01-look", 1, 1),
    ]
    run = notebook.metadata.fashionnb
    assert (run["key"], run["parameters"]) == (job.key, {"size": 7})
    assert not {"error", "results"} & set(run), "the results file is an older one"
    assert [cell.outputs[0].text for cell in notebook.cells if cell.get("outputs")] == ["7\n"]
    assert any("injected-parameters" in cell.metadata.get("tags", []) for cell in notebook.cells)
    assert str(tmp_path) not in json.dumps(notebook.metadata)
    assert (outcome.state, outcome.error, outcome.results) == ("run", "", None)


def test_models_survive_only_an_interruption_of_the_same_run(job):
    model = job.base / "models" / "01-look" / "quick" / "model.txt"

    def trained(key):
        under_way = run_chapter._prepare_models(job, key)
        found = model.exists()
        model.parent.mkdir(parents=True, exist_ok=True)
        model.touch()
        return found, under_way

    assert not trained("abc")[0]
    assert trained("abc")[0], "interrupted: the note that it is under way is still there"
    assert not trained("other")[0], "another run"
    assert not trained("")[0], "--force"
    assert not trained("")[0], "--force twice"
    _, under_way = trained("abc")
    under_way.unlink()
    assert not trained("abc")[0], "ended, not interrupted"


def test_environment(job, monkeypatch):
    monkeypatch.delenv("FASHIONNB_OFFLINE", raising=False)
    found = run_chapter._environment(job)
    assert found["FASHIONNB_BOOK"] == "1"
    assert found["OMP_NUM_THREADS"] == "1"
    assert found["OMP_WAIT_POLICY"] == os.environ.get("OMP_WAIT_POLICY", "PASSIVE")
    assert found["FASHIONNB_RESULTS"] == str(job.book.folder / "results")
    assert "FASHIONNB_OFFLINE" not in found


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
    found = _failure(notebook, {}, None)
    assert (found["cell"], found["line"]) == (3, 2)
    assert (found["name"], found["value"]) == ("ValueError", "v")
    assert found["traceback"][0] == "---"
    assert found["traceback"][-1] == "ValueError: v"
    assert not found["died"]
    del notebook.cells[-1]
    assert _failure(notebook, {}, None) is None
    died = _failure(notebook, {"cell": 3}, KERNEL_DIED)
    assert (died["cell"], died["died"], died["name"]) == (2, True, "DeadKernelError")


def test_a_failure_that_no_cell_of_code_holds_is_put_at_the_last_one():
    cells = [cell("1"), cell("2"), nbformat.v4.new_markdown_cell("The end.")]
    notebook = nbformat.v4.new_notebook(cells=cells)
    died = _failure(notebook, {"cell": 2}, KERNEL_DIED)
    assert (died["cell"], died["name"]) == (2, "DeadKernelError")
    found = _failure(notebook, {"cell": 0, "failed": ["OSError", "no such program"]}, None)
    assert (found["cell"], found["name"], found["value"]) == (2, "OSError", "no such program")
