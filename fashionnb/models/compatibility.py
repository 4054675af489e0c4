"""Compatibility of two items: networks that compare pairs, from an MLP to type-aware embeddings.

Each takes two `fashionnb.models.outfit_inputs.Items` of the same length, row i of both being a
pair, and gives one number for each pair, higher for items that go together better. There are two
steps, so that an item in many pairs is encoded once: `encode` for single items, `compare` for
pairs. An outfit's score is the mean over its pairs (`fashionnb.evaluation.compatibility.mean_by`);
whole sets are scored in `fashionnb.models.outfit_transformer`.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from fashionnb.errors import DataError
from fashionnb.models import as_input
from fashionnb.models.mobilenet import PhotoFeatures
from fashionnb.models.outfit_inputs import Items, check_items
from fashionnb.models.pretrained import VGG16

COLOURS = 24
"""Length of an item's colours: 8 bins for each of red, green and blue."""

FEATURES = 512
"""Length of the features of PolaniaNet's encoder."""

ENCODERS: dict[str, type[nn.Module]] = {"vgg16": VGG16, "small": PhotoFeatures}
"""PolaniaNet's encoders by name."""


class _PairNetwork(nn.Module):
    """Network that encodes single items (`encode`), then compares them in pairs (`compare`)."""

    task = "compatibility"
    pairwise = True

    def forward(self, a: Items, b: Items) -> Tensor:
        """Compute one number for each pair: `compare` after `encode`; errors as these.

        Parameters
        ----------
        a, b : Items of length n
            Row i of both is a pair.

        Returns
        -------
        Tensor of shape (n,), float32
            Higher for items that go together better.
        """
        return self.compare(self.encode(a), self.encode(b))


class CompatibilityMLP(_PairNetwork):
    """Compatibility network of two items: a multi-layer perceptron on their concatenated vectors.

    2 x width -> hidden -> ReLU -> 1. With two vectors of ResNet-50 (2 x 2,048 -> 512 -> 1) it has
    2,098,177 parameters. Concatenation has an order, and compatibility has none. So the output is
    the mean of both orders, in training, too.

    Parameters
    ----------
    width : int
        Length of an item's vector.
    hidden : int
        Units between the two layers.
    dropout : float
        Share of them that training leaves out.
    """

    def __init__(self, width: int = 2048, hidden: int = 512, dropout: float = 0.0) -> None:
        super().__init__()
        self.arguments = {"width": width, "hidden": hidden, "dropout": dropout}
        self.width = width
        self.layers = nn.Sequential(
            nn.Linear(2 * width, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, 1)
        )

    def encode(self, items: Items) -> Items:
        """Return the items as they are: this network has no step for single items.

        Raises
        ------
        DataError
            If the vectors have another width.
        """
        check_items(items, "CompatibilityMLP", width=self.width)
        return items

    def compare(self, a: Items, b: Items) -> Tensor:
        """Compute logits (n,) of encoded items; the sigmoid of one is a probability."""
        return (self._in_order(a, b) + self._in_order(b, a)) / 2

    def _in_order(self, a: Items, b: Items) -> Tensor:
        return self.layers(torch.cat([a.features, b.features], 1))[:, 0].float()


class PolaniaNet(_PairNetwork):
    """Compatibility network of two items, PolaniaNet: layers on the product of their features.

    One encoder computes 512 features of each item; the two are multiplied (Hadamard product), and
    so are the two colour histograms. Both products, 536 numbers, go through 536-256-64-1 with batch
    normalisation, ReLU and dropout. A product has no order, so the output is symmetric.

    The final layers have 154,625 parameters, 148,481 without colours; with VGG-16 the network has
    14,869,313, with the small encoder 607,897. Train it with `fashionnb.weight_priors.MAPLoss`,
    whose priors take `filters` and `judges`.

    Parameters
    ----------
    encoder : {"vgg16", "small"}, nn.Module, mapping or None
        Images to 512 features: a name of `ENCODERS`, with random weights; or a network of one of
        these classes, such as `pretrained("vgg16")`; or the name and arguments of one. None: the
        items come with vectors.
    width : int
        Length of those vectors, if there is no encoder. Others than 512 go through one linear layer
        and a ReLU first, which is then the shared part.
    colours : bool
        Use the colours, 24 numbers for each item.
    dropout : float
        Share of units that training leaves out.

    Raises
    ------
    DataError
        If the encoder is unknown or does not compute 512 features.

    References
    ----------
    Polanía & Gupte (2019), Learning Fashion Compatibility Across Apparel Categories for Outfit
    Recommendation.
    """

    def __init__(
        self,
        encoder: nn.Module | Mapping | str | None = None,
        width: int = FEATURES,
        colours: bool = True,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.encoder, known = _make_encoder(encoder)
        self.arguments = {"encoder": known, "width": width, "colours": colours, "dropout": dropout}
        self.width, self.colours = width, colours
        self.project = None
        if self.encoder is None and width != FEATURES:
            self.project = nn.Sequential(nn.Linear(width, FEATURES), nn.ReLU())
        self.judge, inputs = nn.Sequential(), FEATURES + COLOURS * colours
        for outputs in (256, 64):
            self.judge.extend(
                [
                    nn.Linear(inputs, outputs),
                    nn.BatchNorm1d(outputs),
                    nn.ReLU(),
                    nn.Dropout(dropout),
                ]
            )
            inputs = outputs
        self.judge.append(nn.Linear(inputs, 1))

    def encode(self, items: Items) -> Items:
        """Replace the features by 512 numbers each; colours stay.

        Parameters
        ----------
        items : Items
            With an encoder, their features are images (n, 3, height, width), uint8 or float in
            [0, 1]; without, vectors (n, width).

        Raises
        ------
        DataError
            If the features have another shape, or needed colours are missing.
        """
        check_items(
            items,
            "PolaniaNet",
            width=self.width if self.encoder is None else 0,
            colours=COLOURS if self.colours else 0,
        )
        features = items.features
        if self.encoder is not None:
            features = self.encoder(as_input(features))
        elif self.project is not None:
            features = self.project(features)
        return Items(features, items.types, items.colours)

    def compare(self, a: Items, b: Items) -> Tensor:
        """Compute logits (n,) of encoded items.

        In training n is 2 or more, since batch normalisation compares pairs with each other.
        """
        product = a.features * b.features
        if self.colours:
            product = torch.cat([product, a.colours * b.colours], 1)
        return self.judge(product)[:, 0].float()

    def probability(self, a: Items, b: Items) -> Tensor:
        """Compute the probability (n,) that each pair goes together; errors as `forward`."""
        return self(a, b).sigmoid()

    def filters(self) -> list[Tensor]:
        """List the shared weights, for their prior: convolutions and linear layers, no biases."""
        shared = nn.ModuleList(part for part in (self.encoder, self.project) if part is not None)
        return _weights(shared, nn.Conv2d | nn.Linear)

    def judges(self) -> list[Tensor]:
        """List the weights of the three final layers, for their priors: (outputs, inputs) each."""
        return _weights(self.judge, nn.Linear)


class TypeAware(_PairNetwork):
    """Type-aware compatibility network: each pair of types, such as shoe and bag, has its own mask.

    So each pair of types has a similarity of its own. There is a general embedding of each item,
    and for each unordered pair of types a mask of learnt weights: two items are compared by the
    distance of their masked embeddings. A pair of types without a mask, an unknown type (0) among
    them, is compared in the general embedding. Masks begin at 1. Embeddings and masked embeddings
    have length 1, so that no margin makes them grow.

    Parameters
    ----------
    width : int
        Length of an item's vector.
    dimensions : int
        Length of its embedding.
    types : int
        How many types there are, the unknown (0) included.
    pairs : iterable of (int, int)
        The pairs of types with a mask of their own, in any order, such as `type_pairs`.

    Raises
    ------
    DataError
        If a pair has a number that is no known type.

    References
    ----------
    Vasileva et al. (2018), Learning Type-Aware Embeddings for Fashion Compatibility.
    """

    def __init__(
        self,
        width: int = 512,
        dimensions: int = 64,
        types: int = 2,
        pairs: Iterable[Sequence[int]] = ((1, 1),),
    ) -> None:
        super().__init__()
        known = sorted({tuple(sorted(map(int, pair))) for pair in pairs})
        if not all(1 <= u <= v < types for u, v in known):
            raise DataError(
                f"Pairs are of types from 1 to {types - 1}; got {known[:4]} to {known[-1:]}."
            )
        self.arguments = {
            "width": width, "dimensions": dimensions, "types": types,
            "pairs": [list(pair) for pair in known],
        }  # fmt: skip
        self.width, self.types = width, types
        self.general = nn.Linear(width, dimensions)
        self.masks = nn.Parameter(torch.ones(len(known), dimensions))
        # 0 is the general embedding, i + 1 is mask i.
        space = torch.zeros(types, types, dtype=torch.int64)
        for number, (u, v) in enumerate(known, start=1):
            space[u, v] = space[v, u] = number
        self.register_buffer("space", space)

    def encode(self, items: Items) -> Items:
        """Replace the features by the general embedding, of length 1.

        Raises
        ------
        DataError
            If the vectors have another width, or types are missing or unknown to the network.
        """
        check_items(items, "TypeAware", width=self.width, types=self.types)
        embeddings = normalize(self.general(items.features).float(), dim=-1)
        return Items(embeddings, items.types, items.colours)

    def compare(self, a: Items, b: Items) -> Tensor:
        """Compute minus the distances (n,) of encoded items, each in the space of its types."""
        one = self._masked(a.features, a.types, b.types)
        difference = one - self._masked(b.features, a.types, b.types)
        # 1e-12, since the slope of the root is infinite at 0
        return -(difference.square().sum(1) + 1e-12).sqrt()

    def triplet(
        self, anchor: Items, positive: Items, negative: Items
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Embed triplets in the space of anchor's and positive's types.

        The output is what `fashionnb.losses.triplet_margin` takes.

        Returns
        -------
        anchor, positive, negative : Tensor of shape (n, dimensions), float32
            Each row of length 1.

        Raises
        ------
        DataError
            As `encode`; or if a negative is not of its positive's type.
        """
        three = [self.encode(items) for items in (anchor, positive, negative)]
        u, v = three[0].types, three[1].types
        if not torch.equal(v, three[2].types):
            row = int((v != three[2].types).nonzero()[0, 0])
            raise DataError(
                f"Triplet {row}: the negative is of type {int(three[2].types[row])}, the positive "
                f"of type {int(v[row])}. Sample negatives of the same type; then one space "
                "measures both."
            )
        return tuple(self._masked(items.features, u, v) for items in three)

    def _masked(self, z: Tensor, u: Tensor, v: Tensor) -> Tensor:
        masks = torch.cat([torch.ones_like(z[:1]), self.masks.to(z.dtype)])
        return normalize(z * masks[self.space[u, v]], dim=-1)


def type_pairs(a: Tensor, b: Tensor) -> list[list[int]]:
    """List the pairs of types that occur, for a type-aware compatibility network.

    Pairs are unordered, and without unknown types.

    Parameters
    ----------
    a : Tensor of shape (m,), int64
        The type of the first item of each pair.
    b : Tensor of shape (m,), int64
        The type of the second item.

    Returns
    -------
    list of [int, int]
        Sorted, the lower type first.
    """
    both = torch.stack([torch.minimum(a, b), torch.maximum(a, b)], 1)
    return both[both[:, 0] > 0].unique(dim=0).tolist()


def _weights(part: nn.Module, kinds: type) -> list[Tensor]:
    return [module.weight for module in part.modules() if isinstance(module, kinds)]


def _make_encoder(
    encoder: nn.Module | Mapping | str | None,
) -> tuple[nn.Module | None, dict[str, Any] | None]:
    """Build an encoder, unless it is one, and say its name and arguments."""
    if encoder is None:
        return None, None
    if not isinstance(encoder, nn.Module):
        arguments = {"name": encoder} if isinstance(encoder, str) else dict(encoder)
        name = arguments.pop("name", "")
        if name not in ENCODERS:
            raise DataError(
                f"There is no encoder {name!r}; there is {', '.join(ENCODERS)}, or None for "
                "vectors."
            )
        encoder = ENCODERS[name](**arguments)
    names = [name for name, kind in ENCODERS.items() if type(encoder) is kind]
    if not names or encoder.arguments.get("dimensions", FEATURES) != FEATURES:
        raise DataError(
            f"PolaniaNet's encoder is a {' or '.join(kind.__name__ for kind in ENCODERS.values())} "
            f"with {FEATURES} features; got a {type(encoder).__name__} with "
            f"{getattr(encoder, 'arguments', {})}. Give its vectors instead."
        )
    return encoder, {"name": names[0], **encoder.arguments}
