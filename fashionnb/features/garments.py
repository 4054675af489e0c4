"""Features of the garments of a catalogue, without the background of their photos.

Photos with the same background were often taken on the same day, so a model of outfits could answer
by the background alone (`fashionnb.outfits.baselines`). Such models are therefore trained on what
this module computes: the garments cut out and put on white, their colours, and their features.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, pad

from fashionnb.checkpoints import fingerprint, load_model
from fashionnb.data.catalogue import Catalogue
from fashionnb.data.colour import colour_histogram
from fashionnb.data.foreground import foreground
from fashionnb.features.embedding import embed
from fashionnb.features.store import FeatureStore, digests_of
from fashionnb.models.mobilenet import transfer
from fashionnb.models.multi_stage_encoder import MultiStageEncoder

CHUNK = 512  # photos at a time, so that memory stays flat
SIDE = 64  # pixels of an image that is encoded


@dataclass(frozen=True, eq=False)
class Garments:
    """Garments of n photos, cut out of the background, with their features and colours.

    The photos themselves are opened when they are needed.

    Parameters
    ----------
    catalogue : Catalogue
        Of n items, one photo each.
    size : (int, int)
        Height and width that the photos are read at, in pixels.
    bits : ndarray of shape (n, ceil(height * width / 8)), uint8
        Where the garments are, a bit for each pixel.
    seen : Tensor of shape (n, d), float32
        Their features; each column has mean 0 and standard deviation 1.
    colours : Tensor of shape (n, 24), float32
        Their colour histograms.
    """

    catalogue: Catalogue
    size: tuple[int, int]
    bits: np.ndarray
    seen: Tensor
    colours: Tensor

    @cached_property
    def pixels(self) -> np.ndarray:
        """The photos as they are, uint8 (n, height, width, 3)."""
        return self.catalogue.pixels(self.size)

    @cached_property
    def mask(self) -> np.ndarray:
        """Where the garment is, bool (n, height, width)."""
        return (
            np.unpackbits(self.bits, 1, count=math.prod(self.size))
            .reshape(-1, *self.size)
            .astype(bool)
        )

    @cached_property
    def white(self) -> np.ndarray:
        """The garments on white, uint8 (n, height, width, 3)."""
        return np.where(self.mask[..., None], self.pixels, np.uint8(255))

    def take(self, rows: np.ndarray | Sequence[int]) -> "Garments":
        """The garments of these rows only."""
        rows = np.asarray(rows)
        return Garments(
            self.catalogue.take(rows),
            self.size,
            self.bits[rows],
            self.seen[rows],
            self.colours[rows],
        )


def garment_features(
    catalogue: Catalogue,
    size: tuple[int, int] = (112, 80),
    *,
    device: str | None = None,
    cache: Path | str | None = None,
) -> Garments:
    """Cut the garment out of each photo of a catalogue, and compute its features and colours.

    The features are those of `pretrained_encoder`.

    Parameters
    ----------
    catalogue : Catalogue
        n items, one photo each.
    size : (int, int)
        Height and width that the photos are read at.
    device : str, optional
        Where to compute; by default on the CPU.
    cache : Path or str, optional
        A folder. What was computed is kept there under a hash of the backbone and of each photo.

    Returns
    -------
    Garments
        In the order of the catalogue.

    Raises
    ------
    DataNotFound
        If a photo, or the checkpoint of the encoder, is not there.
    DataError
        If a photo cannot be read.
    WriteError
        If the cache cannot be written.
    """
    encoder = pretrained_encoder()

    def compute(rows: np.ndarray) -> dict[str, np.ndarray]:
        return _described(catalogue.take(rows).pixels(size), encoder, device)

    # Only the backbone computes these features; the rest of the encoder is not trained yet.
    store = FeatureStore(cache, "garments", fingerprint(encoder.backbone), str(tuple(size)))
    digests = digests_of(catalogue.images, catalogue.table["image"])
    found = store.fill(digests, compute, chunk=CHUNK)
    store.close()
    seen = torch.from_numpy(found["encoded"])
    seen = (seen - seen.mean(0)) / (seen.std(0, correction=0) + 1e-3)
    return Garments(catalogue, tuple(size), found["mask"], seen, torch.from_numpy(found["colours"]))


def pretrained_encoder() -> MultiStageEncoder:
    """Build the encoder that computes the features of garments, pretrained on product photos.

    Its backbone was trained to name the types of products; the rest is not trained.

    Returns
    -------
    MultiStageEncoder
        On the CPU.

    Raises
    ------
    DataNotFound
        If the checkpoint "school", from which the weights come, is not there.
    """
    encoder = MultiStageEncoder()
    transfer(load_model("school"), encoder)
    return encoder


def _described(
    pixels: np.ndarray, encoder: MultiStageEncoder, device: str | None
) -> dict[str, np.ndarray]:
    """Mask (a bit for each pixel), encoded garment and colours of some photos."""
    mask = foreground(pixels)
    white = np.where(mask[..., None], pixels, np.uint8(255))
    photos = torch.from_numpy(white).movedim(-1, 1)
    height, width = pixels.shape[1:3]
    side = max(height, width)
    above, left = (side - height) // 2, (side - width) // 2
    square = pad(photos, (left, left, above, above), value=255)  # letterboxed, not stretched
    small = interpolate(square.float(), (SIDE, SIDE), mode="bilinear", antialias=True)
    small = small.round().clamp(0, 255).to(torch.uint8)
    return {
        "mask": np.packbits(mask.reshape(len(mask), -1), 1),
        "encoded": embed(FeatureExtractor(encoder), small, batch_size=CHUNK, device=device),
        "colours": colour_histogram(pixels, mask),
    }


class FeatureExtractor(nn.Module):
    """Module that computes the features of garments with an encoder, for `embed` to call.

    These take most of the encoder's time, and need no training.

    Parameters
    ----------
    encoder : MultiStageEncoder
        Whose method `features` is called.
    """

    def __init__(self, encoder: MultiStageEncoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, photos: Tensor) -> Tensor:
        return self.encoder.features(photos)
