"""The `fashionnb` command: what it prints, and its exit status."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import tiny

import fashionnb
from fashionnb import cli
from fashionnb.data import registry
from fashionnb.notebook import results
from fashionnb.notebook.claims import Claim
from fashionnb.profiles import Profile
from fashionnb.publishing import run_book


@pytest.fixture
def call(capsys, monkeypatch, tmp_path):
    """Runs the command in an empty folder; gives the exit status, what it printed, and its messages."""
    for name in ("DATA", "RESULTS", "MODELS", "PROFILE"):
        monkeypatch.delenv(f"FASHIONNB_{name}", raising=False)
    monkeypatch.setenv("FASHIONNB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("FASHIONNB_OFFLINE", "1")
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.chdir(tmp_path)

    def call(*words):
        status = cli.main(words)
        out, err = capsys.readouterr()
        return status, out, err

    return call


@pytest.fixture
def recorded(tmp_path):
    record = results.start("02-style2vec", Profile("standard", "cpu", "no", 1, (0,)))
    record.add(
        "Style2Vec",
        "recall@1",
        0.888,
        (0.881, 0.894, "by hand"),
        data="fashion-mnist",
        split="test",
        n=10_000,
    )
    return record.save()


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["run"],
        ["results"],
        ["publish"],
        ["sync"],
        ["doctor"],
        ["data"],
        *(["data", w] for w in ("where", "fetch")),
    ],
)
def test_help(call, words):
    status, out, err = call(*words, "--help")
    assert (status, err) == (0, "")
    assert "Usage: fashionnb" in out
    assert not words or words == ["data"] or "Example" in out


def test_version(call):
    assert call("--version") == (0, f"fashionnb {fashionnb.__version__}\n", "")


def test_doctor_says_whether_all_is_well(call, monkeypatch):
    status, out, err = call("doctor", "--offline")
    assert (status, err) == (0, "")
    assert out.endswith("\nWell enough to run.\n")
    monkeypatch.setenv("FASHIONNB_DATA", "no-such-folder")
    status, out, err = call("doctor", "--offline")
    assert (status, err) == (1, "")
    assert "\n! data " in out


def test_no_command_prints_the_help(call):
    status, out, _ = call()
    assert status == 2
    assert "Usage: fashionnb" in out


@pytest.mark.parametrize(
    ("words", "phrase"),
    [
        (["rnu"], "No such command 'rnu'."),
        (["run", "--jbs", "2"], "No such option"),
        (["run", "--jobs", "two"], "Invalid value for '--jobs'"),
        (["run", "-p"], "Option '-p' requires an argument"),
        (["run", "-p", "epochs"], "-p takes a name and a value, for instance `-p epochs 50`"),
        (["run", "--profile", "huge"], "There is no profile 'huge'"),
        (["run", "--device", "tpu"], "There is no device 'tpu'"),
        (["publish", "--profile", "huge"], "There is no profile 'huge'"),
        (
            ["results"],
            "no results of profile standard. `fashionnb run --profile standard` makes them.",
        ),
        (["data", "where", "fashion-mnist"], "fashionnb data fetch fashion-mnist"),
        (["data", "fetch", "imagenet"], "There is no source 'imagenet'"),
        (["data", "check", "fashion-mnist"], "not on this machine"),
    ],
)
def test_mistakes_give_one_message_and_exit_2(call, words, phrase):
    status, out, err = call(*words)
    assert (status, out) == (2, "")
    assert phrase in err
    assert "Traceback" not in err


def test_results(call, recorded):
    status, out, _ = call("results")
    assert status == 0
    assert "0.888 [0.881, 0.894]" in out
    status, out, _ = call("results", "--json")
    assert json.loads(out) == {"02-style2vec": json.loads(recorded.read_text())}


def test_results_are_whole_in_a_narrow_terminal_and_in_a_pipe(call, recorded, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    assert "…" not in call("results")[1]
    monkeypatch.delenv("COLUMNS")
    line = next(line for line in call("results")[1].splitlines() if "0.888" in line)
    for whole in ("Style2Vec", "recall@1", "[0.881, 0.894]", "fashion-mnist", "10,000"):
        assert whole in line


def test_damaged_results(call, recorded):
    recorded.write_text("{}")
    status, _, err = call("results")
    assert status == 2
    assert str(recorded) in err


def test_data_list(call):
    status, out, _ = call("data", "list")
    assert status == 0
    assert "fashion-mnist: Fashion-MNIST, 31 MB" in out
    for said in (
        "licence  MIT",
        "arxiv.org/abs/1708.07747",
        "train-images-idx3-ubyte.gz or http",
        "sha256   c59f468a",
    ):
        assert said in out


def test_data_list_says_that_the_data_folder_is_wrong(call, monkeypatch):
    monkeypatch.setenv("FASHIONNB_DATA", "/nonexistent")
    status, out, _ = call("data", "list")
    assert status == 0
    assert out.count("FASHIONNB_DATA is '/nonexistent', which is not a folder") == len(
        registry.SOURCES
    )
    assert "no; `fashionnb" not in out


def test_real_data(call, real_data, monkeypatch):
    monkeypatch.setenv("FASHIONNB_DATA", str(real_data))
    assert call("data", "where", "fashion-mnist") == (0, f"{real_data / 'fashion-mnist'}\n", "")
    assert call("data", "fetch", "fashion-mnist") == (0, f"{real_data / 'fashion-mnist'}\n", "")
    status, out, _ = call("data", "check", "fashion-mnist")
    assert status == 0
    assert "train-images-idx3-ubyte.gz: the unpacked content is as published" in out


def test_run_passes_on_what_was_asked(call, monkeypatch, tmp_path):
    asked = {}
    kept = run_book.Outcome("02-style2vec", tmp_path / "x.ipynb", True, 12.3, 1024.0, "", None, "")
    monkeypatch.setattr(
        run_book,
        "run",
        lambda wanted, profile, **rest: asked.update(rest, w=wanted, p=profile) or [kept],
    )
    words = "run 02 03 --profile quick --device cuda:1 -p epochs 50 -p margin -0.3 --parameter a=b=c --jobs 2 --out there --force"
    status, out, _ = call(*words.split(), "--minutes", "30")
    assert callable(asked.pop("say"))
    assert status == 0
    assert "12.3" in out
    assert asked == {
        "w": ["02", "03"],
        "p": "quick",
        "device": "cuda:1",
        "parameters": {"epochs": "50", "margin": "-0.3", "a": "b=c"},
        "jobs": 2,
        "out": Path("there"),
        "force": True,
        "minutes": 30,
    }
    monkeypatch.setenv("FASHIONNB_PROFILE", "full")
    monkeypatch.setenv("FASHIONNB_DEVICE", "mps")
    call("run")
    assert (asked["p"], asked["w"], asked["parameters"]) == ("full", (), {})
    assert asked["device"] == "mps"
    monkeypatch.setenv("FASHIONNB_PROFILE", "cpu")
    call("run")
    assert asked["p"] == "standard", "its former name"


def test_run_reports_failures_after_the_table(call, monkeypatch, tmp_path):
    bad = run_book.Outcome(
        "02-a", tmp_path / "x.ipynb", False, 1.0, 1024.0, "02-a failed in code cell 3", None, ""
    )
    monkeypatch.setattr(run_book, "run", lambda *_, **__: [bad])
    status, out, err = call("run")
    assert status == 1
    assert "failed" in out
    assert err == "02-a failed in code cell 3\n"


@pytest.mark.parametrize(("words", "expected"), [((), 0), (("--strict",), 1)])
def test_a_claim_that_does_not_hold_is_an_error_only_if_asked(
    call, monkeypatch, tmp_path, words, expected
):
    claims = (Claim("It is **more**.", 0.4, at_least=0.5),)
    good = run_book.Outcome("02-a", tmp_path / "x.ipynb", False, 1.0, 1024.0, "", None, "", claims)
    monkeypatch.setattr(run_book, "run", lambda *_, **__: [good])
    status, out, err = call("run", *words)
    assert (status, err) == (expected, "")
    assert "02-a: measured 0.4, expected at least 0.5: It is more." in out


def test_ctrl_c(call, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(run_book, "run", interrupt)
    status, _, err = call("run")
    assert status == 130
    assert err.startswith("Interrupted.")


def test_a_bug_is_not_hidden(call, monkeypatch):
    monkeypatch.setattr(run_book, "run", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        call("run")


def test_sync(call, tmp_path, monkeypatch):
    book = tiny.book(tmp_path / "clone", c01_look=tiny.chapter("1 + 1"))
    monkeypatch.chdir(book.folder)
    status, _, err = call("sync", "--check")
    assert status == 2
    assert "01-look" in err
    assert call("sync") == (0, f"{book.folder / '01-look.ipynb'}\n", "")
    assert call("sync", "--check") == (0, "", "")


def test_the_installed_command_prints_no_traceback(tmp_path):
    command = [sys.executable, "-m", "fashionnb", "data", "where", "imagenet"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("There is no source 'imagenet'")
