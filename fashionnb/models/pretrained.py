"""Large networks that others trained, as encoders: ResNet-50 and VGG-16 of ImageNet, and fashion SigLIP.

`pretrained` builds one with its published weights, with those of a file, or with random ones; `best_available` has
another model stand in where the weights cannot be had, and says so. Like every model of the house they take
float32 images in [0, 1] and do the rest themselves: scaling to the size that they were trained at, mean and deviation.
"""

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from fashionnb.errors import DataError, DataNotFound, ModelMismatch
from fashionnb.files import sha256

SMALLEST = 32
"""Pixels that a picture has at least, in height and in width."""

_MEAN, _STD = (
    (0.485, 0.456, 0.406),
    (0.229, 0.224, 0.225),
)  # of ImageNet's pictures, red, green, blue
_PATIENCE = 20  # seconds without a byte after which a download is given up


class ResNet50(nn.Module):
    """ResNet-50 up to its global average pool: images in, 2,048 numbers out. Introduced in chapter 06.

    He et al. 2016, "Deep Residual Learning for Image Recognition"; 23,508,032 parameters. The numbers
    are not below 0, and not normalised. It comes with random weights; `pretrained` fills them.

    Parameters
    ----------
    size : each picture is scaled, with antialiasing, until its shorter side has this many pixels. ImageNet's weights
        were trained at 224; a smaller one is faster and sees less.
    """

    LAYERS = {"stem": 64, "layer1": 256, "layer2": 512, "layer3": 1024, "layer4": 2048}  # noqa: RUF012
    """What `layers` gives: name -> channels, from the picture's side to the output's."""
    # Whose files of weights fit, what they call this network, and what else is in them.
    _like, _inside, _beside = "torchvision's resnet50", "", ("fc",)

    def __init__(self, size: int = 224) -> None:
        super().__init__()
        import torchvision  # only here, since it takes seconds and most callers of this module need none of it

        self.network = torchvision.models.resnet50(weights=None)
        self.network.fc = nn.Identity()
        _set_up(self, size, self.LAYERS["layer4"])

    def layers(self, images: Tensor) -> dict[str, Tensor]:
        """The mean activation of each channel after each stage: name -> (n, channels) float32, as `LAYERS` says.

        Early layers see edges, colours and textures, late ones see things: Zeiler & Fergus 2014, "Visualizing and
        Understanding Convolutional Networks".

        Parameters
        ----------
        images : (n, 3, height, width) float32 in [0, 1], at least 32 pixels high and wide.

        Raises
        ------
        DataError : another shape or dtype.
        """
        network = self.network
        x = network.maxpool(network.relu(network.bn1(network.conv1(_prepared(self, images)))))
        pooled = {"stem": _pooled(x)}
        for name in ("layer1", "layer2", "layer3", "layer4"):
            x = getattr(network, name)(x)
            pooled[name] = _pooled(x)
        return pooled

    def forward(self, images: Tensor) -> Tensor:
        """The last of `layers`, (n, 2048) float32. Takes and refuses what `layers` does."""
        return self.layers(images)["layer4"]


class VGG16(nn.Module):
    """The convolutions of VGG-16 and a global average pool: images in, 512 numbers out. Introduced in chapter 06.

    Simonyan & Zisserman 2015, "Very Deep Convolutional Networks for Large-Scale Image Recognition"; 14,714,688
    parameters, since nine tenths of the whole network are its classifier. Chapter 09 puts it into PolaniaNet.

    Parameters
    ----------
    size : as in `ResNet50`.
    """

    LAYERS = {"block1": 64, "block2": 128, "block3": 256, "block4": 512, "block5": 512}  # noqa: RUF012
    """What `layers` gives: name -> channels, from the picture's side to the output's."""
    _like, _inside, _beside = "torchvision's vgg16", "features", ("classifier",)

    def __init__(self, size: int = 224) -> None:
        super().__init__()
        import torchvision

        self.network = torchvision.models.vgg.make_layers(torchvision.models.vgg.cfgs["D"])
        for module in self.network:
            if isinstance(
                module, nn.Conv2d
            ):  # as torchvision's VGG starts; there are no batch norms to mend the scale
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                nn.init.zeros_(module.bias)
        _set_up(self, size, self.LAYERS["block5"])

    def layers(self, images: Tensor) -> dict[str, Tensor]:
        """The mean activation of each channel after each block; takes and refuses what `ResNet50.layers` does."""
        x, pooled = _prepared(self, images), {}
        for module in self.network:
            x = module(x)
            if isinstance(module, nn.MaxPool2d):  # the end of a block
                pooled[f"block{len(pooled) + 1}"] = _pooled(x)
        return pooled

    def forward(self, images: Tensor) -> Tensor:
        """The last of `layers`, (n, 512) float32. Takes and refuses what `ResNet50.layers` does."""
        return self.layers(images)["block5"]


class SigLIP(nn.Module):
    """The eyes of fashion SigLIP, a vision transformer: images in, 768 numbers out. Introduced in chapter 11.

    Zhai et al. 2023, "Sigmoid Loss for Language Image Pre-Training"; Marqo went on with a million products and what
    shops say of them. 92,884,224 parameters; the half that reads texts is left out. The numbers are not normalised.
    Needs the extra packages of ``pip install "fashionnb[siglip]"``.

    Parameters
    ----------
    size : each picture is stretched, with antialiasing, to so many pixels in height and width: what `kind` says.
    kind : the name of the network in open_clip.

    Raises
    ------
    DataNotFound : open_clip is not installed. DataError : another size than that of `kind`.
    """

    _like, _inside, _beside = "open_clip's SigLIP", "visual", ("text", "logit_scale", "logit_bias")

    def __init__(self, size: int = 224, kind: str = "ViT-B-16-SigLIP") -> None:
        super().__init__()
        try:
            import open_clip
            from open_clip.timm_model import TimmModel
        except ImportError as error:
            raise DataNotFound(
                'Fashion SigLIP needs open_clip: `pip install "fashionnb[siglip]"`.'
            ) from error
        config = open_clip.get_model_config(kind)
        sees = config["vision_cfg"]
        if size != sees["image_size"]:
            raise DataError(
                f"{kind} looks at pictures of {sees['image_size']} pixels and no others, got size={size}."
            )
        # `open_clip.create_model` would make the other half, too: as many weights again.
        self.network = TimmModel(
            sees["timm_model_name"],
            config["embed_dim"],
            size,
            pool=sees["timm_pool"],
            proj=sees["timm_proj"],
        )
        _set_up(self, size, config["embed_dim"], (0.5,) * 3, (0.5,) * 3)
        self.arguments["kind"] = kind

    def forward(self, images: Tensor) -> Tensor:
        """One vector of each picture, (n, dimensions) float32. Takes and refuses what `ResNet50.layers` does."""
        size = self.arguments["size"]
        images = _checked(self, images)
        if images.shape[2:] != (
            size,
            size,
        ):  # stretched, as in its training; bicubic waves may leave [0, 1]
            images = interpolate(images, (size, size), mode="bicubic", antialias=True).clamp(0, 1)
        return self.network((images - self.mean) / self.std).float()


@dataclass(frozen=True)
class _Published:
    """Where the weights of a network are, what they are called here, and how their SHA-256 begins if that is known."""

    kind: Callable[[int], nn.Module]
    owner: str
    url: str
    file: str
    begins: str = ""


# The first weights (V1) of each. torchvision's later ones make ResNet-50 a better classifier, by smoothed labels and
# mixed pictures; but such a recipe pulls each class together, and a search lives on what tells its members apart.
# Kornblith et al. 2021, "Why Do Better Loss Functions Lead to Less Transferable Features?".
_TORCHVISION = "https://download.pytorch.org/models/"
_MARQO, _IN_IT = "Marqo/marqo-fashionSigLIP", "open_clip_model.safetensors"
_KNOWN = {
    "resnet50": _Published(
        ResNet50,
        "ImageNet's",
        f"{_TORCHVISION}resnet50-0676ba61.pth",
        "resnet50-0676ba61.pth",
        "0676ba61",
    ),
    "vgg16": _Published(
        VGG16, "ImageNet's", f"{_TORCHVISION}vgg16-397923af.pth", "vgg16-397923af.pth", "397923af"
    ),
    "siglip": _Published(
        SigLIP,
        "Marqo's",
        f"https://huggingface.co/{_MARQO}/resolve/main/{_IN_IT}",
        "marqo-fashionSigLIP.safetensors",
    ),
}
NAMES = tuple(_KNOWN)
"""What `pretrained` can build."""


def pretrained(
    name: str, weights: Path | str = "auto", *, size: int = 224, seed: int = 0
) -> nn.Module:
    """A large encoder in eval mode, on the CPU. Introduced in chapter 06.

    Parameters
    ----------
    name : "resnet50", "vgg16" or "siglip".
    weights : "auto" are the published ones, from the cache of `torch.hub` or downloaded into it, unless
        `FASHIONNB_OFFLINE` is set: ImageNet's, as torchvision has them (98 MB for ResNet-50; 528 MB for VGG-16, whose
        classifier comes along), also called "imagenet"; for "siglip" Marqo's, from the cache of Hugging Face if they
        are there (813 MB, the reading half comes along). "none" are random, the same for the same `seed`; anything
        else is a file of such a state dict, ".safetensors" or a pickle, which is read without running what is in it.
        What the encoder does not need of it is passed over.
    size : pixels, see `ResNet50` and `SigLIP`.

    Returns
    -------
    model : `ResNet50`, `VGG16` or `SigLIP`.

    Raises
    ------
    DataNotFound : the published weights are neither here nor to be had, there is no such file, or open_clip is missing.
        The message says what to put where.
    ModelMismatch : another name; or the file is damaged, belongs to another model, or holds more than tensors.
    DataError : a size that the network cannot take.
    """
    if name not in _KNOWN:
        raise ModelMismatch(
            f"There is no pretrained {name!r}; there is {', '.join(NAMES[:-1])} and {NAMES[-1]}."
        )
    known = _KNOWN[name]
    with torch.random.fork_rng(devices=[]):
        torch.random.default_generator.manual_seed(seed)
        model = known.kind(size)
    if weights != "none":
        published = weights == "auto" or (weights == "imagenet" and known.owner == "ImageNet's")
        _fill(model, _file_of(name, known) if published else Path(weights))
    return model.eval()


def best_available(name: str, otherwise: nn.Module, *, size: int = 224) -> tuple[nn.Module, str]:
    """`name` with its published weights if they can be had, else `otherwise`. Introduced in chapter 06.

    Parameters
    ----------
    otherwise : the strongest encoder that was trained here, of whatever width.

    Returns
    -------
    model : in eval mode.
    sentence : which of the two it is, and why; show it on the page.

    Raises
    ------
    ModelMismatch : as `pretrained`. Nothing stands in for a damaged file.
    """
    try:
        return pretrained(
            name, size=size
        ), f"The encoder is {name} with {_KNOWN[name].owner} published weights."
    except DataNotFound as error:
        return otherwise.eval(), f"{type(otherwise).__name__} stands in for {name}. {error}"


def state_dict_of(file: Path | str) -> dict[str, Tensor]:
    """The tensors in a file of weights, by name: ".safetensors", or a pickle that is read without running it.

    Introduced in chapter 08.

    Raises
    ------
    DataNotFound : there is no such file. ModelMismatch : it is damaged, or holds more than tensors.
    """
    file = Path(file)
    if not file.is_file():
        raise DataNotFound(
            f"{file}: there is no such file. Weights are 'auto', 'none', or a .pth or .safetensors file."
        )
    try:
        if file.suffix == ".safetensors":
            return safetensors.torch.load_file(file)
        found = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # hostile bytes make the unpickler raise nearly anything
        raise ModelMismatch(  # torch's own message advises to switch its safety off
            f"{file}: not a file of weights that can be read safely ({type(error).__name__}). It is damaged, or holds "
            "more than tensors; get it from its source."
        ) from error
    if not isinstance(found, dict) or not all(
        isinstance(k, str) and isinstance(v, Tensor) for k, v in found.items()
    ):
        raise ModelMismatch(
            f"{file}: expected a state dict, names and tensors; got a {type(found).__name__} of other things."
        )
    return found


def _set_up(
    model: nn.Module, size: int, dimensions: int, mean: tuple = _MEAN, std: tuple = _STD
) -> None:
    """What all have in common."""
    if size < SMALLEST:
        raise DataError(f"Pictures are scaled to {SMALLEST} pixels or more, got size={size}.")
    model.arguments, model.channels, model.dimensions = {"size": size}, 3, dimensions
    model.register_buffer("mean", torch.tensor(mean).reshape(1, 3, 1, 1))
    model.register_buffer("std", torch.tensor(std).reshape(1, 3, 1, 1))
    # Among the weights, so that vectors which were kept under their hash are not those of another size.
    model.register_buffer("size", torch.tensor(size))


def _checked(model: nn.Module, images: Tensor) -> Tensor:
    if images.ndim != 4 or images.shape[1] != 3 or min(images.shape[2:]) < SMALLEST:
        raise DataError(
            f"{type(model).__name__} takes images (n, 3, height, width) of at least {SMALLEST} x {SMALLEST} pixels, "
            f"got {tuple(images.shape)}. Use `catalogue.tensor(size, channels=3)`."
        )
    if not images.is_floating_point():
        raise DataError(
            f"{type(model).__name__} takes float32 in [0, 1], got {images.dtype}. Use `fashionnb.models.as_input`."
        )
    return images


def _prepared(model: nn.Module, images: Tensor) -> Tensor:
    """The images, checked, scaled and normalised."""
    images = _checked(model, images)
    size, (height, width) = model.arguments["size"], images.shape[2:]
    shorter = min(height, width)
    if shorter != size:
        scaled = round(height * size / shorter), round(width * size / shorter)
        images = interpolate(images, scaled, mode="bilinear", antialias=True)
    return (images - model.mean) / model.std


def _pooled(x: Tensor) -> Tensor:
    return x.mean((2, 3)).float()


def _file_of(name: str, known: _Published) -> Path:
    """The file of the published weights, after a download if need be."""
    file = Path(torch.hub.get_dir()) / "checkpoints" / known.file
    if file.is_file():
        if known.begins and not sha256(file).startswith(known.begins):
            raise ModelMismatch(
                f"{file} is damaged or cut short: its SHA-256 does not begin with {known.begins}. Delete it."
            )
        return file
    if name == "siglip":
        from huggingface_hub import try_to_load_from_cache  # which open_clip brought along

        if isinstance(found := try_to_load_from_cache(_MARQO, _IN_IT), str):
            return Path(found)
    remedy = (
        f"Put {known.url} into {file.parent}, as {file.name}, or name a file that you have: "
        f"`pretrained({name!r}, 'a/file')`, for commands `--model {name}:a/file`."
    )
    # As in fashionnb.data.downloads; models and data are strangers.
    if os.environ.get("FASHIONNB_OFFLINE", "0") not in ("", "0"):
        raise DataNotFound(
            f"{known.owner} weights of {name} are not here, and FASHIONNB_OFFLINE forbids to get them. {remedy}"
        )
    before = socket.getdefaulttimeout()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        socket.setdefaulttimeout(_PATIENCE)  # torch.hub would wait for ever
        torch.hub.download_url_to_file(known.url, str(file), hash_prefix=known.begins or None)
    except (
        OSError,
        HTTPException,
        RuntimeError,
    ) as error:  # no network, no room, other bytes than expected
        reason = getattr(error, "reason", None) or error
        raise DataNotFound(
            f"{known.owner} weights of {name} cannot be had ({reason}). {remedy}"
        ) from error
    finally:
        socket.setdefaulttimeout(before)
    return file


def _fill(model: nn.Module, file: Path) -> None:
    """Put published weights into the model's network, in place."""
    found = {}
    for key, tensor in state_dict_of(file).items():
        part, _, rest = key.partition(".")
        if part not in model._beside:
            found[rest if part == model._inside else key] = tensor
    try:
        model.network.load_state_dict(found)
    except RuntimeError as error:
        told = [line.strip()[:200] for line in str(error).splitlines()[1:]]
        more = [f"… and {len(told) - 6} more"] if len(told) > 6 else []
        raise ModelMismatch(
            f"{file} does not fit {type(model).__name__}:\n  " + "\n  ".join(told[:6] + more) + "\n"
            f"Expected the state dict of {model._like}."
        ) from error
