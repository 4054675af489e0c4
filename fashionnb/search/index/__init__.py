"""Vectors in, nearest neighbours out: one `Index`, exact or approximate, in memory and on disk.

FAISS does the searching (Douze et al. 2024, "The Faiss library"). Here are the choices it leaves open: which structure
for how many items, how hard to search, what becomes of ties, of removed items and of a damaged file. An index knows
vectors and ids only; pictures come in with `fashionnb.search.engine`. How good the *embedding* is, is another question:
see `fashionnb.evaluation.retrieval`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import faiss
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fashionnb.errors import DataError, ModelMismatch
from fashionnb.search.index import stored, structures
from fashionnb.search.index.inputs import (
    check_different,
    check_one_each,
    floats,
    largest,
    strings,
    unit,
)
from fashionnb.search.index.nearest import in_order, nearest, one_thread, products
from fashionnb.search.index.structures import CODES, KINDS

METRICS = ("cosine", "euclidean")
EXACT_UP_TO = 100_000  # items, for kind "auto"
CHUNK_ROWS = 65_536

ABOUT = ("kind", "metric", "dimensions", "model", "effort", "recall", "shift", "scale")


class Index:
    """Ids and their vectors, to be searched by vector. Introduced in chapter 06. `Index.build` makes one.

    - "exact" looks at every vector. Nothing is missed, and the time grows with the number of items.
    - "hnsw" walks along a graph that links each vector with near ones (Malkov & Yashunin 2018, "Efficient and robust
      approximate nearest neighbor search using Hierarchical Navigable Small World graphs"). It is fast, needs the most
      memory (the vectors and 16 to 32 links of each), and takes the longest to build.
    - "ivf-pq" looks only into a few of √n cells, and there at codes of 2 bits per dimension instead of vectors (Jégou,
      Douze & Schmid 2011, "Product Quantization for Nearest Neighbor Search"); then it ranks the best 4 k + 40 again by
      their vectors. It keeps these in half precision (float16), and so needs less memory than "exact". Scores are right
      to about three digits, and items that differ by less than that are mixed up.

    In the last two a removed vector stays, and is passed over ("hnsw" walks the farther for it); build anew when many
    are gone.

    Attributes
    ----------
    kind, metric, model : as given to `build`; `kind` is never "auto".
    dimensions : of the vectors, d.
    recall : recall@10 at the present `effort`, as `build` measured it: how many of a query's ten true neighbours are
        found, on average over 1,000 queries (see `fashionnb.search.index.structures.least_effort`). 1 for "exact"; NaN
        once `effort` was set by hand.
    extra : what the program that saved it wrote beside it, see `save`.
    """

    def __init__(
        self, structure: faiss.Index | None, ids: pa.StringArray, *, kind: str, metric: str, dimensions: int,
        model: str, effort: int | None = None, recall: float = 1.0, shift: Sequence[float] = (0.0,), scale: float = 1.0,
        extra: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:  # fmt: skip
        """For `build` and `load`."""
        self._structure = structure
        self._ids = ids  # null where the item was removed, but its vector is still in the structure
        self.kind, self.metric, self.dimensions, self.model, self.recall = (
            kind,
            metric,
            dimensions,
            model,
            recall,
        )
        self._effort, self._shift, self._scale, self.extra = effort, shift, scale, dict(extra)

    @classmethod
    def build(
        cls,
        vectors: np.ndarray,
        ids: Sequence[str],
        *,
        kind: str = "auto",
        metric: str = "cosine",
        model: str = "",
        recall: float = 0.95,
        seed: int = 0,
    ) -> "Index":
        """An index of these vectors. Introduced in chapter 06.

        It is built on one thread, and so the same vectors and seed give the same index, byte for byte, on any number of
        cores. It is searched on all threads that FAISS may use.

        Parameters
        ----------
        vectors : (n, d) float; they are copied. n may be 0; "ivf-pq" needs at least 256 to learn from.
        ids : n strings, all different, in the order of the vectors.
        kind : "exact", "hnsw", "ivf-pq", or "auto": "exact" up to 100,000 items, then "ivf-pq".
        metric : "cosine", for cosine similarity: the vectors are brought to length 1, where the nearest by Euclidean
            distance have the highest cosine. Or "euclidean", for Euclidean distance (not squared).
        model : the fingerprint of the model that made the vectors, see `fashionnb.checkpoints.fingerprint`. With it,
            `search` and `add` refuse the vectors of another.
        recall : the recall@10 wanted of an approximate kind. Its `effort` is the smallest that reaches it, in steps of
            √2. If none does, a warning is logged, and `recall` says how far the greatest came.
        seed : of what is learnt, and of the sample that measures `recall`.

        Raises
        ------
        DataError : vectors not (n, d), with NaN or infinity, or of length 0 with "cosine"; ids not n different strings;
            an unknown kind or metric; a recall beyond 0 to 1; too few vectors for "ivf-pq".
        """
        for name, given, known in (
            ("kind of index", kind, ("auto", *KINDS)),
            ("metric", metric, METRICS),
        ):
            if given not in known:
                raise DataError(f"There is no {name} {given!r}. Use one of: {', '.join(known)}.")
        if not 0 <= recall <= 1:
            raise DataError(f"The recall that is wanted lies between 0 and 1, got {recall}.")
        x = floats(vectors, "vectors")
        if kind == "auto":
            kind = "exact" if len(x) <= EXACT_UP_TO else "ivf-pq"
        if kind == "ivf-pq" and len(x) < CODES:
            raise DataError(
                f"An ivf-pq index learns from at least {CODES} vectors, got {len(x)}. Use kind='exact'."
            )
        names = strings(ids)
        check_one_each(names, len(x))
        index = cls(None, names, kind=kind, metric=metric, dimensions=x.shape[1], model=model)
        if metric == "euclidean" and len(x):
            index._fit(x)
        x = index._inside(x, "vectors")
        index._structure = structures.build(kind, x, seed)
        if kind != "exact":
            index._effort, index.recall = structures.least_effort(
                kind, index._structure, x, recall, unit=metric == "cosine", seed=seed
            )
        return index

    def __len__(self) -> int:
        return len(self._ids) - self._ids.null_count

    def __repr__(self) -> str:
        how = (
            "" if self.kind == "exact" else f", recall@10 {self.recall:.3f} at effort {self.effort}"
        )
        return f"Index({self.kind}, {len(self):,} items of {self.dimensions} dimensions, {self.metric}{how})"

    @property
    def ids(self) -> np.ndarray:
        """The ids (n,) of the items, as str, in the order in which they came in."""
        return self._ids.drop_null().to_numpy(zero_copy_only=False)

    @property
    def effort(self) -> int | None:
        """How hard an approximate kind searches: more finds more, and takes longer. None for "exact".

        For "hnsw" it is how many candidates the walk keeps (efSearch of FAISS, at least k); for "ivf-pq" how many cells
        are looked into (nprobe). `build` chooses it; set it to draw recall against time. `recall` is not known then.
        """
        return self._effort

    @effort.setter
    def effort(self, effort: int) -> None:
        if self.kind == "exact":
            raise DataError("An exact index has no effort to set: it looks at everything.")
        if not isinstance(effort, int | np.integer) or effort < 1:
            raise DataError(f"The effort is a whole number, at least 1; got {effort!r}.")
        self._effort, self.recall = int(effort), float("nan")

    @property
    def memory_bytes(self) -> int:
        """About how much memory the index holds: vectors, codes, graph and ids."""
        counted = [self._ids.nbytes]
        # As FAISS would write it, but to nowhere.
        faiss.write_index(
            self._structure,
            faiss.PyCallbackIOWriter(lambda block: counted.append(len(block)), 2**20),
        )
        return sum(counted)

    def add(self, vectors: np.ndarray, ids: Sequence[str], *, model: str | None = None) -> None:
        """Put more items in, after those that are there. Nothing is learnt anew, and `recall` not measured again.

        Parameters
        ----------
        vectors, ids : as `build` takes them.
        model : fingerprint of the model that made them; None: not checked.

        Raises
        ------
        DataError : as `build`; another number of dimensions; an id that is there already. The index is then as before.
        ModelMismatch : the index holds vectors of another model.
        """
        self._check_model(model)
        x, more = self._inside(floats(vectors, "vectors"), "vectors"), strings(ids)
        check_one_each(more, len(x))
        known = self._find(more).drop_null()
        if len(known):
            raise DataError(
                f"{len(known)} of these ids are in the index already, {self._ids[known[0].as_py()].as_py()!r} for one. "
                "Remove the old ones first, to replace them."
            )
        with one_thread(), products:
            self._structure.add(x)
        self._ids = pa.concat_arrays([self._ids, more])

    def remove(self, ids: Sequence[str]) -> None:
        """Take items out: they are never found again, and their ids may be used anew.

        Raises
        ------
        DataError : an id that is not there, or is named twice. Nothing is removed then.
        """
        names = strings(ids)
        check_different(names)
        keep = np.ones(len(self._ids), bool)
        keep[self._rows(names)] = False
        if self.kind == "exact":
            self._structure.remove_ids(structures.selector(~keep))
            self._ids = self._ids.filter(pa.array(keep))
        else:
            self._ids = pc.if_else(pa.array(keep), self._ids, pa.scalar(None, pa.string()))

    def search(
        self,
        queries: np.ndarray,
        k: int = 10,
        *,
        among: Sequence[str] | np.ndarray | None = None,
        model: str | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """The k nearest items of each query, the nearest first. Introduced in chapter 06.

        "exact" finds the true neighbours, as far as float32 can tell distances apart, and puts what is equally far in
        the order in which it came in. The approximate kinds may miss some, and give farther ones instead: there are
        always k.

        Parameters
        ----------
        queries : (q, d) float; q may be 0.
        k : how many. With fewer items to choose from, all of them: the results have fewer columns.
        among : search only among these items: their ids, or a mask (n,), bool, over `ids`. Every kind then looks at
            each of them, so nothing is missed, and the time grows with their number.
        model : fingerprint of the model that made the queries; None: not checked.

        Returns
        -------
        ids, scores : (q, k) str (as objects), and (q, k) float32: cosine similarity, or Euclidean distance.

        Raises
        ------
        DataError : queries that `build` would refuse as vectors; another number of dimensions; k below 1; an unknown id
            or a mask of another length in `among`.
        ModelMismatch : the index holds vectors of another model.
        """
        self._check_model(model)
        if k < 1:
            raise DataError(f"k = {k} neighbours were asked for; k must be 1 or more.")
        x = self._inside(floats(queries, "queries"), "queries")
        rows = None if among is None else self._rows_among(among)
        k = min(k, len(self) if rows is None else len(rows))
        if not k or not len(x):
            return np.empty((len(x), k), object), np.empty((len(x), k), np.float32)
        found, squared = self._search_all(x, k) if rows is None else self._scan(x, k, rows)
        ids = (
            self._ids.take(pa.array(found.ravel()))
            .to_numpy(zero_copy_only=False)
            .reshape(found.shape)
        )
        if self.metric == "cosine":
            return ids, np.maximum(1 - squared / 2, -1).astype(np.float32)
        return ids, (np.sqrt(squared) / self._scale).astype(np.float32)

    def save(self, path: Path | str, extra: Mapping[str, Any] | None = None) -> Path:
        """Write the index to one file, whole or not at all.

        Parameters
        ----------
        extra : whatever else belongs to it, to be found again in `extra` after `load`: plain JSON. None: what `extra`
            holds now.

        Raises
        ------
        WriteError : the file cannot be written.
        """
        about = {name: getattr(self, name if name in vars(self) else f"_{name}") for name in ABOUT}
        about["extra"] = self.extra if extra is None else dict(extra)
        stored.write(Path(path), about, self._ids, self._structure)
        return Path(path)

    @classmethod
    def load(cls, path: Path | str) -> "Index":
        """The index that `save` wrote.

        Nothing is unpickled, and FAISS sees only what has the right checksum. A checksum finds accidents, not malice:
        load the index files of people whom you trust.

        Raises
        ------
        DataNotFound : there is no such file.
        DataError : it is no index, is damaged, or was written by a newer version.
        """
        about, ids, structure = stored.read(Path(path))
        return cls(structure, ids, **about)

    def _check_model(self, model: str | None) -> None:
        if model is not None and model != self.model:
            made = f"model {self.model[:12]}…" if self.model else "a model that was not named"
            raise ModelMismatch(
                f"The vectors in this index were made by {made}, these by model {model[:12]}…. Distances between them "
                "mean nothing: embed both with the same model, and give its fingerprint to Index.build(…, model=…)."
            )

    def _find(self, ids: pa.StringArray) -> pa.Int32Array:
        """The row of each id in the structure, null if it has none."""
        return pc.index_in(ids, value_set=self._ids)

    def _rows(self, ids: pa.StringArray) -> np.ndarray:
        """As `_find`, but every id must be there."""
        rows = self._find(ids)
        if rows.null_count:
            first = ids.filter(rows.is_null())[0].as_py()
            raise DataError(
                f"{rows.null_count} of {len(ids)} ids are not in the index, {first!r} for one. `Index.ids` lists them."
            )
        return rows.to_numpy()

    def _rows_among(self, among: Sequence[str] | np.ndarray) -> np.ndarray:
        """The rows (m,), ascending, that ids or a mask stand for."""
        mask = np.asarray(among)
        if mask.dtype != bool:
            return np.unique(self._rows(strings(among)))
        if mask.shape != (len(self),):
            raise DataError(
                f"A mask over the {len(self)} items was expected in `among`, got the shape {mask.shape}."
            )
        return self._present()[mask]

    def _present(self) -> np.ndarray:
        """The rows that have not been removed."""
        return np.flatnonzero(self._ids.is_valid().to_numpy(zero_copy_only=False))

    def _fit(self, x: np.ndarray) -> None:
        """Choose how Euclidean vectors are shifted and scaled inside, so that float16 and squares of float32 suit them.

        The scale is a power of two, and so changes no digit. Only "ivf-pq", which rounds anyway, is shifted.
        """
        some = x[:: max(1, len(x) // 10_000)].astype(np.float64)
        if self.kind == "ivf-pq":
            self._shift = np.median(some, axis=0).tolist()
        if length := np.median(np.linalg.norm(some - self._shift, axis=1)):
            self._scale = float(2.0 ** -np.clip(np.round(np.log2(length)), -100, 100))

    def _inside(self, x: np.ndarray, name: str) -> np.ndarray:
        """Vectors as the structure holds them: of length 1, or shifted and scaled. `x` is changed."""
        if x.shape[1] != self.dimensions:
            raise DataError(
                f"{name}: the index holds vectors of {self.dimensions} dimensions, these have {x.shape[1]}. "
                "Embed both with the same model."
            )
        if self.metric == "cosine":
            return unit(x, name)
        x -= np.array(self._shift, np.float32)
        x *= np.float32(self._scale)
        limit = (
            6e4 if self.kind == "ivf-pq" else 1e16
        )  # float16 ends soon after; float32 at the square, times d
        if (far := np.flatnonzero(largest(x) > limit)).size:
            raise DataError(
                f"{name}: row {far[0]} is {limit:.0e} times as long as is usual here. Is it a mistake?"
            )
        return x

    def _search_all(self, x: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        if self.kind == "exact":
            vectors = faiss.rev_swig_ptr(self._structure.get_xb(), len(self) * self.dimensions)
            return nearest(x, vectors.reshape(len(self), -1), k)
        mask = self._ids.is_valid().to_numpy(zero_copy_only=False) if self._ids.null_count else None
        rows, squared = structures.search(self.kind, self._structure, x, k, self._effort, mask)
        if (short := (rows < 0).any(1)).any():
            rows[short], squared[short] = self._scan(x[short], k, self._present())
        return rows, squared

    def _scan(self, x: np.ndarray, k: int, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The k nearest of these rows (ascending): every one is looked at."""
        found, squared = np.empty((len(x), 0), np.int64), np.empty((len(x), 0))
        for start in range(0, len(rows), CHUNK_ROWS):
            part = rows[start : start + CHUNK_ROWS]
            near, distances = nearest(x, self._structure.reconstruct_batch(part), min(k, len(part)))
            found, squared = np.hstack([found, part[near]]), np.hstack([squared, distances])
            found, squared = (values[:, :k] for values in in_order(found, squared))
        return found, squared


def recall(found: np.ndarray, true: np.ndarray) -> float:
    """How many of each query's true neighbours were found, on average: 0 to 1. Introduced in chapter 06.

    Parameters
    ----------
    found, true : (q, k) ids, as `Index.search` of an approximate and of an exact index gives them.

    Raises
    ------
    DataError : of different shapes, or empty.
    """
    if np.shape(found) != np.shape(true) or not np.size(true):
        raise DataError(
            f"Recall compares two arrays (q, k) of ids, got {np.shape(found)} and {np.shape(true)}."
        )
    return float(
        np.mean(
            [
                len(set(one) & set(other)) / len(other)
                for one, other in zip(found, true, strict=True)
            ]
        )
    )
