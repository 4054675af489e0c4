"""Index of vectors: nearest neighbours by cosine similarity, exact or approximate, and its file.

FAISS searches (Douze et al. 2024, The Faiss library; `fashionnb.search.faiss_structures`). Here is
what FAISS leaves open: string ids, ties, and a file that is checked before it is read. An index
takes vectors; pictures are searched with `fashionnb.search.engine`. How good an embedding is, is
measured in `fashionnb.evaluation.retrieval`, and how fast an index is in
`fashionnb.search.benchmark`.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pyarrow as pa
import safetensors.numpy
from safetensors import SafetensorError

from fashionnb.errors import DataError, DataNotFound
from fashionnb.evaluation.neighbours import check_vectors, nearest_neighbours
from fashionnb.files import written_whole
from fashionnb.search.faiss_structures import (
    CODES,
    KINDS,
    build_structure,
    least_effort,
    search_structure,
)

EXACT_UP_TO = 100_000  # items, for kind "auto"
FILE_NAME, FILE_VERSION = b"fashionnb index ", b"1\n"

# The same in every file of this version: vectors of length 1, as they are.
METRIC = {"metric": "cosine", "shift": [0.0], "scale": 1.0}


@dataclass(eq=False, repr=False)
class Index:
    """Index of vectors with string ids, exact or approximate, for nearest-neighbour search.

    `Index.build` makes one, `Index.load` reads one. There are three kinds:

    - "exact" compares with every vector. It misses nothing, and its time grows with the number of
      items.
    - "hnsw" follows a graph that links each vector to near ones (Malkov & Yashunin 2018). It is
      fast, needs the most memory (the vectors and 16 to 32 links of each) and takes longest to
      build.
    - "ivf-pq" searches only some of √n cells, and there codes of 2 bits per dimension instead of
      vectors (Jégou, Douze & Schmid 2011); then it ranks the best 4 k + 40 again by their vectors.
      These are in float16, so it needs less memory than "exact". Scores are right to about three
      digits, and items that differ by less are in any order.

    An index is not changed: when items are added or removed, build it again. What takes long is to
    embed the images, and their embeddings are cached.

    Parameters
    ----------
    _structure : faiss.Index
        Holds the n vectors, each of length 1.
    _ids : pyarrow.StringArray of length n
        All different, in the order of the vectors.
    kind : {"exact", "hnsw", "ivf-pq"}
        As given to `build`, or chosen by it.
    model : str
        The fingerprint of the model that made the vectors; "" if it is not known.
    effort : int or None
        How much an approximate kind searches: more finds more, more slowly. For "hnsw" it is the
        number of candidates (efSearch of FAISS, at least k), for "ivf-pq" the number of cells
        searched (nprobe). `build` chooses it. None for "exact".
    recall : float
        Recall@10 at this effort, as `build` measured it: the share of a query's ten true neighbours
        that are found. 1 for "exact".
    extra : dict
        What else belongs to the index, plain JSON; it is saved in its file.

    References
    ----------
    Malkov & Yashunin (2018), Efficient and robust approximate nearest neighbor search using
    Hierarchical Navigable Small World graphs. Jégou, Douze & Schmid (2011), Product Quantization
    for Nearest Neighbor Search.
    """

    _structure: faiss.Index
    _ids: pa.StringArray
    kind: str
    model: str
    effort: int | None
    recall: float
    extra: dict[str, Any]

    @classmethod
    def build(
        cls,
        vectors: np.ndarray,
        ids: Sequence[str],
        *,
        kind: str = "auto",
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
            They are copied and scaled to length 1. n is at least 1; "ivf-pq" needs at least 256 to
            train on.
        ids : sequence of n str
            All different, in the order of the vectors.
        kind : {"auto", "exact", "hnsw", "ivf-pq"}
            "auto" is "exact" up to 100,000 items, then "ivf-pq".
        model : str
            The fingerprint of the model that made the vectors, see
            `fashionnb.checkpoints.fingerprint`; it is saved with the index.
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
            different strings, the kind is unknown, the recall is beyond 0 to 1, or there are too
            few vectors.
        """
        if kind not in ("auto", *KINDS):
            raise DataError(
                f"There is no kind of index {kind!r}. Use one of: auto, {', '.join(KINDS)}."
            )
        if not 0 <= recall <= 1:
            raise DataError(f"The recall that is wanted is between 0 and 1, got {recall}.")
        x = check_vectors(vectors, "vectors", "cosine")
        names = _different_strings(ids)
        if len(names) != len(x) or not len(x):
            raise DataError(
                f"{len(x)} vectors need {len(x)} ids, got {len(names)}; at least one of each."
            )
        if kind == "auto":
            kind = "exact" if len(x) <= EXACT_UP_TO else "ivf-pq"
        if kind == "ivf-pq" and len(x) < CODES:
            raise DataError(
                f"An ivf-pq index trains on at least {CODES} vectors, got {len(x)}. "
                "Use kind='exact'."
            )
        structure = build_structure(kind, x, seed)
        effort = None
        reached = 1.0
        if kind != "exact":
            effort, reached = least_effort(kind, structure, x, recall, seed)
        return cls(structure, names, kind, model, effort, reached, extra={})

    def __len__(self) -> int:
        return len(self._ids)

    def __repr__(self) -> str:
        items = f"{len(self):,} items of {self._structure.d} dimensions"
        approximate = f", recall@10 {self.recall:.3f} at effort {self.effort}"
        return f"Index({self.kind}, {items}{approximate if self.effort else ''})"

    @property
    def ids(self) -> np.ndarray:
        """The ids of the items, (n,) str as objects, in the order of the vectors."""
        return self._ids.to_numpy(zero_copy_only=False)

    @property
    def memory_bytes(self) -> int:
        """About how much memory vectors, codes, graph and ids need. Makes a copy of them."""
        return self._ids.nbytes + faiss.serialize_index(self._structure).nbytes

    def search(
        self,
        queries: np.ndarray,
        k: int = 10,
        *,
        among: np.ndarray | None = None,
        effort: int | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Find the k nearest items of each query, the nearest first.

        "exact" finds the true neighbours, up to rounding in float32, and equally distant ones in
        the order of their vectors. The approximate kinds may miss some and give more distant ones
        instead: there are always k.

        Parameters
        ----------
        queries : array of shape (q, d), any real numbers
            q may be 0.
        k : int
            With fewer items to choose from, all of them are returned, in fewer columns.
        among : ndarray of shape (n,), bool, optional
            Search only these items, a mask over `ids`. Every kind then compares with each of them,
            so nothing is missed; time and memory grow with their number.
        effort : int, optional
            Of an approximate kind, 1 or more; by default that of the index.

        Returns
        -------
        ids : ndarray of shape (q, k), str as objects
        scores : ndarray of shape (q, k), float32
            Cosine similarity.

        Raises
        ------
        DataError
            For queries that `build` would refuse as vectors, another number of dimensions, k or an
            effort below 1, or a mask of another length.
        """
        effort = self.effort if effort is None else effort
        if k < 1 or (effort is not None and effort < 1):
            raise DataError(
                f"{k} neighbours were asked for, with effort {effort}; k must be 1 or more, "
                "and so must the effort."
            )
        x = check_vectors(queries, "queries", "cosine")
        if x.shape[1] != self._structure.d:
            raise DataError(
                f"queries: the index has vectors of {self._structure.d} dimensions, these have "
                f"{x.shape[1]}. Embed both with the same model."
            )
        if among is not None:
            found, squared = self._search_among(x, k, np.asarray(among))
        elif self.kind == "exact":
            vectors = faiss.rev_swig_ptr(self._structure.get_xb(), len(self) * x.shape[1])
            found, squared = nearest_neighbours(
                x, vectors.reshape(len(self), -1), min(k, len(self))
            )
        else:
            found, squared = search_structure(
                self.kind, self._structure, x, min(k, len(self)), effort
            )
            short = (found < 0).any(1)
            if short.any():
                everything = np.ones(len(self), bool)
                found[short], squared[short] = self._search_among(x[short], k, everything)
        ids = self._ids.take(pa.array(found.ravel())).to_numpy(zero_copy_only=False)
        return ids.reshape(found.shape), np.maximum(1 - squared / 2, -1).astype(np.float32)

    def save(self, path: Path | str) -> Path:
        """Write the index to one file, completely or not at all.

        The file has a name, a version and a checksum, then a safetensors with the properties, the
        ids and the structure.

        Raises
        ------
        WriteError
            If the file cannot be written.
        """
        about = {
            "kind": self.kind, "metric": METRIC["metric"], "dimensions": self._structure.d,
            "model": self.model, "effort": self.effort, "recall": self.recall,
            "shift": METRIC["shift"], "scale": METRIC["scale"], "extra": self.extra,
        }  # fmt: skip
        ids = pa.BufferOutputStream()
        table = pa.record_batch({"ids": self._ids})
        with pa.ipc.new_stream(ids, table.schema) as writer:
            writer.write_batch(table)
        parts = {
            "about": np.frombuffer(json.dumps(about).encode(), np.uint8),
            "ids": np.frombuffer(ids.getvalue(), np.uint8),
            "structure": faiss.serialize_index(self._structure),
        }
        body = safetensors.numpy.save(parts)
        checksum = hashlib.sha256(body).digest()
        with written_whole(path) as aside:
            aside.write_bytes(FILE_NAME + FILE_VERSION + checksum + body)
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
            if (structure.ntotal, ids.null_count) != (len(ids), 0):
                raise ValueError("ids and vectors do not belong together")
            if about != about | METRIC | {"dimensions": structure.d}:
                raise ValueError("its vectors are not of length 1, or of other dimensions")
            names = ("kind", "model", "effort", "recall", "extra")
            return cls(structure, ids, **{name: about[name] for name in names})
        except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
            raise DataError(
                f"{path} cannot be read by this version ({error}). Build the index again."
            ) from error

    def _search_among(
        self, x: np.ndarray, k: int, among: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The k nearest of the items of a mask, exactly: rows and squared distances."""
        if among.dtype != bool or among.shape != (len(self),):
            raise DataError(
                f"A mask over the {len(self)} items was expected in `among`, bool, got "
                f"{among.dtype} of the shape {among.shape}."
            )
        rows = np.flatnonzero(among)
        if not len(rows):
            return np.empty((len(x), 0), np.int64), np.empty((len(x), 0))
        vectors = self._structure.reconstruct_batch(rows)
        found, squared = nearest_neighbours(x, vectors, min(k, len(rows)))
        return rows[found], squared


def _different_strings(ids: Sequence[str]) -> pa.StringArray:
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
    if len(array.unique()) < len(array):
        name, count = Counter(array.to_pylist()).most_common(1)[0]
        raise DataError(f"Ids must all be different: {name!r} is there {count} times.")
    return array


def _checked(path: Path, content: bytes) -> bytes:
    """What follows name, version and checksum of a file, if all three are right."""
    if not content.startswith(FILE_NAME + FILE_VERSION):
        raise DataError(
            f"{path} is not an index of fashionnb, or one of a newer version of fashionnb. "
            "`Index.save` writes such files; install the newer version, or build the index again."
        )
    start = len(FILE_NAME + FILE_VERSION)
    checksum, body = content[start : start + 32], content[start + 32 :]
    if hashlib.sha256(body).digest() != checksum:
        raise DataError(
            f"{path} is damaged: its checksum is wrong. Copy it again from where it came, "
            "or build the index again."
        )
    return body
