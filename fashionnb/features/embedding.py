"""Images to embeddings: in batches, without gradients, and kept on disk if a cache is given.

`embed` takes images in memory or a catalogue. `embed_images` goes through a catalogue whose images
need not fit into memory, and lists those that cannot be read. What to do with the embeddings:
`fashionnb.evaluation` measures them, `fashionnb.search` finds neighbours among them.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from tqdm import tqdm

from fashionnb.arrays import slices
from fashionnb.checkpoints import fingerprint, image_size
from fashionnb.data.catalogue import Catalogue, Images
from fashionnb.data.decoding import decode, is_blank
from fashionnb.data.images import letterbox
from fashionnb.errors import DataError, ModelMismatch
from fashionnb.features.store import Features, FeatureStore, digest_of
from fashionnb.models import as_input, evaluating

BATCH = 256
CHUNK = 2048  # images of a catalogue that are in memory at a time

# uint8 (m, height, width, channels) -> (m, d) float32, each row of length 1.
Encode = Callable[[np.ndarray], np.ndarray]


def embed(
    model: nn.Module,
    images: Tensor | np.ndarray | Catalogue,
    *,
    batch_size: int = BATCH,
    device: str | None = None,
    cache: Path | str | None = None,
) -> np.ndarray:
    """Compute the embeddings of images with a network, in batches.

    Parameters
    ----------
    model : nn.Module
        Called in evaluation mode; afterwards its mode and device are what they were.
    images : Tensor, ndarray or Catalogue
        A tensor of shape (n, channels, height, width) or an array of shape (n, height, width[,
        channels]); uint8, or floats in [0, 1]. Images of a catalogue are prepared as the model's
        card says, some at a time, so that memory stays flat.
    batch_size : int
        Images at a time. 256 is about the fastest on a CPU; a GPU takes more.
    device : str, optional
        Where to compute; by default where the model is.
    cache : Path or str, optional
        A folder. The embeddings are kept there under a hash of the model's weights and of each
        image.

    Returns
    -------
    ndarray of shape (n, d), float32
        As the model returns them, in the order of the images.

    Raises
    ------
    DataError
        If the images have another shape or type, or floats outside [0, 1].
    ModelMismatch
        If the images are a catalogue, and the model has no card that says their size.
    WriteError
        If the cache cannot be written.
    """
    if isinstance(images, Catalogue):
        return _embed_catalogue(model, images, batch_size, device, cache)
    images = as_tensor(images)
    if cache is None:
        return _compute(model, images, batch_size, device)
    shape = f"{images.dtype} {tuple(images.shape[1:])}"
    store = FeatureStore(cache, "embed", fingerprint(model), shape)
    found = store.fill(
        [digest_of(image) for image in images.cpu().contiguous().numpy()],
        lambda rows: {"vector": _compute(model, images[rows], batch_size, device)},
        chunk=batch_size,
    )
    store.close()
    return found["vector"]


def as_tensor(images: Tensor | np.ndarray) -> Tensor:
    """Convert images to the tensor that `embed` computes embeddings of.

    Parameters
    ----------
    images : Tensor or ndarray
        A tensor of shape (n, channels, height, width) or an array of shape (n, height, width[,
        channels]); uint8, or floats in [0, 1].

    Returns
    -------
    Tensor of shape (n, channels, height, width), uint8 or float32
        The same values; float64 becomes float32.

    Raises
    ------
    DataError
        For another shape or dtype, or floats outside [0, 1].
    """
    if isinstance(images, np.ndarray):
        if images.ndim not in (3, 4):
            raise DataError(
                f"An array of images is (n, height, width[, channels]), got {images.shape}."
            )
        images = images[..., None] if images.ndim == 3 else images
        images = torch.from_numpy(np.require(images, requirements=["C", "W"])).permute(0, 3, 1, 2)
    if images.ndim != 4:
        raise DataError(
            f"A tensor of images is (n, channels, height, width), got {tuple(images.shape)}."
        )
    if images.dtype == torch.float64:
        images = images.float()
    if (
        images.dtype == torch.float32
        and len(images)
        and not (images.min() >= 0 and images.max() <= 1)
    ):
        raise DataError(
            f"Float images lie in [0, 1], these go from {images.min():.3g} to {images.max():.3g}. "
            "Divide by 255, or pass uint8; the model normalises by itself."
        )
    if images.dtype not in (torch.uint8, torch.float32):
        raise DataError(f"Images are uint8 (0 to 255) or floats (0 to 1), got {images.dtype}.")
    return images


@dataclass(frozen=True, eq=False)
class Embedded:
    """Embeddings of images, in the order of a catalogue, and which images could not be read.

    Parameters
    ----------
    vectors : ndarray of shape (n, d), float32
        Each of length 1.
    gallery : Catalogue
        The n images, in the same order.
    unreadable : DataFrame
        One row per image that was left out, with its `id` and `why`.
    new : int
        How many of the n were embedded now; the others were in the cache.
    blank : list of str
        The ids of the images that show nothing, only one colour.
    """

    vectors: np.ndarray
    gallery: Catalogue
    unreadable: pd.DataFrame
    new: int
    blank: list[str]


def embed_images(
    encode: Encode,
    catalogue: Catalogue,
    size: int | tuple[int, int],
    channels: int,
    *,
    store: FeatureStore | None = None,
    batch_size: int = BATCH,
    strict: bool = False,
    progress: bool = True,
) -> Embedded:
    """Compute the embeddings of more images than fit into memory: each batch is read and forgotten.

    At any time there are only the pixels of one batch in memory, and as many whole images as
    threads decode.

    Parameters
    ----------
    encode : callable
        uint8 (m, height, width, channels) -> (m, d) float32, each row of length 1.
    catalogue : Catalogue
        Whose images are embedded.
    size : int or (int, int)
        Of the images in pixels, one number or height and width; they are letterboxed to it.
    channels : int
        1 for grey, 3 for colour.
    store : FeatureStore, optional
        Where embeddings are kept; by default nowhere.
    batch_size : int
        Images at a time.
    strict : bool
        One unreadable image makes the whole useless: after the first, images are only read, to find
        the others, unless a store keeps the work.
    progress : bool
        Show a bar.

    Returns
    -------
    Embedded
        Of the images that could be read.

    Raises
    ------
    WriteError
        If the store cannot be written.
    """
    read = partial(_read, catalogue.images, size, channels, store)
    again = partial(_read, catalogue.images, size, channels, None)
    keys, ids = catalogue.table["image"].tolist(), catalogue.ids
    vectors = []
    blank = []
    failures = []
    new = 0
    with (
        ThreadPoolExecutor(min(torch.get_num_threads(), 8)) as pool,
        tqdm(total=len(keys), unit="image", desc="embed", disable=not progress) as bar,
    ):
        for start in range(0, len(keys), batch_size):
            batch = list(pool.map(read, keys[start : start + batch_size]))
            failures += [one.failure for one in batch]
            whole = [one for one in batch if not one.failure]
            names = [ids[start + i] for i, one in enumerate(batch) if not one.failure]
            useless = strict and store is None and any(failures)
            if whole and not useless:
                found = _embed_batch(encode, whole, again, store)
                vectors.append(found["vector"])
                blank += np.array(names, dtype=object)[found["blank"] > 0].tolist()
                new += sum(one.pixels is not None for one in whole)
            bar.update(len(batch))
    why = np.array(failures, dtype=object)
    failed = why != ""
    unreadable = pd.DataFrame({"id": catalogue.table["id"].to_numpy()[failed], "why": why[failed]})
    found = np.concatenate(vectors) if vectors else np.empty((0, 0), np.float32)
    return Embedded(found, catalogue.take(~failed), unreadable, new, blank)


def _embed_catalogue(
    model: nn.Module,
    catalogue: Catalogue,
    batch_size: int,
    device: str | None,
    cache: Path | str | None,
) -> np.ndarray:
    card = getattr(model, "card", None)
    if card is None:
        raise ModelMismatch(
            f"{type(model).__name__} has no card that says the size of its images. Open a model "
            "with fashionnb.load_model, or prepare the images: embed(model, "
            "catalogue.tensor(size, channels))."
        )
    size = image_size(card, type(model).__name__)
    rows = np.arange(len(catalogue))
    # At least one chunk, so that no images give an array (0, d).
    chunks = [catalogue.take(rows[chunk]) for chunk in slices(len(rows) or 1, CHUNK)]
    options = {"batch_size": batch_size, "device": device, "cache": cache}
    return np.concatenate(
        [embed(model, some.tensor(size, card.channels), **options) for some in chunks]
    )


def _compute(model: nn.Module, images: Tensor, batch_size: int, device: str | None) -> np.ndarray:
    home = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    there = device or home
    try:
        with evaluating(model.to(there)):
            parts = [
                model(as_input(images[start : start + batch_size].to(there))).float().cpu()
                # At least one turn, so that no images give an array (0, d).
                for start in range(0, len(images) or 1, batch_size)
            ]
    finally:
        model.to(home)
    return torch.cat(parts).numpy()


@dataclass
class _Image:
    """One image while its batch is embedded: pixels are None if the store knows its embedding."""

    key: object
    digest: bytes = b""
    pixels: np.ndarray | None = None
    blank: bool = False
    failure: str = ""


def _read(
    images: Images,
    size: int | tuple[int, int],
    channels: int,
    store: FeatureStore | None,
    key: object,
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
            return _Image(key, digest)
        # As `prepared` does for queries; decoding a photo whole takes longer than a small network.
        stored = isinstance(content, bytes)
        image = decode(content, images.where(key), size) if stored else content
        return _Image(key, digest, letterbox(image, size, channels), is_blank(image))
    except DataError as error:
        return _Image(key, failure=str(error))


def _embed_batch(
    encode: Encode,
    images: list[_Image],
    again: Callable[[object], _Image],
    store: FeatureStore | None,
) -> Features:
    """Embed images that could be read; `again` reads one that was not decoded, by its key.

    Besides the embedding of each ("vector"), 1 for one that is blank and 0 for others ("blank").
    """

    def compute(rows: np.ndarray) -> Features:
        some = [images[row] for row in rows]
        some = [again(one.key) if one.pixels is None else one for one in some]
        vectors = encode(np.stack([one.pixels for one in some]))
        return {"vector": vectors, "blank": np.array([one.blank for one in some], np.float32)}

    if store is None:
        return compute(np.arange(len(images)))
    return store.fill([one.digest for one in images], compute, chunk=len(images))
