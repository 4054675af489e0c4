"""A scene and the products that fit it, in one space: two towers, from one projection each to towers that look around.

`CompleteTheLook` has two encoders of vectors that were computed before, such as those of fashion SigLIP (768 numbers);
its arguments lead from the plain baseline ("v1") to the towers that others published ("v2"). `LookAround` is this
book's own: it looks at the windows of a scene with the wanted kind of product in mind. How they are trained is in
`fashionnb.completing`.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from fashionnb.errors import DataError

COLDEST, HOTTEST = 0.01, 1.0
"""Between these a learnt temperature stays."""

PLACES = 10
"""What `LookAround` looks at in a scene: nine windows and, last, all that is left without the product."""

Scene = tuple[Tensor, Tensor, Tensor]


class Residual(nn.Module):
    """A layer that adds to what comes in: x + Dropout(GELU(Linear(LayerNorm(x)))). Introduced in chapter 11."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.change = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.GELU(), nn.Dropout(dropout))

    def forward(self, x: Tensor) -> Tensor:
        """(n, width) -> (n, width)."""
        return x + self.change(x)


class SceneEncoder(nn.Module):
    """Vectors of scenes as points on the unit sphere. Introduced in chapter 11.

    Linear, LayerNorm, GELU, dropout, some `Residual`, Linear. With `hidden` 0 a single Linear.
    """

    def __init__(self, width: int, dimensions: int, hidden: int, blocks: int, dropout: float) -> None:
        super().__init__()
        self.width = width
        self.layers = _tower(width, dimensions, hidden, blocks, dropout)

    def forward(self, features: Tensor) -> Tensor:
        """(n, width) float -> (n, dimensions) float32, each of length 1. Raises `DataError` for another width."""
        _check_width(features, self.width, "A scene")
        return normalize(self.layers(features).float())


class ProductEncoder(nn.Module):
    """Vectors of products, and what kind of thing each is, as points on the unit sphere. Introduced in chapter 11.

    As `SceneEncoder`, with a learnt vector for each kind beside the features. With `kind_width` 0 it ignores kinds.
    """

    def __init__(
        self, width: int, kinds: int, kind_width: int, dimensions: int, hidden: int, blocks: int, dropout: float
    ) -> None:
        super().__init__()
        self.width, self.kinds = width, kinds
        self.kind = nn.Embedding(kinds, kind_width) if kind_width else None
        self.layers = _tower(width + kind_width, dimensions, hidden, blocks, dropout)

    def forward(self, features: Tensor, kinds: Tensor) -> Tensor:
        """Features (n, width) float, kinds (n,) int64 below `kinds` -> (n, dimensions) float32 of length 1.

        Raises `DataError` for another width, or a kind that is not known.
        """
        _check_width(features, self.width, "A product")
        _check_kinds(kinds, self.kinds)
        x = features if self.kind is None else torch.cat([features, self.kind(kinds)], 1)
        return normalize(self.layers(x).float())


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

    Raises
    ------
    DataError : sizes below what makes sense.
    """

    sees_windows = False

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
    ) -> None:
        super().__init__()
        _check_sizes(width, kinds, dimensions)
        self.arguments = {
            "width": width, "kinds": kinds, "dimensions": dimensions, "hidden": hidden, "blocks": blocks,
            "kind_width": kind_width, "dropout": dropout, "temperature": temperature,
        }  # fmt: skip
        self.scene = SceneEncoder(width, dimensions, hidden, blocks, dropout)
        self.product = ProductEncoder(width, kinds, kind_width, dimensions, hidden, blocks, dropout)
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
    """Look at the windows of a scene, once for each kind of product that may be wanted. Introduced in chapter 11.

    Bags are chosen after shoes, and tops after trousers. So every kind asks the windows a question of its own
    (attention; Vaswani et al. 2017, "Attention Is All You Need"; after Lin, Tran & Davis 2020, "Fashion Outfit
    Complementary Item Retrieval", where the wanted category directs what is compared). A product is compared with the
    answer for its kind. Beside that, the scene says how likely each kind is at all.

    Parameters
    ----------
    width, kinds, dimensions, dropout, temperature : as in `CompleteTheLook`.
    hidden : units of the attention and of the towers.

    Raises
    ------
    DataError : sizes below what makes sense.
    """

    sees_windows = True

    def __init__(
        self,
        width: int = 768,
        kinds: int = 10,
        dimensions: int = 256,
        hidden: int = 256,
        dropout: float = 0.3,
        temperature: float = 0.07,
    ) -> None:
        super().__init__()
        _check_sizes(width, kinds, dimensions)
        self.arguments = {
            "width": width, "kinds": kinds, "dimensions": dimensions, "hidden": hidden, "dropout": dropout,
            "temperature": temperature,
        }  # fmt: skip
        self.width, self.kinds = width, kinds
        self.enter = nn.Sequential(
            nn.Dropout(dropout), nn.Linear(width, hidden), nn.LayerNorm(hidden), nn.GELU(), nn.Dropout(dropout)
        )
        self.place = nn.Parameter(0.02 * torch.randn(PLACES, hidden))
        self.question = nn.Parameter(torch.randn(kinds, hidden) / math.sqrt(hidden))
        self.key, self.value = nn.Linear(hidden, hidden), nn.Linear(hidden, hidden)
        self.answer = nn.Sequential(nn.LayerNorm(hidden), nn.Linear(hidden, dimensions))
        self.likely = nn.Linear(hidden, kinds)
        self.product = ProductEncoder(width, kinds, 64, dimensions, hidden, 2, dropout)
        self.log_temperature = nn.Parameter(torch.tensor(math.log(temperature)))

    def look(self, scene: Scene) -> tuple[Tensor, Tensor]:
        """The points of scenes, one for each kind that may be wanted, and how likely each kind is.

        Parameters
        ----------
        scene : crops (n, width), windows (n, 9, width), and which windows may be looked at, (n, 9) bool. Where none may
            be, the crop says all.

        Returns
        -------
        points, likely : (n, kinds, dimensions) of length 1, and (n, kinds) logarithms of shares.

        Raises
        ------
        DataError : another width, or another number of windows.
        """
        crops, windows, free = scene
        _check_width(crops, self.width, "A scene")
        if windows.shape != (len(crops), PLACES - 1, self.width) or free.shape != windows.shape[:2]:
            raise DataError(
                f"LookAround takes windows (n, {PLACES - 1}, {self.width}) and which are free (n, {PLACES - 1}); got "
                f"{tuple(windows.shape)} and {tuple(free.shape)} for {len(crops)} crops."
            )
        x = self.enter(torch.cat([windows.to(crops.dtype), crops[:, None]], 1)) + self.place
        hidden = torch.cat([~free, torch.zeros_like(free[:, :1])], 1)
        asked = torch.einsum("kh,nph->nkp", self.question, self.key(x)) / math.sqrt(x.shape[-1]) ** 0.5
        weights = asked.masked_fill(hidden[:, None], -torch.inf).softmax(-1)
        found = weights @ self.value(x)
        points = normalize(self.answer(found + self.question).float(), dim=-1)
        return points, self.likely(x[:, -1]).float().log_softmax(-1)

    def similarities(self, looked: tuple[Tensor, Tensor], products: Tensor, kinds: Tensor) -> Tensor:
        """Cosines (n, m) of products with the scene's answer for the kind of each."""
        cosines = products.new_empty(len(looked[0]), len(products))
        for kind in kinds.unique().tolist():  # one at a time: a point for each scene and product would fill the memory
            columns = (kinds == kind).nonzero(as_tuple=True)[0]
            cosines[:, columns] = looked[0][:, kind] @ products[columns].T
        return cosines

    def logits(self, looked: tuple[Tensor, Tensor], products: Tensor, kinds: Tensor) -> Tensor:
        """Similarities over the temperature, and how likely the kind is, (n, m): what ranks all kinds at once."""
        return self.similarities(looked, products, kinds) / _temperature(self.log_temperature) + looked[1][:, kinds]


def _tower(width: int, dimensions: int, hidden: int, blocks: int, dropout: float) -> nn.Module:
    if not hidden:
        return nn.Linear(width, dimensions)
    first = [nn.Linear(width, hidden), nn.LayerNorm(hidden), nn.GELU(), nn.Dropout(dropout)]
    return nn.Sequential(*first, *(Residual(hidden, dropout) for _ in range(blocks)), nn.Linear(hidden, dimensions))


def _temperature(log_temperature: Tensor) -> Tensor:
    return log_temperature.clamp(math.log(COLDEST), math.log(HOTTEST)).exp()


def _check_sizes(width: int, kinds: int, dimensions: int) -> None:
    if min(width, kinds, dimensions) < 1:
        raise DataError(f"Sizes are 1 or more; got {width=}, {kinds=}, {dimensions=}.")


def _check_width(features: Tensor, width: int, what: str) -> None:
    if features.ndim != 2 or features.shape[1] != width or not features.is_floating_point():
        raise DataError(
            f"{what} is a vector of {width} numbers, got {features.dtype} {tuple(features.shape)}. Build the model "
            f"with width={features.shape[-1]}, or embed with the encoder that it was trained with."
        )


def _check_kinds(kinds: Tensor, most: int) -> None:
    if len(kinds) and not (int(kinds.min()) >= 0 and int(kinds.max()) < most):
        raise DataError(f"Kinds are 0 to {most - 1}, got {int(kinds.min())} to {int(kinds.max())}.")
