"""Slightly other pictures of the same garments, a whole batch at a time: mirrored, shifted, partly erased.

A network that sees each picture a little different every time has to learn the garment. Each function takes images
(n, c, h, w), uint8 (0 to 255) or float32 (0 to 1), and gives new ones of the same shape and dtype; what it was given
stays as it is. All chance comes from the generator, which is on the CPU. Only for training pictures.
"""

import torch
from torch import Tensor
from torch.nn.functional import pad

from fashionnb.errors import DataError

# An erased rectangle is at most so many times as tall as it is wide, or as wide as it is tall (Zhong et al.: 1 / 0.3).
STRETCH = 1 / 0.3


def mirror(images: Tensor, generator: torch.Generator, share: float = 0.5) -> Tensor:
    """Swap left and right in a share of the pictures, drawn at random.

    Introduced in chapter 03. A mirrored garment is the same garment; a mirrored letter would not be.

    Parameters
    ----------
    images : (n, c, h, w) uint8 or float32.
    share : how likely each picture is to be mirrored.

    Returns
    -------
    images : the same shape and dtype.

    Raises
    ------
    DataError : images of another shape or dtype, or a share outside 0 to 1.
    """
    chosen = _chosen(images, share, generator)
    images = images.clone()
    images[chosen] = images[chosen].flip(-1)
    return images


def shift(images: Tensor, pixels: int, generator: torch.Generator, fill: float = 0) -> Tensor:
    """Move each picture by a whole number of pixels, at random, down or up and right or left.

    Introduced in chapter 03. Padding and cropping again, as in He et al. 2016, "Deep Residual Learning", section 4.2.

    Parameters
    ----------
    images : (n, c, h, w) uint8 or float32.
    pixels : the farthest move in each direction; all moves up to it are equally likely.
    fill : the colour of what comes in at the edges, in the unit of the images.

    Returns
    -------
    images : the same shape and dtype.

    Raises
    ------
    DataError : images of another shape or dtype, `pixels` below 0 or not below the picture's smaller side, or a `fill`
        that the images cannot hold.
    """
    _check(images, fill)
    n, _, height, width = images.shape
    if not 0 <= pixels < min(height, width):
        raise DataError(
            f"A picture of {height} × {width} can move by 0 to {min(height, width) - 1} pixels, not {pixels}."
        )
    # Every window of the padded picture, as a view that copies nothing; then one window for each picture.
    windows = pad(images, [pixels] * 4, value=fill).unfold(2, height, 1).unfold(3, width, 1)
    down, right = torch.randint(2 * pixels + 1, (2, n), generator=generator).to(images.device)
    return windows[torch.arange(n, device=images.device), :, down, right]


def erase(
    images: Tensor,
    generator: torch.Generator,
    share: float = 0.5,
    area: tuple[float, float] = (0.02, 0.33),
    fill: float | None = None,
) -> Tensor:
    """Erase a rectangle in a share of the pictures, so that no single part of a garment is all that counts.

    Introduced in chapter 03. Zhong et al. 2020, "Random Erasing Data Augmentation". There a rectangle that does not fit
    is drawn again; here its sides are cut to those of the picture, and tall and wide ones are equally likely.

    Parameters
    ----------
    images : (n, c, h, w) uint8 or float32.
    share : how likely each picture is to lose a rectangle.
    area : of the rectangle, least and most, as a part of the picture.
    fill : its colour, in the unit of the images. None: noise, a picture of it for the whole batch.

    Returns
    -------
    images : the same shape and dtype.

    Raises
    ------
    DataError : images of another shape or dtype, a share outside 0 to 1, an area that is not 0 < least <= most <= 1, or
        a `fill` that the images cannot hold.
    """
    _check(images, fill or 0)
    least, most = area
    if not 0 < least <= most <= 1:
        raise DataError(
            f"area is (least, most), parts of the picture with 0 < least <= most <= 1; got {area}."
        )
    chosen = _chosen(images, share, generator)
    (n, _, height, width), device = images.shape, images.device
    size, stretch, above, before = torch.rand(4, n, 1, generator=generator).to(device)
    size = height * width * (least + (most - least) * size)
    stretch = STRETCH ** (2 * stretch - 1)
    tall = (size * stretch).sqrt().round().clamp(1, height) * chosen[:, None]
    wide = (size / stretch).sqrt().round().clamp(1, width)
    # As bytes: torch combines them four times as fast as bools.
    holes = (
        _run(above, tall, height).byte()[:, None, :, None]
        & _run(before, wide, width).byte()[:, None, None, :]
    )
    colour = (
        _noise(images[:1], generator)
        if fill is None
        else torch.tensor(fill, dtype=images.dtype, device=device)
    )
    return torch.where(holes.bool(), colour, images)


def _run(place: Tensor, length: Tensor, total: int) -> Tensor:
    """Which of `total` pixels in a line lie in a run of this length, (n, total) bool. place : (n, 1), 0 to 1."""
    begin = (place * (total - length + 1)).floor().clamp(max=total - length)
    pixel = torch.arange(total, device=place.device)
    return (pixel >= begin) & (pixel < begin + length)


def _noise(like: Tensor, generator: torch.Generator) -> Tensor:
    if like.dtype == torch.uint8:
        return torch.randint(256, like.shape, generator=generator, dtype=torch.uint8).to(
            like.device
        )
    return torch.rand(like.shape, generator=generator).to(like.device)


def _chosen(images: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Which pictures it is to be, (n,) bool."""
    _check(images)
    if not 0 <= share <= 1:
        raise DataError(f"share is a part of the pictures, 0 to 1; got {share}.")
    return (torch.rand(len(images), generator=generator) < share).to(images.device)


def _check(images: Tensor, fill: float = 0) -> None:
    if images.dtype not in (torch.uint8, torch.float32) or images.dim() != 4:
        raise DataError(
            f"Images are uint8 (0 to 255) or float32 (0 to 1) of shape (n, c, h, w); got {images.dtype} of shape "
            f"{tuple(images.shape)}."
        )
    whole = images.dtype == torch.uint8
    if not 0 <= fill <= (255 if whole else 1) or (whole and fill % 1):
        wanted = "a whole number from 0 to 255" if whole else "a number from 0 to 1"
        raise DataError(f"fill is a colour of {images.dtype} images, {wanted}; got {fill}.")
