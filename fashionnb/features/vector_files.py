"""Embeddings of a catalogue in one safetensors file, with the ids of the items and the model that
made them.

A catalogue is embedded once, and a recommender can use the file at once. For many more items than
fit into memory see `fashionnb.search.index`.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError, safe_open

from fashionnb.errors import DataError, DataNotFound, ModelMismatch
from fashionnb.files import written_whole

FORMAT = "fashionnb.vectors/2"


@dataclass(frozen=True, eq=False)
class Vectors:
    """Vectors of a file: the embeddings of n items, their ids, catalogue and model.

    Parameters
    ----------
    values : ndarray of shape (n, d), float32
        The embeddings.
    ids : list of n str
        Of the items.
    catalogue : str
        The name of the catalogue; "" if it is not known.
    model : str
        The fingerprint of the model (`fashionnb.checkpoints.fingerprint`); "" if it is not known.
    """

    values: np.ndarray
    ids: list[str]
    catalogue: str = ""
    model: str = ""


def save(path: Path | str, vectors: Vectors) -> None:
    """Write vectors to one safetensors file, whole or not at all.

    The same vectors give the same bytes.

    Parameters
    ----------
    path : Path or str
        The file; an existing one is replaced.
    vectors : Vectors
        The embeddings, with their ids.

    Raises
    ------
    WriteError
        If the file cannot be written.
    """
    about = {"catalogue": vectors.catalogue, "model": vectors.model, "ids": vectors.ids}
    values = np.ascontiguousarray(vectors.values, np.float32)
    with written_whole(path) as aside:
        # safetensors writes several entries in any order; one entry is always the same.
        metadata = {FORMAT: json.dumps(about)}
        aside.write_bytes(safetensors.numpy.save({"vectors": values}, metadata))


def load(path: Path | str, ids: Sequence[str] | None = None, model: str = "") -> Vectors:
    """Read vectors from a safetensors file that `save` wrote, those of all ids or of some.

    Parameters
    ----------
    path : Path or str
        The file.
    ids : sequence of str, optional
        Whose embeddings, in which order; by default all, as they were saved.
    model : str
        The fingerprint that they must have; "" for any.

    Returns
    -------
    Vectors
        In the order of `ids`.

    Raises
    ------
    DataNotFound
        If there is no such file.
    DataError
        If it is damaged, or something else, or has no embedding of one of `ids`.
    ModelMismatch
        If another model made the embeddings.
    """
    if not Path(path).is_file():
        raise DataNotFound(
            f"{path}: there is no such file. Check the path, or make the vectors with --model."
        )
    try:
        with safe_open(path, framework="np") as file:
            metadata = file.metadata() or {}
            if FORMAT not in metadata:
                raise DataError(
                    f"{path}: a safetensors file, but not of {FORMAT}. Name a file that holds "
                    "vectors, or make it again."
                )
            found = Vectors(file.get_tensor("vectors"), **json.loads(metadata[FORMAT]))
    except (SafetensorError, TypeError, json.JSONDecodeError) as error:
        raise DataError(
            f"{path}: not a file of vectors, or one that is damaged ({error}). Make it again."
        ) from error
    if found.values.ndim != 2 or len(found.values) != len(found.ids):
        raise DataError(
            f"{path}: {found.values.shape} vectors for {len(found.ids)} ids. Make the file again."
        )
    if model and found.model != model:
        raise ModelMismatch(
            f"{path}: these vectors were made by the model {found.model[:12] or '(not known)'}, "
            f"not by {model[:12]}. "
            "Make them again with this model, or name the model that made them."
        )
    if ids is None:
        return found
    place = {item: row for row, item in enumerate(found.ids)}
    if missing := [item for item in ids if item not in place]:
        raise DataError(
            f"{path}: {len(missing):,} of {len(ids):,} items have no vector there, the first is "
            f"{missing[0]!r}. The file was made for {found.catalogue or 'another catalogue'}; "
            "make it again for this one."
        )
    values = found.values[[place[item] for item in ids]]
    return replace(found, values=values, ids=list(ids))
