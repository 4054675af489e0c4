"""`fashionnb export` and `fashionnb evaluate`: what they write and print, and what they refuse."""

import json
import re

import colours
import numpy as np
import pytest
import torch
from PIL import Image

from fashionnb import checkpoints, cli, models
from fashionnb.checkpoints import load_model, save
from fashionnb.export import OnnxModel
from fashionnb.features.embedding import embed
from fashionnb.models.style2vec import Style2Vec


@pytest.fixture
def export(capsys, monkeypatch, tmp_path):
    """Runs the command in a folder with a model and photos; gives the exit status, what it printed, its messages."""
    monkeypatch.delenv("FASHIONNB_DATA", raising=False)
    monkeypatch.setenv("FASHIONNB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("FASHIONNB_OFFLINE", "1")
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.chdir(tmp_path)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Style2Vec(
            dimensions=6, channels=3, stem=8, stages=[(12, 2), (16, 2)], mean=0.5, std=0.3
        )
    card = {"classes": ["hat", "dress"], "licence": "MIT"}
    save(model, "silent", card)
    save(model, "mine", card | {"training": {"size": 24}})
    rng = np.random.default_rng(0)
    (tmp_path / "photos" / "hats").mkdir(parents=True)
    for name in range(15):
        image = Image.fromarray(rng.integers(0, 256, (6, 4, 3), dtype=np.uint8)).resize((40, 60))
        image.save(tmp_path / "photos" / "hats" / f"{name}.jpg")
    (tmp_path / "photos" / "notes.txt").write_text("no picture")

    def export(*words):
        status = cli.main(["export", *words])
        out, err = capsys.readouterr()
        return status, out, err

    return export


def test_a_folder_becomes_a_file(export, tmp_path):
    status, out, err = export("mine", "out/mine.onnx")
    assert (status, err) == (0, "")
    assert "out/mine.onnx: style2vec, float32, 0." in out
    for said in (
        "uint8 (n, 24, 24, 3)",
        "differs from torch by at most",
        "0.0001 is allowed",
        "ms, median of 50",
    ):
        assert said in out
    run = OnnxModel(tmp_path / "out" / "mine.onnx")
    assert (run.classes, run.licence, run.size) == (("hat", "dress"), "MIT", (24, 24))
    images = np.random.default_rng(1).integers(0, 256, (3, 24, 24, 3), dtype=np.uint8)
    np.testing.assert_allclose(run(images), embed(load_model("mine"), images), rtol=0, atol=1e-5)


def test_a_size_of_ones_own(export):
    assert export("mine", "a.onnx", "--size", "32")[0] == 0
    assert OnnxModel("a.onnx").size == (32, 32)


def test_eight_bits(export):
    status, out, err = export("mine", "small.onnx", "--int8", "photos")
    assert (status, err) == (0, "")
    assert "style2vec, int8, 0.0" in out
    cosine = re.search(r"kept back from calibration: cosine to torch ([\d.]+) in the mean", out)
    assert 0.99 < float(cosine[1]) <= 1
    assert OnnxModel("small.onnx").precision == "int8"


def test_a_published_model(export):
    status, out, _ = export("style2vec", "style2vec.onnx")
    assert status == 0
    assert "uint8 (n, 28, 28, 1)" in out
    assert "T-shirt/top" in OnnxModel("style2vec.onnx").classes


def test_fusion_is_exported_as_what_it_says_of_a_picture_alone(export):
    status, _, err = export("fusion", "fusion.onnx")
    assert (status, err) == (0, "")
    images = np.random.default_rng(1).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)
    found = OnnxModel("fusion.onnx")(images)
    np.testing.assert_allclose(found, embed(load_model("fusion"), images), rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("words", "phrase"),
    [
        (
            ["multitask", "a.onnx"],
            "multitask is a network for the task 'attributes', not for 'embedding' or "
            "'classification': it turns images to the logits of each attribute. `fashionnb analyse",
        ),
        (["outfit-transformer", "a.onnx", "--size", "64"], "a network for the task 'outfit'"),
        (["nothing", "a.onnx"], "No model 'nothing' came with fashionnb"),
        (["photos", "a.onnx"], "card.json is not there"),
        (["silent", "a.onnx"], "does not say how large the pictures were"),
        (["mine", "a.onnx", "--size", "7"], "at least 16 x 16 pixels"),
        (["mine", "a.onnx", "--size", "0"], "Invalid value for '--size'"),
        (["mine", "a.onnx", "--int8", "nowhere"], "there is no such file or folder"),
        (["mine", "a.onnx", "--int8", "silent"], "no pictures"),
        (["mine", "photos/notes.txt/a.onnx"], "cannot be written"),
        (["mine"], "Missing argument"),
    ],
)
def test_mistakes_in_exporting_give_one_message_and_exit_2(export, tmp_path, words, phrase):
    status, out, err = export(*words)
    assert (status, out) == (2, "")
    assert phrase in err
    assert "Traceback" not in err
    assert list(tmp_path.rglob("*.onnx")) == []


def test_help_of_export(export):
    status, out, err = export("--help")
    assert (status, err) == (0, "")
    assert "Usage: fashionnb export" in out
    assert "Examples: fashionnb export style2vec style2vec.onnx" in out


@pytest.fixture
def evaluate(capsys, monkeypatch, tmp_path):
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

    def evaluate(words):
        status = cli.main(["evaluate", *words.split()])
        out, err = capsys.readouterr()
        return status, out, err

    return evaluate


@pytest.mark.parametrize("words", ["--help", "classifier --help", "search --help"])
def test_help_of_evaluate(evaluate, words):
    status, out, err = evaluate(words)
    assert (status, err) == (0, "")
    assert "Usage: fashionnb evaluate" in out
    assert words == "--help" or "Example" in out


def test_classifier(evaluate):
    status, out, err = evaluate("classifier classifier --data shop")
    assert (status, err) == (0, "")
    assert out.startswith("model classifier, data shop, split test\n")
    for line in (["accuracy", "0.750"], ["macro_f1", "0.750"], ["blue", "0.750", "0.750"]):
        assert any(found.split()[: len(line)] == line for found in out.splitlines()), line
    assert [line.split() for line in out.splitlines()[-3:]] == [
        ["blue", "3", "1", "0"],
        ["green", "0", "3", "1"],
        ["red", "1", "0", "3"],
    ]


def test_classifier_for_programs(evaluate):
    status, out, _ = evaluate("classifier classifier --data shop --split train --json")
    found = json.loads(out)
    assert status == 0
    assert found["about"] == {"model": "classifier", "data": "shop", "split": "train"}
    assert found["metrics"]["accuracy"]["value"] == 0.75
    assert found["confusion"] == [[3, 1, 0], [0, 3, 1], [1, 0, 3]]


def test_search(evaluate):
    status, out, err = evaluate("search encoder --data shop --size 4")
    assert (status, err) == (0, "")
    assert out.startswith("model encoder, data shop, gallery train, queries test\n")
    names = [line.split()[0] for line in out.splitlines() if line]
    assert names[1:6] == ["recall@1", "recall@5", "recall@10", "mrr", "map@r"]
    assert "12 queries, 1,000 resamples" in out


def test_search_for_programs(evaluate):
    status, out, _ = evaluate("search encoder --data shop --gallery test --queries train --json")
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
def test_mistakes_in_evaluating_give_one_message_and_exit_2(evaluate, words, phrase):
    status, out, err = evaluate(words)
    assert (status, out) == (2, "")
    assert phrase in err
    assert "Traceback" not in err
