"""A catalogue's garments without their photographer: found in their photos, cut out, and looked at.

What hangs before the same wall was photographed on the same day (chapter 08). So models of outfits learn from what this
module makes: the garments on white, their colours, and what the eyes of chapter 05 see in them.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, pad

from fashionnb import checkpoints
from fashionnb.data.foreground import foreground
from fashionnb.data.nouns import Catalogue
from fashionnb.data.shortcuts import colour_histogram
from fashionnb.embed import embed
from fashionnb.models.eyes import Eyes
from fashionnb.models.mobilenet import transfer

CHUNK = 512  # photos at a time, so that memory stays flat
SIDE = 64  # pixels, what the eyes look at


@dataclass(frozen=True)
class Garments:
    """The garments of n photos. Introduced in chapter 08."""

    pixels: np.ndarray
    """The photos as they are, (n, height, width, 3) uint8."""
    mask: np.ndarray
    """Where the garment is, (n, height, width) bool."""
    white: np.ndarray
    """The garments on white, (n, height, width, 3) uint8."""
    seen: Tensor
    """What the eyes see in them, (n, d) float32; each column has mean 0 and deviation 1."""
    colours: Tensor
    """Their colour histograms, (n, 24) float32."""

    def __len__(self) -> int:
        return len(self.pixels)


def look_at(
    catalogue: Catalogue, size: tuple[int, int] = (112, 80), *, eyes: Eyes | None = None, device: str | None = None
) -> Garments:
    """Cut out the garment of every photo, and look at it. Introduced in chapter 08.

    Parameters
    ----------
    size : height and width that the photos are read at.
    eyes : None: those of the book's `school` checkpoint, which learnt to name the types of product photos (chapter 05).
    device : where the eyes work; None: where they are.

    Raises
    ------
    DataNotFound : a photo, or the book's checkpoint, is not there.
    DataError : a photo cannot be read.
    """
    eyes = eyes or schooled()
    pixels = catalogue.pixels(size)
    mask, white = np.empty(pixels.shape[:3], bool), np.empty_like(pixels)
    small = torch.empty((len(pixels), 3, SIDE, SIDE), dtype=torch.uint8)
    sides = [(max(size) - side) // 2 for side in size]
    for start in range(0, len(pixels), CHUNK):
        rows = slice(start, start + CHUNK)
        mask[rows] = foreground(pixels[rows])
        white[rows] = np.where(mask[rows, ..., None], pixels[rows], np.uint8(255))
        photos = torch.from_numpy(white[rows]).movedim(-1, 1)
        square = pad(photos, (sides[1], sides[1], sides[0], sides[0]), value=255)  # letterboxed, not stretched
        shrunk = interpolate(square.float(), (SIDE, SIDE), mode="bilinear", antialias=True)
        small[rows] = shrunk.round().clamp(0, 255).to(torch.uint8)
    seen = torch.from_numpy(embed(_Features(eyes), small, batch_size=CHUNK, device=device))
    seen = (seen - seen.mean(0)) / (seen.std(0, correction=0) + 1e-3)
    return Garments(pixels, mask, white, seen, torch.from_numpy(colour_histogram(pixels, mask)))


def schooled() -> Eyes:
    """Eyes with the backbone of the book's `school` checkpoint. Introduced in chapter 08.

    Raises
    ------
    DataNotFound : the checkpoint is not there.
    """
    eyes = Eyes()
    transfer(checkpoints.load(checkpoints.published("school"))[0], eyes)
    return eyes


class _Features(nn.Module):
    """The slow half of the eyes alone, as a module that `embed` can call."""

    def __init__(self, eyes: Eyes) -> None:
        super().__init__()
        self.eyes = eyes

    def forward(self, photos: Tensor) -> Tensor:
        return self.eyes.features(photos)
