"""Colour photos as another camera, another light and another floor would have taken them, a whole batch at a time.

`fashionnb.augment` moves pixels; here they are computed anew: zoomed and turned, lit otherwise, set before another
backdrop, mixed. All functions take float32 images (n, c, h, w) in [0, 1] and give new ones; all chance comes from the
generator, which is on the CPU. Only for training pictures.
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample, interpolate

from fashionnb.errors import DataError

LUMA = (0.299, 0.587, 0.114)
"""How bright red, green and blue look (ITU-R BT.601)."""


def warp(
    images: Tensor,
    size: int,
    generator: torch.Generator,
    zoom: tuple[float, float] = (0.6, 1.1),
    turn: float = 15.0,
    stretch: float = 1.2,
    mirrored: float = 0.5,
    fill: float = 1.0,
) -> Tensor:
    """Cut a window of `size` pixels out of each picture: zoomed, turned, stretched, moved and mirrored at random.

    Introduced in chapter 05. The random resized crop of Szegedy et al. 2015, "Going Deeper with Convolutions", with a
    turn, in one bilinear look-up.

    Parameters
    ----------
    images : (n, c, h, w) float32 in [0, 1].
    size : of the pictures that come out.
    zoom : the window's side as a part of the picture's, least and most. Above 1 it reaches beyond the picture.
    turn : degrees, at most, in either direction.
    stretch : the window is at most so many times as wide as high, or as high as wide.
    mirrored : how likely left and right are swapped.
    fill : the colour beyond the picture's edges.

    Returns
    -------
    images : (n, c, size, size) float32.

    Raises
    ------
    DataError : images of another shape or dtype, a zoom that is not 0 < least <= most, a stretch below 1.
    """
    _check(images)
    least, most = zoom
    if not 0 < least <= most or stretch < 1 or size < 1:
        raise DataError(
            f"zoom is (least, most) above 0, stretch and size are at least 1; got {zoom}, {stretch} and {size}."
        )
    n = len(images)
    side, turned, longer, right, down, left = torch.rand(6, n, generator=generator)
    side = least + (most - least) * side
    angle = math.radians(turn) * (2 * turned - 1)
    longer = stretch ** (longer - 0.5)
    wide, high = side * longer, side / longer
    # The window's centre: anywhere it stays inside the picture, or covers all of it.
    x, y = (2 * right - 1) * (1 - wide).abs(), (2 * down - 1) * (1 - high).abs()
    wide = torch.where(left < mirrored, -wide, wide)
    sine, cosine = angle.sin(), angle.cos()
    rows = torch.stack([cosine * wide, -sine * high, x, sine * wide, cosine * high, y], 1)
    grid = affine_grid(
        rows.view(n, 2, 3).to(images.device), [n, images.shape[1], size, size], align_corners=False
    )
    return grid_sample(images - fill, grid, align_corners=False) + fill


def light(images: Tensor, generator: torch.Generator, strength: float = 0.3) -> Tensor:
    """Change brightness, contrast and saturation of each picture, each by a random factor.

    Introduced in chapter 05. Howard 2013, "Some Improvements on Deep CNN Based Image Classification".

    Parameters
    ----------
    images : (n, 3, h, w) float32 in [0, 1].
    strength : a factor lies between 1 - strength and 1 + strength.

    Returns
    -------
    images : the same shape, in [0, 1].

    Raises
    ------
    DataError : images of another shape or dtype, or a strength outside 0 to 1.
    """
    _check(images)
    if images.shape[1] != 3 or not 0 <= strength <= 1:
        raise DataError(
            f"light takes RGB and a strength of 0 to 1; got {images.shape[1]} channels and {strength}."
        )
    factors = 1 + strength * (2 * torch.rand(3, len(images), 1, 1, 1, generator=generator) - 1)
    brightness, contrast, saturation = factors.to(images.device)
    luma = torch.tensor(LUMA, device=images.device).view(1, 3, 1, 1)
    grey = (images * luma).sum(1, keepdim=True)
    mean = grey.mean((2, 3), keepdim=True)
    # One line for the three: away from grey (saturation), away from the mean (contrast), lighter (brightness).
    return (brightness * (mean + contrast * (grey + saturation * (images - grey) - mean))).clamp(
        0, 1
    )


def on_backdrops(
    images: Tensor,
    foreground: Tensor,
    photos: Tensor,
    generator: torch.Generator,
    share: float = 0.7,
) -> Tensor:
    """Set a share of the cut-out garments before backdrops: the corners of other photos, enlarged.

    Introduced in chapter 05. A network that has seen garments only on a shop's white does not know that there are
    floors and beds. Dwibedi, Misra & Hebert 2017, "Cut, Paste and Learn".

    Parameters
    ----------
    images : (n, c, h, w) float32 in [0, 1].
    foreground : (n, h, w) bool, the garments.
    photos : (m, c, h', w') float32 in [0, 1], from whose corners (a third of each side) the backdrops are cut.
    share : how likely each garment is to get one.

    Returns
    -------
    images : the same shape.

    Raises
    ------
    DataError : shapes disagree, no photos, or a share outside 0 to 1.
    """
    _check(images)
    _check(photos)
    n, c, height, width = images.shape
    if (
        foreground.shape != (n, height, width)
        or not len(photos)
        or photos.shape[1] != c
        or not 0 <= share <= 1
    ):
        raise DataError(
            f"Expected foreground (n, h, w) and photos (m, c, h', w') for images {tuple(images.shape)} and a share of "
            f"0 to 1; got {tuple(foreground.shape)}, {tuple(photos.shape)} and {share}."
        )
    chosen = torch.rand(n, generator=generator) < share
    which = torch.randint(len(photos), (n,), generator=generator)
    down, right = torch.randint(2, (2, n), generator=generator)
    tall, wide = max(1, photos.shape[2] // 3), max(1, photos.shape[3] // 3)
    drawn = photos[which]  # first, so that only n photos are copied, not all m
    corners = torch.stack(
        [
            drawn[:, :, y, x]
            for y in (slice(tall), slice(-tall, None))
            for x in (slice(wide), slice(-wide, None))
        ]
    )
    corner = corners[2 * down + right, torch.arange(n)]
    backdrops = interpolate(corner, (height, width), mode="bilinear", align_corners=False)
    keep = foreground | ~chosen[:, None, None].to(foreground.device)
    return torch.where(keep[:, None], images, backdrops)


def mix(
    images: Tensor, generator: torch.Generator, alpha: float = 0.2
) -> tuple[Tensor, Tensor, Tensor]:
    """Blend each picture with another of the batch: `share` of itself, the rest of its partner.

    Introduced in chapter 05. Zhang et al. 2018, "mixup: Beyond Empirical Risk Minimization"; the loss is mixed alike.

    Parameters
    ----------
    images : (n, c, h, w) float32 in [0, 1].
    alpha : of the beta distribution that shares are drawn from; small: mostly near 1. Each share is at least a half.

    Returns
    -------
    images : the same shape. partner : (n,) int64. share : (n,) float32, 0.5 to 1.

    Raises
    ------
    DataError : images of another shape or dtype, or alpha not above 0.
    """
    _check(images)
    if not alpha > 0:
        raise DataError(f"alpha must be above 0, got {alpha}.")
    n = len(images)
    partner = torch.randperm(n, generator=generator).to(images.device)
    share = _beta(alpha, n, generator).to(images.device)
    share = torch.maximum(share, 1 - share)
    weight = share.view(-1, 1, 1, 1)
    return weight * images + (1 - weight) * images[partner], partner, share


def _beta(alpha: float, n: int, generator: torch.Generator) -> Tensor:
    """n draws of Beta(alpha, alpha), (n,) float32, by way of two gammas (torch's distributions take no generator)."""
    gammas = torch._standard_gamma(torch.full((2, n), float(alpha)), generator=generator).clamp_min(
        1e-12
    )
    return gammas[0] / gammas.sum(0)


def _check(images: Tensor) -> None:
    if images.dtype != torch.float32 or images.dim() != 4:
        raise DataError(
            f"Photos are float32 (0 to 1) of shape (n, c, h, w); got {images.dtype} of shape {tuple(images.shape)}. "
            "`fashionnb.models.as_input` scales uint8."
        )
