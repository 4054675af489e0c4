"""Vectors on disk: one safetensors file with the ids that they belong to, and the model that made them.

So a catalogue is embedded once, and a recommender is there at once. An `fashionnb.search.index.Index` is for searching
many more items than fit here; this is only the vectors.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError, safe_open

from fashionnb.errors import DataError, DataNotFound, ModelMismatch
from fashionnb.files import written_whole

FORMAT = "fashionnb.vectors/1"


@dataclass(frozen=True, eq=False)
class Vectors:
    """Vectors and what they belong to. Introduced in chapter 07.

    values : (n, d) float32. ids : of the n items. catalogue : its name. model : the fingerprint of the model that made
        them (`fashionnb.checkpoints.fingerprint`), "" if it is not known.
    """

    values: np.ndarray
    ids: list[str]
    catalogue: str = ""
    model: str = ""


def save(path: Path | str, vectors: Vectors) -> None:
    """Write the vectors to one file, whole or not at all. Introduced in chapter 07. Raises `WriteError`.

    The same vectors give the same bytes.
    """
    about = {
        "format": FORMAT,
        "catalogue": vectors.catalogue,
        "model": vectors.model,
        "ids": json.dumps(vectors.ids),
    }
    values = np.ascontiguousarray(vectors.values, np.float32)
    with written_whole(path) as aside:
        aside.write_bytes(_in_order(safetensors.numpy.save({"vectors": values}, about)))


def load(path: Path | str, ids: Sequence[str] | None = None, model: str = "") -> Vectors:
    """The vectors that `save` wrote. Introduced in chapter 07.

    Parameters
    ----------
    ids : whose vectors, in which order; None: all, as they were saved. model : the fingerprint that they should have;
        "": any.

    Raises
    ------
    DataNotFound : there is no such file.
    DataError : it is damaged, or something else; or one of `ids` has no vector in it.
    ModelMismatch : another model made the vectors.
    """
    path = Path(path)
    if not path.is_file():
        raise DataNotFound(
            f"{path}: there is no such file. Check the path, or make the vectors with --model."
        )
    try:
        with safe_open(path, framework="np") as file:
            about = file.metadata() or {}
            if about.get("format") != FORMAT:
                raise DataError(
                    f"{path}: a safetensors file, but not of {FORMAT}. Name a file that holds vectors."
                )
            found = Vectors(
                file.get_tensor("vectors"),
                json.loads(about["ids"]),
                about["catalogue"],
                about["model"],
            )
    except (SafetensorError, KeyError, json.JSONDecodeError) as error:
        raise DataError(
            f"{path}: not a file of vectors, or one that is damaged ({error}). Make it again."
        ) from error
    if found.values.ndim != 2 or len(found.values) != len(found.ids):
        raise DataError(
            f"{path}: {found.values.shape} vectors for {len(found.ids)} ids. Make the file again."
        )
    if model and found.model != model:
        raise ModelMismatch(
            f"{path}: these vectors were made by the model {found.model[:12] or '(not known)'}, not by {model[:12]}. "
            "Make them again with this model, or name the model that made them."
        )
    if ids is None or list(ids) == found.ids:
        return found
    place = {item: row for row, item in enumerate(found.ids)}
    if missing := [item for item in ids if item not in place]:
        raise DataError(
            f"{path}: {len(missing):,} of {len(ids):,} items have no vector there, the first is {missing[0]!r}. "
            f"The file was made for {found.catalogue or 'another catalogue'}; make it again for this one."
        )
    return Vectors(
        found.values[[place[item] for item in ids]], list(ids), found.catalogue, found.model
    )


def unit(values: np.ndarray, n: int, name: str) -> np.ndarray:
    """Check n vectors and make them float32 (n, d) of length 1. Introduced in chapter 07.

    Raises
    ------
    DataError : another shape, NaN, or a vector of length 0; `name` says whose they are.
    """
    values = np.asarray(values, np.float32)
    if values.ndim != 2 or len(values) != n or not values.shape[1]:
        raise DataError(
            f"{name}: expected one vector for each of {n:,} items, (n, d); got the shape {values.shape}."
        )
    length = np.linalg.norm(values, axis=1, keepdims=True)
    if len(wrong := np.flatnonzero(~((length > 0) & np.isfinite(length)))):
        raise DataError(
            f"{name}: vector {wrong[0]} has the length {length[wrong[0], 0]}; each needs a direction."
        )
    length[np.abs(length - 1) < 1e-6] = (
        1  # as good as float32 can be: left as they are, so that they stay the same
    )
    return np.ascontiguousarray(values / length)


def _in_order(content: bytes) -> bytes:
    """A safetensors file with its header sorted: safetensors writes what is told about it in any order."""
    length = int.from_bytes(content[:8], "little")
    header = json.dumps(
        json.loads(content[8 : 8 + length]), sort_keys=True, ensure_ascii=False
    ).encode()
    header += b" " * (-len(header) % 8)  # the numbers begin at a multiple of eight
    return len(header).to_bytes(8, "little") + header + content[8 + length :]
