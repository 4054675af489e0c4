"""Networks, one file per family: the short names that checkpoints store, weights, cost, modes.

A network of images takes float32 in [0, 1], shape (n, channels, height, width), and normalises them
itself. It keeps the arguments of its constructor in `.arguments`; with its name below they suffice
to build it again, and its `.task` says what it is for (see `TASKS`). Open a trained one with
`fashionnb.checkpoints.load_model`. Read `fashionnb.models.style2vec` next.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from pkgutil import resolve_name

import torch
from torch import Tensor, nn

from fashionnb.errors import DataError, ModelMismatch

ARCHITECTURES: dict[str, str | type[nn.Module]] = {
    "style2vec": "fashionnb.models.style2vec:Style2Vec",
    "fusion": "fashionnb.models.fusion:Fusion",
    "attributes": "fashionnb.models.fusion:AttributeHeads",
    "mobilenet-classifier": "fashionnb.models.mobilenet:MobileNetClassifier",
    "siamese": "fashionnb.models.mobilenet:SiameseEncoder",
    "photo-features": "fashionnb.models.mobilenet:PhotoFeatures",
    "efficientnet-lite": "fashionnb.models.pretrained:EfficientNetLite",
    "resnet50": "fashionnb.models.pretrained:ResNet50",
    "vgg16": "fashionnb.models.pretrained:VGG16",
    "siglip": "fashionnb.models.pretrained:SigLIP",
    "compatibility": "fashionnb.models.compatibility:CompatibilityMLP",
    "polania": "fashionnb.models.compatibility:PolaniaNet",
    "type-aware": "fashionnb.models.compatibility:TypeAware",
    "outfit-transformer": "fashionnb.models.outfit_transformer:OutfitTransformer",
    "complete-the-look": "fashionnb.models.complete_the_look:CompleteTheLook",
    "look-around": "fashionnb.models.complete_the_look:LookAround",
}
"""Name to class, or to the place ("module:Class") that it is imported from when first needed."""

TASKS = {
    "embedding": "images to vectors",
    "classification": "images to one logit for each class of the card",
    "attributes": "images to the logits of each attribute",
    "compatibility": "pairs of items to one logit or score each",
    "outfit": "sets of items to one score each, and to the place of a missing item",
    "complete-the-look": "scenes and products to points of one space",
}
"""What networks are for: the `task` of a class and of a card."""


def architecture(name: str) -> type[nn.Module]:
    """Return the class of a model by its short name, such as "style2vec".

    Parameters
    ----------
    name : str
        One of `ARCHITECTURES`.

    Returns
    -------
    type
        The class, imported if need be.

    Raises
    ------
    ModelMismatch
        If the name is unknown.
    """
    if name not in ARCHITECTURES:
        raise ModelMismatch(
            f"There is no architecture {name!r}; there are {', '.join(sorted(ARCHITECTURES))}. "
            "A newer fashionnb may have it. For a class of your own: "
            "`models.ARCHITECTURES[name] = YourClass`."
        )
    found = ARCHITECTURES[name]
    return resolve_name(found) if isinstance(found, str) else found


def name_of(model: nn.Module) -> str:
    """Return the short name of a model's class, such as "style2vec".

    Parameters
    ----------
    model : nn.Module
        An object of the class.

    Returns
    -------
    str
        One of `ARCHITECTURES`.

    Raises
    ------
    ModelMismatch
        If the class has none.
    """
    place = f"{type(model).__module__}:{type(model).__qualname__}"
    for name, known in ARCHITECTURES.items():
        if known is type(model) or known == place:
            return name
    raise ModelMismatch(
        f"{type(model).__name__} has no name among {', '.join(sorted(ARCHITECTURES))}, so no card "
        "could say how to build it again. Add it first: "
        f"`models.ARCHITECTURES['a-name'] = {type(model).__name__}`."
    )


def as_input(images: Tensor) -> Tensor:
    """Convert images to the input of any model: uint8 becomes float32 in [0, 1].

    Do it on the network's own device: uint8 is a quarter of the transfer.

    Parameters
    ----------
    images : Tensor, uint8 or float32
        Of any shape; float32 passes unchanged.

    Returns
    -------
    Tensor, float32
        Of the same shape.

    Raises
    ------
    DataError
        If the dtype is another.
    """
    if images.dtype == torch.uint8:
        return images.float() / 255
    if images.dtype == torch.float32:
        return images
    raise DataError(
        f"Images are uint8 (0 to 255) or float32 (0 to 1), got {images.dtype}: convert them first."
    )


@contextmanager
def evaluating(model: nn.Module) -> Iterator[nn.Module]:
    """Put any model in evaluation mode without gradients, and restore its modes afterwards.

    Each module has a mode of its own: one that is in evaluation mode already, such as a frozen
    backbone, stays so. The modes are restored after an error, too.

    Parameters
    ----------
    model : nn.Module
        On any device.

    Yields
    ------
    nn.Module
        The network.
    """
    modes = {module: module.training for module in model.modules()}
    try:
        model.eval()
        with torch.no_grad():
            yield model
    finally:
        for module, training in modes.items():
            module.training = training


def load_weights(
    model: nn.Module, saved: dict[str, Tensor], where: Path | str, remedy: str
) -> None:
    """Load saved weights into any model, in place.

    Parameters
    ----------
    model : nn.Module
        The network, whose weights are replaced.
    saved : dict of str to Tensor
        One tensor for each name in the network's state.
    where : path or str
        Where they are from, for the message.
    remedy : str
        How the message ends: what to do if they do not fit.

    Raises
    ------
    ModelMismatch
        If a name or shape does not fit; the message lists both shapes.
    """
    try:
        model.load_state_dict(saved)
    except RuntimeError as error:
        lines = [line.strip()[:200] for line in str(error).splitlines()[1:]]
        more = [f"… and {len(lines) - 6} more"] if len(lines) > 6 else []
        listed = "\n  ".join(lines[:6] + more)
        raise ModelMismatch(f"{where} does not fit the network:\n  {listed}\n{remedy}") from error


def parameters(model: nn.Module) -> int:
    """Count the parameters of any model: the numbers that training may change.

    A shared weight counts once; buffers do not count.

    Parameters
    ----------
    model : nn.Module
        The network.

    Returns
    -------
    int
        How many there are, frozen ones included.
    """
    return sum(parameter.numel() for parameter in model.parameters())


def macs(model: nn.Module, shape: Sequence[int]) -> int:
    """Count the multiply-adds (MACs) that any model needs for one image.

    The network is in evaluation mode. One MAC is one multiplication and the addition of its
    product, so 2 FLOPs; many papers say "FLOPs" and mean MACs. Convolutions and products of
    matrices count, without their biases. Normalisation, activations and pooling do not: they are
    about a hundredth. Time is another matter: a network with a third of the multiplications may
    well be the slower one.

    Parameters
    ----------
    model : nn.Module
        Called once with a black image; afterwards it is as it was.
    shape : sequence of 3 int
        Channels, height and width of the image.

    Returns
    -------
    int
        For an output of (channels, height, width) a convolution takes channels · height · width
        · (input channels / groups) · kernel height · kernel width.

    Raises
    ------
    DataError
        If the model refuses such an image.
    """
    from torch.utils.flop_counter import FlopCounterMode  # takes a fifth of a second

    device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    counter = FlopCounterMode(display=False)
    with evaluating(model), counter:
        model(torch.zeros(1, *shape, device=device))
    return counter.get_total_flops() // 2
