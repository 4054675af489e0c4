"""Random changes of whole batches of training images: mirrored, shifted, erased, cropped, relit.

`mirror`, `shift` and `erase` take images (n, c, h, w), uint8 (0 to 255) or float32 (0 to 1); those
for colour photos (`warp`, `light`, `on_backdrops`, `mix`) float32. All return new images; the input
is not changed. All randomness comes from the generator, which is on the CPU.
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample, interpolate, pad

from fashionnb.arrays import check_array
from fashionnb.errors import DataError

# The largest ratio of the sides of an erased rectangle, either way (1 / 0.3 in Zhong et al.).
ERASE_STRETCH = 1 / 0.3

LUMA = (0.299, 0.587, 0.114)
"""The weights of red, green and blue in the perceived brightness (ITU-R BT.601)."""

WARP_STRETCH = 1.2
"""The largest ratio of the sides of the window of `warp`, either way."""

STRENGTH = 0.3
"""The factors of `light` lie between 1 - STRENGTH and 1 + STRENGTH."""


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
    chosen = torch.rand(len(images), 1, 1, 1, generator=generator) < 0.5
    return torch.where(chosen.to(images.device), images.flip(-1), images)


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
    stretch = ERASE_STRETCH ** (2 * stretch - 1)
    tall = (size * stretch).sqrt().round().clamp(1, height) * chosen[:, None]
    wide = (size / stretch).sqrt().round().clamp(1, width)
    # As bytes: torch combines them four times as fast as bools.
    rows, columns = _run(top, tall, height).byte(), _run(left, wide, width).byte()
    holes = rows[:, None, :, None] & columns[:, None, None, :]
    return torch.where(holes.bool(), _noise(images[:1], generator), images)


def warp(
    images: Tensor,
    size: int,
    generator: torch.Generator,
    zoom: tuple[float, float] = (0.6, 1.1),
    turn: float = 15.0,
) -> Tensor:
    """Augment photos by a random crop of each: zoomed, turned, stretched, moved and mirrored.

    A random resized crop with a turn, in one bilinear look-up. Half of the images are mirrored;
    beyond the edges of an image is white.

    Parameters
    ----------
    images : Tensor of shape (n, c, h, w), float32 in [0, 1]
        Photos with c channels.
    size : int
        Of the result, in pixels.
    generator : torch.Generator
        On the CPU.
    zoom : (float, float)
        The side of the window as a share of that of the image, least and most. Above 1 it reaches
        beyond the image.
    turn : float
        The largest angle in either direction, in degrees.

    Returns
    -------
    Tensor of shape (n, c, size, size), float32
        The windows, in [0, 1].

    Raises
    ------
    DataError
        If the images have another shape or dtype, the zoom is not 0 < least <= most, or the size
        is below 1.

    References
    ----------
    Szegedy et al. (2015), Going Deeper with Convolutions: the random resized crop.
    """
    _check_photos(images)
    least, most = zoom
    if not 0 < least <= most or size < 1:
        raise DataError(
            f"zoom is (least, most) above 0 and size is at least 1; got {zoom} and {size}."
        )
    n = len(images)
    side, turned, longer, right, down, left = torch.rand(6, n, generator=generator)
    side = least + (most - least) * side
    angle = math.radians(turn) * (2 * turned - 1)
    longer = WARP_STRETCH ** (longer - 0.5)
    wide, high = side * longer, side / longer
    # The centre of the window: anywhere it stays inside the image, or covers all of it.
    x, y = (2 * right - 1) * (1 - wide).abs(), (2 * down - 1) * (1 - high).abs()
    wide = torch.where(left < 0.5, -wide, wide)
    sine, cosine = angle.sin(), angle.cos()
    rows = torch.stack([cosine * wide, -sine * high, x, sine * wide, cosine * high, y], 1)
    grid = affine_grid(
        rows.view(n, 2, 3).to(images.device), [n, images.shape[1], size, size], align_corners=False
    )
    return grid_sample(images - 1, grid, align_corners=False) + 1  # 0 beyond the edges is white


def light(images: Tensor, generator: torch.Generator) -> Tensor:
    """Augment photos by changing brightness, contrast and saturation of each at random.

    Parameters
    ----------
    images : Tensor of shape (n, 3, h, w), float32 in [0, 1]
        RGB photos.
    generator : torch.Generator
        On the CPU.

    Returns
    -------
    Tensor of the same shape, in [0, 1]
        Each photo changed by three factors of its own.

    Raises
    ------
    DataError
        If the images have another shape or dtype.

    References
    ----------
    Howard (2013), Some Improvements on Deep Convolutional Neural Network Based Image
    Classification.
    """
    _check_photos(images, "RGB photos", 3)
    factors = 1 + STRENGTH * (2 * torch.rand(3, len(images), 1, 1, 1, generator=generator) - 1)
    brightness, contrast, saturation = factors.to(images.device)
    luma = torch.tensor(LUMA, device=images.device).view(1, 3, 1, 1)
    grey = (images * luma).sum(1, keepdim=True)
    mean = grey.mean((2, 3), keepdim=True)
    saturated = grey + saturation * (images - grey)
    return (brightness * (mean + contrast * (saturated - mean))).clamp(0, 1)


def on_backdrops(
    images: Tensor,
    foreground: Tensor,
    photos: Tensor,
    generator: torch.Generator,
    share: float = 0.7,
) -> Tensor:
    """Augment photos of garments with new backgrounds: enlarged corners of other photos.

    A network that has seen garments only on a shop's white background fails on floors and beds.

    Parameters
    ----------
    images : Tensor of shape (n, c, h, w), float32 in [0, 1]
        Photos of garments.
    foreground : Tensor of shape (n, h, w), bool
        The garments.
    photos : Tensor of shape (m, c, h', w'), float32 in [0, 1]
        The backgrounds are cut from their corners (a third of each side).
    generator : torch.Generator
        On the CPU.
    share : float
        The probability of each garment to get another background.

    Returns
    -------
    Tensor of the same shape as the images
        The photos, a random share of them with another background.

    Raises
    ------
    DataError
        If shapes disagree, there are no photos, or the share is outside 0 to 1.

    References
    ----------
    Dwibedi, Misra & Hebert (2017), Cut, Paste and Learn.
    """
    _check_photos(images)
    _check_photos(photos)
    n, c, height, width = images.shape
    fits = foreground.shape == (n, height, width) and len(photos) and photos.shape[1] == c
    if not fits or not 0 <= share <= 1:
        raise DataError(
            "Expected foreground (n, h, w) and photos (m, c, h', w') for images "
            f"{tuple(images.shape)} and a share of 0 to 1; got {tuple(foreground.shape)}, "
            f"{tuple(photos.shape)} and {share}."
        )
    chosen = torch.rand(n, generator=generator) < share
    which = torch.randint(len(photos), (n,), generator=generator)
    down, right = torch.randint(2, (2, n), generator=generator)
    tall, wide = max(1, photos.shape[2] // 3), max(1, photos.shape[3] // 3)
    drawn = photos[which]  # first, so that only n photos are copied, not all m
    top, bottom = drawn[:, :, :tall], drawn[:, :, -tall:]
    sides = [top[..., :wide], top[..., -wide:], bottom[..., :wide], bottom[..., -wide:]]
    corner = torch.stack(sides)[2 * down + right, torch.arange(n)]
    backdrops = interpolate(corner, (height, width), mode="bilinear", align_corners=False)
    keep = foreground | ~chosen[:, None, None].to(foreground.device)
    return torch.where(keep[:, None], images, backdrops)


def mix(
    images: Tensor, generator: torch.Generator, alpha: float = 0.2
) -> tuple[Tensor, Tensor, Tensor]:
    """Augment photos by mixup: blend each with another of the batch.

    Parameters
    ----------
    images : Tensor of shape (n, c, h, w), float32 in [0, 1]
        Photos with c channels.
    generator : torch.Generator
        On the CPU.
    alpha : float
        Of the beta distribution of the shares; the smaller, the more of them are near 1.

    Returns
    -------
    images : Tensor of the same shape
        `share` of the image itself, the rest of its partner. The loss is mixed likewise.
    partner : Tensor of shape (n,), int64
        The row of the image that each is blended with.
    share : Tensor of shape (n,), float32
        Of the image itself, 0.5 to 1.

    Raises
    ------
    DataError
        If the images have another shape or dtype, or alpha is not above 0.

    References
    ----------
    Zhang et al. (2018), mixup: Beyond Empirical Risk Minimization.
    """
    _check_photos(images)
    if not alpha > 0:
        raise DataError(f"alpha must be above 0, got {alpha}.")
    n = len(images)
    partner = torch.randperm(n, generator=generator).to(images.device)
    # Beta(alpha, alpha) from two gammas: torch's distributions take no generator.
    shape = torch.full((2, n), float(alpha))
    gammas = torch._standard_gamma(shape, generator=generator).clamp_min(1e-12)
    share = (gammas[0] / gammas.sum(0)).to(images.device)
    share = torch.maximum(share, 1 - share)
    weight = share.view(-1, 1, 1, 1)
    return weight * images + (1 - weight) * images[partner], partner, share


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


def _check_photos(photos: Tensor, what: str = "Photos", channels: int | str = "c") -> None:
    advice = "They lie in [0, 1]: `fashionnb.models.as_input` scales uint8."
    check_array(photos, ("n", channels, "h", "w"), what, advice, kind="float32")
