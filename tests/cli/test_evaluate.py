"""`fashionnb evaluate`: what it prints, and its exit status. What it measures is tested in test_evaluate."""

import json

import colours
import pytest

from fashionnb import checkpoints, cli, models


@pytest.fixture
def call(capsys, monkeypatch, tmp_path):
    """Runs `fashionnb evaluate` in a folder with a shop and two models; gives the exit status, output and messages."""
    for name in ("DATA", "MODELS"):
        monkeypatch.delenv(f"FASHIONNB_{name}", raising=False)
    monkeypatch.setenv("FASHIONNB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("FASHIONNB_OFFLINE", "1")
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.chdir(tmp_path)
    colours.shop(tmp_path / "shop", wrong=1)
    for name, one in colours.ARCHITECTURES.items():
        monkeypatch.setitem(models.ARCHITECTURES, name, one)
        card = {"classes": list(colours.COLOURS), "training": {"size": 8}}
        checkpoints.save(one(), tmp_path / name.removeprefix("colour-"), card)

    def call(words):
        status = cli.main(["evaluate", *words.split()])
        out, err = capsys.readouterr()
        return status, out, err

    return call


@pytest.mark.parametrize("words", ["--help", "classifier --help", "search --help"])
def test_help(call, words):
    status, out, err = call(words)
    assert (status, err) == (0, "")
    assert "Usage: fashionnb evaluate" in out
    assert words == "--help" or "Example" in out


def test_classifier(call):
    status, out, err = call("classifier classifier --data shop")
    assert (status, err) == (0, "")
    assert out.startswith("model classifier, data shop, split test\n")
    for line in (["accuracy", "0.750"], ["macro_f1", "0.750"], ["blue", "0.750", "0.750"]):
        assert any(found.split()[: len(line)] == line for found in out.splitlines()), line
    assert [line.split() for line in out.splitlines()[-3:]] == [
        ["blue", "3", "1", "0"],
        ["green", "0", "3", "1"],
        ["red", "1", "0", "3"],
    ]


def test_classifier_for_programs(call):
    status, out, _ = call("classifier classifier --data shop --split train --json")
    found = json.loads(out)
    assert status == 0
    assert found["about"] == {"model": "classifier", "data": "shop", "split": "train"}
    assert found["metrics"]["accuracy"]["value"] == 0.75
    assert found["confusion"] == [[3, 1, 0], [0, 3, 1], [1, 0, 3]]


def test_search(call):
    status, out, err = call("search encoder --data shop --size 4")
    assert (status, err) == (0, "")
    assert out.startswith("model encoder, data shop, gallery train, queries test\n")
    names = [line.split()[0] for line in out.splitlines() if line]
    assert names[1:6] == ["recall@1", "recall@5", "recall@10", "mrr", "map@r"]
    assert "12 queries, 1,000 resamples" in out


def test_search_for_programs(call):
    status, out, _ = call("search encoder --data shop --gallery test --queries train --json")
    found = json.loads(out)
    assert status == 0
    assert found["about"] == {
        "model": "encoder",
        "data": "shop",
        "gallery": "test",
        "queries": "train",
    }
    assert found["n"] == 12
    assert "confusion" not in found


@pytest.mark.parametrize(
    ("words", "phrase"),
    [
        ("classifier encoder --data shop", "for the task 'embedding', not for 'classification'"),
        ("search classifier --data shop", "for the task 'classification', not for 'embedding'"),
        ("classifier nobody --data shop", "No model 'nobody' came with fashionnb"),
        (
            "search encoder --data nowhere",
            "nowhere: there is no such file or folder, and no dataset",
        ),
        ("search encoder --data fashion-mnist", "FASHIONNB_OFFLINE"),
        ("search encoder --data shop --queries exam", "no split 'exam'"),
        ("search encoder", "Missing option '--data'"),
        ("search encoder --data shop --size 0", "Invalid value for '--size'"),
    ],
)
def test_mistakes_give_one_message_and_exit_2(call, words, phrase):
    status, out, err = call(words)
    assert (status, out) == (2, "")
    assert phrase in err
    assert "Traceback" not in err
