"""Read and write files of outfit questions: fill-in-the-blank (JSON) and compatibility (text).

The format is that of Polyvore Outfits (Vasileva et al. 2018, "Learning Type-Aware Embeddings for
Fashion Compatibility"). `fashionnb.outfits.questions` makes questions; `fashionnb.data.polyvore`
reads the published ones.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from pydantic import BaseModel, Field

from fashionnb.data.catalogue import Blank, Judged, Outfits
from fashionnb.data.checked_files import parse_json
from fashionnb.errors import DataError
from fashionnb.files import write_text


class Question(BaseModel):
    """Fill-in-the-blank question as a question file has it, with items called `<outfit>_<place>`.

    Parameters
    ----------
    question : list of str
        The items that are shown.
    answers : list of str
        The items to choose from.
    blank_position : int
        Where the blank is in the outfit, 1 for the first item.
    """

    question: list[str] = Field(min_length=1)
    answers: list[str] = Field(min_length=2)
    blank_position: int


def shuffled(blanks: Sequence[Blank], seed: int) -> list[Blank]:
    """Shuffle the answers of questions, since question files have the right one first.

    The right one comes to each place equally often, give or take one. Were it always first, a model
    that scores all answers alike would be always right or always wrong.

    Parameters
    ----------
    blanks : sequence of Blank
        They need not have equally many answers.
    seed : int
        Of the order.

    Returns
    -------
    list of Blank
        The same questions in the same order.
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


def write_blanks(path: Path | str, blanks: Sequence[Blank], outfits: Outfits) -> None:
    """Write a question file: fill-in-the-blank questions in JSON, as in Polyvore Outfits.

    Parameters
    ----------
    path : path
        Of the file.
    blanks : sequence of Blank
        About items of `outfits`.
    outfits : Outfits
        A file calls an item `<outfit>_<place>`, counting from 1.

    Raises
    ------
    DataError
        If an item is in no outfit, so that it has no name.
    WriteError
        If the file cannot be written.
    """
    names = _names(outfits)
    lines = []
    for blank in blanks:
        row = {
            "question": [_name(item, blank.outfit, names) for item in blank.asked],
            "blank_position": blank.position,
            "answers": [_name(item, blank.outfit, names) for item in blank.answers],
        }
        lines.append(json.dumps(row))
    write_text(path, "[" + ",\n".join(lines) + "]\n")


def parse_blanks(data: bytes, names: Mapping[str, str], where: str, seed: int = 0) -> list[Blank]:
    """Parse a question file with fill-in-the-blank questions (JSON), and shuffle the answers.

    The right answer is recognised by its outfit. Two answers may be one item under the names of two
    outfits; both stay, and their scores will tie.

    Parameters
    ----------
    data : bytes
        Of the file.
    names : mapping of str to str
        What the file calls an item -> its id.
    where : str
        Names the file in messages.
    seed : int
        Of the order of the answers.

    Returns
    -------
    list of Blank
        In the order of the file.

    Raises
    ------
    DataError
        If it is not such a file, or has no question; if a question names an unknown item, the same
        one twice, or items of several outfits; or if the right answer is missing.
    """
    blanks = [
        _blank(row, names, f"{where}, question {number}")
        for number, row in enumerate(parse_questions(data, where))
    ]
    if not blanks:
        raise DataError(f"{where}: there is no question in it. Get it again.")
    return shuffled(blanks, seed)


def write_judged(path: Path | str, judged: Sequence[Judged], outfits: Outfits) -> None:
    """Write a question file: compatibility questions as text, as in Polyvore Outfits.

    Parameters
    ----------
    path : path
        Of the file.
    judged : sequence of Judged
        About items of `outfits`.
    outfits : Outfits
        A file calls an item `<outfit>_<place>`, counting from 1.

    Raises
    ------
    DataError
        If an item is in no outfit, so that it has no name.
    WriteError
        If the file cannot be written.
    """
    names = _names(outfits)
    outfit_of = {frozenset(items): outfit for outfit, items in reversed(outfits.sets.items())}
    lines = []
    for row in judged:
        outfit = outfit_of.get(frozenset(row.items), "")
        lines.append(
            " ".join([str(row.label), *(_name(item, outfit, names) for item in row.items)])
        )
    write_text(path, "\n".join(lines) + "\n")


def parse_judged(data: bytes, names: Mapping[str, str], where: str) -> list[Judged]:
    """Parse a question file with compatibility questions: on each line a label and item names.

    Parameters
    ----------
    data : bytes
        Of the file.
    names : mapping of str to str
        What the file calls an item -> its id.
    where : str
        Names the file in messages.

    Returns
    -------
    list of Judged
        In the order of the file.

    Raises
    ------
    DataError
        If the file is empty, a label is neither 0 nor 1, or a line names fewer than 2 items, an
        unknown one, or the same one twice.
    """
    judged = []
    for number, line in enumerate(data.decode(errors="replace").splitlines(), start=1):
        place, words = f"{where}, line {number}", line.split()
        if not words:
            continue
        if words[0] not in ("0", "1") or len(words) < 3:
            raise DataError(
                f"{place}: expected 0 or 1 and the names of two items or more, got {line[:60]!r}."
            )
        judged.append(Judged(_ids(words[1:], names, place, "the line"), int(words[0])))
    if not judged:
        raise DataError(f"{where}: the file is empty. Get it again.")
    return judged


def parse_questions(data: bytes, where: str) -> list[Question]:
    """Parse a question file with fill-in-the-blank questions (JSON), as they stand in it.

    Parameters
    ----------
    data : bytes
        Of the file.
    where : str
        Names the file in messages.

    Returns
    -------
    list of Question
        In the order of the file.

    Raises
    ------
    DataError
        If it is not such a file.
    """
    problem = (
        "not a fill-in-the-blank file: expected a list with question, answers and blank_position"
    )
    return parse_json(data, list[Question], where, problem, "Get it again.")


def _blank(row: Question, names: Mapping[str, str], place: str) -> Blank:
    """One question, checked."""
    question, answers = row.question, row.answers
    asked = _ids(question, names, place, "its question")
    choice = _ids(answers, names, place, "its answers")
    outfit = _outfit(question[0])
    if strange := [name for name in question if _outfit(name) != outfit]:
        raise DataError(
            f"{place}: it asks about outfit {outfit!r}, but shows {strange[0]!r} of another."
        )
    right = [i for i, answer in enumerate(answers) if _outfit(answer) == outfit]
    if len(right) > 1:  # then only the one at the position of the blank is right
        right = [i for i in right if answers[i] == f"{outfit}_{row.blank_position}"]
    if len(right) != 1:
        raise DataError(
            f"{place}: no single answer is of outfit {outfit!r}, so the right one is missing."
        )
    return Blank(outfit, asked, choice, right[0], row.blank_position)


def _outfit(name: str) -> str:
    """The outfit in the name of an item."""
    return name.rpartition("_")[0]


def _ids(called: list[str], names: Mapping[str, str], place: str, what: str) -> tuple[str, ...]:
    """The ids of items that a file calls so; each must be known, and stand there once."""
    for name, times in Counter(called).items():
        if times > 1:
            raise DataError(f"{place}: the same item stands twice in {what}: {name!r}.")
        if name not in names:
            raise DataError(f"{place}: there is no item {name!r} in the outfits of this split.")
    return tuple(names[name] for name in called)


def _names(outfits: Outfits) -> dict[tuple[str, str], str]:
    """(outfit, id) -> what the files call the item; ("", id) -> its name in its first outfit."""
    names: dict[tuple[str, str], str] = {}
    for outfit, items in outfits.sets.items():
        for i, item in enumerate(items, start=1):
            names[outfit, item] = f"{outfit}_{i}"
            names.setdefault(("", item), f"{outfit}_{i}")
    return names


def _name(item: str, outfit: str, names: Mapping[tuple[str, str], str]) -> str:
    """What the files call an item: by the outfit that is asked about, or by the first with it."""
    if ("", item) not in names:
        raise DataError(f"{item!r} is in no outfit, so a question file has no name for it.")
    return names.get((outfit, item), names["", item])
