"""`fashionnb export`: what it writes and prints, and what it refuses."""

import re

import numpy as np
import pytest
import torch
from PIL import Image

from fashionnb import cli
from fashionnb.checkpoints import load, save
from fashionnb.export import OnnxModel
from fashionnb.features.embedding import embed
from fashionnb.models.style2vec import Style2Vec


@pytest.fixture
def call(capsys, monkeypatch, tmp_path):
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

    def call(*words):
        status = cli.main(["export", *words])
        out, err = capsys.readouterr()
        return status, out, err

    return call


def test_a_folder_becomes_a_file(call, tmp_path):
    status, out, err = call("mine", "out/mine.onnx")
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
    np.testing.assert_allclose(run(images), embed(load("mine")[0], images), rtol=0, atol=1e-5)


def test_a_size_of_ones_own(call):
    assert call("mine", "a.onnx", "--size", "32")[0] == 0
    assert OnnxModel("a.onnx").size == (32, 32)


def test_eight_bits(call):
    status, out, err = call("mine", "small.onnx", "--int8", "photos")
    assert (status, err) == (0, "")
    assert "style2vec, int8, 0.0" in out
    cosine = re.search(r"kept back from calibration: cosine to torch ([\d.]+) in the mean", out)
    assert 0.99 < float(cosine[1]) <= 1
    assert OnnxModel("small.onnx").precision == "int8"


def test_a_published_model(call):
    status, out, _ = call("style2vec", "style2vec.onnx")
    assert status == 0
    assert "uint8 (n, 28, 28, 1)" in out
    assert "T-shirt/top" in OnnxModel("style2vec.onnx").classes


@pytest.mark.parametrize(
    ("words", "phrase"),
    [
        (["nothing", "a.onnx"], "No model 'nothing' came with fashionnb"),
        (["photos", "a.onnx"], "card.json is not there"),
        (["silent", "a.onnx"], "does not say how large the pictures were"),
        (["mine", "a.onnx", "--size", "7"], "at least 16 x 16 pixels"),
        (["mine", "a.onnx", "--size", "0"], "Invalid value for '--size'"),
        (["mine", "a.onnx", "--int8", "nowhere"], "there is no such file or folder"),
        (["mine", "a.onnx", "--int8", "silent"], "no pictures"),
        (["mine", "photos/notes.txt/a.onnx"], "cannot be written"),
        (["mine"], "Missing argument 'out'"),
    ],
)
def test_mistakes_give_one_message_and_exit_2(call, tmp_path, words, phrase):
    status, out, err = call(*words)
    assert (status, out) == (2, "")
    assert phrase in err
    assert "Traceback" not in err
    assert list(tmp_path.rglob("*.onnx")) == []


def test_help(call):
    status, out, err = call("--help")
    assert (status, err) == (0, "")
    assert "Usage: fashionnb export" in out
    assert "Examples: fashionnb export style2vec style2vec.onnx" in out
