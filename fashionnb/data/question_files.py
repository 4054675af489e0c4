"""Questions about outfits in files, in the format of Polyvore Outfits: fill-in-the-blank (JSON) and compatibility
(text).

The format is that of Vasileva et al. (2018), "Learning Type-Aware Embeddings for Fashion Compatibility".
`fashionnb.outfits.questions` makes questions; `fashionnb.data.polyvore` reads the published ones.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from fashionnb.data.catalogue import Blank, Judged, Outfits
from fashionnb.errors import DataError, DataNotFound
from fashionnb.files import write_text


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
    return {
        f"{outfit}_{i}": item
        for outfit, items in outfits.sets.items()
        for i, item in enumerate(items, start=1)
    }


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
        rows = [
            (list(row["question"]), list(row["answers"]), row["blank_position"])
            for row in json.loads(data)
        ]
        if not all(
            isinstance(name, str) for question, answers, _ in rows for name in question + answers
        ):
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
            raise DataError(
                f"{place}: {len(question)} items and {len(answers)} answers; it needs 1 and 2 at least."
            )
        for what, some in (("question", question), ("answers", answers)):
            if len(set(some)) < len(some):
                raise DataError(
                    f"{place}: the same item stands twice in its {what}: {', '.join(some)}."
                )
        outfit = _outfit(question[0])
        if strange := [name for name in question if _outfit(name) != outfit]:
            raise DataError(
                f"{place}: it asks about outfit {outfit!r}, but shows {strange[0]!r} of another."
            )
        right = [i for i, answer in enumerate(answers) if _outfit(answer) == outfit]
        if len(right) > 1:  # then only the blank's own place tells
            right = [i for i in right if answers[i] == f"{outfit}_{position}"]
        if len(right) != 1:
            raise DataError(
                f"{place}: no single answer is of outfit {outfit!r}, so the right one is missing."
            )
        asked, choice = (
            tuple(_known(name, names, place) for name in row) for row in (question, answers)
        )
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
            raise DataError(
                f"{place}: expected 0 or 1 and the names of two items or more, got {line[:60]!r}."
            )
        if len(set(words)) < len(words):
            twice = next(name for name in words if words.count(name) > 1)
            raise DataError(f"{place}: the same item stands twice: {twice!r}.")
        judged.append(
            Judged(tuple(_known(name, names, place) for name in words[1:]), int(words[0]))
        )
    if not judged:
        raise DataError(f"{where}: the file is empty. Get it again.")
    return judged


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
            raise DataError(
                f"{item!r} of {self.name} is in no outfit, so a question file has no name for it."
            )
        return self.within.get((outfit, item), self.first[item])


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
