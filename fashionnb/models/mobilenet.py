"""Small networks for colour photos of 64 x 64 pixels: backbones, a classifier, encoders for search.

`MobileNetBackbone` consists of inverted residuals, as in networks for telephones; `DenseBackbone`,
of the same size, of plain residual blocks, which a CPU runs several times faster. Both turn a photo
(3, 64, 64) into a map (64, 4, 4). Train a `MobileNetClassifier` first, then give its backbone to a
`SiameseEncoder` with `transfer`.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize, softmax

from fashionnb.errors import DataError, ModelMismatch
from fashionnb.models.style2vec import ImageNetwork, ResidualBlock, blocks_of, convolution

STEM = 24
"""Channels of a backbone's first convolution."""

OUTPUTS = 64
"""Channels of the map that a backbone computes."""

MEAN, STD = (0.67, 0.61, 0.59), (0.29, 0.31, 0.31)
"""Mean and standard deviation per channel of the photos of clothing-dataset-small, in [0, 1]."""


class InvertedResidual(nn.Module):
    """Inverted residual, the block of MobileNetV2: widen, filter each channel, narrow.

    Maps (n, inputs, h, w) to (n, outputs, h/stride, w/stride). A 1 x 1 convolution widens to 6
    times the channels, a depthwise 3 x 3 one filters each of them, and a 1 x 1 one narrows again,
    without an activation. Where the shapes agree the input is added.

    Parameters
    ----------
    inputs : int
        Channels of the input.
    outputs : int
        Channels of the output.
    stride : int
        By which height and width are divided.

    References
    ----------
    Sandler et al. (2018), MobileNetV2: Inverted Residuals and Linear Bottlenecks.
    """

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        wide = 6 * inputs
        self.added = inputs == outputs and stride == 1
        self.blocks = nn.Sequential(
            convolution(inputs, wide, size=1),
            nn.ReLU6(),
            convolution(wide, wide, stride=stride, groups=wide),
            nn.ReLU6(),
            convolution(wide, outputs, size=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Apply the three convolutions, and add the input where the shapes agree."""
        return x + self.blocks(x) if self.added else self.blocks(x)


class MobileNetBackbone(nn.Sequential):
    """MobileNet backbone of inverted residuals for small photos of 64 x 64 pixels.

    Maps normalised photos (n, 3, 64, 64) to (n, 64, 4, 4). 427,784 parameters. It takes any height
    and width that 16 divides; the map is a sixteenth of it.
    """

    STAGES = (
        (32, 2), (40, 2), (40, 1), (40, 1), (64, 2),
        (64, 1), (64, 1), (80, 1), (80, 1), (OUTPUTS, 1),
    )  # fmt: skip
    """(channels, stride) of each block."""

    def __init__(self) -> None:
        stem = convolution(3, STEM, stride=2)
        super().__init__(stem, nn.ReLU6(), *blocks_of(InvertedResidual, STEM, self.STAGES))


class DenseBackbone(nn.Sequential):
    """Backbone of plain residual blocks, an alternative to MobileNet's that is faster on a CPU.

    Maps normalised photos (n, 3, 64, 64) to (n, 64, 4, 4). 419,992 parameters, about as many as
    `MobileNetBackbone`. It multiplies more, but in large pieces, which suits a CPU.

    References
    ----------
    He, Zhang, Ren & Sun (2016), Deep Residual Learning for Image Recognition.
    """

    STAGES = ((48, 2), (64, 2), (64, 1), (96, 2), (OUTPUTS, 1))
    """(channels, stride) of each block."""

    def __init__(self) -> None:
        stem = convolution(3, STEM, size=5, stride=2)
        super().__init__(stem, nn.ReLU(), *blocks_of(ResidualBlock, STEM, self.STAGES))


BACKBONES: dict[str, type[nn.Module]] = {"inverted": MobileNetBackbone, "dense": DenseBackbone}
"""Backbones by the names that networks take."""


class PhotoNetwork(ImageNetwork):
    """Base of photo networks on a MobileNet or dense backbone: check, normalisation, pooling.

    Parameters
    ----------
    backbone : str
        One of `BACKBONES`.
    mean : sequence of 3 float
        Of the training photos in [0, 1], per channel.
    std : sequence of 3 float
        Their standard deviation.
    **arguments : Any
        Further arguments of the network's constructor.

    Raises
    ------
    DataError
        If the backbone is unknown.
    """

    def __init__(
        self, backbone: str, mean: Sequence[float], std: Sequence[float], **arguments: Any
    ) -> None:
        if backbone not in BACKBONES:
            raise DataError(f"There is no backbone {backbone!r}; there are {', '.join(BACKBONES)}.")
        arguments = {"backbone": backbone, "mean": list(mean), "std": list(std), **arguments}
        super().__init__(3, 32, mean, std, arguments)
        self.backbone = BACKBONES[backbone]().to(memory_format=torch.channels_last)

    def features(self, images: Tensor) -> Tensor:
        """Compute the backbone's map, averaged over the photo.

        Parameters
        ----------
        images : Tensor of shape (n, 3, height, width), float
            In [0, 1], at least 32 pixels high and wide; 64 is the size of training.

        Returns
        -------
        Tensor of shape (n, 64)
            Not normalised.

        Raises
        ------
        DataError
            If the shape or the dtype is another.
        """
        x = self.normalised(images).contiguous(memory_format=torch.channels_last)
        return self.backbone(x).mean((2, 3))


class MobileNetClassifier(PhotoNetwork):
    """Classifier of garment photos on a MobileNet or dense backbone: one logit for each class.

    Parameters
    ----------
    classes : int
        How many there are.
    backbone : {"inverted", "dense"}
        With 10 classes the network has 428,434 or 420,642 parameters.
    dropout : float
        Share of the 64 features that training leaves out.
    mirror : bool
        In evaluation mode, average the probabilities of each photo and of its mirror image, which
        takes twice the time.
    mean : sequence of 3 float
        Of the training photos in [0, 1], per channel.
    std : sequence of 3 float
        Their standard deviation.

    Raises
    ------
    DataError
        If the backbone is unknown.
    """

    task = "classification"

    def __init__(
        self,
        classes: int = 10,
        backbone: str = "inverted",
        dropout: float = 0.1,
        mirror: bool = False,
        mean: Sequence[float] = MEAN,
        std: Sequence[float] = STD,
    ) -> None:
        super().__init__(backbone, mean, std, classes=classes, dropout=dropout, mirror=mirror)
        self.mirror = mirror
        self.dropout, self.head = nn.Dropout(dropout), nn.Linear(OUTPUTS, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Compute logits (n, classes), float32; accepts and refuses what `features` does."""
        logits = self._logits(images)
        if self.mirror and not self.training:
            both = softmax(logits, 1) + softmax(self._logits(images.flip(3)), 1)
            logits = (both / 2).clamp_min(1e-12).log()  # the log of a probability is a logit, too
        return logits

    def _logits(self, images: Tensor) -> Tensor:
        return self.head(self.dropout(self.features(images))).float()


class SiameseEncoder(PhotoNetwork):
    """Siamese encoder of photos on a MobileNet or dense backbone, for search by distance.

    A siamese network applies the same weights to both photos of a pair. One linear layer on the
    backbone's features, then length 1: points on the unit sphere.

    Parameters
    ----------
    dimensions : int
        Length of an embedding.
    backbone : {"inverted", "dense"}
        As in `MobileNetClassifier`.
    mirror : bool
        In evaluation mode, embed each photo together with its mirror image.
    mean : sequence of 3 float
        Of the training photos in [0, 1], per channel.
    std : sequence of 3 float
        Their standard deviation.

    Raises
    ------
    DataError
        If the backbone is unknown.

    References
    ----------
    Bromley et al. (1993), Signature Verification using a "Siamese" Time Delay Neural Network.
    """

    task = "embedding"

    def __init__(
        self,
        dimensions: int = 64,
        backbone: str = "inverted",
        mirror: bool = False,
        mean: Sequence[float] = MEAN,
        std: Sequence[float] = STD,
    ) -> None:
        super().__init__(backbone, mean, std, dimensions=dimensions, mirror=mirror)
        self.mirror = mirror
        self.head = nn.Linear(OUTPUTS, dimensions)

    def forward(self, images: Tensor) -> Tensor:
        """Embed photos; accepts and refuses what `features` does.

        Returns
        -------
        Tensor of shape (n, dimensions), float32
            Each row of length 1.
        """
        z = self._embedded(images)
        if self.mirror and not self.training:
            z = normalize(z + self._embedded(images.flip(3)))
        return z

    def _embedded(self, images: Tensor) -> Tensor:
        z = self.head(self.features(images))
        return normalize(z.float())  # in bfloat16 a length of 1 has two digits only


class PhotoFeatures(PhotoNetwork):
    """Non-negative features of photos on a MobileNet or dense backbone, for example for PolaniaNet.

    One linear layer and a ReLU on the backbone's features: the small alternative to VGG-16 in
    PolaniaNet. With 512 dimensions it has 453,272 parameters with the "dense" backbone, 461,064
    with the "inverted" one.

    Parameters
    ----------
    dimensions : int
        How many features.
    backbone : {"inverted", "dense"}
        As in `MobileNetClassifier`.
    mean : sequence of 3 float
        Of the training photos in [0, 1], per channel.
    std : sequence of 3 float
        Their standard deviation.

    Raises
    ------
    DataError
        If the backbone is unknown.
    """

    task = "embedding"

    def __init__(
        self,
        dimensions: int = 512,
        backbone: str = "dense",
        mean: Sequence[float] = MEAN,
        std: Sequence[float] = STD,
    ) -> None:
        super().__init__(backbone, mean, std, dimensions=dimensions)
        self.head = nn.Linear(OUTPUTS, dimensions)

    def forward(self, images: Tensor) -> Tensor:
        """Compute features (n, dimensions), float32, 0 or more; errors as `features`."""
        return torch.relu(self.head(self.features(images))).float()


def transfer(trained: nn.Module, into: nn.Module) -> None:
    """Transfer a trained MobileNet or dense backbone from one photo network into another.

    The second is changed in place: backbone, mean and deviation. Heads stay as they are: they
    belong to their task.

    Parameters
    ----------
    trained : nn.Module
        A network with a `backbone`.
    into : nn.Module
        Another with a `backbone` of the same kind.

    Raises
    ------
    ModelMismatch
        If a network has no backbone, or the backbones are of different kinds.
    """
    kinds = [getattr(model, "arguments", {}).get("backbone", "none") for model in (trained, into)]
    if kinds[0] != kinds[1] or "none" in kinds:
        raise ModelMismatch(
            "A backbone can only be copied into one of its own kind: "
            f"{type(trained).__name__} has {kinds[0]!r}, {type(into).__name__} has {kinds[1]!r}. "
            f"Build the second with backbone={kinds[0]!r}."
        )
    into.backbone.load_state_dict(trained.backbone.state_dict())
    for name in ("mean", "std"):
        getattr(into, name).copy_(getattr(trained, name))
        into.arguments[name] = trained.arguments[name]
