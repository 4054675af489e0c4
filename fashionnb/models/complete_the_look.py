"""A scene and the products that fit it, in one space: two towers, from one projection each to towers that look around.

`CompleteTheLook` has two encoders of vectors that were computed before, such as those of fashion SigLIP (768 numbers);
its arguments lead from the plain baseline ("v1") to the towers that others published ("v2"). `LookAround` is this
book's own: it looks at the other pieces of a scene with the wanted kind of product in mind. How they are trained is in
`fashionnb.scenes.training`.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from fashionnb.errors import DataError

COLDEST, HOTTEST = 0.01, 1.0
"""Between these a learnt temperature stays."""

# What is left of n scenes without their products: crops (n, d); which of k other pieces there are, (n, k) bool; and of
# those that are, t in all, scene by scene, what they are (t, d) and where (t, 4). (No docstring: Sphinx would look for
# the source of `tuple`.)
Scene = tuple[Tensor, Tensor, Tensor, Tensor]

_LABEL = 16  # numbers in the vector of a label


class Residual(nn.Module):
    """A layer that adds to what comes in: x + Dropout(GELU(Linear(LayerNorm(x)))). Introduced in chapter 11."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.change = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, width), nn.GELU(), nn.Dropout(dropout)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(n, width) -> (n, width)."""
        return x + self.change(x)


class SceneEncoder(nn.Module):
    """Vectors of scenes as points on the unit sphere. Introduced in chapter 11.

    Linear, LayerNorm, GELU, dropout, some `Residual`, Linear. With `hidden` 0 a single Linear.
    """

    def __init__(
        self, width: int, dimensions: int, hidden: int, blocks: int, dropout: float
    ) -> None:
        super().__init__()
        self.width = width
        self.layers = _tower(width, dimensions, hidden, blocks, dropout)

    def forward(self, features: Tensor) -> Tensor:
        """(n, width) float -> (n, dimensions) float32, each of length 1. Raises `DataError` for another width."""
        _check_width(features, self.width, "A scene")
        return normalize(self.layers(features).float())


class ProductEncoder(nn.Module):
    """Vectors of products, and what a shop says of each, as points on the unit sphere. Introduced in chapter 11.

    As `SceneEncoder`, with a learnt vector for each kind beside the features, and one for each label: 0s for what is
    not known. With `kind_width` 0 it ignores kinds.
    """

    def __init__(
        self,
        width: int,
        kinds: int,
        kind_width: int,
        dimensions: int,
        hidden: int,
        blocks: int,
        dropout: float,
        labels: Sequence[int] = (),
    ) -> None:
        super().__init__()
        self.width, self.kinds = width, kinds
        self.kind = nn.Embedding(kinds, kind_width) if kind_width else None
        self.labels = nn.ModuleList(nn.Embedding(count, _LABEL, padding_idx=0) for count in labels)
        self.layers = _tower(
            width + kind_width + _LABEL * len(labels), dimensions, hidden, blocks, dropout
        )

    def forward(self, features: Tensor, kinds: Tensor, labels: Tensor | None = None) -> Tensor:
        """Points (n, dimensions) float32 of length 1.

        Parameters
        ----------
        features : (n, width) float. kinds : (n,) int64, below `kinds`.
        labels : (n, l) int64, one column for each label of the model, 0 for what is not known; None if it has none.

        Raises
        ------
        DataError : another width, or a kind or a label that is not known.
        """
        _check_width(features, self.width, "A product")
        _check_kinds(kinds, self.kinds)
        known = [features] if self.kind is None else [features, self.kind(kinds)]
        if self.labels:
            most = torch.tensor([table.num_embeddings for table in self.labels])
            if (
                labels is None
                or labels.shape != (len(features), len(most))
                or (labels.cpu() >= most).any()
            ):
                raise DataError(
                    f"The model takes {len(most)} labels of each product, below {most.tolist()}; got "
                    f"{None if labels is None else tuple(labels.shape)}. Give the labels it was trained with."
                )
            known += [table(labels[:, column]) for column, table in enumerate(self.labels)]
        return normalize(self.layers(torch.cat(known, 1)).float())


class CompleteTheLook(nn.Module):
    """Two towers: what lies near a scene fits it. Introduced in chapter 11.

    With the defaults these are the published towers ("v2"): 768 -> 512, two residual blocks, 256; products with a
    64-d vector of their kind; a learnt temperature. With `hidden=0, kind_width=0` each tower is one projection ("v1").

    Parameters
    ----------
    width : numbers in the vector of a scene, and of a product; 768 for fashion SigLIP.
    kinds : how many kinds of products there are.
    dimensions : length of a point. hidden : units of a tower; 0 makes it a single projection. blocks : residual ones.
    kind_width : length of the vector of a kind; 0: none.
    dropout : the share of units that training leaves out. temperature : at the start of training.
    labels : for each label of a product, such as its colour, how many values it has, the unknown (0) included.

    Raises
    ------
    DataError : sizes below what makes sense.
    """

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
        _check_sizes(width, kinds, dimensions, *labels)
        self.arguments = {
            "width": width, "kinds": kinds, "dimensions": dimensions, "hidden": hidden, "blocks": blocks,
            "kind_width": kind_width, "dropout": dropout, "temperature": temperature, "labels": list(labels),
        }  # fmt: skip
        self.scene = SceneEncoder(width, dimensions, hidden, blocks, dropout)
        self.product = ProductEncoder(
            width, kinds, kind_width, dimensions, hidden, blocks, dropout, labels
        )
        self.log_temperature = nn.Parameter(torch.tensor(math.log(temperature)))

    def look(self, scene: Scene) -> Tensor:
        """The points of scenes, (n, dimensions). `scene` is what `LookAround.look` takes; here the crops count only."""
        return self.scene(scene[0])

    def similarities(self, looked: Tensor, products: Tensor, kinds: Tensor) -> Tensor:
        """Cosines (n, m) of what `look` gave with the points (m, dimensions) that `product` gave."""
        return looked @ products.T

    def logits(self, looked: Tensor, products: Tensor, kinds: Tensor) -> Tensor:
        """Similarities over the temperature, (n, m): what the softmax of the loss takes, and what ranks."""
        return self.similarities(looked, products, kinds) / _temperature(self.log_temperature)


class LookAround(nn.Module):
    """Look at the other pieces of a scene, once for each kind of product that may be wanted. Introduced in chapter 11.

    Bags are chosen after shoes, and tops after trousers. So every kind asks the pieces a question of its own
    (attention; Vaswani et al. 2017, "Attention Is All You Need"; after Lin, Tran & Davis 2020, "Fashion Outfit
    Complementary Item Retrieval", where the wanted category directs what is compared). A product is compared with the
    answer for its kind. One question more asks how likely each kind is at all. So what is said of a product is

        log p(product | scene) = log p(kind | scene) + log p(product | scene, kind).

    Parameters
    ----------
    width, kinds, dimensions, labels, temperature : as in `CompleteTheLook`.
    hidden : units of the attention and of the answers. heads : of the attention. tower : units of the products' tower.
    dropout : the share of units that training leaves out.

    Raises
    ------
    DataError : sizes below what makes sense, or `heads` that do not divide `hidden`.
    """

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
        _check_sizes(width, kinds, dimensions, hidden, heads, tower, *labels)
        if hidden % heads:
            raise DataError(f"Heads must divide hidden; got {heads=}, {hidden=}.")
        self.arguments = {
            "width": width, "kinds": kinds, "dimensions": dimensions, "hidden": hidden, "heads": heads,
            "tower": tower, "dropout": dropout, "temperature": temperature, "labels": list(labels),
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
        self.product = ProductEncoder(width, kinds, _LABEL, dimensions, tower, 0, dropout, labels)
        self.log_temperature = nn.Parameter(torch.tensor(math.log(temperature)))

    def look(self, scene: Scene) -> tuple[Tensor, Tensor]:
        """What each kind's question found in scenes, and how likely each kind is.

        Parameters
        ----------
        scene : crops (n, width), which of k pieces there are (n, k) bool, and those t pieces (t, width) with their
            boxes (t, 4), in the order of the scenes. Where there is none, the crop says all.

        Returns
        -------
        found, likely : (n, kinds, hidden), for `towards`; and (n, kinds) logarithms of shares.

        Raises
        ------
        DataError : another width, or shapes that disagree.
        """
        crops, there, pieces, boxes = scene
        _check_width(crops, self.width, "A scene")
        n, k = there.shape
        t = int(there.sum())
        if n != len(crops) or pieces.shape != (t, self.width) or boxes.shape != (t, 4):
            raise DataError(
                f"LookAround takes which pieces there are (n, k), and those t (t, {self.width}) with boxes (t, 4); got "
                f"{t} of {tuple(there.shape)}, {tuple(pieces.shape)} and {tuple(boxes.shape)} for {len(crops)} crops."
            )
        seen = self.piece(torch.cat([pieces, boxes], 1))
        x = seen.new_zeros(n, k + 1, seen.shape[1])
        x[:, :-1][there] = seen
        x[:, -1] = self.crop(crops)
        found = self._asked(x, torch.cat([there, torch.ones_like(there[:, :1])], 1)) + self.question
        return found[:, :-1], self.likely(found[:, -1]).float().log_softmax(-1)

    def towards(self, found: Tensor) -> Tensor:
        """Where products should lie, of what the question of their kind found: (n, hidden) -> (n, dimensions)."""
        return normalize(self.answer(found).float())

    def similarities(
        self, looked: tuple[Tensor, Tensor], products: Tensor, kinds: Tensor
    ) -> Tensor:
        """Cosines (n, m) of products with the scene's answer for the kind of each."""
        cosines = products.new_empty(len(looked[0]), len(products))
        for kind in (
            kinds.unique().tolist()
        ):  # one at a time: a point for each scene and product would fill the memory
            columns = (kinds == kind).nonzero(as_tuple=True)[0]
            cosines[:, columns] = self.towards(looked[0][:, kind]) @ products[columns].T
        return cosines

    def logits_of_a_kind(
        self, looked: tuple[Tensor, Tensor], products: Tensor, kinds: Tensor
    ) -> Tensor:
        """Cosines of m products with the answer for one kind in each scene, `kinds` (n,), over the temperature."""
        wanted = looked[0][torch.arange(len(kinds), device=kinds.device), kinds]
        return self.towards(wanted) @ products.T / _temperature(self.log_temperature)

    def logits(self, looked: tuple[Tensor, Tensor], products: Tensor, kinds: Tensor) -> Tensor:
        """The logarithm of each product's share among all that are given, (n, m): what ranks all kinds at once."""
        logits = self.similarities(looked, products, kinds) / _temperature(self.log_temperature)
        for kind in kinds.unique().tolist():
            columns = (kinds == kind).nonzero(as_tuple=True)[0]
            logits[:, columns] = logits[:, columns].log_softmax(1) + looked[1][:, kind, None]
        return logits

    def _asked(self, x: Tensor, there: Tensor) -> Tensor:
        """What each question finds among the pieces, (n, kinds + 1, hidden)."""
        key, value = (layer(x).unflatten(-1, (self.heads, -1)) for layer in (self.key, self.value))
        asked = torch.einsum("qhd,nthd->nhqt", self.question.unflatten(-1, (self.heads, -1)), key)
        weights = asked.masked_fill(~there[:, None, None], -torch.inf).softmax(-1)
        return torch.einsum("nhqt,nthd->nqhd", weights, value).flatten(2)


def _entry(width: int, hidden: int, dropout: float) -> nn.Module:
    return nn.Sequential(
        nn.Linear(width, hidden), nn.LayerNorm(hidden), nn.GELU(), nn.Dropout(dropout)
    )


def _tower(width: int, dimensions: int, hidden: int, blocks: int, dropout: float) -> nn.Module:
    if not hidden:
        return nn.Linear(width, dimensions)
    first = [nn.Linear(width, hidden), nn.LayerNorm(hidden), nn.GELU(), nn.Dropout(dropout)]
    return nn.Sequential(
        *first, *(Residual(hidden, dropout) for _ in range(blocks)), nn.Linear(hidden, dimensions)
    )


def _temperature(log_temperature: Tensor) -> Tensor:
    return log_temperature.clamp(math.log(COLDEST), math.log(HOTTEST)).exp()


def _check_sizes(*sizes: int) -> None:
    if min(sizes) < 1:
        raise DataError(f"Sizes are 1 or more; got {', '.join(map(str, sizes))}.")


def _check_width(features: Tensor, width: int, what: str) -> None:
    if features.ndim != 2 or features.shape[1] != width or not features.is_floating_point():
        raise DataError(
            f"{what} is a vector of {width} numbers, got {features.dtype} {tuple(features.shape)}. Build the model "
            f"with width={features.shape[-1]}, or embed with the encoder that it was trained with."
        )


def _check_kinds(kinds: Tensor, most: int) -> None:
    if len(kinds) and not (int(kinds.min()) >= 0 and int(kinds.max()) < most):
        raise DataError(f"Kinds are 0 to {most - 1}, got {int(kinds.min())} to {int(kinds.max())}.")
