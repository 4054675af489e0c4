"""Small networks for colour photos of 64 x 64 pixels: two backbones, a classifier, and an encoder for search.

`MobileNetBackbone` is made of inverted residuals, as for telephones; `DenseBackbone`, of the same size, of plain
residual blocks, which a CPU runs several times faster (chapter 05 shows it). Both turn a photo (3, 64, 64) into a map
(64, 4, 4). Train a `MobileNetClassifier` first, then hand its backbone on to a `SiameseEncoder` with `transfer`.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize, softmax

from fashionnb.errors import DataError, ModelMismatch
from fashionnb.models.style2vec import Residual, convolution

OUTPUTS = 64
"""Channels of the map that a backbone makes."""


class InvertedResidual(nn.Module):
    """Widen, look, narrow: (n, inputs, h, w) -> (n, outputs, h / stride, w / stride).

    Introduced in chapter 05. Sandler et al. 2018, "MobileNetV2: Inverted Residuals and Linear Bottlenecks". A 1 x 1
    convolution widens to `expand` times the channels, a depthwise 3 x 3 one looks around in each of them by itself,
    and a 1 x 1 one narrows again, with nothing bent after it. Where the shapes agree the input is added.
    """

    def __init__(self, inputs: int, outputs: int, stride: int = 1, expand: int = 6) -> None:
        super().__init__()
        wide = expand * inputs
        self.added = inputs == outputs and stride == 1
        self.blocks = nn.Sequential(
            convolution(inputs, wide, size=1),
            nn.ReLU6(),
            convolution(wide, wide, stride=stride, groups=wide),
            nn.ReLU6(),
            convolution(wide, outputs, size=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """What the three convolutions make of `x`, and `x` itself where the shapes agree."""
        return x + self.blocks(x) if self.added else self.blocks(x)


class MobileNetBackbone(nn.Sequential):
    """Photos (n, 3, 64, 64) to maps (n, 64, 4, 4), with inverted residuals. Introduced in chapter 05.

    427,784 parameters. It takes normalised photos of any size that 16 divides; the map is a sixteenth of it.
    """

    STAGES = (
        (32, 2),
        (40, 2),
        (40, 1),
        (40, 1),
        (64, 2),
        (64, 1),
        (64, 1),
        (80, 1),
        (80, 1),
        (OUTPUTS, 1),
    )
    """(channels, stride) of each block."""

    def __init__(self, stem: int = 24) -> None:
        super().__init__(convolution(3, stem, stride=2), nn.ReLU6())
        inputs = stem
        for outputs, stride in self.STAGES:
            self.append(InvertedResidual(inputs, outputs, stride))
            inputs = outputs


class DenseBackbone(nn.Sequential):
    """Photos (n, 3, 64, 64) to maps (n, 64, 4, 4), with plain residual blocks. Introduced in chapter 05.

    He et al. 2016, "Deep Residual Learning". 419,992 parameters, about as many as `MobileNetBackbone`. It multiplies
    more, but in large pieces, which is what a CPU is good at.
    """

    STAGES = ((48, 2), (64, 2), (64, 1), (96, 2), (OUTPUTS, 1))
    """(channels, stride) of each block."""

    def __init__(self, stem: int = 24) -> None:
        super().__init__(convolution(3, stem, size=5, stride=2), nn.ReLU())
        inputs = stem
        for outputs, stride in self.STAGES:
            self.append(Residual(inputs, outputs, stride))
            inputs = outputs


BACKBONES: dict[str, type[nn.Module]] = {"inverted": MobileNetBackbone, "dense": DenseBackbone}
"""The kinds of backbone, by the name that models take."""


class _Photos(nn.Module):
    """What classifier and encoder share: the check of what comes in, its normalisation, the backbone, the pooling."""

    channels, smallest = 3, 32

    def __init__(
        self, backbone: str, mirror: bool, mean: Sequence[float], std: Sequence[float]
    ) -> None:
        super().__init__()
        if backbone not in BACKBONES:
            raise DataError(f"There is no backbone {backbone!r}; there are {', '.join(BACKBONES)}.")
        self.arguments = {
            "backbone": backbone,
            "mirror": mirror,
            "mean": list(mean),
            "std": list(std),
        }
        self.mirror = mirror
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1))
        self.backbone = BACKBONES[backbone]().to(memory_format=torch.channels_last)

    def features(self, images: Tensor) -> Tensor:
        """What the backbone saw, averaged over the map: (n, 64), not normalised.

        Parameters
        ----------
        images : (n, 3, height, width) float32 in [0, 1], at least 32 pixels high and wide; made for 64.

        Raises
        ------
        DataError : another shape or dtype.
        """
        if images.ndim != 4 or images.shape[1] != 3 or min(images.shape[2:]) < self.smallest:
            raise DataError(
                f"{type(self).__name__} takes images (n, 3, height, width) of at least {self.smallest} x "
                f"{self.smallest} pixels, got {tuple(images.shape)}. Use `catalogue.tensor(64)`."
            )
        if not images.is_floating_point():
            raise DataError(
                f"{type(self).__name__} takes float32 in [0, 1], got {images.dtype}. Use `fashionnb.models.as_input`."
            )
        x = ((images - self.mean) / self.std).contiguous(memory_format=torch.channels_last)
        return self.backbone(x).mean((2, 3))


class MobileNetClassifier(_Photos):
    """Photos in, one logit for each class out. Introduced in chapter 05.

    Parameters
    ----------
    classes : how many.
    backbone : "inverted" (428,434 parameters in all for 10 classes) or "dense" (420,642).
    dropout : the share of the 64 features that training leaves out.
    mirror : in eval mode, look at each photo and at its mirror image, and average the two answers. Twice the time.
    mean, std : of the training photos in [0, 1], per channel. The defaults are those of clothing-dataset-small.

    Raises
    ------
    DataError : fewer than 2 classes, or an unknown backbone.
    """

    def __init__(
        self,
        classes: int = 10,
        backbone: str = "inverted",
        dropout: float = 0.1,
        mirror: bool = False,
        mean: Sequence[float] = (0.67, 0.61, 0.59),
        std: Sequence[float] = (0.29, 0.31, 0.31),
    ) -> None:
        super().__init__(backbone, mirror, mean, std)
        if classes < 2:
            raise DataError(f"A classifier needs 2 classes or more, got {classes}.")
        self.arguments |= {"classes": classes, "dropout": dropout}
        self.dropout, self.head = nn.Dropout(dropout), nn.Linear(OUTPUTS, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (n, classes) float32. Takes and refuses what `features` does."""
        logits = self._logits(images)
        if self.mirror and not self.training:
            both = softmax(logits, 1) + softmax(self._logits(images.flip(3)), 1)
            logits = (both / 2).clamp_min(1e-12).log()  # the log of a probability is a logit, too
        return logits

    def _logits(self, images: Tensor) -> Tensor:
        return self.head(self.dropout(self.features(images))).float()


class SiameseEncoder(_Photos):
    """Photos in, points on the unit sphere out: what is searched with. Introduced in chapter 05.

    Bromley et al. 1993, "Signature Verification using a Siamese Time Delay Neural Network": the same network looks at
    both photos of a pair. One linear layer on the backbone's features, then length 1.

    Parameters
    ----------
    dimensions : length of an embedding.
    backbone, mean, std : as in `MobileNetClassifier`.
    mirror : in eval mode, embed each photo together with its mirror image.

    Raises
    ------
    DataError : an unknown backbone, or no dimension.
    """

    def __init__(
        self,
        dimensions: int = 64,
        backbone: str = "inverted",
        mirror: bool = False,
        mean: Sequence[float] = (0.67, 0.61, 0.59),
        std: Sequence[float] = (0.29, 0.31, 0.31),
    ) -> None:
        super().__init__(backbone, mirror, mean, std)
        if dimensions < 1:
            raise DataError(f"An embedding has 1 dimension or more, got {dimensions}.")
        self.arguments |= {"dimensions": dimensions}
        self.head = nn.Linear(OUTPUTS, dimensions)

    def forward(self, images: Tensor) -> Tensor:
        """Embeddings (n, dimensions) float32, each of length 1. Takes and refuses what `features` does."""
        z = self._embedded(images)
        if self.mirror and not self.training:
            z = normalize(z + self._embedded(images.flip(3)))
        return z

    def _embedded(self, images: Tensor) -> Tensor:
        return normalize(
            self.head(self.features(images)).float()
        )  # bfloat16 keeps a length of 1 to two digits only


class PhotoFeatures(_Photos):
    """Photos in, features out that are not below 0, as VGG-16's are: its small stand-in in PolaniaNet. Chapter 09.

    One linear layer and a ReLU on the backbone's features. With the "dense" backbone and 512 dimensions it has 453,272
    parameters, with the "inverted" one 461,064.

    Parameters
    ----------
    dimensions : how many features. backbone, mean, std : as in `MobileNetClassifier`.

    Raises
    ------
    DataError : an unknown backbone, or no dimension.
    """

    def __init__(
        self,
        dimensions: int = 512,
        backbone: str = "dense",
        mean: Sequence[float] = (0.67, 0.61, 0.59),
        std: Sequence[float] = (0.29, 0.31, 0.31),
    ) -> None:
        super().__init__(backbone, False, mean, std)
        if dimensions < 1:
            raise DataError(f"There is 1 feature or more, got {dimensions}.")
        self.arguments = {
            "dimensions": dimensions,
            "backbone": backbone,
            "mean": list(mean),
            "std": list(std),
        }
        self.head = nn.Linear(OUTPUTS, dimensions)

    def forward(self, images: Tensor) -> Tensor:
        """Features (n, dimensions) float32, 0 or more. Takes and refuses what `features` does."""
        return torch.relu(self.head(self.features(images))).float()


def transfer(trained: nn.Module, into: nn.Module) -> None:
    """Copy the backbone of one model into another, with the mean and deviation that it is used to, in place.

    Introduced in chapter 05. Heads are left as they are: they belong to their task.

    Raises
    ------
    ModelMismatch : one of the two has no backbone, or the backbones are of different kinds.
    """
    kinds = [getattr(model, "arguments", {}).get("backbone", "none") for model in (trained, into)]
    if kinds[0] != kinds[1] or "none" in kinds:
        raise ModelMismatch(
            f"A backbone can only go into one of its own kind: {type(trained).__name__} has {kinds[0]!r}, "
            f"{type(into).__name__} has {kinds[1]!r}. Build the second with backbone={kinds[0]!r}."
        )
    into.backbone.load_state_dict(trained.backbone.state_dict())
    for name in ("mean", "std"):
        getattr(into, name).copy_(getattr(trained, name))
        into.arguments[name] = trained.arguments[name]
