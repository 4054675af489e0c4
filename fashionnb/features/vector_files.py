"""Embeddings of a catalogue in one safetensors file, with the ids of the items, digests of their
images, and the model and size of image that made them.

A catalogue is embedded once, and a recommender can use the file at once. For many more items than
fit into memory see `fashionnb.search.index`.
"""

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError, safe_open

from fashionnb.data.catalogue import Catalogue
from fashionnb.errors import DataError, DataNotFound, ModelMismatch
from fashionnb.features.store import digests_of
from fashionnb.files import written_whole

FORMAT = "fashionnb.vectors/3"


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
    size : str
        Of the images in pixels, as the model saw them; "" if it is not known.
    contents : ndarray of shape (n, 32), uint8, optional
        What the images were, see `contents_of`.
    """

    values: np.ndarray
    ids: list[str]
    catalogue: str = ""
    model: str = ""
    size: str = ""
    contents: np.ndarray | None = None


def contents_of(catalogue: Catalogue) -> np.ndarray:
    """Compute a digest of the content of each image, to tell later which images have changed.

    Parameters
    ----------
    catalogue : Catalogue
        Of n items.

    Returns
    -------
    ndarray of shape (n, 32), uint8
        0 for an image that cannot be read.
    """
    contents = np.zeros((len(catalogue), 32), np.uint8)
    for row, key in enumerate(catalogue.table["image"].tolist()):
        with suppress(DataError):
            contents[row] = np.frombuffer(digests_of(catalogue.images, [key])[0], np.uint8)
    return contents


def changed(vectors: Vectors, catalogue: Catalogue) -> np.ndarray:
    """Find the images that have changed since their embeddings were made.

    Parameters
    ----------
    vectors : Vectors
        Of a file, in the order of the catalogue.
    catalogue : Catalogue
        Of n items.

    Returns
    -------
    ndarray of shape (n,), bool
        False also for an image that cannot be read any more.
    """
    if vectors.contents is None:
        return np.zeros(len(catalogue), bool)
    others = (contents_of(catalogue) != vectors.contents).any(1)
    for row in np.flatnonzero(others):
        try:
            catalogue.images.image(catalogue.table["image"].iloc[row])
        except DataError:
            others[row] = False
    return others


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
    about = {name: getattr(vectors, name) for name in ("catalogue", "model", "size", "ids")}
    tensors = {"vectors": np.ascontiguousarray(vectors.values, np.float32)}
    if vectors.contents is not None:
        tensors["contents"] = np.ascontiguousarray(vectors.contents)
    with written_whole(path) as aside:
        # safetensors writes several entries in any order; one entry is always the same.
        metadata = {FORMAT: json.dumps(about)}
        aside.write_bytes(safetensors.numpy.save(tensors, metadata))


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
            contents = file.get_tensor("contents") if "contents" in file.keys() else None  # noqa: SIM118
            about = json.loads(metadata[FORMAT])
            found = Vectors(file.get_tensor("vectors"), **about, contents=contents)
    except (SafetensorError, TypeError, json.JSONDecodeError) as error:
        raise DataError(
            f"{path}: not a file of vectors, or one that is damaged ({error}). Make it again."
        ) from error
    shapes = found.values.shape[:1], (len(found.ids) if contents is None else len(contents),)
    if found.values.ndim != 2 or shapes != ((len(found.ids),),) * 2:
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
    rows = [place[item] for item in ids]
    contents = None if contents is None else contents[rows]
    return replace(found, values=found.values[rows], ids=list(ids), contents=contents)
