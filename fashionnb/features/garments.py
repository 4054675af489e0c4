"""A catalogue's garments without their photographer: found in their photos, cut out, and looked at.

What hangs before the same wall was photographed on the same day (chapter 08). So models of outfits learn from what this
module makes: the garments on white, their colours, and what the encoder of chapter 05 see in them.
"""

import hashlib
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.nn.functional import interpolate, pad

from fashionnb import checkpoints
from fashionnb.data.catalogue import Catalogue
from fashionnb.data.colour import colour_histogram
from fashionnb.data.foreground import foreground
from fashionnb.data.images import as_stored
from fashionnb.features.embedding import embed
from fashionnb.files import written_whole
from fashionnb.models.encoder import MultiStageEncoder
from fashionnb.models.mobilenet import transfer

logger = logging.getLogger(__name__)
CHUNK = 512  # photos at a time, so that memory stays flat
SIDE = 64  # pixels, what the encoder look at


@dataclass(frozen=True, eq=False)
class Garments:
    """The garments of n photos, which are opened when somebody wants to see them. Introduced in chapter 08."""

    catalogue: Catalogue
    size: tuple[int, int]
    """Height and width that the photos are read at."""
    bits: np.ndarray
    """Where the garments are, a bit for each pixel, (n, height * width / 8) uint8."""
    seen: Tensor
    """What the encoder see in them, (n, d) float32; each column has mean 0 and deviation 1."""
    colours: Tensor
    """Their colour histograms, (n, 24) float32."""

    def __len__(self) -> int:
        return len(self.catalogue)

    @cached_property
    def pixels(self) -> np.ndarray:
        """The photos as they are, (n, height, width, 3) uint8."""
        return self.catalogue.pixels(self.size)

    @cached_property
    def mask(self) -> np.ndarray:
        """Where the garment is, (n, height, width) bool."""
        return (
            np.unpackbits(self.bits, 1, count=math.prod(self.size))
            .reshape(-1, *self.size)
            .astype(bool)
        )

    @cached_property
    def white(self) -> np.ndarray:
        """The garments on white, (n, height, width, 3) uint8."""
        return np.where(self.mask[..., None], self.pixels, np.uint8(255))

    def take(self, rows: np.ndarray | Sequence[int]) -> "Garments":
        """These only: of few, the photos are quickly opened."""
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
    encoder: MultiStageEncoder | None = None,
    device: str | None = None,
    cache: Path | str | None = None,
) -> Garments:
    """Cut out the garment of every photo, and look at it. Introduced in chapter 08.

    Parameters
    ----------
    size : height and width that the photos are read at.
    encoder : None: those of the book's `school` checkpoint, which learnt to name the types of product photos (chapter 05).
    device : where the encoder work; None: where they are.
    cache : a folder. What was found is kept there under a hash of the encoder' weights and of the photos.

    Raises
    ------
    DataNotFound : a photo, or the book's checkpoint, is not there.
    DataError : a photo cannot be read.
    WriteError : the cache cannot be written.
    """
    encoder = encoder or pretrained_encoder()
    file = None if cache is None else Path(cache) / f"{_key(encoder, catalogue, size)}.safetensors"
    kept = file and _read(file, len(catalogue))
    if not kept:
        kept = _found(catalogue.pixels(size), size, encoder, device)
        if file:
            with written_whole(file) as aside:
                safetensors.torch.save_file(kept, aside)
    return Garments(catalogue, tuple(size), kept["mask"].numpy(), kept["seen"], kept["colours"])


def pretrained_encoder() -> MultiStageEncoder:
    """MultiStageEncoder with the backbone of the book's `school` checkpoint. Introduced in chapter 08.

    Raises
    ------
    DataNotFound : the checkpoint is not there.
    """
    encoder = MultiStageEncoder()
    transfer(checkpoints.load(checkpoints.published("school"))[0], encoder)
    return encoder


def _found(
    pixels: np.ndarray, size: tuple[int, int], encoder: MultiStageEncoder, device: str | None
) -> dict[str, Tensor]:
    mask = np.empty(pixels.shape[:3], bool)
    small = torch.empty((len(pixels), 3, SIDE, SIDE), dtype=torch.uint8)
    sides = [(max(size) - side) // 2 for side in size]
    for start in range(0, len(pixels), CHUNK):
        rows = slice(start, start + CHUNK)
        mask[rows] = foreground(pixels[rows])
        photos = torch.from_numpy(
            np.where(mask[rows, ..., None], pixels[rows], np.uint8(255))
        ).movedim(-1, 1)
        square = pad(
            photos, (sides[1], sides[1], sides[0], sides[0]), value=255
        )  # letterboxed, not stretched
        shrunk = interpolate(square.float(), (SIDE, SIDE), mode="bilinear", antialias=True)
        small[rows] = shrunk.round().clamp(0, 255).to(torch.uint8)
    seen = torch.from_numpy(
        embed(FeatureExtractor(encoder), small, batch_size=CHUNK, device=device)
    )
    seen = (seen - seen.mean(0)) / (seen.std(0, correction=0) + 1e-3)
    bits = torch.from_numpy(np.packbits(mask.reshape(len(mask), -1), 1))
    return {"mask": bits, "seen": seen, "colours": torch.from_numpy(colour_histogram(pixels, mask))}


class FeatureExtractor(nn.Module):
    """The slow half of the encoder alone, as a module that `embed` can call."""

    def __init__(self, encoder: MultiStageEncoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, photos: Tensor) -> Tensor:
        return self.encoder.features(photos)


def _key(encoder: MultiStageEncoder, catalogue: Catalogue, size: tuple[int, int]) -> str:
    # Only the backbone looks; the rest of the encoder has not learnt anything yet.
    digest = hashlib.sha256(
        f"{checkpoints.fingerprint(encoder.backbone)} {tuple(size)} rows of bits".encode()
    )
    for name in catalogue.table["image"]:
        digest.update(as_stored(catalogue.images, name))
    return digest.hexdigest()[:32]


def _read(file: Path, n: int) -> dict[str, Tensor] | None:
    """What a cached file holds; None if there is none, or it is broken (then all is found again)."""
    if not file.exists():
        return None
    try:
        kept = safetensors.torch.load_file(file)
        if len(kept["seen"]) == len(kept["colours"]) == len(kept["mask"]) == n:
            return kept
    except (SafetensorError, KeyError, OSError) as error:
        logger.warning("%s is broken (%s); looking at the photos again.", file, error)
    return None
