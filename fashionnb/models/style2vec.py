"""Style2Vec: a small residual network that turns a garment's picture into a point on the unit sphere.

It is the book's first model (chapter 02) and small enough to train on a laptop. It knows nothing of losses or data.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from fashionnb.errors import DataError

SMALLEST = 16  # pixels: below that the last stage would have a single point to look at


class Style2Vec(nn.Module):
    """Images in, L2-normalised embeddings out. Introduced in chapter 02.

    Residual blocks after He et al. 2016, "Deep Residual Learning for Image Recognition"; the embedding on the unit
    sphere after Schroff et al. 2015, "FaceNet". Two choices are for the CPU: the stem halves the picture at once, since
    the first layers cost the most; and convolutions are dense, since depthwise ones save parameters but little time.

    Parameters
    ----------
    dimensions : length of the embedding.
    channels : 1 for grey images, 3 for colour.
    width : channels of the first stage; the others have 2, 3 and 4 times as many.
    mean, std : of the training images in [0, 1], one number or one per channel. The defaults are Fashion-MNIST's.
    """

    def __init__(
        self,
        dimensions: int = 128,
        channels: int = 1,
        width: int = 32,
        mean: float | Sequence[float] = 0.2860,
        std: float | Sequence[float] = 0.3530,
    ) -> None:
        super().__init__()
        self.arguments = {"dimensions": dimensions, "channels": channels, "width": width, "mean": mean, "std": std}
        self.register_buffer("mean", torch.as_tensor(mean).float().expand(channels).reshape(1, -1, 1, 1).clone())
        self.register_buffer("std", torch.as_tensor(std).float().expand(channels).reshape(1, -1, 1, 1).clone())
        self.stem = nn.Sequential(_convolution(channels, width, size=5, stride=2), nn.ReLU())
        self.stages = nn.Sequential(
            Residual(width, 2 * width, stride=2),
            Residual(2 * width, 3 * width, stride=2),
            Residual(3 * width, 4 * width, stride=1),
        )
        self.head = nn.Linear(4 * width, dimensions)
        # Channels beside each other in memory: the same network, a fifth more images a second on a CPU.
        self.to(memory_format=torch.channels_last)

    def features(self, images: Tensor) -> Tensor:
        """What the network saw, before it is an embedding: (n, 4 * width), not normalised.

        Parameters
        ----------
        images : (n, channels, height, width) float32 in [0, 1], at least 16 x 16 pixels.

        Raises
        ------
        DataError : another shape or dtype.
        """
        self._check(images)
        x = (images - self.mean) / self.std
        x = self.stem(x.contiguous(memory_format=torch.channels_last))
        return self.stages(x).mean((2, 3))

    def forward(self, images: Tensor) -> Tensor:
        """Embeddings (n, dimensions), each of length 1. Takes and refuses what `features` does."""
        return nn.functional.normalize(self.head(self.features(images)))

    def _check(self, images: Tensor) -> None:
        channels = self.arguments["channels"]
        if images.ndim != 4 or images.shape[1] != channels or min(images.shape[2:]) < SMALLEST:
            raise DataError(
                f"Style2Vec takes images (n, {channels}, height, width) of at least {SMALLEST} x {SMALLEST} pixels, "
                f"got {tuple(images.shape)}. Use `catalogue.tensor(size, channels={channels})`."
            )
        if not images.is_floating_point():
            raise DataError(f"Style2Vec takes float32 in [0, 1], got {images.dtype}. Use `fashionnb.models.as_input`.")


class Residual(nn.Module):
    """Two convolutions beside a shortcut: (n, inputs, h, w) -> (n, outputs, h / stride, w / stride)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.shortcut = _convolution(inputs, outputs, size=1)
        self.residual = nn.Sequential(
            _convolution(inputs, outputs, stride=stride),
            nn.ReLU(),
            _convolution(outputs, outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        """The shortcut plus what the two convolutions add to it."""
        # A 1 x 1 convolution with a stride only skips pixels. They are skipped here, because its backward pass in torch
        # 2.15 (oneDNN on AVX-512) writes beyond its memory for 8 channels or fewer and an odd batch.
        skipped = x[:, :, :: self.stride, :: self.stride]
        return torch.relu(self.shortcut(skipped) + self.residual(x))


def _convolution(inputs: int, outputs: int, size: int = 3, *, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, stride, padding=size // 2, bias=False),  # the norm has a bias of its own
        nn.BatchNorm2d(outputs),
    )
