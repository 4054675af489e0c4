"""Questions about outfits: which item fills the blank, and do these go together? Made with a seed, kept in files.

The files are Polyvore's own (Vasileva et al. 2018, "Learning Type-Aware Embeddings for Fashion Compatibility"), so that
published and self-made questions are read alike. How hard a question is depends on its wrong answers: see `PROTOCOLS`.
Scores for the answers come from models, or from `fashionnb.data.shortcuts`; `fashionnb.evaluation` counts them.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from fashionnb.data.nouns import Outfits
from fashionnb.errors import DataError, DataNotFound
from fashionnb.files import write_text

PROTOCOLS = ("naive", "strict")
"""How wrong answers are drawn. "naive": of the same family, each item equally likely, as the field does it. "strict":
of the same family and the same collection, each item as likely as it is used in the same split, so that neither how
popular it is nor the age of its photo gives the answer away; meant for photos whose background is removed."""


@dataclass(frozen=True)
class Blank:
    """One fill-in-the-blank question. Introduced in chapter 08.

    outfit : the outfit that it is about; questions about one outfit are drawn together in a bootstrap.
    asked : the ids of the items that are shown. answers : the ids to choose from. truth : which of them is right.
    position : where the blank is in the outfit, 1 for the first item.
    """

    outfit: str
    asked: tuple[str, ...]
    answers: tuple[str, ...]
    truth: int
    position: int


@dataclass(frozen=True)
class Judged:
    """Items that are an outfit (`label` 1) or only thrown together (0). Introduced in chapter 08."""

    items: tuple[str, ...]
    label: int


def make_blanks(
    outfits: Outfits,
    protocol: str = "strict",
    split: str = "test",
    *,
    answers: int = 4,
    per_outfit: int = 1,
    seed: int = 0,
) -> list[Blank]:
    """Ask for an item of each outfit, among wrong answers of its family. Introduced in chapter 08.

    A repeated outfit is asked about once. No wrong answer makes the rest another real outfit. The right answer stands
    at each place equally often, give or take one. An item is not asked for if there are too few of its family, or if
    the catalogue says that it is not `worn`; an outfit with no item to ask for gets no question.

    Parameters
    ----------
    outfits : naive wrong answers come from all of them, but from the same split only if no item is in two splits.
    protocol : one of `PROTOCOLS`. The family is the catalogue's column `family`, or else `category`.
    split : whose outfits are asked about.
    answers : to choose from, the right one included; 2 or more.
    per_outfit : at most so many questions about one outfit, each for another item.
    seed : the same seed gives the same questions; keep the file for other versions of numpy.

    Raises
    ------
    DataError : an unknown protocol, a split without outfits, fewer than 2 answers, or no question at all.
    """
    if answers < 2 or per_outfit < 1:
        raise DataError(f"A question has 2 answers or more, an outfit 1 question or more; got {answers}, {per_outfit}.")
    rng, pool, found = np.random.default_rng(seed), _Pool(outfits, protocol, split), []
    for outfit, items in _distinct(outfits, split):
        left = per_outfit
        for place in rng.permutation(len(items)):
            right, asked = items[place], items[:place] + items[place + 1 :]
            wrong = pool.draw(right, asked, answers - 1, rng) if left else None
            if wrong:
                found.append(Blank(outfit, asked, (right, *wrong), 0, int(place) + 1))
                left -= 1
    if not found:
        raise DataError(f"No item of the {split} outfits has {answers - 1} others of its family to be asked among.")
    return shuffled(found, seed)


def make_judged(outfits: Outfits, protocol: str = "strict", split: str = "test", *, seed: int = 0) -> list[Judged]:
    """Each outfit, and beside it as many items of the same families that nobody put together. Introduced in chapter 08.

    Every item is exchanged for one of its family, so the two differ in nothing but whether they go together. Outfits
    with an item that cannot be exchanged are left out, and repeated ones come once. Parameters and errors as
    `make_blanks`.

    Returns
    -------
    Outfits (label 1) and their counterparts (label 0) in turn, as many of each.
    """
    rng, pool, found = np.random.default_rng(seed), _Pool(outfits, protocol, split), []
    for _, items in _distinct(outfits, split):
        other: list[str] = []
        for item in items:
            drawn = pool.draw(item, (*items, *other), 1, rng, complete=False)
            other += drawn
        if len(other) == len(items) and frozenset(other) not in pool.known:
            found += [Judged(items, 1), Judged(tuple(other), 0)]
    if not found:
        raise DataError(f"No {split} outfit has a counterpart of the same families.")
    return found


def shuffled(blanks: Sequence[Blank], seed: int) -> list[Blank]:
    """Put the answers in a random order, the right one at each place equally often. Introduced in chapter 08.

    With the right answer always first, as in a published file, a model that scores all answers alike would be always
    right or always wrong.
    """
    rng = np.random.default_rng(seed)
    places = rng.permutation(len(blanks))
    mixed = []
    for blank, place in zip(blanks, places, strict=True):
        wrong = [answer for number, answer in enumerate(blank.answers) if number != blank.truth]
        wrong = [wrong[i] for i in rng.permutation(len(wrong))]
        truth = int(place) % len(blank.answers)
        order = (*wrong[:truth], blank.answers[blank.truth], *wrong[truth:])
        mixed.append(replace(blank, answers=order, truth=truth))
    return mixed


def names(outfits: Outfits) -> dict[str, str]:
    """What the question files call an item: `<outfit>_<place>`, counting from 1 -> its id."""
    return {f"{outfit}_{i}": item for outfit, items in outfits.sets.items() for i, item in enumerate(items, start=1)}


def write_blanks(path: Path | str, blanks: Sequence[Blank], outfits: Outfits) -> None:
    """Write `fill_in_blank_*.json` as Polyvore Outfits has it. Introduced in chapter 08.

    Raises
    ------
    DataError : an item is in no outfit, so it has no name there.
    WriteError : the file cannot be written.
    """
    called = _Names(outfits)
    lines = [
        json.dumps(
            {
                "question": [called(item, blank.outfit) for item in blank.asked],
                "blank_position": blank.position,
                "answers": [called(item, blank.outfit) for item in blank.answers],
            }
        )
        for blank in blanks
    ]
    write_text(path, "[" + ",\n".join(lines) + "]\n")


def read_blanks(path: Path | str, names: Mapping[str, str], seed: int = 0) -> list[Blank]:
    """Read `fill_in_blank_*.json`; the right answer is known by its outfit, and its place is shuffled.

    Introduced in chapter 08. Two answers may be one item under the names of two outfits. Both stay; scores will tie.

    Parameters
    ----------
    path : of the file. names : what it calls an item -> its id (see `names`). seed : of the order of the answers.

    Raises
    ------
    DataNotFound : there is no such file.
    DataError : it is not such a file, or has no question; a question names an item that is not known, or the same one
        twice, or items of several outfits; or its answers lack the right one.
    """
    return parse_blanks(_read(path), names, str(path), seed)


def parse_blanks(data: bytes, names: Mapping[str, str], where: str, seed: int = 0) -> list[Blank]:
    """`read_blanks` for the bytes of a file; `where` names it in messages."""
    try:
        rows = [(list(row["question"]), list(row["answers"]), row["blank_position"]) for row in json.loads(data)]
        if not all(isinstance(name, str) for question, answers, _ in rows for name in question + answers):
            raise TypeError("an item is not named by text")
        if not all(type(position) is int for _, _, position in rows):
            raise TypeError("blank_position is not a whole number")
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise DataError(
            f"{where}: not a fill-in-the-blank file: expected a list with question, answers and blank_position "
            f"({error!r:.200})."
        ) from error
    blanks = []
    for number, (question, answers, position) in enumerate(rows):
        place = f"{where}, question {number}"
        if not question or len(answers) < 2:
            raise DataError(f"{place}: {len(question)} items and {len(answers)} answers; it needs 1 and 2 at least.")
        for what, some in (("question", question), ("answers", answers)):
            if len(set(some)) < len(some):
                raise DataError(f"{place}: the same item stands twice in its {what}: {', '.join(some)}.")
        outfit = _outfit(question[0])
        if strange := [name for name in question if _outfit(name) != outfit]:
            raise DataError(f"{place}: it asks about outfit {outfit!r}, but shows {strange[0]!r} of another.")
        right = [i for i, answer in enumerate(answers) if _outfit(answer) == outfit]
        if len(right) > 1:  # then only the blank's own place tells
            right = [i for i in right if answers[i] == f"{outfit}_{position}"]
        if len(right) != 1:
            raise DataError(f"{place}: no single answer is of outfit {outfit!r}, so the right one is missing.")
        asked, choice = (tuple(_known(name, names, place) for name in row) for row in (question, answers))
        blanks.append(Blank(outfit, asked, choice, right[0], position))
    if not blanks:
        raise DataError(f"{where}: there is no question in it. Get it again.")
    return shuffled(blanks, seed)


def write_judged(path: Path | str, judged: Sequence[Judged], outfits: Outfits) -> None:
    """Write `compatibility_*.txt` as Polyvore Outfits has it. Errors as `write_blanks`. Introduced in chapter 08."""
    called = _Names(outfits)
    outfit_of = {frozenset(items): outfit for outfit, items in reversed(outfits.sets.items())}
    lines = []
    for row in judged:
        outfit = outfit_of.get(frozenset(row.items), "")
        lines.append(" ".join([str(row.label), *(called(item, outfit) for item in row.items)]))
    write_text(path, "\n".join(lines) + "\n")


def read_judged(path: Path | str, names: Mapping[str, str]) -> list[Judged]:
    """Read `compatibility_*.txt`: a label and the names of the items on each line. Introduced in chapter 08.

    Parameters and errors as `read_blanks`; and `DataError` for a label other than 0 and 1, or fewer than 2 items.
    """
    return parse_judged(_read(path), names, str(path))


def parse_judged(data: bytes, names: Mapping[str, str], where: str) -> list[Judged]:
    """`read_judged` for the bytes of a file; `where` names it in messages."""
    judged = []
    for number, line in enumerate(data.decode(errors="replace").splitlines(), start=1):
        place, words = f"{where}, line {number}", line.split()
        if not words:
            continue
        if words[0] not in ("0", "1") or len(words) < 3:
            raise DataError(f"{place}: expected 0 or 1 and the names of two items or more, got {line[:60]!r}.")
        if len(set(words)) < len(words):
            twice = next(name for name in words if words.count(name) > 1)
            raise DataError(f"{place}: the same item stands twice: {twice!r}.")
        judged.append(Judged(tuple(_known(name, names, place) for name in words[1:]), int(words[0])))
    if not judged:
        raise DataError(f"{where}: the file is empty. Get it again.")
    return judged


class _Pool:
    """Items to draw wrong answers from, by family."""

    def __init__(self, outfits: Outfits, protocol: str, split: str) -> None:
        if protocol not in PROTOCOLS:
            raise DataError(f"There is no protocol {protocol!r}; use one of {', '.join(PROTOCOLS)}.")
        table = outfits.catalogue.table
        columns = ["family" if "family" in table else "category"]
        if protocol == "strict" and "collection" in table:
            columns.append("collection")
        self.family = dict(zip(table["id"], table[columns].itertuples(index=False, name=None), strict=True))
        self.worn = dict(zip(table["id"], table["worn"], strict=True)) if "worn" in table else {}
        self.known = {frozenset(items) for items in outfits.sets.values()}
        self.completing: dict[frozenset, set[str]] = defaultdict(set)  # what makes a set a real outfit
        for items in self.known:
            for item in items:
                self.completing[items - {item}].add(item)
        uses = Counter(item for items in self._drawn_from(outfits, protocol, split) for item in items)
        members = defaultdict(list)
        for item in uses:
            members[self.family[item]].append(item)
        self.members = {family: np.array(items, dtype=object) for family, items in members.items()}
        self.weights = {
            family: np.array([uses[item] if protocol == "strict" else 1 for item in items], dtype=float)
            for family, items in members.items()
        }

    def draw(
        self, item: str, others: tuple[str, ...], n: int, rng: np.random.Generator, complete: bool = True
    ) -> list[str]:
        """`n` items of the family of `item` that are not with it; none if there are too few, or it is not worn."""
        if not self.worn.get(item, True):
            return []
        barred = {item, *others}
        if complete:
            barred |= self.completing.get(frozenset(others), set())
        members, weights = self.members[self.family[item]], self.weights[self.family[item]]
        free = np.array([member not in barred for member in members])
        if free.sum() < n:
            return []
        chances = weights * free
        return rng.choice(members, n, replace=False, p=chances / chances.sum()).tolist()

    def _drawn_from(self, outfits: Outfits, protocol: str, split: str) -> Iterator[tuple[str, ...]]:
        """The sets whose items may be wrong answers, each once, in the order of the files.

        Strict ones are of the same split. If uses elsewhere counted, the wrong answers would be known from training
        more often than the right ones: on MANGO outfits, the answer least seen there was right in 34 % of questions.
        """
        splits = defaultdict(set)
        for outfit, items in outfits.sets.items():
            splits[outfits.split[outfit]].update(items)
        disjoint = sum(map(len, splits.values())) == len(set().union(*splits.values()))
        seen: set[frozenset] = set()
        for outfit, items in outfits.sets.items():
            here = outfits.split[outfit] == split or (protocol == "naive" and not disjoint)
            if here and frozenset(items) not in seen:
                seen.add(frozenset(items))
                yield items  # not the frozenset, whose order differs from one process to the next


class _Names:
    """What the files call an item: by the outfit that is asked about, or else by the first that has it."""

    def __init__(self, outfits: Outfits) -> None:
        self.name = outfits.catalogue.name
        self.first: dict[str, str] = {}
        self.within: dict[tuple[str, str], str] = {}
        for outfit, items in outfits.sets.items():
            for i, item in enumerate(items, start=1):
                self.within[outfit, item] = f"{outfit}_{i}"
                self.first.setdefault(item, f"{outfit}_{i}")

    def __call__(self, item: str, outfit: str) -> str:
        if item not in self.first:
            raise DataError(f"{item!r} of {self.name} is in no outfit, so a question file has no name for it.")
        return self.within.get((outfit, item), self.first[item])


def _distinct(outfits: Outfits, split: str) -> list[tuple[str, tuple[str, ...]]]:
    """The outfits of a split, of those with the same items the first."""
    found: dict[frozenset, tuple[str, tuple[str, ...]]] = {}
    for outfit, items in outfits.sets.items():
        if outfits.split[outfit] == split and len(items) > 1:
            found.setdefault(frozenset(items), (outfit, tuple(items)))
    if not found:
        raise DataError(f"There is no outfit in the split {split!r}; there is {sorted(set(outfits.split.values()))}.")
    return list(found.values())


def _outfit(name: str) -> str:
    """The outfit in the name of an item."""
    return name.rpartition("_")[0]


def _known(name: str, names: Mapping[str, str], place: str) -> str:
    if name not in names:
        raise DataError(f"{place}: there is no item {name!r} in the outfits of this split.")
    return names[name]


def _read(path: Path | str) -> bytes:
    try:
        return Path(path).read_bytes()
    except FileNotFoundError as error:
        raise DataNotFound(f"{path}: there is no such file.") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}).") from error
