"""An outfit is a set: a transformer that looks at all items but one, and says where the missing one should lie.

A token that asks for a kind of item looks at what is there (`seek`); every item that could be chosen has its own place
in the same space (`place`), and the nearest is the best. An outfit goes together if each of its items lies where the
others want it (`forward`). Nothing says which item came first, so their order cannot matter. Pairs are compared in
`fashionnb.models.compatibility`.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from fashionnb.errors import DataError
from fashionnb.models.outfit_inputs import (
    UNKNOWN_TYPE,
    Items,
    check_colours,
    check_features,
    check_labels,
    check_types,
)


class OutfitTransformer(nn.Module):
    """Sets of items in, one number or one point out. Introduced in chapter 10.

    After Sarkar et al. 2023, "OutfitTransformer: Learning Outfit Representations for Fashion Recommendation", whose
    token for retrieval says what is looked for. Lee et al. 2019, "Set Transformer": attention without positions is
    blind to order. An item that is worn and one that is offered have encoders of their own, since what a skirt asks
    for is not what a skirt is. With the default sizes it has 393,217 parameters.

    Parameters
    ----------
    width : numbers in the vector of an item.
    types : how many numbers types have, the unknown (0) included; 0: types are not looked at.
    colours : numbers in the colours of an item, such as 24; 0: they are not looked at.
    labels : for each further label of an item, such as its fabric, how many numbers it has, the unknown included.
    hidden : numbers in a token, and in a point of `seek` and `place`. layers, heads : of the attention.
    dropout : the share that training leaves out.

    Raises
    ------
    DataError : sizes below 1, or `heads` that do not divide `hidden`.
    """

    pairwise = False

    def __init__(
        self,
        width: int = 512,
        types: int = 0,
        colours: int = 0,
        labels: Sequence[int] = (),
        hidden: int = 96,
        layers: int = 2,
        heads: int = 4,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        if (
            min(width, hidden, layers, heads, *labels) < 1
            or min(types, colours) < 0
            or hidden % heads
        ):
            raise DataError(
                f"Sizes are 1 or more, types and colours 0 or more, and heads divide hidden; got {width=}, {types=}, "
                f"{colours=}, {labels=}, {hidden=}, {layers=}, {heads=}."
            )
        self.arguments = {
            "width": width, "types": types, "colours": colours, "labels": list(labels), "hidden": hidden,
            "layers": layers, "heads": heads, "dropout": dropout,
        }  # fmt: skip
        self.width, self.types = width, types
        self.worn, self.offered = (
            ItemEncoder(width, types, colours, labels, hidden, dropout) for _ in range(2)
        )
        self.missing = nn.Embedding(max(types, 1), hidden)
        self.blocks = nn.ModuleList(Block(hidden, heads, dropout) for _ in range(layers))
        self.last, self.aim = nn.LayerNorm(hidden), nn.Linear(hidden, hidden)
        self.sharpness = nn.Parameter(torch.tensor(2.3))
        """The logarithm of what cosines are multiplied by when a loss compares them; learnt."""

    def forward(self, items: Items, there: Tensor | None = None) -> Tensor:
        """How well each outfit goes together: (n,) float32, -1 to 1.

        Each item is left out in turn; the mean cosine of where it lies and where the others want it.

        Parameters
        ----------
        items : (n, size), for instance `items[rows]` with the rows of `fashionnb.models.outfit_inputs.padded`.
        there : (n, size) bool, False where there is no item; each outfit has 1 at least. None: all are there.

        Raises
        ------
        DataError : vectors, types, labels or colours of other widths, none of them where they are needed, a mask of
            another shape, or an outfit without items.
        """
        there = self._mask(items, there)
        wanted, _ = self._around(items, there)
        near = torch.zeros(there.shape, device=there.device)
        near[there] = (wanted * self.place(items[there])).sum(1)
        return near.sum(1) / there.sum(1)

    def seek(
        self, items: Items, wanted: Tensor | None = None, there: Tensor | None = None
    ) -> Tensor:
        """Where the item lies that is missing in each outfit: points (n, hidden) float32, of length 1.

        Compare them with those of `place`, by a dot product: the highest is the best.

        Parameters
        ----------
        wanted : (n,) int64, the type that is looked for, 0 for any. None: any.
        items, there : as in `forward`.

        Raises
        ------
        DataError : as `forward`; or types are wanted that the model does not know.
        """
        there = self._mask(items, there)
        if wanted is None:
            wanted = torch.full((len(there),), UNKNOWN_TYPE, device=there.device)
        if (
            wanted.shape != (len(there),)
            or not ((wanted >= 0) & (wanted < max(self.types, 1))).all()
        ):
            raise DataError(
                f"Expected one wanted type for each of {len(there)} outfits, from 0 (any) to {max(self.types, 1) - 1}; "
                f"got {tuple(wanted.shape)}: {wanted.flatten()[:6].tolist()}."
            )
        return self._read(wanted, self._tokens(items, there), there)[0]

    def place(self, items: Items) -> Tensor:
        """Where each item itself lies: points (n, hidden), or (n, size, hidden), float32, of length 1.

        Raises
        ------
        DataError : as `forward`.
        """
        return normalize(self.offered(items).float(), dim=-1)

    @torch.no_grad()
    def attention(self, items: Items, there: Tensor | None = None) -> Tensor:
        """What is looked at while each item is looked for, averaged over heads and layers; to be shown.

        Returns
        -------
        (n, size, size) float32: row i is what the token that asks for item i looks at. The rest to 1 is what it looks
        at itself. It never looks at item i, or at what is not there.
        """
        there = self._mask(items, there)
        found = torch.zeros(*there.shape, there.shape[1], device=there.device)
        found[there] = self._around(items, there)[1].float()
        return found

    def _around(self, items: Items, there: Tensor) -> tuple[Tensor, Tensor]:
        """Where the others want each of the m items that are there (m, hidden), and what that looked at (m, size)."""
        tokens = self._tokens(items, there)
        outfit, place = there.nonzero(as_tuple=True)
        others = there[outfit]
        others[torch.arange(len(place), device=place.device), place] = False
        kinds = items.types[outfit, place] if self.types else torch.zeros_like(place)
        return self._read(kinds, tokens[outfit], others)

    def _tokens(self, items: Items, there: Tensor) -> Tensor:
        """What each item that is there says, (n, size, hidden); 0s for what is not there, which costs nothing."""
        said = self.worn(items[there])
        tokens = said.new_zeros(*there.shape, said.shape[-1])
        tokens[there] = said
        return tokens

    def _read(self, wanted: Tensor, tokens: Tensor, there: Tensor) -> tuple[Tensor, Tensor]:
        """What a token that asks for a type has become after it looked at the others; and what it looked at."""
        x = torch.cat([self.missing(wanted)[:, None], tokens], 1)
        there = torch.cat([torch.ones_like(there[:, :1]), there], 1)
        seen = []
        for block in self.blocks:
            x, attention = block(x, there)
            seen.append(attention[:, 0, 1:])
        return normalize(self.aim(self.last(x[:, 0])).float(), dim=-1), torch.stack(seen).mean(0)

    def _mask(self, items: Items, there: Tensor | None) -> Tensor:
        """Which items are there, (n, size) bool, checked."""
        if items.features.ndim != 3:
            raise DataError(
                f"Expected the items of n outfits (n, size, {self.width}), got {tuple(items.features.shape)}. "
                "Use `items[rows]` with rows (n, size), as `fashionnb.models.outfit_inputs.padded` makes them."
            )
        shape = items.features.shape[:2]
        if there is None:
            return torch.ones(shape, dtype=torch.bool, device=items.features.device)
        if there.shape != shape or there.dtype != torch.bool or not there.any(1).all():
            raise DataError(
                f"Expected a mask bool {tuple(shape)} with an item in each outfit, got {there.dtype} "
                f"{tuple(there.shape)}. It is `rows >= 0` for the rows of `fashionnb.models.outfit_inputs.padded`."
            )
        return there


class ItemEncoder(nn.Module):
    """All that is known of an item, in one token: its vector and colours, and what its labels mean. Chapter 10.

    Each label has a table of 16 numbers for each of its values, 0s for the unknown one. Beside each other they go
    through two layers.

    Parameters
    ----------
    width, types, colours, labels, hidden, dropout : as in `OutfitTransformer`.
    """

    def __init__(
        self,
        width: int,
        types: int,
        colours: int,
        labels: Sequence[int],
        hidden: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.width, self.types, self.labels, self.colours = width, types, tuple(labels), colours
        self.meanings = nn.ModuleList(
            nn.Embedding(count, 16, padding_idx=UNKNOWN_TYPE) for count in (types, *labels) if count
        )
        with torch.no_grad():
            for table in self.meanings:
                table.weight.mul_(0.5)  # beside vectors of deviation 1
        self.leave_out = nn.Dropout(dropout)
        wide = width + colours + 16 * len(self.meanings)
        self.net = nn.Sequential(
            nn.Linear(wide, 2 * hidden),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(2 * hidden, hidden),
        )

    def forward(self, items: Items) -> Tensor:
        """Tokens (n, hidden), or (n, size, hidden). Raises `DataError` for items that lack what it needs."""
        known = [self.leave_out(check_features(items, self.width, "OutfitTransformer"))]
        if self.colours:
            known.append(self.leave_out(check_colours(items, self.colours, "OutfitTransformer")))
        values = [check_types(items, self.types, "OutfitTransformer")] if self.types else []
        if self.labels:
            values += check_labels(items, self.labels, "OutfitTransformer").unbind(-1)
        known += [table(value) for table, value in zip(self.meanings, values, strict=True)]
        return self.net(torch.cat(known, -1))


class Block(nn.Module):
    """One layer of a transformer, with the attention that it paid. Introduced in chapter 10.

    Vaswani et al. 2017, "Attention Is All You Need", with the norms before each half (Xiong et al. 2020, "On Layer
    Normalization in the Transformer Architecture"), so that it needs no warm-up.

    Parameters
    ----------
    hidden : numbers in a token. heads : how many attend side by side, each on its share of the numbers.
    dropout : the share that training leaves out of what each half adds.
    """

    def __init__(self, hidden: int, heads: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.heads = heads
        self.before, self.between = nn.LayerNorm(hidden), nn.LayerNorm(hidden)
        self.ask, self.answer = nn.Linear(hidden, 3 * hidden), nn.Linear(hidden, hidden)
        self.think = nn.Sequential(
            nn.Linear(hidden, 2 * hidden), nn.GELU(), nn.Linear(2 * hidden, hidden)
        )
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor, there: Tensor) -> tuple[Tensor, Tensor]:
        """The tokens after they have looked at each other, and who looked at whom.

        Parameters
        ----------
        x : (n, size, hidden). there : (n, size) bool, which of them may be looked at.

        Returns
        -------
        x, attention : (n, size, hidden) and (n, size, size), the mean over the heads.
        """
        n, size, hidden = x.shape
        parts = self.ask(self.before(x)).view(n, size, 3, self.heads, hidden // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)  # each (n, heads, size, hidden / heads)
        likeness = query @ key.transpose(2, 3) / (hidden / self.heads) ** 0.5
        attention = likeness.masked_fill(~there[:, None, None], -torch.inf).softmax(3)
        looked = (attention @ value).transpose(1, 2).reshape(n, size, hidden)
        x = x + self.drop(self.answer(looked))
        return x + self.drop(self.think(self.between(x))), attention.mean(1)
