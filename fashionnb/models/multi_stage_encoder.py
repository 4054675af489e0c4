"""Multi-stage encoder: the features of every stage of a backbone and the colours, in one embedding.

The last stage of a network that was trained to classify garments has lost most of the colour. So
`MultiStageEncoder` keeps every stage, and adds a colour histogram and a tiny copy of the photo. The
slow half, `MultiStageEncoder.features`, needs no training and is computed once; the quick half is
trained on its output. `fashionnb.models.fusion` predicts attributes with it.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, normalize

from fashionnb.arrays import check_array
from fashionnb.models.mobilenet import MEAN, STD, STEM, PhotoNetwork

_STEPS = 6  # of each colour channel, so that there are 216 colours
_TINY = 8  # pixels a side of the tiny copy
_FARTHEST = 6.0  # standard deviations at which a feature is cut off


class MultiStageEncoder(PhotoNetwork):
    """Multi-stage encoder of photos: features of every stage of a backbone, and colours.

    It gives points on the unit sphere. Give it a trained backbone with
    `fashionnb.models.mobilenet.transfer`, and call `standardise` with the training features before
    training. A call takes photos, or the output of `features`.

    Parameters
    ----------
    dimensions : int
        Length of an embedding.
    backbone : str
        One of `fashionnb.models.mobilenet.BACKBONES`.
    hidden : int
        Units between the features and the embedding.
    dropout : float
        Share of them that training leaves out.
    mean : sequence of 3 float
        Of the photos that the backbone was trained on, in [0, 1], per channel.
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
        dimensions: int = 128,
        backbone: str = "dense",
        hidden: int = 256,
        dropout: float = 0.2,
        mean: Sequence[float] = MEAN,
        std: Sequence[float] = STD,
    ) -> None:
        super().__init__(backbone, mean, std, dimensions=dimensions, hidden=hidden, dropout=dropout)
        channels = STEM + sum(outputs for outputs, _ in self.backbone.STAGES)
        self.width = channels + _STEPS**3 + 3 * _TINY**2
        """Number of features."""
        self.register_buffer("centre", torch.zeros(self.width))
        self.register_buffer("spread", torch.ones(self.width))
        self.project = nn.Sequential(
            nn.Linear(self.width, hidden), nn.LayerNorm(hidden), nn.ReLU(), nn.Dropout(dropout),
            nn.Linear(hidden, dimensions),
        )  # fmt: skip

    def forward(self, images: Tensor) -> Tensor:
        """Embed photos, or their features.

        Parameters
        ----------
        images : Tensor of shape (n, 3, height, width) or (n, width), float
            Photos in [0, 1], or the output of `features`.

        Returns
        -------
        Tensor of shape (n, dimensions), float32
            Each row of length 1.

        Raises
        ------
        DataError
            If the shape or the dtype is another.
        """
        features = images if images.ndim == 2 else self.features(images)
        remedy = "Compute them with the `features` of this network."
        check_array(features, ("n", self.width), "Features of photos", remedy)
        scaled = ((features - self.centre) / self.spread).clamp(-_FARTHEST, _FARTHEST)
        return normalize(self.project(scaled).float())

    def features(self, images: Tensor) -> Tensor:
        """Compute the features that need no training.

        They are each stage of the backbone, averaged over the photo; the colour histogram; and the
        photo, 8 pixels wide and high.

        Parameters
        ----------
        images : Tensor of shape (n, 3, height, width), float
            In [0, 1], at least 32 pixels high and wide.

        Returns
        -------
        Tensor of shape (n, width), float32

        Raises
        ------
        DataError
            If the shape or the dtype is another.
        """
        x = self.normalised(images).contiguous(memory_format=torch.channels_last)
        pooled = []
        for block in self.backbone:
            x = block(x)
            pooled.append(x.mean((2, 3)).float())
        tiny = interpolate(images, (_TINY, _TINY), mode="area").flatten(1).float()
        # The first is the stem before its activation, the second the same after it.
        return torch.cat([*pooled[1:], _colour_histogram(images), tiny], 1)

    @torch.no_grad()
    def standardise(self, features: Tensor) -> None:
        """Store mean and deviation of the training features (n, width), so that all count alike."""
        self.centre.copy_(features.mean(0))
        self.spread.copy_(features.std(0) + 1e-3)


def _colour_histogram(images: Tensor) -> Tensor:
    """Compute the square root of the share of each of 216 colours.

    With roots the many white pixels of a background count less.

    Parameters
    ----------
    images : Tensor of shape (n, 3, height, width), float
        In [0, 1].

    Returns
    -------
    Tensor of shape (n, 216), float32
        Each row of length 1. Column 36 r + 6 g + b is the colour with steps r, g, b from 0 to 5.

    References
    ----------
    Swain & Ballard (1991), Color Indexing.
    """
    red, green, blue = (images.detach() * (_STEPS - 1e-3)).long().clamp(0, _STEPS - 1).unbind(1)
    number = (_STEPS**2 * red + _STEPS * green + blue).flatten(1)
    ones = torch.ones_like(number, dtype=torch.float32)
    counts = torch.zeros_like(ones[:, :1]).repeat(
        1, _STEPS**3
    )  # no number n: see `fashionnb.export`
    counts = counts.scatter_add(1, number, ones)
    return (counts / number.shape[1]).sqrt()
