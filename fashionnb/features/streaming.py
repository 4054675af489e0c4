"""Any number of images to embeddings: read, embedded and forgotten batch by batch, so that memory
stays flat.

`stream` goes through the images and reports each that cannot be read.
`fashionnb.features.embedding` is for images that are in memory already; `fashionnb.search.engine`
searches among the embeddings.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice

import numpy as np
import torch
from tqdm import tqdm

from fashionnb.data.catalogue import Images
from fashionnb.data.images import decode, letterbox
from fashionnb.errors import DataError
from fashionnb.features.store import FeatureStore, digest_of

BATCH = 256

# uint8 (m, height, width, channels) -> (m, d) float32, each row of length 1.
Encode = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class Batch:
    """The embeddings of one batch of images.

    Attributes
    ----------
    rows : ndarray of shape (m,), int64
        Which images these are, counted from the first of all.
    vectors : ndarray of shape (m, d), float32
    digests : list of m bytes
        Under which the vectors are kept in a `FeatureStore`.
    new : int
        How many of them the store did not have.
    failed : list of (int, str)
        Row and reason of each image that cannot be read.
    read : int
        How many images the batch had.
    """

    rows: np.ndarray
    vectors: np.ndarray
    digests: list[bytes]
    new: int
    failed: list[tuple[int, str]]
    read: int


def stream(
    encode: Encode,
    images: Images,
    keys: Iterable,
    size: int | tuple[int, int],
    channels: int,
    *,
    store: FeatureStore | None = None,
    batch_size: int = BATCH,
    strict: bool = False,
) -> Iterator[Batch]:
    """Embed images batch by batch.

    At any time there are only the pixels of one batch in memory, and as many whole images as
    threads decode.

    Parameters
    ----------
    encode : callable
        uint8 (m, height, width, channels) -> (m, d) float32, each row of length 1.
    images : Images
        See `fashionnb.data.images`.
    keys : iterable
        The keys of the images, in order. May be endless.
    size, channels : int or (int, int), int
        What `encode` takes; images are letterboxed to it.
    store : FeatureStore, optional
        Where embeddings are kept; by default nowhere.
    batch_size : int
    strict : bool
        One unreadable image makes the whole useless: after the first, images are only read, to find
        the others, unless a store keeps the work.

    Yields
    ------
    Batch

    Raises
    ------
    WriteError
        If the store cannot be written.
    """
    keys, start, useless = iter(keys), 0, False
    read = partial(_read, images, size=size, channels=channels)
    with ThreadPoolExecutor(min(torch.get_num_threads(), 8)) as pool:
        while batch := list(islice(keys, batch_size)):
            found = list(pool.map(partial(read, store=store), batch))
            failed = [(start + row, one.failure) for row, one in enumerate(found) if one.failure]
            rows = [row for row, one in enumerate(found) if not one.failure]
            useless = useless or (strict and store is None and bool(failed))
            if useless:
                rows = []
            whole = [found[row] for row in rows]
            vectors = _embed(encode, whole, [batch[row] for row in rows], read, store)
            yield Batch(
                rows=start + np.array(rows, np.int64),
                vectors=vectors,
                digests=[one.digest for one in whole],
                new=sum(one.pixels is not None for one in whole),
                failed=failed,
                read=len(batch),
            )
            start += len(batch)


def collect(
    batches: Iterable[Batch], n: int, progress: bool = True
) -> tuple[np.ndarray, np.ndarray, list[tuple[int, str]]]:
    """Put all embeddings of a stream of n images into one array.

    Returns
    -------
    vectors : ndarray of shape (m, d), float32
    rows : ndarray of shape (m,), int64
        Which images these are.
    failed : list of (int, str)
        Row and reason of each of the others.
    """
    vectors, rows, failed = np.empty((0, 0), np.float32), np.empty(n, np.int64), []
    filled = 0
    with tqdm(total=n, unit="image", desc="embed", disable=not progress) as bar:
        for batch in batches:
            here = slice(filled, filled + len(batch.rows))
            if not filled and len(batch.rows):  # made once, so that memory never holds them twice
                vectors = np.empty((n, batch.vectors.shape[1]), np.float32)
            if len(batch.rows):
                vectors[here], rows[here] = batch.vectors, batch.rows
            filled = here.stop
            failed += batch.failed
            bar.update(batch.read)
    return vectors[:filled], rows[:filled], failed


@dataclass
class _Image:
    """One image while its batch is embedded: pixels are None if the store knows its embedding."""

    digest: bytes = b""
    pixels: np.ndarray | None = None
    failure: str = ""


def _read(
    images: Images,
    key: object,
    *,
    size: int | tuple[int, int],
    channels: int,
    store: FeatureStore | None = None,
) -> _Image:
    """Read one image; decode it if its embedding is not known."""
    try:
        if hasattr(images, "read"):
            content = images.read(key)
            digest = digest_of(content)
        else:  # no files: the images are known by their pixels
            content = images.image(key)
            digest = digest_of(f"{content.mode} {content.size}", content.tobytes())
        if store is not None and store.knows(digest):
            return _Image(digest)
        image = decode(content, images.where(key)) if isinstance(content, bytes) else content
        return _Image(digest, letterbox(image, size, channels))
    except DataError as error:
        return _Image(failure=str(error))


def _embed(
    encode: Encode,
    images: list[_Image],
    keys: list,
    read: Callable[[object], _Image],
    store: FeatureStore | None,
) -> np.ndarray:
    if not images:
        return np.empty((0, 0), np.float32)

    def pixels(row: int) -> np.ndarray:
        image = images[row]
        if image.pixels is None:  # the store knows it, and wants to check that
            image = read(keys[row])
        if image.failure:
            raise DataError(image.failure)
        return image.pixels

    def compute(rows: np.ndarray) -> dict[str, np.ndarray]:
        return {"vector": encode(np.stack([pixels(row) for row in rows]))}

    if store is None:
        return compute(np.arange(len(images)))["vector"]
    return store.fill([image.digest for image in images], compute, chunk=len(images))["vector"]
