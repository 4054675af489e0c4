"""The models, one file per family, and the short names that checkpoints know them by.

A model takes float32 images in [0, 1], shape (n, channels, height, width), and normalises them itself, so that nobody
outside has to know a mean or a deviation. It keeps its constructor's arguments in `.arguments`; together with its name
below that is all `fashionnb.checkpoints` needs to build it again. Read `fashionnb.models.style2vec` next.
"""

from importlib import import_module

import torch
from torch import Tensor, nn

from fashionnb.errors import DataError, ModelMismatch

ARCHITECTURES: dict[str, str | type[nn.Module]] = {
    "style2vec": "fashionnb.models.style2vec:Style2Vec",
    "fusion": "fashionnb.models.fusion:Fusion",
    "attributes": "fashionnb.models.fusion:AttributeHeads",
    "mobilenet-classifier": "fashionnb.models.mobilenet:MobileNetClassifier",
    "siamese": "fashionnb.models.mobilenet:SiameseEncoder",
    "resnet50": "fashionnb.models.pretrained:ResNet50",
    "vgg16": "fashionnb.models.pretrained:VGG16",
    "photo-features": "fashionnb.models.mobilenet:PhotoFeatures",
    "compatibility": "fashionnb.models.compatibility:CompatibilityMLP",
    "polania": "fashionnb.models.compatibility:PolaniaNet",
    "type-aware": "fashionnb.models.compatibility:TypeAware",
    "outfit-transformer": "fashionnb.models.outfit_transformer:OutfitTransformer",
    "complete-the-look": "fashionnb.models.complete_the_look:CompleteTheLook",
    "look-around": "fashionnb.models.complete_the_look:LookAround",
}
"""Name -> class, or the place it is imported from when it is first asked for ("module:Class")."""


def architecture(name: str) -> type[nn.Module]:
    """The class behind a short name. Introduced in chapter 02. Raises `ModelMismatch` for an unknown name."""
    if name not in ARCHITECTURES:
        raise ModelMismatch(
            f"There is no architecture {name!r}; this fashionnb knows {', '.join(sorted(ARCHITECTURES))}. "
            "A newer fashionnb may know it. For a class of your own: `models.ARCHITECTURES[name] = YourClass`."
        )
    found = ARCHITECTURES[name]
    if isinstance(found, str):
        module, _, attribute = found.partition(":")
        found = getattr(import_module(module), attribute)
    return found


def name_of(model: nn.Module) -> str:
    """The short name of a model's architecture. Raises `ModelMismatch` if its class has none."""
    place = f"{type(model).__module__}:{type(model).__qualname__}"
    for name, known in ARCHITECTURES.items():
        if known is type(model) or known == place:
            return name
    raise ModelMismatch(
        f"{type(model).__name__} has no name among {', '.join(sorted(ARCHITECTURES))}, so no card could say how to "
        f"build it again. Make it known first: `models.ARCHITECTURES['a-name'] = {type(model).__name__}`."
    )


def as_input(images: Tensor) -> Tensor:
    """Images as models take them: uint8 becomes float32 in [0, 1], float32 passes as it is.

    Introduced in chapter 02. Scaling on the model's own device is cheap, and uint8 travels there four times lighter.

    Raises
    ------
    DataError : any other dtype.
    """
    if images.dtype == torch.uint8:
        return images.float() / 255
    if images.dtype == torch.float32:
        return images
    raise DataError(
        f"Images are uint8 (0 to 255) or float32 (0 to 1), got {images.dtype}: convert them first."
    )
