"""ONNX files: they compute what the model computes, run without torch, and say what they are."""

import re
import subprocess
import sys

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from fashionnb import checkpoints, export, models
from fashionnb.errors import DataError, DataNotFound, MissingExtra, ModelMismatch, WriteError
from fashionnb.export import OnnxModel, to_onnx
from fashionnb.features.embedding import embed
from fashionnb.models.style2vec import Style2Vec

SIZE = 20


def pictures(n, size=SIZE, channels=3, seed=1):
    """Blocks of colour: more like photos than noise is."""
    coarse = np.random.default_rng(seed).integers(0, 256, (n, 5, 5, channels), dtype=np.uint8)
    return coarse.repeat(size // 5, 1).repeat(size // 5, 2)


def trained(model, channels=3):
    """The model after some batches in train mode, so that its batch norms are not the identity."""
    generator = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        parameter.data += 0.02 * torch.randn(parameter.shape, generator=generator)
    for batch in range(20):
        model.train()(
            torch.from_numpy(pictures(16, channels=channels, seed=batch)).permute(0, 3, 1, 2) / 255
        )
    return model


@pytest.fixture(scope="module")
def model():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return trained(
            Style2Vec(
                dimensions=6,
                channels=3,
                stem=8,
                stages=[(12, 2), (16, 2)],
                mean=[0.5, 0.4, 0.3],
                std=0.2,
            )
        )


@pytest.fixture(scope="module")
def exported(model, tmp_path_factory):
    out = tmp_path_factory.mktemp("onnx") / "deep" / "model.onnx"
    return to_onnx(model, out, size=SIZE, classes=["hat", "жакет"], licence="CC0")


@pytest.mark.parametrize("n", [1, 2, 3, 17])
def test_the_file_computes_what_the_model_computes(model, exported, n):
    images = pictures(n)
    got = OnnxModel(exported.path)(images)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, embed(model, images), rtol=0, atol=1e-5)


def test_the_report_says_what_was_written(exported):
    assert exported.bytes == exported.path.stat().st_size
    assert [path.name for path in exported.path.parent.iterdir()] == [
        "model.onnx"
    ]  # no weights beside it
    assert exported.precision == "float32"
    assert exported.difference <= export.TOLERANCE
    assert exported.cosine == pytest.approx(1, abs=1e-6)


def test_the_file_says_what_it_is(model, exported):
    run = OnnxModel(exported.path)
    assert (run.architecture, run.fingerprint) == ("style2vec", checkpoints.fingerprint(model))
    assert (run.classes, run.licence, run.precision) == (("hat", "жакет"), "CC0", "float32")
    assert (run.size, run.channels) == ((SIZE, SIZE), 3)


def test_batch_norms_are_folded(exported):
    operators = {node.op_type for node in onnx.load(exported.path).graph.node}
    assert "Conv" in operators
    assert "BatchNormalization" not in operators


def test_the_model_is_left_as_it_was(tmp_path, model, capfd, recwarn, caplog):
    before = checkpoints.fingerprint(model)
    model.train()
    to_onnx(model, tmp_path / "model.onnx", size=SIZE, calibration=pictures(20))
    assert model.training
    assert checkpoints.fingerprint(model) == before
    assert (*capfd.readouterr(), list(recwarn), caplog.records) == ("", "", [], [])


def test_many_pictures_go_in_parts_and_none_give_none(model, exported, monkeypatch):
    run, images = OnnxModel(exported.path, threads=1), pictures(11)
    whole = run(images)
    monkeypatch.setattr("fashionnb.export._BATCH", 4)
    np.testing.assert_allclose(run(images), whole, rtol=0, atol=1e-6)
    assert run(images[:0]).shape == (0, 6)


def test_grey_pictures_that_are_not_square(tmp_path):
    model = Style2Vec(dimensions=4, stem=4, stages=[(8, 2)], mirror=True)
    run = OnnxModel(to_onnx(model, tmp_path / "grey.onnx", size=(16, 12), channels=1).path)
    images = np.random.default_rng(0).integers(0, 256, (3, 16, 12, 1), dtype=np.uint8)
    assert (run.size, run.channels) == ((16, 12), 1)
    np.testing.assert_allclose(run(images), embed(model, images), rtol=0, atol=1e-5)


WITHOUT_TORCH = """
import sys
sys.modules["torch"] = sys.modules["onnx"] = None  # from here on `import torch` raises ImportError
import numpy as np, onnxruntime
from PIL import Image
session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
picture = np.asarray(Image.open(sys.argv[2]).convert("RGB").resize((20, 20)))
output = session.run(None, {"images": picture[None]})[0]
from fashionnb.export import OnnxModel
assert np.array_equal(OnnxModel(sys.argv[1])(picture[None]), output)
np.save(sys.argv[3], output)
"""


def test_the_file_runs_where_there_is_no_torch(model, exported, tmp_path):
    from PIL import Image

    photo, vectors = tmp_path / "photo.png", tmp_path / "vectors.npy"
    Image.fromarray(pictures(1)[0]).resize((50, 60)).save(photo)
    words = [sys.executable, "-c", WITHOUT_TORCH, exported.path, photo, vectors]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with Image.open(photo) as image:
        expected = embed(model, np.asarray(image.resize((SIZE, SIZE)))[None])
    np.testing.assert_allclose(np.load(vectors), expected, rtol=0, atol=1e-5)


def test_a_small_network_fits_into_two_megabytes(tmp_path):
    model = Style2Vec(channels=3)
    assert sum(parameter.numel() for parameter in model.parameters()) > 430_000
    plain = to_onnx(model, tmp_path / "plain.onnx", size=SIZE)
    small = to_onnx(model, tmp_path / "small.onnx", size=SIZE, calibration=pictures(20))
    assert plain.bytes < 2e6
    assert small.bytes < plain.bytes / 3


def test_eight_bits_come_near(model, tmp_path):
    """With seeds 0 to 9 for the network and the pictures, the cosine was .9995 to .99995."""
    calibration = pictures(60, seed=0)
    done = to_onnx(model, tmp_path / "small.onnx", size=SIZE, calibration=calibration)
    run = OnnxModel(done.path)
    assert (done.precision, run.precision, run.classes) == ("int8", "int8", ())
    assert run.fingerprint == checkpoints.fingerprint(model)
    kinds = {initializer.data_type for initializer in onnx.load(done.path).graph.initializer}
    assert onnx.TensorProto.INT8 in kinds
    kept_back = calibration[4::5]
    wanted, got = embed(model, kept_back), run(kept_back)
    assert done.difference == pytest.approx(np.abs(wanted - got).max(), abs=1e-6)
    assert done.cosine == pytest.approx(float((wanted * got).sum(1).mean()), abs=1e-4)
    assert 0.99 < done.cosine < 0.99999


class Toy(nn.Module):
    """A model of one number a picture; what it does with it is in the sub-classes."""

    def __init__(self):
        super().__init__()
        self.arguments = {}
        self.weight = nn.Parameter(torch.ones(1))


class Branches(Toy):
    def forward(self, images):
        means = images.mean((1, 2, 3), keepdim=True)[:, :, 0, 0]
        return (
            means * self.weight if means.max() < 0.9 else -means
        )  # the pictures traced are not white, one probe is


class CountsOnTwo(Toy):
    def forward(self, images):
        return (
            images.mean((1, 2, 3)).reshape(-1, 2)
            if len(images) % 2 == 0
            else images.mean((1, 2, 3))[:, None]
        )


class Pair(Toy):
    def forward(self, images):
        return images.mean((1, 2, 3)), self.weight


class OwnNumpy(Toy):
    def forward(self, images):
        return torch.linalg.svd(images.mean((2, 3)) * self.weight).U


class NotANumber(Toy):
    def forward(self, images):
        return (images.mean((1, 2, 3)) - 2).sqrt()[:, None] * self.weight


@pytest.mark.parametrize(
    ("wrong", "phrase"),
    [
        (Branches, "differs from the model by up to"),
        (NotANumber, "differs from the model by up to nan"),
        (CountsOnTwo, "does not run for 1 and for 7 images alike"),
        (Pair, "returns a tuple, and a file holds one output"),
        (OwnNumpy, "OwnNumpy cannot be exported"),
        (nn.Flatten, "Flatten has no name"),
    ],
)
def test_models_that_no_file_can_hold(wrong, phrase, tmp_path, monkeypatch):
    if issubclass(wrong, Toy):
        monkeypatch.setitem(models.ARCHITECTURES, "toy", wrong)
    with pytest.raises(ModelMismatch, match=phrase):
        to_onnx(wrong(), tmp_path / "model.onnx", size=8)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "phrase"),
    [
        ({"size": 4}, r"at least 16 x 16 pixels, got \(7, 3, 4, 4\)"),
        ({"channels": 1}, "expected float (n, 3, height, width)"),
        ({"calibration": pictures(9)}, "10 images or more, some hundred are better; got 9"),
        (
            {"calibration": pictures(20, size=15)},
            "Calibration images are a uint8 array (n, 20, 20, 3)",
        ),
        ({"calibration": pictures(20) / 255}, "got float64 (20, 20, 20, 3)"),
        ({"calibration": [1, 2]}, "got int64 (2,)"),
    ],
)
def test_pictures_that_do_not_fit(model, arguments, phrase, tmp_path):
    with pytest.raises(DataError, match=phrase if "\\" in phrase else re.escape(phrase)):
        to_onnx(model, tmp_path / "model.onnx", **{"size": SIZE, **arguments})


@pytest.mark.parametrize(
    ("wrong", "phrase"),
    [
        (pictures(2, size=25), r"uint8 array \(n, 20, 20, 3\), got uint8 \(2, 25, 25, 3\)"),
        (pictures(1)[0], r"got uint8 \(20, 20, 3\)"),
        (pictures(2).transpose(0, 3, 1, 2), r"got uint8 \(2, 3, 20, 20\)"),
        (pictures(2).astype(np.float32), r"catalogue.pixels\(\(20, 20\), channels=3\)"),
    ],
)
def test_what_an_exported_model_refuses(exported, wrong, phrase):
    with pytest.raises(DataError, match=phrase):
        OnnxModel(exported.path)(wrong)


def test_files_that_are_no_exported_model(exported, tmp_path):
    with pytest.raises(DataNotFound, match=r"nothing.onnx: there is no such file"):
        OnnxModel(tmp_path / "nothing.onnx")
    broken, foreign = tmp_path / "broken.onnx", tmp_path / "foreign.onnx"
    broken.write_bytes(exported.path.read_bytes()[:1000])
    with pytest.raises(
        ModelMismatch, match=r"broken.onnx: not an ONNX file that onnxruntime can run"
    ):
        OnnxModel(broken)
    proto = onnx.load(exported.path)
    onnx.helper.set_model_props(proto, {"architecture": "style2vec", "classes": "[]"})
    onnx.save(proto, foreign)
    with pytest.raises(ModelMismatch, match="does not say its fingerprint, size"):
        OnnxModel(foreign)


def test_a_folder_that_cannot_be_written(model, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(WriteError, match="cannot be written"):
        to_onnx(model, tmp_path / "file" / "model.onnx", size=SIZE)


@pytest.mark.parametrize("missing", ["onnx", "onnxruntime"])
def test_without_the_extra_packages(model, exported, tmp_path, monkeypatch, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(
        MissingExtra, match=rf'needs the library {missing}: `pip install "fashionnb\[onnx\]"`'
    ):
        to_onnx(model, tmp_path / "model.onnx", size=SIZE)
