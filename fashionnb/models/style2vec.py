"""Style2Vec: a small residual network that turns a garment's picture into a point on the unit sphere.

It is the book's first model (chapter 02) and small enough to train on a laptop; with more `stages` it is the larger one
of chapter 03. It knows nothing of losses or data.
"""

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor, nn

from fashionnb.errors import DataError


class Style2Vec(nn.Module):
    """Images in, L2-normalised embeddings out. Introduced in chapter 02.

    Residual blocks after He et al. 2016, "Deep Residual Learning for Image Recognition"; the embedding on the unit
    sphere after Schroff et al. 2015, "FaceNet". Two choices are for the CPU: the stem halves the picture at once, since
    the first layers cost the most (chapter 03's long run can afford `stem_stride` 1, and sees finer things); and
    convolutions are dense, since depthwise ones save parameters but little time.

    Parameters
    ----------
    dimensions : length of the embedding.
    channels : 1 for grey images, 3 for colour.
    stem, stem_stride : channels and stride of the first convolution.
    stages : (channels, stride) of each residual block.
    mirror : in eval mode, embed each picture together with its mirror image: a garment mirrored is the same garment. It
        takes twice the time.
    mean, std : of the training images in [0, 1], one number or one per channel. The defaults are Fashion-MNIST's.

    Raises
    ------
    DataError : `stages` that make no network.
    """

    def __init__(
        self,
        dimensions: int = 128,
        channels: int = 1,
        stem: int = 32,
        stem_stride: int = 2,
        stages: Sequence[Sequence[int]] = ((64, 2), (96, 2), (128, 1)),
        mirror: bool = False,
        mean: float | Sequence[float] = 0.2860,
        std: float | Sequence[float] = 0.3530,
    ) -> None:
        super().__init__()
        stages = _pairs(stages)
        sizes = {
            "dimensions": dimensions,
            "channels": channels,
            "stem": stem,
            "stem_stride": stem_stride,
        }
        self.arguments = {**sizes, "stages": stages, "mirror": mirror, "mean": mean, "std": std}
        self.channels, self.mirror = channels, mirror
        # The last stage has 2 x 2 pixels to look at.
        self.smallest = 2 * stem_stride * prod(stride for _, stride in stages)
        self.register_buffer(
            "mean", torch.as_tensor(mean).float().expand(channels).reshape(1, -1, 1, 1).clone()
        )
        self.register_buffer(
            "std", torch.as_tensor(std).float().expand(channels).reshape(1, -1, 1, 1).clone()
        )
        self.stem = nn.Sequential(
            convolution(channels, stem, size=5, stride=stem_stride), nn.ReLU()
        )
        self.stages, inputs = nn.Sequential(), stem
        for outputs, stride in stages:
            self.stages.append(Residual(inputs, outputs, stride))
            inputs = outputs
        self.head = nn.Linear(inputs, dimensions)
        # Channels beside each other in memory: the same network, a fifth more images a second on a CPU.
        self.to(memory_format=torch.channels_last)

    def features(self, images: Tensor) -> Tensor:
        """What the network saw, before it is an embedding: (n, channels of the last stage), not normalised.

        Parameters
        ----------
        images : (n, channels, height, width) float32 in [0, 1], at least `smallest` pixels high and wide (16, unless
            `stages` says otherwise).

        Raises
        ------
        DataError : another shape or dtype.
        """
        self._check(images)
        x = (images - self.mean) / self.std
        x = self.stem(x.contiguous(memory_format=torch.channels_last))
        return self.stages(x).mean((2, 3))

    def forward(self, images: Tensor) -> Tensor:
        """Embeddings (n, dimensions) float32, each of length 1. Takes and refuses what `features` does."""
        z = self._embedded(images)
        if self.mirror and not self.training:
            z = nn.functional.normalize(z + self._embedded(images.flip(3)))
        return z

    def _embedded(self, images: Tensor) -> Tensor:
        z = self.head(self.features(images))
        return nn.functional.normalize(z.float())  # bfloat16 keeps a length of 1 to two digits only

    def _check(self, images: Tensor) -> None:
        if (
            images.ndim != 4
            or images.shape[1] != self.channels
            or min(images.shape[2:]) < self.smallest
        ):
            raise DataError(
                f"Style2Vec takes images (n, {self.channels}, height, width) of at least {self.smallest} x "
                f"{self.smallest} pixels, got {tuple(images.shape)}. "
                f"Use `catalogue.tensor(size, channels={self.channels})`."
            )
        if not images.is_floating_point():
            raise DataError(
                f"Style2Vec takes float32 in [0, 1], got {images.dtype}. Use `fashionnb.models.as_input`."
            )


class Residual(nn.Module):
    """Two convolutions beside a shortcut: (n, inputs, h, w) -> (n, outputs, h / stride, w / stride).

    The shortcut is the input itself where the shapes agree, else a 1 x 1 convolution of it.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        alike = inputs == outputs and stride == 1
        self.shortcut = nn.Identity() if alike else convolution(inputs, outputs, size=1)
        self.residual = nn.Sequential(
            convolution(inputs, outputs, stride=stride),
            nn.ReLU(),
            convolution(outputs, outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        """The shortcut plus what the two convolutions add to it."""
        # A 1 x 1 convolution with a stride only skips pixels. They are skipped here, because its backward pass in torch
        # 2.15 (oneDNN on AVX-512) writes beyond its memory for 8 channels or fewer and an odd batch.
        skipped = x[:, :, :: self.stride, :: self.stride]
        return torch.relu(self.shortcut(skipped) + self.residual(x))


def convolution(
    inputs: int, outputs: int, size: int = 3, *, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    """A convolution, without a bias, since the batch normalisation after it has its own. Nothing is bent yet."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, stride, padding=size // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    )


def _pairs(stages: Sequence[Sequence[int]]) -> list[list[int]]:
    """The stages, checked, and as a card's JSON has them."""
    try:
        pairs = [[channels, stride] for channels, stride in stages]
        sensible = min(min(pair) for pair in pairs) >= 1
    except (TypeError, ValueError):  # no pairs, or none at all
        sensible = False
    if not sensible:
        raise DataError(
            f"`stages` are (channels, stride) pairs of 1 or more, as ((64, 2), (128, 1)); got {stages!r}."
        )
    return pairs
