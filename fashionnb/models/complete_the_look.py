"""Complete the look: networks that embed a scene and the products that fit it in one space.

`CompleteTheLook` has two encoders (towers) of vectors that were computed before, such as those of
fashion SigLIP (768 numbers); its arguments lead from the plain baseline ("v1") to the published
towers ("v2"). `LookAround` is this book's own: it attends to the other pieces of a scene, once for
each kind of product. Training is in `fashionnb.scenes.training`.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from fashionnb.arrays import check_array

COLDEST, HOTTEST = 0.01, 1.0
"""Bounds of a learnt temperature."""

# n scenes without their products: crops (n, d); which of k other pieces there are, (n, k) bool; and
# of those that are, t in all, scene by scene, their vectors (t, d) and boxes (t, 4). (No docstring:
# Sphinx would look for the source of `tuple`.)
Scene = tuple[Tensor, Tensor, Tensor, Tensor]

_LABEL = 16  # length of the vector of a label
_WIDTH = "Build the network with their width, or embed with the encoder that it was trained with."
_NUMBERS = "Number them as for its training."


class _ResidualLayer(nn.Module):
    """Residual layer of a tower: x + Dropout(GELU(Linear(LayerNorm(x))))."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.change = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, width), nn.GELU(), nn.Dropout(dropout)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, width) to (n, width)."""
        return x + self.change(x)


class Tower(nn.Module):
    """Tower of a complete-the-look network: scenes, or products, to points on the unit sphere.

    Linear, LayerNorm, GELU, dropout, some residual layers, Linear; with `hidden` 0 a single Linear.
    A learnt vector of a product's kind and one of each of its labels are appended to its features;
    an unknown label is zeros. With `kind_width` 0 it ignores kinds.

    Parameters
    ----------
    width : int
        Length of the vector of a scene or product.
    dimensions : int
        Length of a point.
    hidden : int
        Units of each layer but the last; 0 makes the tower a single projection.
    blocks : int
        How many residual layers there are.
    dropout : float
        Share of units that training leaves out.
    kinds : int
        How many kinds of products there are; 0 for scenes.
    kind_width : int
        Length of the vector of a kind; 0: kinds are not used.
    labels : sequence of int
        For each label of a product how many values it has, the unknown (0) included.
    """

    def __init__(
        self,
        width: int,
        dimensions: int,
        hidden: int,
        blocks: int,
        dropout: float,
        kinds: int = 0,
        kind_width: int = 0,
        labels: Sequence[int] = (),
    ) -> None:
        super().__init__()
        self.width, self.kinds = width, kinds
        self.kind = nn.Embedding(kinds, kind_width) if kind_width else None
        self.labels = nn.ModuleList(nn.Embedding(count, _LABEL, padding_idx=0) for count in labels)
        inputs = width + kind_width + _LABEL * len(labels)
        if hidden:
            residual = (_ResidualLayer(hidden, dropout) for _ in range(blocks))
            self.layers = nn.Sequential(
                *_entry(inputs, hidden, dropout), *residual, nn.Linear(hidden, dimensions)
            )
        else:
            self.layers = nn.Linear(inputs, dimensions)

    def forward(
        self, features: Tensor, kinds: Tensor | None = None, labels: Tensor | None = None
    ) -> Tensor:
        """Embed scenes or products.

        Parameters
        ----------
        features : Tensor of shape (n, width), float
        kinds : Tensor of shape (n,), int64, optional
            Below `kinds`; None for scenes.
        labels : Tensor of shape (n, l), int64, optional
            One column for each label of the network, 0 for unknown; None if it has none.

        Returns
        -------
        Tensor of shape (n, dimensions), float32
            Each row of length 1.

        Raises
        ------
        DataError
            If the vectors have another width, or a kind or label is unknown.
        """
        check_array(features, ("n", self.width), "Vectors of scenes or products", _WIDTH)
        n = len(features)
        parts = [features]
        if self.kind is not None:
            check_array(kinds, (n,), "Kinds of products", _NUMBERS, kind="whole", below=self.kinds)
            parts.append(self.kind(kinds))
        if self.labels:
            counts = [table.num_embeddings for table in self.labels]
            check_array(
                labels, (n, len(counts)), f"The network takes {len(counts)} labels of each product",
                _NUMBERS, kind="whole", below=counts,
            )  # fmt: skip
            parts += [table(labels[:, column]) for column, table in enumerate(self.labels)]
        return normalize(self.layers(torch.cat(parts, 1)).float())


class CompleteTheLook(nn.Module):
    """Two-tower network for complete the look: products near the point of a scene fit it.

    With the defaults these are the published towers ("v2"): 768 -> 512, two residual layers, 256;
    products with a 64-d vector of their kind; a learnt temperature. With `hidden=0, kind_width=0`
    each tower is one projection ("v1").

    Parameters
    ----------
    width : int
        Length of the vector of a scene, and of a product; 768 for fashion SigLIP.
    kinds : int
        How many kinds of products there are.
    dimensions : int
        Length of a point.
    hidden : int
        Units of a tower; 0 makes it a single projection.
    blocks : int
        Residual layers of a tower.
    kind_width : int
        Length of the vector of a kind; 0: kinds are not used.
    dropout : float
        Share of units that training leaves out.
    temperature : float
        At the start of training.
    labels : sequence of int
        For each label of a product, such as its colour, how many values it has, the unknown (0)
        included.
    """

    task = "complete-the-look"

    def __init__(
        self,
        width: int = 768,
        kinds: int = 10,
        dimensions: int = 256,
        hidden: int = 512,
        blocks: int = 2,
        kind_width: int = 64,
        dropout: float = 0.1,
        temperature: float = 0.07,
        labels: Sequence[int] = (),
    ) -> None:
        super().__init__()
        self.arguments = {
            "width": width, "kinds": kinds, "dimensions": dimensions, "hidden": hidden,
            "blocks": blocks, "kind_width": kind_width, "dropout": dropout,
            "temperature": temperature, "labels": list(labels),
        }  # fmt: skip
        tower = (width, dimensions, hidden, blocks, dropout)
        self.scene = Tower(*tower)
        self.product = Tower(*tower, kinds, kind_width, labels)
        self.log_temperature = nn.Parameter(torch.tensor(math.log(temperature)))

    def look(self, scene: Scene) -> Tensor:
        """Embed scenes as (n, dimensions).

        `scene` is what `LookAround.look` takes; only the crops are used.
        """
        return self.scene(scene[0])

    def logits(self, looked: Tensor, products: Tensor, kinds: Tensor) -> Tensor:
        """Compute cosines (n, m) of the output of `look` with products (m, dimensions).

        They are divided by the temperature, for the softmax and for ranking.
        """
        return looked @ products.T / _temperature(self.log_temperature)


class LookAround(nn.Module):
    """Attention network for complete the look, with one query for each kind of product.

    It attends to the other pieces of a scene. Bags are chosen after shoes, and tops after trousers.
    So every kind has a learnt query that attends to the pieces, and a product is compared with the
    output for its kind. One more query estimates how likely each kind is. So the score of a product
    is

        log p(product | scene) = log p(kind | scene) + log p(product | scene, kind).

    Parameters
    ----------
    width : int
        Length of the vector of a scene, of a piece and of a product; 768 for fashion SigLIP.
    kinds : int
        How many kinds of products there are.
    dimensions : int
        Length of a point.
    hidden : int
        Units of the attention and of its output.
    heads : int
        How many attend in parallel; it divides `hidden`.
    tower : int
        Units of the products' tower.
    dropout : float
        Share of units that training leaves out.
    temperature : float
        At the start of training.
    labels : sequence of int
        For each label of a product, such as its colour, how many values it has, the unknown (0)
        included.

    References
    ----------
    Vaswani et al. (2017), Attention Is All You Need.
    Lin, Tran & Davis (2020), Fashion Outfit Complementary Item Retrieval, where the wanted category
    directs what is compared.
    """

    task = "complete-the-look"

    def __init__(
        self,
        width: int = 768,
        kinds: int = 10,
        dimensions: int = 96,
        hidden: int = 128,
        heads: int = 4,
        tower: int = 192,
        dropout: float = 0.1,
        temperature: float = 0.07,
        labels: Sequence[int] = (),
    ) -> None:
        super().__init__()
        self.arguments = {
            "width": width, "kinds": kinds, "dimensions": dimensions, "hidden": hidden,
            "heads": heads, "tower": tower, "dropout": dropout, "temperature": temperature,
            "labels": list(labels),
        }  # fmt: skip
        self.width, self.heads = width, heads
        self.piece, self.crop = _entry(width + 4, hidden, dropout), _entry(width, hidden, dropout)
        self.question = nn.Parameter(torch.randn(kinds + 1, hidden) / math.sqrt(hidden))
        self.key, self.value = nn.Linear(hidden, hidden), nn.Linear(hidden, hidden)
        self.answer = nn.Sequential(
            nn.LayerNorm(hidden),
            nn.Linear(hidden, hidden),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, dimensions),
        )
        self.likely = nn.Sequential(nn.LayerNorm(hidden), nn.Linear(hidden, kinds))
        self.product = Tower(width, dimensions, tower, 0, dropout, kinds, _LABEL, labels)
        self.log_temperature = nn.Parameter(torch.tensor(math.log(temperature)))

    def look(self, scene: Scene) -> tuple[Tensor, Tensor]:
        """Encode scenes for each kind, and estimate how likely each kind is.

        Parameters
        ----------
        scene : tuple of 4 Tensor
            Crops (n, width), which of k pieces there are (n, k) bool, and those t pieces (t, width)
            with their boxes (t, 4), in the order of the scenes. A scene without pieces is encoded
            by its crop.

        Returns
        -------
        found : Tensor of shape (n, kinds, hidden)
            Output of each kind's query, for `towards`.
        likely : Tensor of shape (n, kinds)
            Log-probabilities of the kinds.

        Raises
        ------
        DataError
            If the vectors have another width.
        """
        crops, there, pieces, boxes = scene
        check_array(crops, ("n", self.width), "Vectors of scenes", _WIDTH)
        n, k = there.shape
        encoded = self.piece(torch.cat([pieces, boxes], 1))
        x = encoded.new_zeros(n, k + 1, encoded.shape[1])
        x[:, :-1][there] = encoded
        x[:, -1] = self.crop(crops)
        there = torch.cat([there, torch.ones_like(there[:, :1])], 1)
        found = self._attend(x, there) + self.question
        return found[:, :-1], self.likely(found[:, -1]).float().log_softmax(-1)

    def towards(self, found: Tensor) -> Tensor:
        """Map outputs of queries (n, hidden) to points (n, dimensions) among the products."""
        return normalize(self.answer(found).float())

    def logits_of_a_kind(
        self, looked: tuple[Tensor, Tensor], products: Tensor, kinds: Tensor
    ) -> Tensor:
        """Compute logits (n, m) of products for one kind in each scene, `kinds` (n,)."""
        wanted = looked[0][torch.arange(len(kinds), device=kinds.device), kinds]
        return self.towards(wanted) @ products.T / _temperature(self.log_temperature)

    def logits(self, looked: tuple[Tensor, Tensor], products: Tensor, kinds: Tensor) -> Tensor:
        """Compute the log-probability (n, m) of each product among all given, for ranking."""
        found, likely = looked
        temperature = _temperature(self.log_temperature)
        logits = products.new_empty(len(found), len(products))
        # One kind at a time: a point for each scene and product would fill the memory.
        for kind in kinds.unique().tolist():
            columns = (kinds == kind).nonzero(as_tuple=True)[0]
            cosines = (self.towards(found[:, kind]) @ products[columns].T).float()
            of_kind = (cosines / temperature).log_softmax(1)
            logits[:, columns] = of_kind + likely[:, kind, None]
        return logits

    def _attend(self, x: Tensor, there: Tensor) -> Tensor:
        """Output (n, kinds + 1, hidden) of each query's attention to the pieces."""
        key, value = (layer(x).unflatten(-1, (self.heads, -1)) for layer in (self.key, self.value))
        query = self.question.unflatten(-1, (self.heads, -1))
        scores = torch.einsum("qhd,nthd->nhqt", query, key)
        weights = scores.masked_fill(~there[:, None, None], -torch.inf).softmax(-1)
        return torch.einsum("nhqt,nthd->nqhd", weights, value).flatten(2)


def _entry(width: int, hidden: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(width, hidden), nn.LayerNorm(hidden), nn.GELU(), nn.Dropout(dropout)
    )


def _temperature(log_temperature: Tensor) -> Tensor:
    return log_temperature.clamp(math.log(COLDEST), math.log(HOTTEST)).exp()
