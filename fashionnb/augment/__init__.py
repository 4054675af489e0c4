"""Random mirroring, shifting and erasing of whole batches of training images.

Each function takes images (n, c, h, w), uint8 (0 to 255) or float32 (0 to 1), and returns new ones
of the same shape and dtype; its input is not changed. All randomness comes from the generator,
which is on the CPU. For colour photos see also `fashionnb.augment.photos`.
"""

import torch
from torch import Tensor
from torch.nn.functional import pad

from fashionnb.errors import DataError

# The largest ratio of the sides of an erased rectangle, either way (1 / 0.3 in Zhong et al.).
STRETCH = 1 / 0.3


def mirror(images: Tensor, generator: torch.Generator) -> Tensor:
    """Augment images by mirroring: swap left and right in a random half of them.

    Parameters
    ----------
    images : Tensor of shape (n, c, h, w), uint8 or float32
        0 to 255 or 0 to 1.
    generator : torch.Generator
        On the CPU.

    Returns
    -------
    Tensor of the same shape and dtype
        New images.

    Raises
    ------
    DataError
        If the images have another shape or dtype.
    """
    _check(images)
    chosen = (torch.rand(len(images), generator=generator) < 0.5).to(images.device)
    images = images.clone()
    images[chosen] = images[chosen].flip(-1)
    return images


def shift(images: Tensor, pixels: int, generator: torch.Generator) -> Tensor:
    """Augment images by shifting each by some pixels in both directions; black comes in.

    Parameters
    ----------
    images : Tensor of shape (n, c, h, w), uint8 or float32
        0 to 255 or 0 to 1.
    pixels : int
        The largest move in each direction; all moves up to it are equally likely.
    generator : torch.Generator
        On the CPU.

    Returns
    -------
    Tensor of the same shape and dtype
        New images.

    Raises
    ------
    DataError
        If the images have another shape or dtype, or `pixels` is below 0 or not below the smaller
        side of the images.

    References
    ----------
    He et al. (2016), Deep Residual Learning for Image Recognition, section 4.2.
    """
    _check(images)
    n, _, height, width = images.shape
    if not 0 <= pixels < min(height, width):
        raise DataError(
            f"An image of {height} × {width} can move by 0 to {min(height, width) - 1} pixels, not "
            f"{pixels}."
        )
    # Every window of the padded images, as a view that copies nothing; then one for each image.
    windows = pad(images, [pixels] * 4).unfold(2, height, 1).unfold(3, width, 1)
    down, right = torch.randint(2 * pixels + 1, (2, n), generator=generator).to(images.device)
    return windows[torch.arange(n, device=images.device), :, down, right]


def erase(
    images: Tensor,
    generator: torch.Generator,
    share: float = 0.5,
    area: tuple[float, float] = (0.02, 0.33),
) -> Tensor:
    """Augment images by random erasing: a random rectangle in a random share of them.

    In the paper a rectangle that does not fit is drawn again; here its sides are cut to those of
    the image, and tall and wide ones are equally likely. It is filled with noise, the same for the
    whole batch.

    Parameters
    ----------
    images : Tensor of shape (n, c, h, w), uint8 or float32
        0 to 255 or 0 to 1.
    generator : torch.Generator
        On the CPU.
    share : float
        The probability of each image to lose a rectangle.
    area : (float, float)
        Of the rectangle, least and most, as a share of the image.

    Returns
    -------
    Tensor of the same shape and dtype
        New images.

    Raises
    ------
    DataError
        If the images have another shape or dtype, the share is outside 0 to 1, or the area is not
        0 < least <= most <= 1.

    References
    ----------
    Zhong et al. (2020), Random Erasing Data Augmentation.
    """
    _check(images)
    least, most = area
    if not 0 < least <= most <= 1:
        raise DataError(
            f"area is (least, most), shares of the image with 0 < least <= most <= 1; got {area}."
        )
    if not 0 <= share <= 1:
        raise DataError(f"share is a part of the images, 0 to 1; got {share}.")
    (n, _, height, width), device = images.shape, images.device
    chosen = (torch.rand(n, generator=generator) < share).to(device)
    size, stretch, top, left = torch.rand(4, n, 1, generator=generator).to(device)
    size = height * width * (least + (most - least) * size)
    stretch = STRETCH ** (2 * stretch - 1)
    tall = (size * stretch).sqrt().round().clamp(1, height) * chosen[:, None]
    wide = (size / stretch).sqrt().round().clamp(1, width)
    # As bytes: torch combines them four times as fast as bools.
    rows, columns = _run(top, tall, height).byte(), _run(left, wide, width).byte()
    holes = rows[:, None, :, None] & columns[:, None, None, :]
    return torch.where(holes.bool(), _noise(images[:1], generator), images)


def _run(place: Tensor, length: Tensor, total: int) -> Tensor:
    """Which of `total` pixels in a line lie in a run of this length, (n, total) bool.

    place : (n, 1), 0 to 1.
    """
    begin = (place * (total - length + 1)).floor().clamp(max=total - length)
    pixel = torch.arange(total, device=place.device)
    return (pixel >= begin) & (pixel < begin + length)


def _noise(like: Tensor, generator: torch.Generator) -> Tensor:
    if like.dtype == torch.uint8:
        noise = torch.randint(256, like.shape, generator=generator, dtype=torch.uint8)
    else:
        noise = torch.rand(like.shape, generator=generator)
    return noise.to(like.device)


def _check(images: Tensor) -> None:
    if images.dtype not in (torch.uint8, torch.float32) or images.dim() != 4:
        raise DataError(
            "Images are uint8 (0 to 255) or float32 (0 to 1) of shape (n, c, h, w); got "
            f"{images.dtype} of shape {tuple(images.shape)}."
        )
