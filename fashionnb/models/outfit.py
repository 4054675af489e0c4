"""An outfit is a set: a transformer that looks at all of its items at once.

It answers two questions, each by a token of its own that looks at the items: do these go together (`forward`), and
where would the missing item lie (`seek`, to be compared with where each item lies, `place`)? Nothing says which item
came first, so their order cannot matter. Pairs of items are compared in `fashionnb.models.compatibility`.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from fashionnb.errors import DataError
from fashionnb.models.items import UNKNOWN_TYPE, Items, check_colours, check_features, check_types


class OutfitTransformer(nn.Module):
    """Sets of items in, one number or one point out. Introduced in chapter 10.

    After Sarkar et al. 2023, "OutfitTransformer: Learning Outfit Representations for Fashion Recommendation": a learnt
    token beside the items gathers what the outfit is (Devlin et al. 2019, "BERT", call it CLS); for retrieval another
    token says what is looked for. Lee et al. 2019, "Set Transformer": attention without positions is blind to order.
    With the default sizes it has 364,289 parameters.

    Parameters
    ----------
    width : numbers in the vector of an item.
    types : how many numbers types have, the unknown (0) included; 0: types are not looked at.
    colours : numbers in the colours of an item, such as 24; 0: they are not looked at.
    hidden : numbers in a token. layers, heads : of the attention.
    space : numbers in a point of `seek` and `place`.
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
        hidden: int = 128,
        layers: int = 2,
        heads: int = 4,
        space: int = 128,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        if min(width, hidden, layers, heads, space) < 1 or min(types, colours) < 0 or hidden % heads:
            raise DataError(
                f"Sizes are 1 or more, types and colours 0 or more, and heads divide hidden; got {width=}, {types=}, "
                f"{colours=}, {hidden=}, {layers=}, {heads=}, {space=}."
            )
        self.arguments = {
            "width": width, "types": types, "colours": colours, "hidden": hidden, "layers": layers, "heads": heads,
            "space": space, "dropout": dropout,
        }  # fmt: skip
        self.width, self.types, self.colours = width, types, colours
        self.look = nn.Linear(width, hidden)
        self.kinds = nn.Embedding(types, hidden, padding_idx=UNKNOWN_TYPE) if types else None
        self.tint = nn.Linear(colours, hidden, bias=False) if colours else None
        self.drop = nn.Dropout(dropout)
        self.outfit, self.missing = (nn.Parameter(0.02 * torch.randn(hidden)) for _ in range(2))
        self.blocks = nn.ModuleList(Block(hidden, heads, dropout) for _ in range(layers))
        self.last = nn.LayerNorm(hidden)
        self.verdict, self.aim, self.spot = nn.Linear(hidden, 1), nn.Linear(hidden, space), nn.Linear(hidden, space)

    def forward(self, items: Items, there: Tensor | None = None) -> Tensor:
        """How well each outfit goes together: logits (n,) float32; their sigmoid is a probability.

        Parameters
        ----------
        items : (n, size), for instance `items[rows]` with the rows of `fashionnb.models.items.padded`.
        there : (n, size) bool, False where there is no item; each outfit has 1 at least. None: all are there.

        Raises
        ------
        DataError : vectors, types or colours of other widths, no types or colours where they are needed, a mask of
            another shape, or an outfit without items.
        """
        tokens, there = self._tokens(items, there)
        return self.verdict(self._read(self.outfit.expand(len(tokens), -1), tokens, there)[0])[:, 0].float()

    def seek(self, items: Items, wanted: Tensor | None = None, there: Tensor | None = None) -> Tensor:
        """Where the item lies that is missing in each outfit: points (n, space) float32, of length 1.

        Compare them with those of `place`, by a dot product: the highest is the best.

        Parameters
        ----------
        wanted : (n,) int64, the type that is looked for, 0 for any. None: any.
        items, there : as in `forward`.

        Raises
        ------
        DataError : as `forward`; or types are wanted that the model does not know, or of a model without types.
        """
        tokens, there = self._tokens(items, there)
        asked = self.missing.expand(len(tokens), -1)
        if wanted is not None:
            if (
                wanted.shape != (len(tokens),)
                or self.kinds is None
                or not ((wanted >= 0) & (wanted < self.types)).all()
            ):
                raise DataError(
                    f"Expected one wanted type for each of {len(tokens)} outfits, from 0 (any) to {self.types - 1}; "
                    f"got {tuple(wanted.shape)}: {wanted.flatten()[:6].tolist()}."
                )
            asked = asked + self.kinds(wanted)
        return normalize(self.aim(self._read(asked, tokens, there)[0]).float(), dim=-1)

    def place(self, items: Items) -> Tensor:
        """Where each item itself lies: points (n, space), or (n, size, space), float32, of length 1.

        Raises
        ------
        DataError : as `forward`.
        """
        return normalize(self.spot(self.last(self._embedded(items))).float(), dim=-1)

    @torch.no_grad()
    def attention(self, items: Items, there: Tensor | None = None) -> Tensor:
        """Who looks at whom while `forward` works, averaged over the heads; to be shown.

        Returns
        -------
        (layers, n, 1 + size, 1 + size) float32: row i is what i looks at, 1 in all. 0 is the outfit's own token, the
        items follow; nobody looks at items that are not there.
        """
        tokens, there = self._tokens(items, there)
        return torch.stack(self._read(self.outfit.expand(len(tokens), -1), tokens, there)[1]).float()

    def _read(self, token: Tensor, tokens: Tensor, there: Tensor) -> tuple[Tensor, list[Tensor]]:
        """What the token (n, hidden) has become after it looked at the items; and the attention of each layer."""
        x = torch.cat([token[:, None], tokens], 1)
        there = torch.cat([torch.ones_like(there[:, :1]), there], 1)
        seen = []
        for block in self.blocks:
            x, attention = block(x, there)
            seen.append(attention)
        return self.last(x[:, 0]), seen

    def _tokens(self, items: Items, there: Tensor | None) -> tuple[Tensor, Tensor]:
        """A token for each item (n, size, hidden), zeros where there is none, and the mask (n, size)."""
        if items.features.ndim != 3:
            raise DataError(
                f"Expected the items of n outfits (n, size, {self.width}), got {tuple(items.features.shape)}. "
                "Use `items[rows]` with rows (n, size), as `fashionnb.models.items.padded` makes them."
            )
        shape = items.features.shape[:2]
        if there is None:
            there = torch.ones(shape, dtype=torch.bool, device=items.features.device)
        if there.shape != shape or there.dtype != torch.bool or not there.any(1).all():
            raise DataError(
                f"Expected a mask bool {tuple(shape)} with an item in each outfit, got {there.dtype} "
                f"{tuple(there.shape)}. It is `rows >= 0` for the rows of `fashionnb.models.items.padded`."
            )
        return self._embedded(items).masked_fill(~there[..., None], 0), there

    def _embedded(self, items: Items) -> Tensor:
        x = self.look(check_features(items, self.width, "OutfitTransformer"))
        if self.kinds is not None:
            x = x + self.kinds(check_types(items, self.types, "OutfitTransformer"))
        if self.tint is not None:
            x = x + self.tint(check_colours(items, self.colours, "OutfitTransformer"))
        return self.drop(x)


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
        self.think = nn.Sequential(nn.Linear(hidden, 2 * hidden), nn.GELU(), nn.Linear(2 * hidden, hidden))
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
