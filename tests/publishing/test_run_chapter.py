"""One chapter: when an earlier run is kept, and its models. (Runs are in test_run_book.)"""

import json
import os

import pytest
import tiny

from fashionnb.files import sha256
from fashionnb.publishing import run_chapter


@pytest.fixture
def job(tmp_path):
    book = tiny.book(tmp_path, c01_look=tiny.chapter("1"))
    job = run_chapter.Job(
        book.chapters()[0], book, "quick", {}, book.build, book.folder / "results", "", False, 1
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
    assert run_chapter.kept_run(job, "abc")["seconds"] == 1


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


def test_models_survive_only_an_interruption_of_the_same_run(job):
    model = job.models / "01-look" / "quick" / "model.txt"

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
