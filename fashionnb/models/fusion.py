"""A garment as its picture and its attributes: one network that names attributes, one that fuses both.

Either half may be missing. `AttributeHeads` looks at a picture and names its attributes; `Fusion` makes one point of
picture and attributes, of a picture alone, or of attributes alone, so that a query with gaps finds what has none.
Attributes come as whole numbers, 0 for "unknown" (see `fashionnb.data.attribute_encoder`).
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from fashionnb.errors import DataError
from fashionnb.models.encoder import MultiStageEncoder
from fashionnb.models.style2vec import Style2Vec

PHOTO = {
    "channels": 3,
    "stem": 16,
    "stages": [[32, 2], [64, 2], [128, 2]],
    "mean": 0.85,
    "std": 0.25,
}
"""The arguments of an image encoder that is small enough for a CPU; mean and deviation are those of product photos."""


class AttributeHeads(nn.Module):
    """Look at a picture and name each of its attributes (multi-task learning). Introduced in chapter 07.

    One encoder, and on its embedding one linear classifier for each attribute. Caruana 1997, "Multitask Learning": what
    one task teaches the encoder, the others may use. "Unknown" is never an answer.

    Parameters
    ----------
    sizes : how many numbers each attribute has, the unknown included, as `AttributeEncoder.sizes`.
    encoder : images in, embeddings of length 1 out; or the arguments to build a `Style2Vec` with, or, where they name
        a backbone, an `fashionnb.models.encoder.MultiStageEncoder`; None is `PHOTO`.
    scale : the embeddings are multiplied by it, since numbers of length 1 make a softmax that is never sure.

    Raises
    ------
    DataError : no attribute, or one with nothing but the unknown.
    """

    def __init__(
        self,
        sizes: Sequence[int] = (3,),
        encoder: nn.Module | Mapping | None = None,
        scale: float = 16.0,
    ) -> None:
        super().__init__()
        sizes = _checked_sizes(sizes)
        if not sizes or min(sizes) < 2:
            raise DataError(
                f"Each attribute needs a value besides the unknown, and there must be one; got sizes {sizes}."
            )
        self.encoder = _encoder(encoder)
        self.arguments = {"sizes": sizes, "encoder": self.encoder.arguments, "scale": scale}
        self.sizes, self.scale = sizes, scale
        self.heads = nn.ModuleList(
            nn.Linear(self.encoder.arguments["dimensions"], size - 1) for size in sizes
        )

    def forward(self, images: Tensor) -> list[Tensor]:
        """The logits of each attribute, (n, size - 1): column i speaks for number i + 1."""
        z = self.encoder(images) * self.scale
        return [head(z) for head in self.heads]

    @torch.no_grad()
    def name(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """The most likely number of each attribute, and how likely the network takes it to be.

        Returns
        -------
        numbers, probabilities : (n, attributes) int64, from 1 on, and float32.
        """
        best = [logits.float().softmax(1).max(1) for logits in self(images)]
        return torch.stack([b.indices + 1 for b in best], 1), torch.stack(
            [b.values for b in best], 1
        )


class Fuse(nn.Module):
    """Make one point of a picture's vector and some attributes, any of which may be missing. Introduced in chapter 07.

    Each attribute has a table of vectors to be learned, one for each of its values. They stand in a row with the
    picture's vector and with a flag for each part that is there; two layers mix them. What is missing is zeros, and its
    flag is 0. The book trains it by itself, on vectors of pictures that were computed once.

    Parameters
    ----------
    pictures : length of a picture's vector.
    sizes : how many numbers each attribute has, the unknown included.
    dimensions : length of the embedding.
    width : length of an attribute's vectors.
    hidden : units between the two layers.
    """

    def __init__(
        self,
        pictures: int,
        sizes: Sequence[int],
        dimensions: int = 128,
        width: int = 16,
        hidden: int = 256,
    ) -> None:
        super().__init__()
        sizes = _checked_sizes(sizes)
        self.arguments = {
            "pictures": pictures, "sizes": sizes, "dimensions": dimensions, "width": width, "hidden": hidden
        }  # fmt: skip
        self.pictures, self.sizes = pictures, sizes
        self.tables = nn.ModuleList(nn.Embedding(size, width, padding_idx=0) for size in sizes)
        inputs = pictures + width * len(sizes) + 1 + len(sizes)
        self.mix = nn.Sequential(
            nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, dimensions)
        )

    def forward(
        self,
        pictures: Tensor | None = None,
        attributes: Tensor | None = None,
        seen: Tensor | None = None,
    ) -> Tensor:
        """Embeddings (n, dimensions) float32, each of length 1.

        Parameters
        ----------
        pictures : (n, pictures) float. None: nobody has seen the garments.
        attributes : (n, attributes) int64, 0 for unknown. None: nobody has described them.
        seen : (n,) bool, whose picture counts. None: all.

        Raises
        ------
        DataError : neither pictures nor attributes, or shapes or numbers that do not fit.
        """
        pictures, attributes, seen = self._complete(pictures, attributes, seen)
        pictures = pictures.masked_fill(~seen[:, None], 0)
        words = [table(attributes[:, i]) for i, table in enumerate(self.tables)]
        flags = torch.cat([seen[:, None], attributes > 0], 1).to(pictures.dtype)
        return normalize(self.mix(torch.cat([pictures, *words, flags], 1)).float())

    def _complete(
        self, pictures: Tensor | None, attributes: Tensor | None, seen: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The three, with what is missing filled in as missing."""
        there = next((part for part in (pictures, attributes) if part is not None), None)
        if there is None:
            raise DataError(
                "Give pictures, or attributes, or both: of nothing there is no embedding."
            )
        n, device = len(there), there.device
        if pictures is None:
            pictures, seen = (
                torch.zeros(n, self.pictures, device=device),
                torch.zeros(n, dtype=bool, device=device),
            )
        if attributes is None:
            attributes = torch.zeros(n, len(self.sizes), dtype=torch.int64, device=device)
        if seen is None:
            seen = torch.ones(n, dtype=bool, device=device)
        wanted = {"pictures": (n, self.pictures), "attributes": (n, len(self.sizes)), "seen": (n,)}
        got = {
            "pictures": tuple(pictures.shape),
            "attributes": tuple(attributes.shape),
            "seen": tuple(seen.shape),
        }
        if wanted != got:
            raise DataError(
                f"Expected the shapes {wanted}, got {got}. Is the encoder of attributes the model's own?"
            )
        sizes = torch.tensor(self.sizes, device=device)
        if attributes.is_floating_point() or not ((attributes >= 0) & (attributes < sizes)).all():
            raise DataError(
                f"Attributes are whole numbers below {self.sizes}, from 0 (unknown); these are {attributes.dtype} and "
                f"go up to {attributes.amax(0).tolist()}. Use the encoder that the model was trained with."
            )
        return pictures, attributes, seen


class Fusion(nn.Module):
    """Pictures and attributes in, one embedding out. Introduced in chapter 07.

    An image encoder, and `Fuse` on top of it.

    Parameters
    ----------
    sizes : how many numbers each attribute has, the unknown included, as `AttributeEncoder.sizes`.
    encoder : images in, embeddings out; or arguments, as `AttributeHeads` takes them.
    dimensions, width, hidden : as in `Fuse`.
    """

    def __init__(
        self,
        sizes: Sequence[int] = (),
        encoder: nn.Module | Mapping | None = None,
        dimensions: int = 128,
        width: int = 16,
        hidden: int = 256,
    ) -> None:
        super().__init__()
        self.encoder = _encoder(encoder)
        self.channels = getattr(self.encoder, "channels", None)
        self.fuse = Fuse(self.encoder.arguments["dimensions"], sizes, dimensions, width, hidden)
        more = {"dimensions": dimensions, "width": width, "hidden": hidden}
        self.arguments = {"sizes": self.fuse.sizes, "encoder": self.encoder.arguments, **more}

    def forward(
        self,
        images: Tensor | None = None,
        attributes: Tensor | None = None,
        seen: Tensor | None = None,
    ) -> Tensor:
        """Embeddings (n, dimensions) float32, each of length 1.

        images : (n, channels, height, width) float32 in [0, 1], or None. The others, and errors: as in `Fuse`.
        """
        return self.fuse(None if images is None else self.encoder(images), attributes, seen)


def forget(
    attributes: Tensor,
    generator: torch.Generator,
    each: float = 0.3,
    every: float = 0.1,
    picture: float = 0.1,
) -> tuple[Tensor, Tensor]:
    """Hide attributes and pictures at random, so that a network learns to do without. Introduced in chapter 07.

    Dropout of whole inputs (Neverova et al. 2016, "ModDrop"). Something is left of every garment: where the picture and
    all known attributes would be hidden, the picture stays.

    Parameters
    ----------
    attributes : (n, attributes) int64.
    generator : on the CPU.
    each : how likely each attribute is to be hidden, by itself.
    every, picture : how likely it is that all attributes are hidden, or that the picture is; never both.

    Returns
    -------
    attributes, seen : the same with 0 where hidden, and (n,) bool, whose picture is left.

    Raises
    ------
    DataError : a chance outside 0 to 1, or `every` and `picture` above 1 together.
    """
    if not (0 <= each <= 1 and every >= 0 and picture >= 0 and every + picture <= 1):
        raise DataError(
            f"Chances lie in 0 to 1, every + picture too; got {each=}, {every=}, {picture=}."
        )
    fate, chance = (
        torch.rand(len(attributes), 1, generator=generator),
        torch.rand(attributes.shape, generator=generator),
    )
    hidden = (chance < each) | (fate < every)
    left = attributes.masked_fill(hidden.to(attributes.device), 0)
    seen = (fate[:, 0] < 1 - picture).to(attributes.device) | (left == 0).all(1)
    return left, seen


def _encoder(encoder: nn.Module | Mapping | None) -> nn.Module:
    if isinstance(encoder, nn.Module):
        return encoder
    encoder = PHOTO if encoder is None else encoder
    return MultiStageEncoder(**encoder) if "backbone" in encoder else Style2Vec(**encoder)


def _checked_sizes(sizes: Sequence[int]) -> list[int]:
    sizes = [int(size) for size in sizes]
    if sizes and min(sizes) < 1:
        raise DataError(
            f"An attribute has 1 number or more (0, the unknown, is one of them); got sizes {sizes}."
        )
    return sizes
