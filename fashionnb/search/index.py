"""Index of vectors: nearest neighbours, exact or approximate, in memory and in a file.

FAISS searches (Douze et al. 2024, The Faiss library; `fashionnb.search.faiss_structures`). Here is
what FAISS leaves open: string ids, ties, removed items, and a file that is checked before it is
read. An index takes vectors; pictures are searched with `fashionnb.search.engine`. How good an
embedding is, is measured in `fashionnb.evaluation.retrieval`, and how fast an index is in
`fashionnb.search.benchmark`.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import safetensors.numpy
from safetensors import SafetensorError

from fashionnb.errors import DataError, DataNotFound, ModelMismatch
from fashionnb.evaluation.neighbours import (
    check_vectors,
    largest,
    nearest_neighbours,
    slices,
    sort_neighbours,
)
from fashionnb.files import written_whole
from fashionnb.search.faiss_structures import (
    CODES,
    KINDS,
    add_vectors,
    build_structure,
    least_effort,
    row_selector,
    search_structure,
)

EXACT_UP_TO = 100_000  # items, for kind "auto"
CHUNK_ROWS = 65_536
FILE_NAME, FILE_VERSION = b"fashionnb index ", b"1\n"


class Index:
    """Vectors with ids, to be searched by vector. `Index.build` makes one, `Index.load` reads one.

    - "exact" compares with every vector. It misses nothing, and its time grows with the number of
      items.
    - "hnsw" follows a graph that links each vector to near ones (Malkov & Yashunin 2018). It is
      fast, needs the most memory (the vectors and 16 to 32 links of each) and takes longest to
      build.
    - "ivf-pq" searches only some of √n cells, and there codes of 2 bits per dimension instead of
      vectors (Jégou, Douze & Schmid 2011); then it ranks the best 4 k + 40 again by their vectors.
      These are in float16, so it needs less memory than "exact". Scores are right to about three
      digits, and items that differ by less are in any order.

    In the last two a removed vector stays and is skipped ("hnsw" searches more for it). Build the
    index again when many are removed.

    Attributes
    ----------
    kind, metric, model : str
        As given to `build`; `kind` is never "auto".
    dimensions : int
        Of the vectors, d.
    recall : float
        Recall@10 at the present `effort`, as `build` measured it: the share of a query's ten true
        neighbours that are found. 1 for "exact"; NaN after `effort` was set.
    extra : dict
        What the program that saved the index added, see `save`.

    References
    ----------
    Malkov & Yashunin (2018), Efficient and robust approximate nearest neighbor search using
    Hierarchical Navigable Small World graphs. Jégou, Douze & Schmid (2011), Product Quantization
    for Nearest Neighbor Search.
    """

    def __init__(
        self, structure: faiss.Index | None, ids: pa.StringArray, *, kind: str, metric: str,
        dimensions: int, model: str, effort: int | None = None, recall: float = 1.0,
        shift: Sequence[float] = (0.0,), scale: float = 1.0,
        extra: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        """For `build` and `load`."""
        self._structure = structure
        self._ids = ids  # null where an item was removed, but its vector is still in the structure
        self.kind, self.metric, self.dimensions = kind, metric, dimensions
        self.model, self.recall, self.extra = model, recall, dict(extra or {})
        self._effort, self._shift, self._scale = effort, shift, scale

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
        """Build an index of these vectors.

        It is built on one thread, so the same vectors and seed give the same index, byte for byte,
        on any number of cores. It is searched on all threads that FAISS may use.

        Parameters
        ----------
        vectors : array of shape (n, d), any real numbers
            They are copied. n may be 0; "ivf-pq" needs at least 256 to train on.
        ids : sequence of n str
            All different, in the order of the vectors.
        kind : {"auto", "exact", "hnsw", "ivf-pq"}
            "auto" is "exact" up to 100,000 items, then "ivf-pq".
        metric : {"cosine", "euclidean"}
            Cosine similarity, for which the vectors are scaled to length 1, or Euclidean distance.
        model : str
            The fingerprint of the model that made the vectors, see
            `fashionnb.checkpoints.fingerprint`. With it, `search` and `add` refuse the vectors of
            another model.
        recall : float
            The recall@10 wanted of an approximate kind, 0 to 1. Its `effort` is the least that
            reaches it. If none does, a warning is logged.
        seed : int
            Of the training, and of the sample that measures `recall`.

        Returns
        -------
        Index

        Raises
        ------
        DataError
            If `fashionnb.evaluation.neighbours.check_vectors` refuses the vectors, ids are not n
            different strings, the kind is unknown, the recall is beyond 0 to 1, there are too few
            vectors for "ivf-pq", or one is too long for its float16.
        """
        if kind not in ("auto", *KINDS):
            raise DataError(
                f"There is no kind of index {kind!r}. Use one of: auto, {', '.join(KINDS)}."
            )
        if not 0 <= recall <= 1:
            raise DataError(f"The recall that is wanted is between 0 and 1, got {recall}.")
        x, names = check_vectors(vectors, "vectors", metric), _one_id_each(ids, len(vectors))
        if kind == "auto":
            kind = "exact" if len(x) <= EXACT_UP_TO else "ivf-pq"
        if kind == "ivf-pq" and len(x) < CODES:
            raise DataError(
                f"An ivf-pq index trains on at least {CODES} vectors, got {len(x)}. "
                "Use kind='exact'."
            )
        index = cls(None, names, kind=kind, metric=metric, dimensions=x.shape[1], model=model)
        if metric == "euclidean" and len(x):
            index._choose_scale(x)
        index._apply_scale(x, "vectors")
        index._structure = build_structure(kind, x, seed)
        if kind != "exact":
            index._effort, index.recall = least_effort(
                kind, index._structure, x, recall, metric == "cosine", seed
            )
        return index

    def __len__(self) -> int:
        return len(self._ids) - self._ids.null_count

    def __repr__(self) -> str:
        items = f"{len(self):,} items of {self.dimensions} dimensions"
        approximate = f", recall@10 {self.recall:.3f} at effort {self.effort}"
        return f"Index({self.kind}, {items}, {self.metric}{approximate if self.effort else ''})"

    @property
    def ids(self) -> np.ndarray:
        """The ids of the items, (n,) str as objects, in the order in which they were added."""
        return self._ids.drop_null().to_numpy(zero_copy_only=False)

    @property
    def effort(self) -> int | None:
        """How much an approximate kind searches: more finds more, more slowly. None for "exact".

        For "hnsw" it is the number of candidates (efSearch of FAISS, at least k), for "ivf-pq" the
        number of cells searched (nprobe). `build` chooses it. When it is set, `recall` becomes
        unknown.
        """
        return self._effort

    @effort.setter
    def effort(self, effort: int) -> None:
        if self.kind == "exact":
            raise DataError("An exact index has no effort to set: it compares with every vector.")
        if not isinstance(effort, int | np.integer) or effort < 1:
            raise DataError(f"The effort is a whole number, at least 1; got {effort!r}.")
        self._effort, self.recall = int(effort), float("nan")

    @property
    def memory_bytes(self) -> int:
        """About how much memory vectors, codes, graph and ids need. Makes a copy of them."""
        return self._ids.nbytes + faiss.serialize_index(self._structure).nbytes

    def add(self, vectors: np.ndarray, ids: Sequence[str], *, model: str | None = None) -> None:
        """Add items. Nothing is trained again, and `recall` is not measured again.

        Parameters
        ----------
        vectors, ids
            As `build` takes them.
        model : str, optional
            Fingerprint of the model that made the vectors. By default not checked.

        Raises
        ------
        DataError
            As `build`; for another number of dimensions; for an id that is in the index. The index
            is then as before.
        ModelMismatch
            If the index has vectors of another model.
        """
        x, more = self._prepare(vectors, "vectors", model), _one_id_each(ids, len(vectors))
        known = self._find(more).drop_null()
        if len(known):
            raise DataError(
                f"{len(known)} of these ids are in the index already, "
                f"{self._ids[known[0].as_py()].as_py()!r} for one. "
                "Remove the old ones first, to replace them."
            )
        add_vectors(self._structure, x)
        self._ids = pa.concat_arrays([self._ids, more])

    def remove(self, ids: Sequence[str]) -> None:
        """Remove items: they are not found any more, and their ids may be used again.

        Raises
        ------
        DataError
            For an id that is not in the index, or is given twice. Nothing is removed then.
        """
        names = _different_strings(ids)
        keep = np.ones(len(self._ids), bool)
        keep[self._rows(names)] = False
        if self.kind == "exact":
            self._structure.remove_ids(row_selector(~keep))
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
        """Find the k nearest items of each query, the nearest first.

        "exact" finds the true neighbours, up to rounding in float32, and equally distant ones in
        the order in which they were added. The approximate kinds may miss some and give more
        distant ones instead: there are always k.

        Parameters
        ----------
        queries : array of shape (q, d), any real numbers
            q may be 0.
        k : int
            With fewer items to choose from, all of them are returned, in fewer columns.
        among : sequence of str, or ndarray of shape (n,), bool, optional
            Search only these items: their ids, or a mask over `ids`. Every kind then compares with
            each of them, so nothing is missed, and the time grows with their number.
        model : str, optional
            Fingerprint of the model that made the queries. By default not checked.

        Returns
        -------
        ids : ndarray of shape (q, k), str as objects
        scores : ndarray of shape (q, k), float32
            Cosine similarity, or Euclidean distance.

        Raises
        ------
        DataError
            For queries that `build` would refuse as vectors, another number of dimensions, k below
            1, or an unknown id or a mask of another length in `among`.
        ModelMismatch
            If the index has vectors of another model.
        """
        if k < 1:
            raise DataError(f"k = {k} neighbours were asked for; k must be 1 or more.")
        x = self._prepare(queries, "queries", model)
        rows = None if among is None else self._rows_among(among)
        k = min(k, len(self) if rows is None else len(rows))
        if not k or not len(x):
            return np.empty((len(x), k), object), np.empty((len(x), k), np.float32)
        found, squared = self._search_all(x, k) if rows is None else self._search_rows(x, k, rows)
        ids = self._ids.take(pa.array(found.ravel())).to_numpy(zero_copy_only=False)
        scores = np.sqrt(squared) / self._scale
        if self.metric == "cosine":
            scores = np.maximum(1 - squared / 2, -1)
        return ids.reshape(found.shape), scores.astype(np.float32)

    def save(self, path: Path | str, extra: Mapping[str, Any] | None = None) -> Path:
        """Write the index to one file, completely or not at all.

        The file has a name, a version and a checksum, then a safetensors with the properties, the
        ids and the structure.

        Parameters
        ----------
        path : Path or str
        extra : mapping, optional
            What else belongs to it, plain JSON; `load` gives it back in `extra`. By default what
            `extra` is now.

        Returns
        -------
        Path

        Raises
        ------
        WriteError
            If the file cannot be written.
        """
        about = {
            "kind": self.kind, "metric": self.metric, "dimensions": self.dimensions,
            "model": self.model, "effort": self._effort, "recall": self.recall,
            "shift": self._shift, "scale": self._scale,
            "extra": self.extra if extra is None else dict(extra),
        }  # fmt: skip
        parts = {
            "about": np.frombuffer(json.dumps(about).encode(), np.uint8),
            "ids": np.frombuffer(_pack_ids(self._ids), np.uint8),
            "structure": faiss.serialize_index(self._structure),
        }
        body = safetensors.numpy.save(parts)
        checksum = hashlib.sha256(body).digest()
        with written_whole(Path(path)) as aside, aside.open("wb") as file:
            file.writelines((FILE_NAME, FILE_VERSION, checksum, body))
        return Path(path)

    @classmethod
    def load(cls, path: Path | str) -> "Index":
        """Read an index that `save` wrote.

        Nothing is unpickled, and FAISS reads only what has the right checksum. A checksum finds
        accidents, not malice: load index files only of people whom you trust.

        Raises
        ------
        DataNotFound
            If there is no such file.
        DataError
            If it is not an index, is damaged, or was written by a newer version.
        """
        path = Path(path)
        if not path.is_file():
            raise DataNotFound(
                f"{path} is not there. `fashionnb index build` (or `Index.save`) makes such a file."
            )
        body = _checked(path, path.read_bytes())
        try:
            parts = safetensors.numpy.load(body)
            about = json.loads(parts["about"].tobytes())
            with pa.ipc.open_stream(parts["ids"].tobytes()) as stream:
                ids = stream.read_next_batch()["ids"]
            structure = faiss.deserialize_index(parts["structure"])
            if (structure.ntotal, structure.d) != (len(ids), about["dimensions"]):
                raise ValueError("ids and vectors do not belong together")
            return cls(structure, ids, **about)
        except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
            raise DataError(
                f"{path} cannot be read by this version ({error}). Build the index again."
            ) from error

    def _find(self, ids: pa.StringArray) -> pa.Int32Array:
        """The row of each id in the structure, null if it has none."""
        return pc.index_in(ids, value_set=self._ids)

    def _rows(self, ids: pa.StringArray) -> np.ndarray:
        """The row of each id, which must be in the index."""
        rows = self._find(ids)
        if rows.null_count:
            first = ids.filter(rows.is_null())[0].as_py()
            raise DataError(
                f"{rows.null_count} of {len(ids)} ids are not in the index, {first!r} for one. "
                "`Index.ids` lists them."
            )
        return rows.to_numpy()

    def _rows_among(self, among: Sequence[str] | np.ndarray) -> np.ndarray:
        """The rows (m,), ascending, that ids or a mask stand for."""
        mask = np.asarray(among)
        if mask.dtype != bool:
            return np.unique(self._rows(_strings(among)))
        if mask.shape != (len(self),):
            raise DataError(
                f"A mask over the {len(self)} items was expected in `among`, "
                f"got the shape {mask.shape}."
            )
        return np.flatnonzero(self._present())[mask]

    def _present(self) -> np.ndarray:
        """A mask over the rows of the structure: those not removed."""
        return self._ids.is_valid().to_numpy(zero_copy_only=False)

    def _prepare(self, values: np.ndarray, name: str, model: str | None) -> np.ndarray:
        """Check vectors that were given, and make them as the structure has them."""
        if model is not None and model != self.model:
            made = f"model {self.model[:12]}…" if self.model else "a model that was not named"
            raise ModelMismatch(
                f"The vectors in this index were made by {made}, these by model {model[:12]}…. "
                "Distances between them have no meaning: embed both with the same model, "
                "and give its fingerprint to Index.build(…, model=…)."
            )
        x = check_vectors(values, name, self.metric)
        if x.shape[1] != self.dimensions:
            raise DataError(
                f"{name}: the index has vectors of {self.dimensions} dimensions, these have "
                f"{x.shape[1]}. Embed both with the same model."
            )
        self._apply_scale(x, name)
        return x

    def _choose_scale(self, x: np.ndarray) -> None:
        """Choose a shift and scale for Euclidean vectors, within the range of float16 and squares.

        The scale is a power of two and changes no digit. Only "ivf-pq", which rounds anyway, is
        shifted.
        """
        some = x[:: max(1, len(x) // 10_000)].astype(np.float64)
        if self.kind == "ivf-pq":
            self._shift = np.median(some, axis=0).tolist()
        if length := np.median(np.linalg.norm(some - self._shift, axis=1)):
            self._scale = float(2.0 ** -np.clip(np.round(np.log2(length)), -100, 100))

    def _apply_scale(self, x: np.ndarray, name: str) -> None:
        """Shift and scale vectors in place; for cosine they stay as they are."""
        if self.metric == "cosine":
            return
        x -= np.array(self._shift, np.float32)
        x *= np.float32(self._scale)
        # float16 ends soon after 6e4, and float32 after the square of 1e16 times d.
        limit = 6e4 if self.kind == "ivf-pq" else 1e16
        if (far := np.flatnonzero(largest(x) > limit)).size:
            raise DataError(
                f"{name}: row {far[0]} is {limit:.0e} times as long as is usual here. "
                "Is it a mistake?"
            )

    def _search_all(self, x: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        if self.kind == "exact":
            vectors = faiss.rev_swig_ptr(self._structure.get_xb(), len(self) * self.dimensions)
            return nearest_neighbours(x, vectors.reshape(len(self), -1), k)
        present = self._present() if self._ids.null_count else None
        rows, squared = search_structure(self.kind, self._structure, x, k, self._effort, present)
        if (short := (rows < 0).any(1)).any():
            everything = np.flatnonzero(self._present())
            rows[short], squared[short] = self._search_rows(x[short], k, everything)
        return rows, squared

    def _search_rows(
        self, x: np.ndarray, k: int, rows: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The k nearest of these rows (ascending), exactly."""
        found, squared = np.empty((len(x), 0), np.int64), np.empty((len(x), 0))
        for part in slices(len(rows), CHUNK_ROWS):
            vectors = self._structure.reconstruct_batch(rows[part])
            near, distances = nearest_neighbours(x, vectors, min(k, len(vectors)))
            found = np.hstack([found, rows[part][near]])
            found, squared = sort_neighbours(found, np.hstack([squared, distances]))
            found, squared = found[:, :k], squared[:, :k]
        return found, squared


def _strings(ids: Sequence[str]) -> pa.StringArray:
    """Ids as Arrow keeps them: their letters and four bytes more each, without Python objects."""
    if isinstance(ids, str):
        raise DataError(
            f"Ids are a sequence of strings, got the single string {ids!r}. Write [{ids!r}]."
        )
    try:
        array = pa.array(list(ids), pa.string())
    except (TypeError, ValueError) as error:
        raise DataError(
            f"Ids are strings: {error}. Make them strings, for instance by [str(id) for id in ids]."
        ) from error
    if array.null_count:
        raise DataError(
            f"Ids are strings, but {array.null_count} of these {len(array)} are None or NaN."
        )
    return array


def _different_strings(ids: Sequence[str]) -> pa.StringArray:
    names = _strings(ids)
    if len(names.unique()) < len(names):
        name, count = Counter(names.to_pylist()).most_common(1)[0]
        raise DataError(f"Ids must all be different: {name!r} is there {count} times.")
    return names


def _one_id_each(ids: Sequence[str], n: int) -> pa.StringArray:
    names = _different_strings(ids)
    if len(names) != n:
        raise DataError(f"{n} vectors need {n} ids, got {len(names)}.")
    return names


def _pack_ids(ids: pa.StringArray) -> pa.Buffer:
    stream = pa.BufferOutputStream()
    table = pa.record_batch({"ids": ids})
    with pa.ipc.new_stream(stream, table.schema) as writer:
        writer.write_batch(table)
    return stream.getvalue()


def _checked(path: Path, content: bytes) -> bytes:
    """What follows name, version and checksum of a file, if all three are right."""
    if not content.startswith(FILE_NAME):
        raise DataError(f"{path} is not an index of fashionnb. `Index.save` writes such files.")
    if not content.startswith(FILE_NAME + FILE_VERSION):
        raise DataError(
            f"{path} was written by a newer version of fashionnb. "
            "Install that, or build the index again."
        )
    start = len(FILE_NAME + FILE_VERSION)
    checksum, body = content[start : start + 32], content[start + 32 :]
    if hashlib.sha256(body).digest() != checksum:
        raise DataError(
            f"{path} is damaged: its checksum is wrong. Copy it again from where it came, "
            "or build the index again."
        )
    return body
