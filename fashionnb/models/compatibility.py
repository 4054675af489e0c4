"""Do two items go together? Three networks that compare pairs, from the plainest to the one that knows types.

Each takes two `fashionnb.models.outfit_inputs.Items` of the same length, row i of both being a pair, and gives one
number for each pair, higher for what goes together better. Comparing has two steps, so that an item in many pairs is
looked at once: `encode` looks at each item by itself, `compare` at the pairs. An outfit's score is the mean over its
pairs (`fashionnb.evaluation.compatibility.mean_by`); whole sets are looked at in `fashionnb.models.outfit_transformer`.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from fashionnb.errors import DataError, ModelMismatch
from fashionnb.models import as_input
from fashionnb.models.mobilenet import PhotoFeatures
from fashionnb.models.outfit_inputs import Items, check_colours, check_features, check_types
from fashionnb.models.pretrained import VGG16, state_dict_of

COLOURS = 24
"""Numbers in the colours of an item: 8 bins for each of red, green and blue."""

FEATURES = 512
"""Numbers that PolaniaNet's encoder makes of an item."""

ENCODERS: dict[str, type[nn.Module]] = {"vgg16": VGG16, "small": PhotoFeatures}
"""PolaniaNet's encoders by the names that it takes."""


class CompatibilityMLP(nn.Module):
    """Put two vectors side by side, and let two layers decide. Introduced in chapter 08.

    2 × width -> hidden -> ReLU -> 1. With two vectors of ResNet-50 (2 × 2,048 -> 512 -> 1) it has 2,098,177 parameters.
    Side by side has an order, and going together has none. So the answer is the mean of both orders, in training, too.

    Parameters
    ----------
    width : numbers in the vector of an item.
    hidden : units between the two layers.
    dropout : the share of them that training leaves out.
    symmetric : False asks in the order given only, as models that others trained do.

    Raises
    ------
    DataError : sizes below 1.
    """

    pairwise = True

    def __init__(
        self, width: int = 2048, hidden: int = 512, dropout: float = 0.0, symmetric: bool = True
    ) -> None:
        super().__init__()
        if min(width, hidden) < 1:
            raise DataError(f"Sizes are 1 or more; got {width=}, {hidden=}.")
        self.arguments = {
            "width": width,
            "hidden": hidden,
            "dropout": dropout,
            "symmetric": symmetric,
        }
        self.width, self.symmetric = width, symmetric
        self.layers = nn.Sequential(
            nn.Linear(2 * width, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, 1)
        )

    def forward(self, a: Items, b: Items) -> Tensor:
        """Logits (n,) float32, one for each pair; their sigmoid is a probability.

        Raises
        ------
        DataError : vectors of another width.
        """
        return self.compare(self.encode(a), self.encode(b))

    def encode(self, items: Items) -> Items:
        """The items as they are: nothing here looks at one alone. Raises `DataError` for another width."""
        check_features(items, self.width, "CompatibilityMLP")
        return items

    def compare(self, a: Items, b: Items) -> Tensor:
        """Logits (n,) of encoded items."""
        logits = self.layers(torch.cat([a.features, b.features], 1))[:, 0].float()
        if self.symmetric:
            logits = (
                logits + self.layers(torch.cat([b.features, a.features], 1))[:, 0].float()
            ) / 2
        return logits

    def probability(self, a: Items, b: Items) -> Tensor:
        """How likely each pair goes together: (n,) from 0 to 1. Takes and refuses what `forward` does."""
        return self(a, b).sigmoid()


def compatibility_from(
    weights: Path | str | Mapping[str, Tensor], symmetric: bool = False
) -> CompatibilityMLP:
    """The `CompatibilityMLP` that somebody else trained, whatever its layers are called. Introduced in chapter 08.

    Parameters
    ----------
    weights : a state dict of four tensors, or a file of one (.safetensors, .pth; nothing in it is run): a matrix
        (hidden, 2 × width) and its bias, a matrix (1, hidden) and its bias.
    symmetric : as in `CompatibilityMLP`; False computes what its makers computed.

    Returns
    -------
    model : in eval mode, of the sizes that the tensors have.

    Raises
    ------
    DataNotFound : there is no such file.
    ModelMismatch : it cannot be read, or its tensors are of other shapes; the message lists both.
    """
    found = weights if isinstance(weights, Mapping) else state_dict_of(weights)
    # The last layer has one row, and so one bias; in files the tensors may stand in any order.
    matrices = sorted(
        (tensor for tensor in found.values() if tensor.ndim == 2), key=lambda m: m.shape[0] == 1
    )
    biases = sorted(
        (tensor for tensor in found.values() if tensor.ndim == 1), key=lambda b: len(b) == 1
    )
    got = [tuple(tensor.shape) for tensor in (*matrices, *biases)]
    hidden, inputs = got[0] if matrices else (0, 0)
    if len(found) != 4 or got != [(hidden, inputs), (1, hidden), (hidden,), (1,)] or inputs % 2:
        there = [f"{name} {tuple(tensor.shape)}" for name, tensor in found.items()]
        wanted = ["(hidden, 2 × width)", "(hidden,)", "(1, hidden)", "(1,)"]
        lines = [
            f"  {left:<44} {right}"
            for left, right in zip_longest(there[:12], wanted, fillvalue="nothing")
        ]
        where = "The state dict" if isinstance(weights, Mapping) else weights
        raise ModelMismatch(
            f"{where} is not that of a CompatibilityMLP. Its tensors, and those that are wanted (for instance with "
            "hidden 512 and width 2048):\n" + "\n".join(lines)
        )
    model = CompatibilityMLP(inputs // 2, hidden, symmetric=symmetric)
    first, last = model.layers[0], model.layers[-1]
    with torch.no_grad():
        for mine, theirs in zip(
            (first.weight, last.weight, first.bias, last.bias), matrices + biases, strict=True
        ):
            mine.copy_(theirs)
    return model.eval()


class PolaniaNet(nn.Module):
    """Multiply what two items are, number by number, and let a small network judge. Introduced in chapter 09.

    After Polanià & Gupte 2019, "Learning Fashion Compatibility Across Apparel Categories for Outfit Recommendation".
    One encoder makes 512 numbers of each item; the two are multiplied (Hadamard product), and so are the two histograms
    of colour. Both products side by side, 536 numbers, go through 536-256-64-1 with batch norm, ReLU and dropout. A
    product does not know which item came first, so the answer is the same either way.

    The judge has 154,625 parameters, 148,481 without colours. VGG-16 makes it 14,869,313, the small encoder 607,897.
    Train it with `fashionnb.weight_priors.MAPLoss`, whose priors take `filters` and `judges`.

    Parameters
    ----------
    encoder : images in, 512 numbers out: "vgg16" or "small" (see `ENCODERS`), with random weights; or one of these
        classes with weights, such as `pretrained("vgg16")`. None: the items come with vectors already.
    width : of those vectors, if there is no encoder. Others than 512 are first made 512 by one layer and a ReLU, which
        is then the shared part.
    colours : look at the colours, 24 numbers for each item.
    dropout : the share of units that training leaves out.

    Raises
    ------
    DataError : an unknown encoder, or one that does not make 512 numbers; a width below 1.
    """

    pairwise = True

    def __init__(
        self,
        encoder: nn.Module | Mapping | str | None = None,
        width: int = FEATURES,
        colours: bool = True,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        if width < 1:
            raise DataError(f"A vector has 1 number or more, got {width=}.")
        self.encoder = _encoder(encoder)
        self.width, self.colours = width, colours
        self.project = None
        if self.encoder is None and width != FEATURES:
            self.project = nn.Sequential(nn.Linear(width, FEATURES), nn.ReLU())
        known = (
            None
            if self.encoder is None
            else {"name": _name(self.encoder), **self.encoder.arguments}
        )
        self.arguments = {"encoder": known, "width": width, "colours": colours, "dropout": dropout}
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

    def forward(self, a: Items, b: Items) -> Tensor:
        """Logits (n,) float32, one for each pair; their sigmoid is a probability.

        Parameters
        ----------
        a, b : with an encoder, their features are images (n, 3, height, width) uint8 or float32 in [0, 1]; without,
            vectors (n, width). In training n is 2 or more, since batch norm compares pairs with each other.

        Raises
        ------
        DataError : other features, no colours where they are needed, or a single pair in training.
        """
        return self.compare(self.encode(a), self.encode(b))

    def encode(self, items: Items) -> Items:
        """The items with 512 numbers each as features; colours stay as they are. Errors as `forward`."""
        if self.encoder is not None:
            features = self.encoder(as_input(items.features))
        else:
            features = check_features(items, self.width, "PolaniaNet")
            features = features if self.project is None else self.project(features)
        if self.colours:
            check_colours(items, COLOURS, "PolaniaNet")
        return Items(features, items.types, items.colours)

    def compare(self, a: Items, b: Items) -> Tensor:
        """Logits (n,) of encoded items."""
        if self.training and len(a) < 2:
            raise DataError(
                "Batch norm compares pairs with each other: in training give 2 pairs or more, or use eval()."
            )
        product = a.features * b.features
        if self.colours:
            product = torch.cat([product, a.colours * b.colours], 1)
        return self.judge(product)[:, 0].float()

    def probability(self, a: Items, b: Items) -> Tensor:
        """How likely each pair goes together: (n,) from 0 to 1. Takes and refuses what `forward` does."""
        return self(a, b).sigmoid()

    def filters(self) -> list[Tensor]:
        """The weights of the shared part, for its prior: convolutions and linear layers, not biases or norms."""
        shared = [part for part in (self.encoder, self.project) if part is not None]
        return [
            m.weight
            for part in shared
            for m in part.modules()
            if isinstance(m, nn.Conv2d | nn.Linear)
        ]

    def judges(self) -> list[Tensor]:
        """The weights of the three layers that judge, for their priors: (outputs, inputs) each."""
        return [layer.weight for layer in self.judge if isinstance(layer, nn.Linear)]


class TypeAware(nn.Module):
    """Compare a shoe with a bag in one way, and with a skirt in another. Introduced in chapter 08.

    Vasileva et al. 2018, "Learning Type-Aware Embeddings for Fashion Compatibility". A general embedding of each item,
    and for each unordered pair of types a mask of learnt weights: two items are compared by the distance of their
    masked embeddings. A pair of types without a mask, an unknown type (0) among them, is compared in the general
    embedding. Masks begin at 1, so all do at first. Embeddings and masked embeddings have length 1 here, so that no
    margin makes them grow.

    Parameters
    ----------
    width : numbers in the vector of an item. dimensions : numbers in its embedding.
    types : how many numbers types have, the unknown (0) included.
    pairs : the pairs of types with a mask of their own, in any order, such as `type_pairs` or Polyvore's typespaces.

    Raises
    ------
    DataError : sizes below 1, or a pair with a number that is no known type.
    """

    pairwise = True

    def __init__(
        self,
        width: int = 512,
        dimensions: int = 64,
        types: int = 2,
        pairs: Iterable[Sequence[int]] = ((1, 1),),
    ) -> None:
        super().__init__()
        known = sorted(
            {(min(pair), max(pair)) for pair in (tuple(map(int, pair)) for pair in pairs)}
        )
        if min(width, dimensions, types) < 1 or any(not 1 <= u <= v < types for u, v in known):
            raise DataError(
                f"Sizes are 1 or more, and pairs are of types from 1 to {types - 1}; got {width=}, {dimensions=}, "
                f"pairs {known[:4]} to {known[-1:]}."
            )
        self.arguments = {
            "width": width,
            "dimensions": dimensions,
            "types": types,
            "pairs": [list(p) for p in known],
        }
        self.width, self.types = width, types
        self.general = nn.Linear(width, dimensions)
        self.masks = nn.Parameter(torch.ones(len(known), dimensions))
        space = torch.zeros(
            types, types, dtype=torch.int64
        )  # 0 is the general embedding, i + 1 the mask i
        for number, (u, v) in enumerate(known, start=1):
            space[u, v] = space[v, u] = number
        self.register_buffer("space", space)

    def forward(self, a: Items, b: Items) -> Tensor:
        """Minus the distance of each pair in the space of its two types: (n,) float32, from -2 to 0.

        Raises
        ------
        DataError : vectors of another width, no types, or types that the model does not know.
        """
        return self.compare(self.encode(a), self.encode(b))

    def encode(self, items: Items) -> Items:
        """The items with their general embedding as features, of length 1. Errors as `forward`."""
        check_types(items, self.types, "TypeAware")
        return Items(self._embedded(items), items.types, items.colours)

    def compare(self, a: Items, b: Items) -> Tensor:
        """Minus the distances (n,) of encoded items."""
        # 1e-12 under the root, where the slope at 0 would be infinite
        apart = self._masked(a.features, a.types, b.types) - self._masked(
            b.features, a.types, b.types
        )
        return -(apart.square().sum(1) + 1e-12).sqrt()

    def triplet(
        self, anchor: Items, positive: Items, negative: Items
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The three in the space of the types of anchor and positive, for `fashionnb.losses.triplet_margin`.

        Returns
        -------
        anchor, positive, negative : (n, dimensions) float32, each of length 1.

        Raises
        ------
        DataError : as `forward`; or a negative is not of its positive's type, which is what makes it hard.
        """
        three = [self.encode(items) for items in (anchor, positive, negative)]
        u, v = three[0].types, three[1].types
        if not torch.equal(v, three[2].types):
            row = int((v != three[2].types).nonzero()[0, 0])
            raise DataError(
                f"Triplet {row}: the negative is of type {int(three[2].types[row])}, the positive of type "
                f"{int(v[row])}. Draw negatives of the same type; then one space measures both."
            )
        return tuple(self._masked(items.features, u, v) for items in three)

    def sparsity(self) -> Tensor:
        """The mean absolute value of the masks, which the paper adds to the loss with a small weight: scalar.

        0 without masks.
        """
        return self.masks.abs().sum() / max(self.masks.numel(), 1)

    def _embedded(self, items: Items) -> Tensor:
        return normalize(
            self.general(check_features(items, self.width, "TypeAware")).float(), dim=-1
        )

    def _masked(self, z: Tensor, u: Tensor, v: Tensor) -> Tensor:
        masks = torch.cat([torch.ones_like(z[:1]), self.masks.to(z.dtype)])
        return normalize(z * masks[self.space[u, v]], dim=-1)


def type_pairs(a: Tensor, b: Tensor) -> list[list[int]]:
    """The unordered pairs of known types that occur, for `TypeAware`. Introduced in chapter 08.

    Parameters
    ----------
    a, b : (m,) int64, the types of the first and of the second item of each pair.
    """
    both = torch.stack([torch.minimum(a, b), torch.maximum(a, b)], 1)
    return both[both[:, 0] > 0].unique(dim=0).tolist()


def _encoder(encoder: nn.Module | Mapping | str | None) -> nn.Module | None:
    if encoder is None:
        return None
    if isinstance(encoder, str):
        encoder = {"name": encoder}
    if isinstance(encoder, Mapping):
        arguments = dict(encoder)
        name = arguments.pop("name", "")
        if name not in ENCODERS:
            raise DataError(
                f"There is no encoder {name!r}; there is {', '.join(ENCODERS)}, or None for vectors."
            )
        encoder = ENCODERS[name](**arguments)
    _name(encoder)
    makes = encoder.arguments.get("dimensions", FEATURES)
    if makes != FEATURES:
        raise DataError(
            f"PolaniaNet's encoder makes {FEATURES} numbers of an item, this one {makes}."
        )
    return encoder


def _name(encoder: nn.Module) -> str:
    for name, kind in ENCODERS.items():
        if type(encoder) is kind:
            return name
    kinds = " or ".join(kind.__name__ for kind in ENCODERS.values())
    raise DataError(
        f"PolaniaNet's encoder is a {kinds}, got a {type(encoder).__name__}. Give its vectors instead."
    )
