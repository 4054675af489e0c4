"""Style2Vec: a small residual network that maps the image of a garment to a point on a sphere.

It is the book's first network and small enough to train on a laptop; with more `stages` it is the
larger one that comes with the book. `WithClassifier` puts a classifier on top of it for training.
Losses are in `fashionnb.losses`, the training loop is in `fashionnb.training`.
"""

from collections.abc import Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from fashionnb.arrays import check_images


class ImageNetwork(nn.Module):
    """Base of networks that look at images: what they accept, and mean and deviation.

    Parameters
    ----------
    channels : int
        1 for grey images, 3 for colour.
    smallest : int
        Least height and width in pixels.
    mean : float or sequence of float
        Of the training images in [0, 1], one number or one per channel.
    std : float or sequence of float
        Their standard deviation.
    arguments : dict
        With which the constructor makes the network again.
    """

    def __init__(
        self,
        channels: int,
        smallest: int,
        mean: float | Sequence[float],
        std: float | Sequence[float],
        arguments: dict[str, Any],
    ) -> None:
        super().__init__()
        self.channels, self.smallest, self.arguments = channels, smallest, arguments
        for name, value in (("mean", mean), ("std", std)):
            per_channel = torch.as_tensor(value).float().expand(channels).reshape(1, -1, 1, 1)
            self.register_buffer(name, per_channel.clone())

    def normalised(self, images: Tensor) -> Tensor:
        """Check images (n, channels, height, width), and subtract mean, divide by deviation."""
        check_images(images, self.channels, self.smallest, type(self).__name__)
        return (images - self.mean) / self.std


class Style2Vec(ImageNetwork):
    """Style2Vec, a small residual network from images of garments to embeddings of length 1.

    Two choices serve the CPU: the first convolution halves the image at once, since the first
    layers cost the most (with `stem_stride` 1 the network sees finer detail); and convolutions are
    dense, since depthwise ones save parameters but little time.

    Parameters
    ----------
    dimensions : int
        Length of the embedding.
    channels : int
        1 for grey images, 3 for colour.
    stem : int
        Channels of the first convolution.
    stem_stride : int
        Its stride.
    stages : sequence of (int, int)
        Channels and stride of each residual block.
    mirror : bool
        In evaluation mode, embed each image together with its mirror image, which takes twice the
        time.
    mean : float or sequence of float
        Of the training images in [0, 1], one number or one per channel; by default of
        Fashion-MNIST.
    std : float or sequence of float
        Their standard deviation.

    References
    ----------
    He, Zhang, Ren & Sun (2016), Deep Residual Learning for Image Recognition.
    Schroff, Kalenichenko & Philbin (2015), FaceNet: A Unified Embedding for Face Recognition.
    """

    task = "embedding"

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
        stages = [[outputs, stride] for outputs, stride in stages]  # as the JSON of a card has them
        arguments = {
            "dimensions": dimensions, "channels": channels, "stem": stem,
            "stem_stride": stem_stride, "stages": stages, "mirror": mirror,
            "mean": mean, "std": std,
        }  # fmt: skip
        # The last stage needs 2 x 2 pixels.
        smallest = 2 * stem_stride * prod(stride for _, stride in stages)
        super().__init__(channels, smallest, mean, std, arguments)
        self.mirror = mirror
        self.stem = nn.Sequential(
            convolution(channels, stem, size=5, stride=stem_stride), nn.ReLU()
        )
        self.stages = nn.Sequential(*blocks_of(ResidualBlock, stem, stages))
        self.head = nn.Linear(stages[-1][0], dimensions)
        # The same network, and a fifth more images a second on a CPU.
        self.to(memory_format=torch.channels_last)

    def features(self, images: Tensor) -> Tensor:
        """Compute the features before the embedding layer.

        Parameters
        ----------
        images : Tensor of shape (n, channels, height, width), float
            In [0, 1], at least `smallest` pixels high and wide (16 with the default `stages`).

        Returns
        -------
        Tensor of shape (n, channels of the last stage)
            Averaged over the image, not normalised.

        Raises
        ------
        DataError
            If the shape or the dtype is another.
        """
        x = self.normalised(images).contiguous(memory_format=torch.channels_last)
        return self.stages(self.stem(x)).mean((2, 3))

    def forward(self, images: Tensor) -> Tensor:
        """Embed images; accepts and refuses what `features` does.

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


class ResidualBlock(nn.Module):
    """Residual block of Style2Vec: two 3 x 3 convolutions, added to a shortcut.

    Maps (n, inputs, h, w) to (n, outputs, h/stride, w/stride). The shortcut is the input itself
    where the shapes agree, else a 1 x 1 convolution of it.

    Parameters
    ----------
    inputs : int
        Channels of the input.
    outputs : int
        Channels of the output.
    stride : int
        By which height and width are divided.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        same_shape = inputs == outputs and stride == 1
        self.shortcut = nn.Identity() if same_shape else convolution(inputs, outputs, size=1)
        self.residual = nn.Sequential(
            convolution(inputs, outputs, stride=stride),
            nn.ReLU(),
            convolution(outputs, outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Add the two convolutions to the shortcut."""
        # A 1 x 1 convolution with a stride only skips pixels. They are skipped here, because its
        # backward pass in torch 2.15 (oneDNN on AVX-512) writes beyond its memory for 8 channels
        # or fewer and an odd batch.
        skipped = x[:, :, :: self.stride, :: self.stride]
        return torch.relu(self.shortcut(skipped) + self.residual(x))


class WithClassifier(nn.Module):
    """Style2Vec or another encoder with a cosine classifier on top, to train on classes as well.

    Each class is a learnt direction, and a logit is the scaled cosine to it. Save and use
    `.encoder`; the classifier serves training only.

    Parameters
    ----------
    encoder : nn.Module
        Images to embeddings (n, d), with d in `encoder.arguments["dimensions"]`.
    classes : int
        How many there are.
    scale : float
        Cosines between -1 and 1 are too small a range for a confident softmax. 16 suffices for
        10 classes; let it grow with the logarithm of their number.

    References
    ----------
    Wang, Xiang, Cheng & Yuille (2017), NormFace: L2 Hypersphere Embedding for Face Verification.
    """

    def __init__(self, encoder: nn.Module, classes: int, scale: float = 16.0) -> None:
        super().__init__()
        self.arguments = {"encoder": encoder.arguments, "classes": classes, "scale": scale}
        self.encoder, self.scale = encoder, scale
        self.directions = nn.Parameter(torch.randn(classes, encoder.arguments["dimensions"]))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Compute embeddings and logits.

        Returns
        -------
        embeddings : Tensor of shape (n, d)
            As the encoder gives them.
        logits : Tensor of shape (n, classes), float32
        """
        embeddings = self.encoder(images)
        # In bfloat16 a cosine has two digits only.
        with torch.autocast(embeddings.device.type, enabled=False):
            cosines = normalize(embeddings.float()) @ normalize(self.directions).T
        return embeddings, self.scale * cosines


def convolution(
    inputs: int, outputs: int, size: int = 3, *, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    """Make a convolution with batch normalisation, as in the residual blocks of Style2Vec.

    The convolution has no bias, and there is no activation.

    Parameters
    ----------
    inputs : int
        Channels of the input.
    outputs : int
        Channels of the output.
    size : int
        Height and width of the kernel, odd.
    stride : int
        By which height and width of the input are divided.
    groups : int
        Into which channels are divided; `inputs` for a depthwise convolution.

    Returns
    -------
    nn.Sequential
        Of two modules.
    """
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, stride, padding=size // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    )


def blocks_of(
    kind: type[nn.Module], inputs: int, stages: Sequence[Sequence[int]]
) -> list[nn.Module]:
    """Make the blocks of a residual network such as Style2Vec from the list of its stages.

    Parameters
    ----------
    kind : type
        Class of the blocks, called with input channels, output channels and stride.
    inputs : int
        Channels that the first block takes; each other block takes what the one before gives.
    stages : sequence of (int, int)
        Channels and stride of each block.

    Returns
    -------
    list of nn.Module
        One block for each stage.
    """
    taken = [inputs, *(outputs for outputs, _ in stages)]
    return [
        kind(channels, outputs, stride)
        for channels, (outputs, stride) in zip(taken, stages, strict=False)
    ]
