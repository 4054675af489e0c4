"""Any number of pictures to vectors: read, embedded and forgotten batch by batch, so that memory stays flat.

`stream` goes through the pictures of a store and leaves out none silently. `VectorCache` keeps each vector under the
content of its picture, so that a folder that has grown costs only what is new. `fashionnb.features.embedding` is for
pictures that are in memory already; `fashionnb.search.engine` puts the vectors to use.
"""

import hashlib
import logging
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from fashionnb.data.catalogue import Images
from fashionnb.data.images import FolderImages, ZipImages, decode, letterbox
from fashionnb.errors import DataError, WriteError
from fashionnb.features.embedding import PROBE

BATCH = 256
logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Batch:
    """What came of one batch of pictures.

    rows : (m,) int64, which pictures were embedded, counted from the first of all. vectors : (m, d) float32.
    failed : (row, why) of each picture that cannot be read. read : how many pictures the batch had.
    """

    rows: np.ndarray
    vectors: np.ndarray
    failed: list[tuple[int, str]]
    read: int


def stream(
    encode: Callable[[np.ndarray], np.ndarray],
    images: Images,
    keys: Iterable,
    size: int | tuple[int, int],
    channels: int,
    *,
    cache: "VectorCache | None" = None,
    batch_size: int = BATCH,
    strict: bool = False,
) -> Iterator[Batch]:
    """Embed the pictures of a store, batch by batch. Introduced in chapter 05.

    At any time there are only the pixels of one batch, at the size of the model, and as many whole pictures as threads
    decode. `keys` may be endless: no more of them are taken than were asked for.

    Parameters
    ----------
    encode : uint8 (m, height, width, channels) -> (m, d) float32, each of length 1.
    images, keys : a store (see `fashionnb.data.images`) and the keys of the pictures, in order.
    size, channels : what `encode` takes; pictures are letterboxed to it.
    cache : where vectors are kept. None: nowhere.
    strict : one unreadable picture makes the whole useless. After the first, pictures are only read, to find the
        others, and no longer embedded, unless a cache keeps the work.

    Yields
    ------
    Batch

    Raises
    ------
    WriteError : the cache cannot be written.
    """
    keys, start, failures, believed = iter(keys), 0, 0, cache is None
    with ThreadPoolExecutor(min(torch.get_num_threads(), 8)) as pool:
        while batch := list(islice(keys, batch_size)):
            reader = partial(
                _read, images, size=size, channels=channels, cache=cache, decode_known=not believed
            )
            read = list(pool.map(reader, batch))
            failed = [(start + i, one.failure) for i, one in enumerate(read) if one.failure]
            failures += len(failed)
            rows = [i for i, one in enumerate(read) if not one.failure]
            if strict and failures and cache is None:
                rows = []
            whole = [read[i] for i in rows]
            if not believed and (known := [one for one in whole if one.vector is not None]):
                # The weights are in the cache's name, the code of the model is not: the first pictures that the cache
                # knows are embedded again, and must agree.
                believed = True
                if not _agree(encode, known[:PROBE]):
                    logger.warning(
                        "%s was made by other code; its vectors are computed again.", cache.file
                    )
                    cache.clear()
                    for one in known:
                        one.vector = None
            _fill(encode, whole, cache)
            vectors = (
                np.stack([one.vector for one in whole]) if whole else np.empty((0, 0), np.float32)
            )
            yield Batch(start + np.array(rows, np.int64), vectors, failed, len(batch))
            start += len(batch)


def collect(
    batches: Iterable[Batch], n: int, progress: bool = True
) -> tuple[np.ndarray, np.ndarray, list]:
    """All vectors of a stream of `n` pictures in one array, with a bar. Introduced in chapter 05.

    Returns
    -------
    vectors, rows, failed : (m, d) float32; (m,) int64, which pictures these are; and the (row, why) of the others.
    """
    vectors, rows, failed = np.empty((0, 0), np.float32), np.empty(n, np.int64), []
    filled = 0
    with tqdm(total=n, unit="picture", desc="embed", disable=not progress) as bar:
        for batch in batches:
            here = slice(filled, filled + len(batch.rows))
            if not filled and len(
                batch.rows
            ):  # made once and filled, so that the vectors never lie in memory twice
                vectors = np.empty((n, batch.vectors.shape[1]), np.float32)
            if len(batch.rows):
                vectors[here], rows[here] = batch.vectors, batch.rows
            filled = here.stop
            failed += batch.failed
            bar.update(batch.read)
    return vectors[:filled], rows[:filled], failed


class VectorCache:
    """Vectors by the content of their pictures, in one SQLite file. Introduced in chapter 05.

    Every batch is one transaction, so a killed process leaves whole batches behind. A file that is broken is thrown
    away, with a warning in the log, and its vectors are computed again. Several threads may use it.

    Raises
    ------
    WriteError : the file cannot be opened or written, or the disk is full. Also raised by `get`, `put` and `clear`.
    """

    def __init__(self, file: Path | str) -> None:
        self.file = Path(file)
        self._lock = threading.RLock()
        self._database: sqlite3.Connection | None = None

    def get(self, digest: bytes) -> np.ndarray | None:
        """The vector (d,) float32 of the picture with this digest; None if there is none, or it is damaged."""
        found = self._run("SELECT vector FROM vectors WHERE digest = ?", (digest,))
        try:
            vector = np.frombuffer(found[0][0], "<f4")
        except (
            IndexError,
            TypeError,
            ValueError,
        ):  # not there; not bytes; not a whole number of floats
            return None
        return vector if abs(np.linalg.norm(vector) - 1) < 1e-3 else None

    def put(self, digests: list[bytes], vectors: np.ndarray) -> None:
        """Keep these vectors (m, d), each under the digest of its picture."""
        rows = [
            (digest, vector.astype("<f4").tobytes())
            for digest, vector in zip(digests, vectors, strict=True)
        ]
        self._run("INSERT OR REPLACE INTO vectors VALUES (?, ?)", rows, many=True)

    def clear(self) -> None:
        """Forget all vectors."""
        self._run("DELETE FROM vectors")

    def close(self) -> None:
        """Let go of the file. Using the cache again opens it again."""
        with self._lock:
            if self._database is not None:
                self._database.close()
                self._database = None

    def _run(self, statement: str, values: list | tuple = (), many: bool = False) -> list[tuple]:
        """Do one statement as one transaction; if the file turns out to be broken, on a new file."""
        with self._lock:
            for attempt in (1, 2):
                try:
                    database = self._open()
                    with database:
                        done = (
                            database.executemany(statement, values)
                            if many
                            else database.execute(statement, values)
                        )
                        return done.fetchall()
                except (sqlite3.Error, OSError) as error:
                    self.close()
                    if attempt == 2 or not getattr(error, "sqlite_errorname", "").startswith(
                        _BROKEN
                    ):
                        raise WriteError(
                            f"{self.file}: cannot be used as a cache ({error}). Name another folder that you may write "
                            "to, make room on the disk, or go without a cache."
                        ) from error
                    logger.warning(
                        "%s is broken (%s); computing its vectors again.", self.file, error
                    )
                    for name in (self.file, self.file.with_name(f"{self.file.name}-journal")):
                        name.unlink(missing_ok=True)

    def _open(self) -> sqlite3.Connection:
        if self._database is None:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            # Ten seconds of patience with another process that is writing; the lock takes care of other threads.
            self._database = sqlite3.connect(self.file, timeout=10, check_same_thread=False)
            self._database.execute(
                "CREATE TABLE IF NOT EXISTS vectors (digest BLOB PRIMARY KEY, vector BLOB)"
            )
        return self._database


# What SQLite calls a file that is damaged, is no database, or has other tables.
_BROKEN = ("SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_ERROR")


@dataclass
class _Read:
    """What is known of one picture while its batch is in work."""

    digest: bytes = b""
    pixels: np.ndarray | None = None
    vector: np.ndarray | None = None
    failure: str = ""


def _read(
    images: Images,
    key: object,
    *,
    size: int | tuple[int, int],
    channels: int,
    cache: VectorCache | None,
    decode_known: bool,
) -> _Read:
    """Read one picture; decode it if its vector is not known, or if `decode_known`."""
    try:
        if isinstance(images, FolderImages | ZipImages):
            content = images.read(key)
            digest = hashlib.sha256(content).digest()
        else:  # a store that has no files: its pictures are known by their pixels
            content = images.image(key)
            digest = hashlib.sha256(
                f"{content.mode} {content.size}".encode() + content.tobytes()
            ).digest()
        vector = None if cache is None else cache.get(digest)
        if vector is not None and not decode_known:
            return _Read(digest, vector=vector)
        image = decode(content, images.where(key)) if isinstance(content, bytes) else content
        return _Read(digest, letterbox(image, size, channels), vector)
    except DataError as error:
        return _Read(failure=str(error))


def _fill(
    encode: Callable[[np.ndarray], np.ndarray], read: list[_Read], cache: VectorCache | None
) -> None:
    """Embed those that have no vector yet, in place, and keep what is new."""
    new = [one for one in read if one.vector is None]
    if not new:
        return
    vectors = encode(np.stack([one.pixels for one in new]))
    for one, vector in zip(new, vectors, strict=True):
        one.vector = vector
    if cache is not None:
        cache.put([one.digest for one in new], vectors)


def _agree(encode: Callable[[np.ndarray], np.ndarray], known: list[_Read]) -> bool:
    kept, now = (
        np.stack([one.vector for one in known]),
        encode(np.stack([one.pixels for one in known])),
    )
    return kept.shape == now.shape and np.allclose(kept, now, rtol=1e-2, atol=1e-3)
