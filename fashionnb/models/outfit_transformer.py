"""Transformer for outfits as sets: how well items go together, and which item is missing.

A token for the wanted type attends to the items that are there and gives a point (`seek`); each
candidate has its own point in the same space (`place`), and the nearest is the best. An outfit goes
together if each of its items lies where the others want it (`forward`). Without positions the order
of items cannot matter. Pairs are compared in `fashionnb.models.compatibility`.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from fashionnb.arrays import check_array
from fashionnb.models.outfit_inputs import Items, check_items

_LABEL = 16  # length of the vector of a type or label


class OutfitTransformer(nn.Module):
    """Transformer for outfits as sets: one score, or the point of a missing item.

    Items that are worn and items that are candidates have encoders of their own, since what a skirt
    needs differs from what a skirt is. With the default sizes it has 393,217 parameters.

    Parameters
    ----------
    width : int
        Length of an item's vector.
    types : int
        How many types there are, the unknown (0) included; 0: types are not used.
    colours : int
        Length of an item's colours, such as 24; 0: they are not used.
    labels : sequence of int
        For each further label of an item, such as its fabric, how many values it has, the unknown
        included.
    hidden : int
        Length of a token, and of the points of `seek` and `place`.
    layers : int
        How many transformer layers there are.
    heads : int
        Of the attention in each; it divides `hidden`.
    dropout : float
        Share that training leaves out.

    References
    ----------
    Sarkar et al. (2023), OutfitTransformer: Learning Outfit Representations for Fashion
    Recommendation.
    Lee et al. (2019), Set Transformer.
    """

    task = "outfit"
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
        self.arguments = {
            "width": width, "types": types, "colours": colours, "labels": list(labels),
            "hidden": hidden, "layers": layers, "heads": heads, "dropout": dropout,
        }  # fmt: skip
        self.width, self.types = width, types
        self.worn, self.offered = (
            _ItemEncoder(width, types, colours, labels, hidden, dropout) for _ in range(2)
        )
        self.missing = nn.Embedding(max(types, 1), hidden)
        self.blocks = nn.ModuleList(Block(hidden, heads, dropout) for _ in range(layers))
        self.last, self.aim = nn.LayerNorm(hidden), nn.Linear(hidden, hidden)
        self.sharpness = nn.Parameter(torch.tensor(2.3))
        """Logarithm of the factor of cosines in a loss; learnt."""

    def forward(self, items: Items, there: Tensor | None = None) -> Tensor:
        """Score how well each outfit goes together.

        Each item is left out in turn; the score is the mean cosine between its own point and the
        point that the others give.

        Parameters
        ----------
        items : Items of shape (n, size)
            For instance `items[rows]` with the rows of `fashionnb.models.outfit_inputs.padded`.
        there : Tensor of shape (n, size), bool, optional
            False where there is no item; each outfit has 1 or more. None: all are there.

        Returns
        -------
        Tensor of shape (n,), float32
            From -1 to 1.

        Raises
        ------
        DataError
            If the items lack what the network needs, or the mask has another shape.
        """
        there = self._mask(items, there)
        wanted, _ = self._around(items, there)
        cosines = torch.zeros(there.shape, device=there.device)
        cosines[there] = (wanted * self.place(items[there])).sum(1)
        return cosines.sum(1) / there.sum(1)

    def seek(
        self, items: Items, wanted: Tensor | None = None, there: Tensor | None = None
    ) -> Tensor:
        """Compute the point of the item that is missing in each outfit.

        Compare it with those of `place` by a dot product: the highest is the best.

        Parameters
        ----------
        wanted : Tensor of shape (n,), int64, optional
            The type of the missing item, 0 for any. None: any.
        items, there
            As in `forward`; errors, too.

        Returns
        -------
        Tensor of shape (n, hidden), float32
            Each row of length 1.
        """
        there = self._mask(items, there)
        if wanted is None:
            wanted = torch.zeros(len(there), dtype=torch.int64, device=there.device)
        check_array(
            wanted, (len(there),), "One wanted type for each outfit", "0 is any type.",
            kind="whole", below=max(self.types, 1),
        )  # fmt: skip
        return self._read(wanted, self._tokens(items, there), there)[0]

    def place(self, items: Items) -> Tensor:
        """Compute the own point of each item.

        Returns
        -------
        Tensor of shape (n, hidden) or (n, size, hidden), float32
            Each row of length 1.

        Raises
        ------
        DataError
            As in `forward`.
        """
        return normalize(self.offered(items).float(), dim=-1)

    @torch.no_grad()
    def attention(self, items: Items, there: Tensor | None = None) -> Tensor:
        """Average the attention over heads and layers while each item is sought, for figures.

        Returns
        -------
        Tensor of shape (n, size, size), float32
            Row i is the attention of the token for item i. The rest to 1 is its attention to
            itself. It is 0 for item i, and for what is not there.
        """
        there = self._mask(items, there)
        found = torch.zeros(*there.shape, there.shape[1], device=there.device)
        found[there] = self._around(items, there)[1].float()
        return found

    def _around(self, items: Items, there: Tensor) -> tuple[Tensor, Tensor]:
        """Points (m, hidden) that the others give for each of m items, and attention (m, size)."""
        tokens = self._tokens(items, there)
        outfit, place = there.nonzero(as_tuple=True)
        others = there[outfit]
        others[torch.arange(len(place), device=place.device), place] = False
        kinds = items.types[outfit, place] if self.types else torch.zeros_like(place)
        return self._read(kinds, tokens[outfit], others)

    def _tokens(self, items: Items, there: Tensor) -> Tensor:
        """Tokens (n, size, hidden) of the items; 0s, which cost nothing, where there is none."""
        encoded = self.worn(items[there])
        tokens = encoded.new_zeros(*there.shape, encoded.shape[-1])
        tokens[there] = encoded
        return tokens

    def _read(self, wanted: Tensor, tokens: Tensor, there: Tensor) -> tuple[Tensor, Tensor]:
        """Point of the token for a type after all layers, and its mean attention."""
        x = torch.cat([self.missing(wanted)[:, None], tokens], 1)
        there = torch.cat([torch.ones_like(there[:, :1]), there], 1)
        attentions = []
        for block in self.blocks:
            x, attention = block(x, there)
            attentions.append(attention[:, 0, 1:])
        point = normalize(self.aim(self.last(x[:, 0])).float(), dim=-1)
        return point, torch.stack(attentions).mean(0)

    def _mask(self, items: Items, there: Tensor | None) -> Tensor:
        """Which items are there, (n, size) bool, checked."""
        remedy = (
            "Use `items[rows]`, and `rows >= 0` as their mask, with rows (n, size) of "
            "`fashionnb.models.outfit_inputs.padded`."
        )
        check_array(items.features, ("n", "size", "width"), "Items of outfits", remedy)
        shape = tuple(items.features.shape[:2])
        if there is None:
            there = torch.ones(shape, dtype=torch.bool, device=items.features.device)
        return check_array(there, shape, "Mask of items", remedy, kind="bool")


class _ItemEncoder(nn.Module):
    """Encoder of an item's vector, colours, type and labels as one token.

    Type and labels have embedding tables, with zeros for the unknown; all parts are concatenated
    and go through two layers.

    The arguments are those of `OutfitTransformer`.
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
        self.needs = {"width": width, "types": types, "colours": colours, "labels": tuple(labels)}
        self.meanings = nn.ModuleList(
            nn.Embedding(count, _LABEL, padding_idx=0) for count in (types, *labels) if count
        )
        with torch.no_grad():
            for table in self.meanings:
                table.weight.mul_(0.5)  # the vectors have a deviation of 1
        self.leave_out = nn.Dropout(dropout)
        inputs = width + colours + _LABEL * len(self.meanings)
        self.net = nn.Sequential(
            nn.Linear(inputs, 2 * hidden),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(2 * hidden, hidden),
        )

    def forward(self, items: Items) -> Tensor:
        """Compute tokens (n, hidden) or (n, size, hidden); errors as `OutfitTransformer`."""
        check_items(items, "OutfitTransformer", **self.needs)
        known = [self.leave_out(items.features)]
        if self.needs["colours"]:
            known.append(self.leave_out(items.colours))
        values = [items.types] if self.needs["types"] else []
        if self.needs["labels"]:
            values += items.labels.unbind(-1)
        known += [table(value) for table, value in zip(self.meanings, values, strict=True)]
        return self.net(torch.cat(known, -1))


class Block(nn.Module):
    """Layer of the outfit transformer, which also returns its attention.

    The normalisation comes before each half, so that training needs no warm-up.

    Parameters
    ----------
    hidden : int
        Length of a token.
    heads : int
        How many attend in parallel, each on its share of the token.
    dropout : float
        Share that training leaves out of what each half adds.

    References
    ----------
    Vaswani et al. (2017), Attention Is All You Need.
    Xiong et al. (2020), On Layer Normalization in the Transformer Architecture.
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
        """Let the tokens attend to each other.

        Parameters
        ----------
        x : Tensor of shape (n, size, hidden)
        there : Tensor of shape (n, size), bool
            Which tokens may be attended to.

        Returns
        -------
        x : Tensor of shape (n, size, hidden)
        attention : Tensor of shape (n, size, size)
            Mean over the heads.
        """
        n, size, hidden = x.shape
        parts = self.ask(self.before(x)).view(n, size, 3, self.heads, hidden // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)  # each (n, heads, size, hidden / heads)
        scores = query @ key.transpose(2, 3) / (hidden / self.heads) ** 0.5
        attention = scores.masked_fill(~there[:, None, None], -torch.inf).softmax(3)
        attended = (attention @ value).transpose(1, 2).reshape(n, size, hidden)
        x = x + self.drop(self.answer(attended))
        return x + self.drop(self.think(self.between(x))), attention.mean(1)
