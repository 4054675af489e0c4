"""What was computed from images, kept on disk under the content of each image: computed once, read
afterwards.

A `FeatureStore` is one SQLite file. Its name says what made the features: the fingerprint of the
model and the preprocessing. `fashionnb.features.embedding` and all other modules of this room keep
theirs here.
"""

import hashlib
import json
import logging
import sqlite3
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from fashionnb.data.images import Images, as_stored
from fashionnb.errors import WriteError

PROBE = 4
"""So many features that are known are computed again before the others are believed."""

# What SQLite calls a file that is damaged, is no database, or has other tables.
_BROKEN = ("SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_ERROR")

_TABLES = """
CREATE TABLE IF NOT EXISTS layouts (name TEXT PRIMARY KEY, layout TEXT);
CREATE TABLE IF NOT EXISTS features (digest BLOB PRIMARY KEY, layout TEXT, content BLOB);
"""

logger = logging.getLogger(__name__)

# Name -> array with one row for each image; every name has the same number of rows.
Features = dict[str, np.ndarray]


class FeatureStore:
    """Store for features of images: one SQLite file, each under the digest of its image.

    Every `put` is one transaction, so a killed process leaves whole batches behind. A file that is
    broken is replaced, with a warning in the log, and its features are computed again. Threads and
    processes may share the file.

    Parameters
    ----------
    folder : Path, str or None
        Made if it is not there. None keeps the features in memory, until `close`.
    *made_by : str
        What the features depend on apart from the image: the model's fingerprint, the size, the
        version of a computation. They are hashed into the name of the file.

    Raises
    ------
    WriteError
        From every method: if the file cannot be opened or written, or the disk is full.
    """

    def __init__(self, folder: Path | str | None, *made_by: str) -> None:
        name = f"{digest_of(*made_by).hex()[:32]}.sqlite"
        self.file = None if folder is None else Path(folder) / name
        self._lock = threading.RLock()
        self._database: sqlite3.Connection | None = None
        self._trusted = False  # whether the code that computes was found to give what is kept

    def fill(
        self,
        digests: Sequence[bytes],
        compute: Callable[[np.ndarray], Features],
        *,
        chunk: int = 256,
    ) -> Features:
        """Features of all images: those that are known are read, the others are computed and kept.

        The code that computes is not part of the key. Therefore a few of the known features are
        computed again, once for each store object, and if they do not agree, all are.

        Parameters
        ----------
        digests : sequence of n bytes
            One for each image, as `digests_of` gives them.
        compute : callable
            Rows (m,) int64, m <= `chunk` -> their features.
        chunk : int
            Images at a time; each chunk is kept when it is done.

        Returns
        -------
        dict of str to ndarray of shape (n, ...)
        """
        kept = self.get(digests)
        known = np.array([one is not None for one in kept], bool)
        probe = np.flatnonzero(known)[:PROBE]
        if len(probe) and not self._trusted:
            self._trusted = True
            if not _agree(_stacked([kept[row] for row in probe]), compute(probe)):
                logger.warning("%s was made by other code; computing it again.", self.file)
                self._run("DELETE FROM features")
                known[:] = False
        unknown = np.flatnonzero(~known)
        for start in range(0, len(unknown), chunk):
            rows = unknown[start : start + chunk]
            found = compute(rows)
            self.put([digests[row] for row in rows], found)
            for place, row in enumerate(rows):
                kept[row] = {name: array[place] for name, array in found.items()}
        return _stacked(kept) if kept else compute(np.arange(0))

    def get(self, digests: Sequence[bytes]) -> list[Features | None]:
        """The features of each image; None where they are not known, or damaged."""
        layouts = {
            name: _row_type(json.loads(text)) for name, text in self._run("SELECT * FROM layouts")
        }
        found = []
        for digest in digests:
            rows = self._run("SELECT layout, content FROM features WHERE digest = ?", (digest,))
            layout, content = rows[0] if rows else (None, None)
            found.append(_unpacked(layouts.get(layout), content))
        return found

    def knows(self, digest: bytes) -> bool:
        """Are there features under this digest?"""
        return bool(self._run("SELECT 1 FROM features WHERE digest = ?", (digest,)))

    def put(self, digests: Sequence[bytes], features: Features) -> None:
        """Keep features of some images, each under its digest."""
        layout = {
            name: [array.dtype.str, list(array.shape[1:])] for name, array in features.items()
        }
        text = json.dumps(layout, sort_keys=True)
        name = hashlib.sha256(text.encode()).hexdigest()[:16]
        self._run("INSERT OR REPLACE INTO layouts VALUES (?, ?)", (name, text))
        table = np.empty(len(digests), _row_type(layout))
        for part, array in features.items():
            table[part] = array
        rows = [(digest, name, row.tobytes()) for digest, row in zip(digests, table, strict=True)]
        self._run("INSERT OR REPLACE INTO features VALUES (?, ?, ?)", rows, many=True)

    def close(self) -> None:
        """Let go of the file. Using the store again opens it again."""
        with self._lock:
            if self._database is not None:
                self._database.close()
                self._database = None

    def _run(self, statement: str, values: list | tuple = (), many: bool = False) -> list[tuple]:
        """Execute one statement as one transaction; if the file turns out to be broken, on a new
        file.
        """
        with self._lock:
            for attempt in (1, 2):
                try:
                    with self._open() as database:
                        execute = database.executemany if many else database.execute
                        return execute(statement, values).fetchall()
                except (sqlite3.Error, OSError) as error:
                    self.close()
                    code = getattr(error, "sqlite_errorname", "")
                    if attempt == 2 or self.file is None or not code.startswith(_BROKEN):
                        raise WriteError(
                            f"{self.file}: cannot be used as a cache ({error}). Choose a folder "
                            "that you may write to (FASHIONNB_CACHE names it where no other is "
                            "named), or make room on the disk."
                        ) from error
                    logger.warning("%s is broken (%s); computing it again.", self.file, error)
                    for file in (self.file, self.file.with_name(f"{self.file.name}-journal")):
                        file.unlink(missing_ok=True)

    def _open(self) -> sqlite3.Connection:
        if self._database is None:
            if self.file is not None:
                self.file.parent.mkdir(parents=True, exist_ok=True)
            # Up to a minute of waiting for another process that writes; threads wait for the lock.
            place = self.file or ":memory:"
            self._database = sqlite3.connect(place, timeout=60, check_same_thread=False)
            self._database.executescript(_TABLES)
        return self._database


def digest_of(*parts: bytes | str | np.ndarray) -> bytes:
    """Compute the digest (SHA-256) under which features are stored, from what they depend on.

    Each part is hashed by itself, so that the borders between parts count.

    Parameters
    ----------
    *parts : bytes, str or ndarray
        What the features depend on, such as the content of an image.

    Returns
    -------
    bytes
        Of length 32.
    """
    total = hashlib.sha256()
    for part in parts:
        content = part.encode() if isinstance(part, str) else part
        total.update(hashlib.sha256(content).digest())
    return total.digest()


def digests_of(images: Images, keys: Sequence) -> list[bytes]:
    """Compute the digest under which to store the features of each image, from its file's content.

    The files are read, but not decoded.

    Parameters
    ----------
    images : Images
        Where the images are.
    keys : sequence
        Of the n images, as `images` takes them.

    Returns
    -------
    list of n bytes
        For `FeatureStore.fill`.

    Raises
    ------
    DataError, DataNotFound
        If an image cannot be read.
    """
    return [digest_of(as_stored(images, key)) for key in keys]


def _row_type(layout: dict[str, list]) -> np.dtype:
    """How the features of one image lie in its bytes: one array after the other, by name."""
    return np.dtype(
        [(name, dtype, tuple(shape)) for name, (dtype, shape) in sorted(layout.items())]
    )


def _unpacked(row_type: np.dtype | None, content: object) -> Features | None:
    """Features from their bytes; None if these are damaged."""
    if row_type is None or not isinstance(content, bytes) or len(content) != row_type.itemsize:
        return None
    row = np.frombuffer(content, row_type)[0]
    features = {name: row[name] for name in row_type.names}
    whole = all(np.isfinite(array).all() for array in features.values())
    return features if whole else None


def _stacked(rows: list[Features]) -> Features:
    return {name: np.stack([row[name] for row in rows]) for name in rows[0]}


def _agree(kept: Features, now: Features) -> bool:
    """True if both are the same up to what another thread count or batch size changes."""
    return kept.keys() == now.keys() and all(
        kept[name].shape == array.shape and np.allclose(kept[name], array, rtol=1e-2, atol=1e-3)
        for name, array in now.items()
    )
