"""Near duplicates in a catalogue: the same file, a smaller copy, the same garment again.

How near "the same" is depends on the model and the pictures, so the threshold comes from examples:
`threshold_from` takes items with a copy of each. The search is exact, and its memory grows with the
number of near pairs. For millions of items, search an approximate `fashionnb.search.index.Index`
for the neighbours of each instead. `fashionnb duplicates` calls `find_duplicates`.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from PIL import Image
from sklearn.cluster import DBSCAN

from fashionnb.errors import DataError
from fashionnb.evaluation.neighbours import (
    SAME,
    Array,
    check_vectors,
    nearest_neighbours,
    squared_distances,
)
from fashionnb.features.vector_files import contents_of
from fashionnb.search.results_page import Entry, open_readable, page

if TYPE_CHECKING:
    from fashionnb.data.catalogue import Catalogue
    from fashionnb.search.engine import VisualSearchEngine

CALIBRATION = 200
"""So many images at most are copied to find the threshold."""


def near_duplicates(embeddings: Array, ids: Sequence[str], threshold: float) -> pd.DataFrame:
    """Group the near duplicates of a catalogue: items no farther apart than a threshold.

    Two items are in one group if a chain of near items leads from one to the other (single
    linkage), so the two ends of a long chain may be farther apart: look at the largest groups
    before anything is deleted.

    Parameters
    ----------
    embeddings : array of shape (n, d), any real numbers
        One per item, none of length 0.
    ids : sequence of n str
        Of the items.
    threshold : float
        The largest distance of two copies, as 1 - cosine similarity (0 to 2); 0 finds equal
        directions. See `threshold_from`.

    Returns
    -------
    DataFrame
        One row per item that has a near duplicate: `group` (from 0, the largest group first, then
        by the first item), `id`, and `distance` to the nearest other item (float). Within a group
        in the order of `ids`.

    Raises
    ------
    DataError
        If `fashionnb.evaluation.neighbours.check_vectors` refuses the embeddings, there is not one
        id for each, or the threshold is not a distance.
    """
    x = check_vectors(embeddings, "embeddings", "cosine")
    if len(ids) != len(x) or not len(x):
        raise DataError(
            f"Expected one id for each of {len(x)} embeddings, at least one; got {len(ids)} ids."
        )
    if not threshold >= 0:
        raise DataError(f"The threshold is a distance, 0 or more; got {threshold!r}.")
    nearest = _distance_to_nearest(x)
    rows = np.flatnonzero(nearest <= np.float32(threshold))
    group = rows
    if len(rows):
        # With one item enough for a group, its groups are the chains within a Euclidean distance.
        near = np.sqrt(2 * threshold) + SAME
        group = DBSCAN(near, min_samples=1, algorithm="brute").fit_predict(x[rows])
    found = pd.DataFrame(
        {"group": group, "id": np.asarray(ids, dtype=object)[rows], "distance": nearest[rows]}
    )
    size = found.groupby("group")["id"].transform("size")
    found = found.assign(size=-size)[size > 1].sort_values(["size", "group"], kind="stable")
    found["group"] = pd.factorize(found["group"])[0]
    return found.drop(columns="size").reset_index(drop=True)


@dataclass(frozen=True)
class Threshold:
    """Threshold of distance up to which two items count as near duplicates, with its errors.

    Parameters
    ----------
    distance : float
        The threshold, as 1 - cosine similarity (0 to 2).
    missed : float
        Share of the copies that are farther apart, 0 to 1.
    mistaken : float
        Share of the items that have a different item within this distance, 0 to 1.
    """

    distance: float
    missed: float
    mistaken: float


def threshold_from(embeddings: Array, copies: Array) -> Threshold:
    """Find the threshold for near duplicates with the fewest errors, from items and their copies.

    Copies are easily made: save the pictures again as small JPEG files, crop them a little, and
    embed both. For each item two distances count: to its copy, which should be within the
    threshold, and to the nearest *other* item, which should not. Real duplicates among the items
    count as errors here, so leave out those that are known.

    Parameters
    ----------
    embeddings, copies : array of shape (n, d), any real numbers
        n is at least 2; row i of both is the same item.

    Returns
    -------
    Threshold
        Halfway between two of those distances, where both errors together are the fewest; of
        several such places the smallest.

    Raises
    ------
    DataError
        If the shapes disagree, there are fewer than two items, or
        `fashionnb.evaluation.neighbours.check_vectors` refuses either.
    """
    x = check_vectors(embeddings, "embeddings", "cosine")
    y = check_vectors(copies, "copies", "cosine")
    if x.shape != y.shape or len(x) < 2:
        raise DataError(
            f"Expected a copy of each item and two items or more, got {len(x)} items and "
            f"{len(y)} copies, of {x.shape[1]} and {y.shape[1]} dimensions."
        )
    copy = _cosine_distance(squared_distances(x, y, np.arange(len(x))[:, None])[:, 0])
    other = _distance_to_nearest(x)
    seen = np.unique(np.concatenate([copy, other]))
    # Between two neighbouring distances all thresholds are equal.
    tried = np.concatenate([[seen[0] / 2], (seen[:-1] + seen[1:]) / 2, seen[-1:]])
    missed = 1 - np.searchsorted(np.sort(copy), tried, side="right") / len(x)
    mistaken = np.searchsorted(np.sort(other), tried, side="right") / len(x)
    best = int(np.argmin(np.round((missed + mistaken) * len(x))))
    return Threshold(float(tried[best]), float(missed[best]), float(mistaken[best]))


@dataclass(frozen=True, eq=False)
class Duplicates:
    """Duplicates that were found: groups of images, each with its score.

    Parameters
    ----------
    table : DataFrame
        One row per image: `group` (from 0, the largest first), `from` (the name of its source),
        `id`, `score` (the cosine similarity to the most similar other image) and `exact` (True if
        another file is the same, byte for byte).
    least_score : float
        The smallest score at which two images count as duplicates.
    n : int
        How many images were compared.
    places : list
        For each row the catalogue and the key of its image.
    """

    table: pd.DataFrame
    least_score: float
    n: int
    places: list

    def as_text(self) -> str:
        """Say in one sentence what was found."""
        groups = self.table["group"].nunique()
        exact = int(self.table["exact"].sum())
        return (
            f"{groups:,} group(s) of duplicates, {len(self.table):,} of {self.n:,} pictures; "
            f"{exact:,} byte for byte, the others with a score of {self.least_score:.3f} or more."
        )

    def as_page(self) -> str:
        """Make one HTML document of the groups, with their images."""
        entries = [
            Entry(
                open_readable(catalogue.images, [key])[0],
                f"group {row.group + 1} · {row.id}",
                f"{'the same file' if row.exact else f'{row.score:.3f}'} · {catalogue.name}",
            )
            for row, (catalogue, key) in zip(self.table.itertuples(), self.places, strict=True)
        ]
        return page("Duplicates", entries, note=self.as_text())


def find_duplicates(
    engine: "VisualSearchEngine",
    source: "Path | str | Catalogue",
    against: "Path | str | Catalogue | None" = None,
    *,
    least_score: float | None = None,
    cache: Path | str | None = None,
    skip_unreadable: bool = False,
) -> Duplicates:
    """Find exact and near duplicates among images, or between the images of two sources.

    Parameters
    ----------
    engine : VisualSearchEngine
        Whose model says how alike two images are.
    source : Path, str or Catalogue
        As `fashionnb.datasets.open_catalogue` takes it.
    against : Path, str or Catalogue, optional
        Only groups that also hold an image from here are given.
    least_score : float, optional
        The smallest cosine similarity of two copies, -1 to 1. By default it lies between that of
        some of the images to small JPEG copies of them, and that to their nearest neighbours.
    cache : Path or str, optional
        A folder for the embeddings.
    skip_unreadable : bool
        Leave out images that cannot be read.

    Returns
    -------
    Duplicates
        The groups.

    Raises
    ------
    DataNotFound, DataError, WriteError
        As `fashionnb.search.engine.VisualSearchEngine.embed_dataset`; or if the score is none.
    """
    if least_score is not None and not -1 <= least_score <= 1:
        raise DataError(f"A score is a cosine similarity, -1 to 1; got {least_score!r}.")
    parts = [
        engine.embed_dataset(one, cache=cache, skip_unreadable=skip_unreadable)
        for one in ([source] if against is None else [source, against])
    ]
    galleries = [part.gallery for part in parts]
    vectors = np.concatenate([part.vectors for part in parts])
    if least_score is None:
        least_score = 1 - _threshold(engine, galleries[0], parts[0].vectors)
    table = near_duplicates(vectors, [*range(len(vectors))], 1 - least_score)
    rows = table["id"].to_numpy(int)
    first = len(parts[0].vectors)
    ids = np.array([item for gallery in galleries for item in gallery.ids], dtype=object)
    contents = [one.tobytes() for gallery in galleries for one in contents_of(gallery)]
    table["content"] = [contents[row] for row in rows]
    table["exact"] = table.duplicated("content", keep=False)
    table["from"] = [galleries[int(row >= first)].name for row in rows]
    table["score"] = 1 - table["distance"].astype(float)
    table["id"] = ids[rows]
    if against is not None:
        between = pd.Series(rows < first).groupby(table["group"]).transform("nunique") > 1
        table, rows = table[between].reset_index(drop=True), rows[between]
        table["group"] = pd.factorize(table["group"])[0]
    table = table[["group", "from", "id", "score", "exact"]]
    places = [(gallery, key) for gallery in galleries for key in gallery.table["image"]]
    return Duplicates(table, float(least_score), len(vectors), [places[row] for row in rows])


def _threshold(engine: "VisualSearchEngine", catalogue: "Catalogue", vectors: np.ndarray) -> float:
    """A distance between that of a usual copy (smaller, as JPEG) and that of a usual other image.

    Not by `threshold_from`: here some of the images have real duplicates, which would be errors.
    """
    if len(vectors) < 2:
        return 0.0
    rows = np.sort(np.random.default_rng(0).permutation(len(catalogue))[:CALIBRATION])
    copies = []
    for key in catalogue.table["image"].iloc[rows]:
        image = catalogue.images.image(key)
        smaller = io.BytesIO()
        width, height = (max(1, side * 3 // 4) for side in image.size)
        image.resize((width, height), Image.Resampling.BICUBIC).save(smaller, "JPEG", quality=60)
        copies.append(engine.embed_image(smaller.getvalue()))
    x = check_vectors(vectors, "embeddings", "cosine")
    copies = check_vectors(np.stack(copies), "copies", "cosine")
    copy = np.median(_cosine_distance(squared_distances(copies, x, rows[:, None])))
    other = np.median(_cosine_distance(nearest_neighbours(x[rows], x, 2)[1][:, 1]))
    return float(np.sqrt(copy * other))


def _distance_to_nearest(x: np.ndarray) -> np.ndarray:
    """From each item to the nearest other, (n,) float32."""
    if len(x) < 2:
        return np.full(len(x), np.inf, np.float32)
    return _cosine_distance(nearest_neighbours(x, None, 1)[1][:, 0])


def _cosine_distance(squared: np.ndarray) -> np.ndarray:
    """1 - cosine similarity, float32, from squared distances between vectors of length 1.

    Distances below a millionth are rounding, and count as 0.
    """
    return np.where(squared <= SAME**2, 0, squared / 2).astype(np.float32)
