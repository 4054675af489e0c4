"""Image and attributes of a garment: predict the attributes, or embed both together.

`AttributeHeads` predicts attributes from an image; `Fusion` embeds image and attributes together,
the image alone, or attributes alone, so that a query with gaps finds garments without any.
Attributes come as whole numbers, 0 for "unknown" (see `fashionnb.data.attribute_encoder`).
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from fashionnb.arrays import check_array
from fashionnb.errors import DataError
from fashionnb.models.multi_stage_encoder import MultiStageEncoder
from fashionnb.models.style2vec import Style2Vec

PHOTO = {
    "channels": 3,
    "stem": 16,
    "stages": [[32, 2], [64, 2], [128, 2]],
    "mean": 0.85,
    "std": 0.25,
}
"""Arguments of an image encoder small enough for a CPU; mean and deviation of product photos."""


class AttributeHeads(nn.Module):
    """Multi-task classifier of the attributes that fusion embeds with an image: one head for each.

    There is one image encoder, and one linear head for each attribute. What the
    encoder learns for one task serves the others. "Unknown" is never predicted.

    Parameters
    ----------
    sizes : sequence of int
        How many values each attribute has, the unknown included, as `AttributeEncoder.sizes`.
    encoder : nn.Module, mapping or None
        Images to embeddings of length 1; or the arguments of a `MultiStageEncoder` if they name a
        backbone, else of a `Style2Vec`; None is `PHOTO`.
    scale : float
        Embeddings are multiplied by it, since numbers of length 1 never make a confident softmax.

    Raises
    ------
    DataError
        If there is no attribute, or one has no value besides the unknown.

    References
    ----------
    Caruana (1997), Multitask Learning.
    """

    task = "attributes"

    def __init__(
        self,
        sizes: Sequence[int] = (3,),
        encoder: nn.Module | Mapping | None = None,
        scale: float = 16.0,
    ) -> None:
        super().__init__()
        sizes = [int(size) for size in sizes]
        if min(sizes, default=0) < 2:
            raise DataError(
                "There is one attribute or more, each with a value besides the unknown; got sizes "
                f"{sizes}."
            )
        self.encoder = _make_encoder(encoder)
        self.arguments = {"sizes": sizes, "encoder": self.encoder.arguments, "scale": scale}
        self.sizes, self.scale = sizes, scale
        dimensions = self.encoder.arguments["dimensions"]
        self.heads = nn.ModuleList(nn.Linear(dimensions, size - 1) for size in sizes)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Compute the logits (n, size - 1) of each attribute; column i stands for value i + 1."""
        z = self.encoder(images) * self.scale
        return [head(z) for head in self.heads]

    @torch.no_grad()
    def name(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Predict the most likely value of each attribute.

        Returns
        -------
        numbers : Tensor of shape (n, attributes), int64
            From 1 on.
        probabilities : Tensor of shape (n, attributes), float32
            As the network estimates them.
        """
        best = [logits.float().softmax(1).max(1) for logits in self(images)]
        numbers = torch.stack([each.indices + 1 for each in best], 1)
        return numbers, torch.stack([each.values for each in best], 1)


class FusionHead(nn.Module):
    """Head of the fusion network, which embeds the vector of an image together with attributes.

    Each attribute has an embedding table. The vectors of attributes and image are concatenated with
    one flag for each part that is present, and go through two layers. What is missing is zeros, and
    its flag is 0. It can be trained by itself, on image vectors that were computed once.

    Parameters
    ----------
    pictures : int
        Length of an image's vector.
    sizes : sequence of int
        How many values each attribute has, the unknown included.
    dimensions : int
        Length of the embedding.
    width : int
        Length of an attribute's vectors.
    hidden : int
        Units between the two layers.
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
        sizes = [int(size) for size in sizes]
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
        """Embed garments.

        Parameters
        ----------
        pictures : Tensor of shape (n, pictures), float, optional
            Vectors of the images; None if there are none.
        attributes : Tensor of shape (n, attributes), int64, optional
            0 for unknown; None if all are.
        seen : Tensor of shape (n,), bool, optional
            Whose image counts; None for all.

        Returns
        -------
        Tensor of shape (n, dimensions), float32
            Each row of length 1.

        Raises
        ------
        DataError
            If neither images nor attributes are given, or shapes or values do not fit.
        """
        pictures, attributes, seen = self._complete(pictures, attributes, seen)
        pictures = pictures.masked_fill(~seen[:, None], 0)
        vectors = [table(attributes[:, i]) for i, table in enumerate(self.tables)]
        flags = torch.cat([seen[:, None], attributes > 0], 1).to(pictures.dtype)
        return normalize(self.mix(torch.cat([pictures, *vectors, flags], 1)).float())

    def _complete(
        self, pictures: Tensor | None, attributes: Tensor | None, seen: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Fill in what is missing, and check vectors and attributes."""
        given = attributes if pictures is None else pictures
        if given is None:
            raise DataError("Give images, or attributes, or both.")
        n = len(given)
        # What is missing gets its length from a tensor: an exported file would keep the number n.
        rows = given[..., None].flatten(1).sum(1)
        if seen is None:
            seen = torch.full_like(rows, float(pictures is not None)).bool()
        if pictures is None:
            pictures = torch.zeros_like(rows[:, None], dtype=torch.float32).repeat(1, self.pictures)
            seen = torch.zeros_like(seen)
        if attributes is None:
            attributes = torch.zeros_like(rows[:, None]).long()
            attributes = attributes.repeat(1, len(self.sizes))
        remedy = (
            "Use the encoder of images and that of attributes that the network was trained with."
        )
        check_array(pictures, (n, self.pictures), "Vectors of images", remedy)
        check_array(
            attributes, (n, len(self.sizes)), "Attributes (0 is unknown)", remedy,
            kind="whole", below=self.sizes,
        )  # fmt: skip
        return pictures, attributes, seen


class Fusion(nn.Module):
    """Fusion of a garment's image and attributes in one embedding, with or without either.

    An image encoder and a `FusionHead` on its output.

    Parameters
    ----------
    sizes : sequence of int
        How many values each attribute has, the unknown included, as `AttributeEncoder.sizes`.
    encoder : nn.Module, mapping or None
        Images to embeddings; or arguments, as `AttributeHeads` takes them.
    dimensions : int
        Length of the embedding.
    width : int
        Length of an attribute's vectors.
    hidden : int
        Units between the two layers of the head.
    """

    task = "embedding"

    def __init__(
        self,
        sizes: Sequence[int] = (),
        encoder: nn.Module | Mapping | None = None,
        dimensions: int = 128,
        width: int = 16,
        hidden: int = 256,
    ) -> None:
        super().__init__()
        self.encoder = _make_encoder(encoder)
        pictures = self.encoder.arguments["dimensions"]
        self.fuse = FusionHead(pictures, sizes, dimensions, width, hidden)
        self.arguments = {
            "sizes": self.fuse.sizes, "encoder": self.encoder.arguments, "dimensions": dimensions,
            "width": width, "hidden": hidden,
        }  # fmt: skip

    def forward(
        self,
        images: Tensor | None = None,
        attributes: Tensor | None = None,
        seen: Tensor | None = None,
    ) -> Tensor:
        """Embed garments.

        Parameters
        ----------
        images : Tensor of shape (n, channels, height, width), float, optional
            In [0, 1].
        attributes, seen
            As in `FusionHead.forward`; errors, too.

        Returns
        -------
        Tensor of shape (n, dimensions), float32
            Each row of length 1.
        """
        return self.fuse(None if images is None else self.encoder(images), attributes, seen)


def modality_dropout(
    attributes: Tensor,
    generator: torch.Generator,
    each: float = 0.3,
    every: float = 0.1,
    picture: float = 0.1,
) -> tuple[Tensor, Tensor]:
    """Hide images and attributes at random, so that fusion learns to do without either.

    Something is left of every garment: where the image and all known attributes would be hidden,
    the image stays.

    Parameters
    ----------
    attributes : Tensor of shape (n, attributes), int64
        0 for unknown.
    generator : torch.Generator
        On the CPU.
    each : float
        Probability that an attribute is hidden, independently of the others.
    every : float
        Probability that all attributes of a garment are hidden.
    picture : float
        Probability that its image is hidden; never both.

    Returns
    -------
    attributes : Tensor of shape (n, attributes), int64
        0 where hidden.
    seen : Tensor of shape (n,), bool
        Whose image is left.

    Raises
    ------
    DataError
        If a probability is outside 0 to 1, or `every` and `picture` together are above 1.

    References
    ----------
    Neverova, Wolf, Taylor & Nebout (2016), ModDrop: Adaptive Multi-modal Gesture Recognition.
    """
    if not (0 <= each <= 1 and every >= 0 and picture >= 0 and every + picture <= 1):
        raise DataError(
            f"Probabilities are 0 to 1, every + picture too; got {each=}, {every=}, {picture=}."
        )
    for_garment = torch.rand(len(attributes), 1, generator=generator)
    for_attribute = torch.rand(attributes.shape, generator=generator)
    hidden = (for_attribute < each) | (for_garment < every)
    left = attributes.masked_fill(hidden.to(attributes.device), 0)
    seen = (for_garment[:, 0] < 1 - picture).to(attributes.device) | (left == 0).all(1)
    return left, seen


def _make_encoder(encoder: nn.Module | Mapping | None) -> nn.Module:
    if isinstance(encoder, nn.Module):
        return encoder
    encoder = PHOTO if encoder is None else encoder
    return MultiStageEncoder(**encoder) if "backbone" in encoder else Style2Vec(**encoder)
