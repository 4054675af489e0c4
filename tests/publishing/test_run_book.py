"""Chapters of tiny books, really executed: what is run, what is kept, what a failure says."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import nbformat
import pytest
import tiny
from platforms import unix_only

from fashionnb.errors import DataNotFound, ProfileError, RunError, WriteError
from fashionnb.publishing import run_book

LOOK = tiny.chapter(
    """
    import os
    from fashionnb import profiles
    from fashionnb.notebook import results
    from tinypackage.helper import VALUE
    """,
    """
    record = results.start("01-look", profiles.choose())
    record.add("a", "mrr", VALUE / 10 * scale, (0, 1, "by hand"), data="none", split="test", n=1)
    record.save()
    """,
    """
    folder = results.models_folder("01-look", "quick")
    found = sorted(path.name for path in folder.glob("*"))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.txt").write_text("a model")
    given = [os.environ.get(f"FASHIONNB_{name}") for name in ("PROFILE", "DEVICE", "BOOK", "OFFLINE")]
    print(found, os.getcwd(), scale, *given)
    """,
    parameters="scale = 1.0\ndata_folder = None",
)


@pytest.fixture
def make(tmp_path, monkeypatch):
    """Makes a tiny book and stands in it, with nothing of the real world around."""
    for name in ("DATA", "RESULTS", "MODELS", "PROFILE", "PARAMETERS"):
        monkeypatch.delenv(f"FASHIONNB_{name}", raising=False)
    monkeypatch.setenv("FASHIONNB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("FASHIONNB_OFFLINE", "1")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv(
        "FASHIONNB_PRECISION", "no"
    )  # said, it need not be found out, which takes all of torch

    def make(**chapters):
        book = tiny.book(tmp_path / "clone", **chapters)
        monkeypatch.setenv("PYTHONPATH", str(book.package.parent), prepend=os.pathsep)
        monkeypatch.syspath_prepend(book.package.parent)
        monkeypatch.chdir(book.root)
        return book

    return make


def run(book, *wanted, **options):
    return run_book.run(wanted, "quick", book=book, **options)


def printed(outcome) -> str:
    notebook = nbformat.read(outcome.notebook, as_version=4)
    return "".join(
        output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", [])
    )


def value(book, folder="book/results") -> float:
    path = book.root / folder / "quick" / "01-look.json"
    return json.loads(path.read_text())["results"][0]["value"]


def test_a_chapter_is_run_when_something_it_depends_on_changed_and_only_then(make):
    book = make(c01_look=LOOK)
    [first] = run(book)
    assert (first.unchanged, first.error, first.apart) == (False, "", "")
    assert first.notebook == book.build / "run" / "quick" / "01-look.ipynb"
    assert first.results == book.folder / "results" / "quick" / "01-look.json"
    assert value(book) == 0.1
    assert printed(first).split() == ["[]", str(book.folder), "1.0", "quick", "cpu", "1", "1"]
    metadata = nbformat.read(first.notebook, as_version=4).metadata
    assert {"key", "profile", "parameters", "seconds", "peak_memory_mb", "date", "hardware"} < set(
        metadata.fashionnb
    )
    assert (metadata.fashionnb.device, metadata.fashionnb.precision) == ("cpu", "no")
    assert 20 < first.peak_memory_mb < 2000
    assert 0 < first.seconds < 600
    assert str(book.root.parent) not in json.dumps(metadata), (
        "paths of this machine have no place on a page"
    )

    (book.package / "other.py").write_text("VALUE = 9\n")
    [kept] = run(book)
    assert kept.unchanged
    assert (kept.seconds, kept.peak_memory_mb, kept.results) == (
        first.seconds,
        first.peak_memory_mb,
        first.results,
    )

    (book.package / "helper.py").write_text("VALUE = 2\n")
    [again] = run(book)
    assert not again.unchanged
    assert value(book) == 0.2
    assert printed(again).startswith("[]"), "training must not meet the model of the former run"

    assert not run(book, force=True)[0].unchanged


def test_own_parameters_are_kept_apart(make):
    book = make(c01_look=LOOK)
    [outcome] = run(book, "1", parameters={"scale": "5"})
    own = book.build / "own" / "scale=5"
    assert outcome.notebook == own / "run" / "quick" / "01-look.ipynb"
    assert outcome.results == own / "results" / "quick" / "01-look.json"
    assert outcome.apart == "own parameters"
    assert value(book, "_build/own/scale=5/results") == 0.5
    assert not (book.folder / "results").exists()
    assert (own / "models" / "01-look" / "quick" / "model.txt").exists()
    assert json.loads(outcome.results.read_text())["run"]["parameters"] == {"scale": 5.0}
    assert run(book, parameters={"scale": "5"})[0].unchanged

    [elsewhere] = run(book, out=book.root / "there")
    assert elsewhere.notebook == book.root / "there" / "run" / "quick" / "01-look.ipynb"
    assert value(book, "there/results") == 0.1
    assert elsewhere.apart == "--out was given"


def test_drawn_garments_are_kept_apart(make):
    book = make(c01_look=LOOK.replace("import os\n", "import os\nsource = 'fashion-mnist'\n"))
    [outcome] = run(book)
    assert outcome.apart == "drawn garments stand in for fashion-mnist"
    assert outcome.results == book.build / "results" / "quick" / "01-look.json"
    assert not (book.folder / "results").exists()


def test_data_folder_is_where_data_is_looked_for(make):
    book = make(c01_look=LOOK.replace("import os\n", "import os\nsource = 'fashion-mnist'\n"))
    with pytest.raises(DataNotFound, match="nowhere"):
        run(book, parameters={"data_folder": "nowhere"})
    assert "FASHIONNB_DATA" not in os.environ


def test_a_failure_names_the_place_and_stops_nothing_else(make):
    text = tiny.chapter(
        "x = 1", "def f():\n    raise ValueError('too small\\nby far')", "y = x\n\nf()"
    )
    book = make(c01_look=text, c02_good=tiny.chapter("print('fine')"))
    bad, good = run(book)
    assert good.error == ""
    assert "fine" in printed(good)
    line = text[: text.index("f()\n```")].count("\n") + 1
    assert bad.error.startswith(
        f"01-look failed in code cell 3 (book/01-look.md, line {line}): f()\n"
    )
    assert "ValueError: too small\n    by far" in bad.error
    assert "\x1b" not in bad.error
    assert bad.error.endswith(f"The executed notebook is {bad.notebook.relative_to(book.root)}.")
    assert bad.notebook.exists()
    assert (bad.unchanged, bad.results) == (False, None)
    assert [outcome.unchanged for outcome in run(book)] == [False, True], (
        "a failure is not kept as if it were good"
    )


def test_an_error_that_says_it_all_is_one_sentence(make):
    raising = (
        "from fashionnb.errors import DataError\ndef f():\n    raise DataError('my/folder: no.')"
    )
    book = make(c01_look=tiny.chapter(raising, "f()"))
    [bad] = run(book)
    place, sentence, where = bad.error.splitlines()
    assert place.startswith("01-look failed in code cell 2 (book/01-look.md, line ")
    assert sentence == "    DataError: my/folder: no."
    assert where.startswith("The executed notebook is ")


def test_data_are_named_from_where_the_reader_stands(make, monkeypatch):
    look = tiny.chapter("print(garments)", parameters="garments = 'fashion-mnist'")
    book = make(c01_look=look)
    (book.root / "mine").mkdir()
    [outcome] = run(book, parameters={"garments": "mine"})
    assert printed(outcome) == f"{book.root / 'mine'}\n"
    assert outcome.apart == "own parameters"
    assert run(book, parameters={"garments": "mine"})[0].unchanged
    (book.root / "mine" / "new.jpg").write_bytes(b"a photo")
    assert not run(book, parameters={"garments": "mine"})[0].unchanged
    with pytest.raises(DataNotFound, match="nowhere: there is no such file or folder"):
        run(book, parameters={"garments": "nowhere"})


def test_an_error_shown_on_purpose_is_none(make):
    book = make(c01_look=tiny.chapter(":tags: [raises-exception]\n\n1 / 0", "print('after')"))
    [outcome] = run(book)
    assert outcome.error == ""
    assert "after" in printed(outcome)
    assert "papermill-error-cell-tag" not in outcome.notebook.read_text()
    assert run(book)[0].unchanged


@unix_only
def test_a_kernel_that_dies_is_explained_and_its_training_can_go_on(make):
    die = "import signal\nif not found:\n    os.kill(os.getpid(), signal.SIGKILL)"
    book = make(c01_look=LOOK + tiny.chapter(die).removeprefix(tiny.HEADER))
    [outcome] = run(book)
    assert "01-look failed in code cell 5" in outcome.error
    assert "the kernel died; most often the memory was not enough" in outcome.error
    [again] = run(book)
    assert again.error == ""
    assert printed(again).startswith("['model.txt']"), "the interrupted run finds what it had saved"


def test_a_notebook_that_cannot_be_written(make):
    book = make(c01_look=tiny.chapter("1"))
    (book.build / "run").mkdir(parents=True)
    (book.build / "run" / "quick").write_text("in the way")
    with pytest.raises(WriteError, match=r"quick: cannot be written"):
        run(book)
    (book.build / "run" / "quick").unlink()
    (book.build / "run" / "quick" / "01-look.ipynb").mkdir(parents=True)
    [outcome] = run(book)
    assert "WriteError" in outcome.error
    assert "is a folder" in outcome.error


@unix_only
def test_a_chapter_whose_process_is_killed_leaves_what_it_had_computed(make):
    """Here by the chapter itself; elsewhere by the system, for want of memory."""
    kill = "import os, signal\nprint('started')", "os.kill(os.getppid(), signal.SIGKILL)"
    book = make(
        c01_look=tiny.chapter("print('before')", *kill), c02_good=tiny.chapter("print('fine')")
    )
    bad, good = run(book)
    assert good.error == ""
    assert "01-look failed in code cell 3" in bad.error
    assert "ended with status -9 and no report; most often the memory was not enough" in bad.error
    assert printed(bad) == "before\nstarted\n"


def test_a_chapter_that_takes_too_long_is_ended(make):
    book = make(c01_look=tiny.chapter("print('before')", "import time\ntime.sleep(600)"))
    [outcome] = run(book, minutes=0.25)
    assert "01-look failed in code cell 2" in outcome.error
    assert (
        "TimeoutError: the chapter took longer than 0.25 minutes (`--minutes` sets the limit)"
        in outcome.error
    )
    assert printed(outcome) == "before\n"


def test_what_it_says_before_it_begins_and_as_it_goes(make):
    book = make(c01_look=LOOK, c02_good=tiny.chapter("print('fine')"))
    said = []
    run(book, say=said.append)
    assert "  01-look: nothing published in this profile\n" in said[0]
    assert said[1].startswith("01-look: run, ")
    assert said[1].endswith("; 1 to go.")
    assert said[2].endswith("that was the last one.")

    path = book.folder / "results" / "quick" / "01-look.json"
    published = json.loads(path.read_text())
    published["run"] |= {"seconds": 600.0, "hardware": "A fast one, 2 cores"}
    path.write_text(json.dumps(published))
    said.clear()
    run(book, say=said.append)
    assert said[0].splitlines()[1:] == [
        "  01-look: 25 min (10 min on A fast one, 2 cores)",
        "  02-good: unchanged, kept",
        "Expect about 25 min; a fast processor takes less than half of that.",
    ]

    published["run"] |= {"device": "cuda"}
    path.write_text(json.dumps(published))
    todo = run_book.plan(book, ("1",), "quick", {})
    assert "  01-look: 10 min (10 min on" in run_book.TimeEstimate(todo, 1, True).before(), (
        "of a GPU nothing is known about a CPU"
    )


def test_the_time_left_is_estimated_at_the_speed_of_this_machine(make):
    book = make(c01_a=LOOK, c02_b=LOOK, c03_c=LOOK)
    todo = run_book.plan(book, (), "quick", {})
    estimate = run_book.TimeEstimate(todo, 1, True)
    estimate.left = {"01-a": 100.0, "02-b": 200.0, "03-c": 300.0}
    done = run_book.Outcome("01-a", book.root, False, 250.0, 1.0, "", None, "")
    assert estimate.after(done) == "01-a: run, 250 s; 2 to go, about 21 min left."
    broken = replace(done, chapter="02-b", seconds=3.0, error="broke")
    assert estimate.after(broken) == "02-b: failed, 3 s; 1 to go, about 12 min left.", (
        "a failure says nothing of the speed"
    )
    assert (
        estimate.after(replace(done, chapter="03-c")) == "03-c: run, 250 s; that was the last one."
    )


def test_claims_that_do_not_hold_are_listed(make):
    claims = """
    from fashionnb.notebook.claims import claim
    claim("It is [so](02-x.md).", 1, at_least=0)
    claim("It is **more** than half.", 0.4, at_least=0.5)
    """
    book = make(c01_look=tiny.chapter(claims))
    for unchanged in (False, True):
        [outcome] = run(book)
        assert (outcome.unchanged, outcome.error) == (unchanged, "")
        assert run_book.not_held({"01-look": outcome.claims}) == [
            "1 claim of the book did not hold in this run:",
            "  01-look: measured 0.4, expected at least 0.5: It is more than half.",
        ]
    assert run_book.not_held({"01-look": ()}) == []


def test_a_chapter_waits_for_the_one_it_reads(make):
    reads = """
    from fashionnb.notebook import results
    print(results.load("01-look", "quick").results[0].value)
    """
    book = make(
        c01_look=LOOK.replace("import os", "import os, time; time.sleep(1)"),
        c02_reads=tiny.chapter(reads),
    )
    outcomes = run(book, jobs=2)
    assert [outcome.error for outcome in outcomes] == ["", ""]
    assert printed(outcomes[1]) == "0.1\n"


@unix_only
def test_ctrl_c_leaves_nothing_running(make):
    book = make(
        c01_look=tiny.chapter(
            "import os, time\nopen('../pid', 'w').write(str(os.getpid()))", "time.sleep(600)"
        )
    )
    command = [sys.executable, "-m", "fashionnb", "run", "1", "--profile", "quick"]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=book.folder,
        preexec_fn=partial(
            signal.signal, signal.SIGINT, signal.SIG_DFL
        ),  # a shell's background jobs ignore it
    )
    note = book.root / "pid"
    deadline = time.monotonic() + 120
    while not (note.exists() and note.read_text()) and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said.startswith("Interrupted.")
    assert "Traceback" not in said
    while Path(f"/proc/{note.read_text()}").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not Path(f"/proc/{note.read_text()}").exists(), "the kernel is still there"


@pytest.mark.parametrize(
    ("options", "error", "phrase"),
    [
        ({"profile": "huge"}, ProfileError, "no profile 'huge'. Use one of: quick, standard, full"),
        ({"device": "tpu"}, ProfileError, "no device 'tpu'. Use one of: auto, cpu, cuda, mps"),
        ({"device": "cuda:99"}, ProfileError, "'cuda:99' was asked for, but torch finds none here"),
        ({"jobs": 0}, RunError, "--jobs must be 1 or more, got 0"),
        ({"minutes": -1}, RunError, "--minutes must be 0 (no limit) or more, got -1"),
        ({"minutes": float("nan")}, RunError, "--minutes must be 0 (no limit) or more, got nan"),
        ({"wanted": ["7"]}, RunError, "There is no chapter '7'"),
        (
            {"parameters": {"epochs": "3"}},
            RunError,
            "01-look has no parameter 'epochs'. It has: scale (1.0)",
        ),
    ],
)
def test_what_is_refused_is_refused_before_anything_runs(make, options, error, phrase):
    book = make(c01_look=LOOK)
    with pytest.raises(error) as raised:
        run_book.run(**{"profile": "quick", "book": book} | options)
    assert phrase in str(raised.value)
    assert not book.build.exists()


@pytest.mark.parametrize(
    ("seconds", "text"), [(4.4, "4 s"), (99, "99 s"), (126, "2.1 min"), (5400, "1.5 h")]
)
def test_duration(seconds, text):
    assert run_book.duration(seconds) == text


def test_report():
    import io

    from rich.console import Console

    notebook, recorded = Path.cwd() / "a.ipynb", Path.cwd() / "_build" / "a.json"
    outcomes = [
        run_book.Outcome("01-a", notebook, False, 61.2, 2048.0, "", recorded, "own parameters"),
        run_book.Outcome("02-b", notebook, True, 5.0, 512.0, "", None, ""),
        run_book.Outcome("03-c", notebook, False, 5.0, 512.0, "broke", None, ""),
    ]
    console = Console(width=150, file=io.StringIO())
    console.print(run_book.report(outcomes))
    text = " ".join(console.file.getvalue().split())
    assert "01-a │ run │ 61.2 │ 2.00 GB" in text
    assert "02-b │ unchanged, kept │ 5.0 │ 0.50 GB" in text
    assert "03-c │ failed" in text
    assert "Results of 01-a: _build/a.json, apart from the published ones: own parameters." in text


def test_names_of_folders_for_parameters():
    assert run_book._folder_name({"margin": "0.3", "epochs": "50"}) == "epochs=50,margin=0.3"
    odd = run_book._folder_name({"data_folder": "/a/b"})
    assert "/" not in odd
    assert odd != run_book._folder_name({"data_folder": "_a_b"})
    assert len(run_book._folder_name({"x": "y" * 500})) < 100


def test_variables_are_restored_after_an_error_too(monkeypatch):
    monkeypatch.setenv("FASHIONNB_DATA", "before")
    monkeypatch.delenv("FASHIONNB_OTHER", raising=False)
    set_here = {"FASHIONNB_DATA": "here", "FASHIONNB_OTHER": "here"}
    with pytest.raises(RunError, match="stop"), run_book._environment(set_here):
        assert {name: os.environ[name] for name in set_here} == set_here
        raise RunError("stop")
    assert os.environ["FASHIONNB_DATA"] == "before"
    assert "FASHIONNB_OTHER" not in os.environ
