"""MultiStageEncoder for a shop: what a trained backbone sees at every stage, and the plain colours, in one embedding.

A network that was taught types has thrown colour away by its last stage (chapter 06). So `MultiStageEncoder` keeps every stage, and
puts beside it how much there is of each colour, and a tiny picture. The slow half, `MultiStageEncoder.features`, needs no training
and is computed once; the quick half learns on its numbers. `fashionnb.models.fusion` names attributes with it.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, normalize

from fashionnb.errors import DataError
from fashionnb.models.mobilenet import BACKBONES

STEPS = 6  # of each colour channel, so that there are 216 colours
TINY = 8  # pixels a side of the tiny picture
_FARTHEST = 6.0  # deviations; beyond it a feature says no more


class MultiStageEncoder(nn.Module):
    """Photos in, points on the unit sphere out. Introduced in chapter 07.

    Give it a trained backbone with `fashionnb.models.mobilenet.transfer`, and call `settle` on the training features
    before it learns. A call takes photos, or the features that `features` made of them once.

    Parameters
    ----------
    dimensions : length of an embedding.
    backbone : a kind of `fashionnb.models.mobilenet.BACKBONES`.
    hidden : units between the features and the embedding. dropout : the share of them that training leaves out.
    mean, std : of the photos that the backbone was trained on.

    Raises
    ------
    DataError : an unknown backbone.
    """

    channels, smallest = 3, 32

    def __init__(
        self,
        dimensions: int = 128,
        backbone: str = "dense",
        hidden: int = 256,
        dropout: float = 0.2,
        mean: Sequence[float] = (0.67, 0.61, 0.59),
        std: Sequence[float] = (0.29, 0.31, 0.31),
    ) -> None:
        super().__init__()
        if backbone not in BACKBONES:
            raise DataError(f"There is no backbone {backbone!r}; there are {', '.join(BACKBONES)}.")
        self.arguments = {
            "dimensions": dimensions, "backbone": backbone, "hidden": hidden, "dropout": dropout,
            "mean": list(mean), "std": list(std),
        }  # fmt: skip
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1))
        self.backbone = BACKBONES[backbone]().to(memory_format=torch.channels_last)
        channels = sum(stage for stage, _ in BACKBONES[backbone].STAGES)
        self.width = channels + self.backbone[0][0].out_channels + STEPS**3 + 3 * TINY**2
        """How many features there are."""
        self.register_buffer("centre", torch.zeros(self.width))
        self.register_buffer("spread", torch.ones(self.width))
        self.project = nn.Sequential(
            nn.Linear(self.width, hidden), nn.LayerNorm(hidden), nn.ReLU(), nn.Dropout(dropout),
            nn.Linear(hidden, dimensions),
        )  # fmt: skip

    def forward(self, images: Tensor) -> Tensor:
        """Embeddings (n, dimensions) float32, each of length 1.

        images : (n, 3, height, width) float32 in [0, 1]; or (n, width) float32, what `features` gave. Raises
        `DataError` for another shape or dtype.
        """
        features = images if images.ndim == 2 else self.features(images)
        if features.shape[1] != self.width:
            raise DataError(
                f"There are {self.width} features for each photo, got {tuple(features.shape)}."
            )
        plain = ((features - self.centre) / self.spread).clamp(-_FARTHEST, _FARTHEST)
        return normalize(self.project(plain).float())

    def features(self, images: Tensor) -> Tensor:
        """What there is to learn from: (n, width) float32, without any training.

        Each stage of the backbone, averaged over the photo; the root of how much there is of 216 colours; and the
        photo, 8 pixels wide and high.

        Raises
        ------
        DataError : no float photos (n, 3, height, width), or smaller than 32 pixels.
        """
        if images.ndim != 4 or images.shape[1] != 3 or min(images.shape[2:]) < self.smallest:
            raise DataError(
                f"MultiStageEncoder take photos (n, 3, height, width) of at least {self.smallest} x {self.smallest} pixels, got "
                f"{tuple(images.shape)}. Use `catalogue.tensor(64)`."
            )
        if not images.is_floating_point():
            raise DataError(
                f"MultiStageEncoder take float32 in [0, 1], got {images.dtype}. Use `fashionnb.models.as_input`."
            )
        x = ((images - self.mean) / self.std).contiguous(memory_format=torch.channels_last)
        seen = []
        for block in self.backbone:
            x = block(x)
            seen.append(x.mean((2, 3)).float())
        tiny = interpolate(images, (TINY, TINY), mode="area").flatten(1).float()
        return torch.cat(
            [*seen[1:], colours(images), tiny], 1
        )  # the first is not bent yet, the second is it, bent

    @torch.no_grad()
    def settle(self, features: Tensor) -> None:
        """Take centre and spread of the training features (n, width), so that each feature speaks equally loudly."""
        self.centre.copy_(features.mean(0))
        self.spread.copy_(features.std(0) + 1e-3)


def colours(images: Tensor) -> Tensor:
    """How much of a photo each of 216 colours covers: the root of its share. Introduced in chapter 07.

    Swain & Ballard 1991, "Color Indexing". Roots, so that the many white pixels do not count for all.

    Parameters
    ----------
    images : (n, 3, height, width) float in [0, 1].

    Returns
    -------
    (n, 216) float32, each row of length 1. Colour number 36 r + 6 g + b has steps r, g, b from 0 to 5.
    """
    red, green, blue = (images.detach() * (STEPS - 1e-3)).long().clamp(0, STEPS - 1).unbind(1)
    number = (STEPS**2 * red + STEPS * green + blue).flatten(1)
    counts = torch.zeros(len(images), STEPS**3, device=images.device)
    counts.scatter_add_(1, number, torch.ones(number.shape, device=images.device))
    return (counts / number.shape[1]).sqrt()
