"""Images to embeddings: in batches, without gradients, and kept on disk if a cache is given.

`fashionnb.features.streaming` does the same for images that do not fit into memory. What to do with
the embeddings: `fashionnb.evaluation` measures them, `fashionnb.search` finds neighbours among
them.
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from fashionnb.checkpoints import fingerprint, image_size
from fashionnb.data.catalogue import Catalogue
from fashionnb.errors import DataError, ModelMismatch
from fashionnb.features.store import FeatureStore, digest_of
from fashionnb.models import as_input

CHUNK = 2048  # images of a catalogue that are in memory at a time


def embed(
    model: nn.Module,
    images: Tensor | np.ndarray | Catalogue,
    *,
    batch_size: int = 256,
    device: str | None = None,
    cache: Path | str | None = None,
    progress: bool = False,
) -> np.ndarray:
    """Compute the embedding of every image.

    Parameters
    ----------
    model : nn.Module
        Called in evaluation mode; afterwards its mode and device are what they were.
    images : Tensor of shape (n, channels, height, width), ndarray of shape (n, height, width[,
    channels]) or Catalogue
        uint8, or floats in [0, 1]. Images of a catalogue are prepared as the model's card says,
        some at a time, so that memory stays flat.
    batch_size : int
        Images at a time. 256 is about the fastest on a CPU; a GPU takes more.
    device : str, optional
        Where to compute; by default where the model is.
    cache : Path or str, optional
        A folder. The embeddings are kept there under a hash of the model's weights and of each
        image.
    progress : bool
        Show a bar.

    Returns
    -------
    ndarray of shape (n, d), float32

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
        return _of_catalogue(model, images, batch_size, device, cache, progress)
    images = as_tensor(images)
    if cache is None:
        return _compute(model, images, batch_size, device, progress)
    shape = f"{images.dtype} {tuple(images.shape[1:])}"
    store = FeatureStore(cache, "embed", fingerprint(model), shape)
    digests = [digest_of(image) for image in images.cpu().contiguous().numpy()]
    found = store.fill(
        digests,
        lambda rows: {"vector": _compute(model, images[rows], batch_size, device, False)},
        chunk=batch_size,
        progress=progress,
    )
    store.close()
    return found["vector"]


def as_tensor(images: Tensor | np.ndarray) -> Tensor:
    """Images as `embed` takes them, as one tensor (n, channels, height, width), uint8 or float32 in
    [0, 1].

    Raises
    ------
    DataError : another shape or kind, or floats outside [0, 1].
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


def _of_catalogue(
    model: nn.Module,
    catalogue: Catalogue,
    batch_size: int,
    device: str | None,
    cache: Path | str | None,
    progress: bool,
) -> np.ndarray:
    card = getattr(model, "card", None)
    if card is None:
        raise ModelMismatch(
            f"{type(model).__name__} has no card that says the size of its images. Open a model "
            f"with "
            "fashionnb.load_model, or prepare the images: embed(model, catalogue.tensor(size, "
            "channels))."
        )
    parts = []
    for start in tqdm(
        range(0, len(catalogue) or 1, CHUNK), unit="chunk", desc="embed", disable=not progress
    ):
        some = catalogue.take(np.arange(start, min(start + CHUNK, len(catalogue))))
        images = some.tensor(image_size(card, type(model).__name__), card.channels)
        parts.append(embed(model, images, batch_size=batch_size, device=device, cache=cache))
    return np.concatenate(parts)


@torch.no_grad()
def _compute(
    model: nn.Module, images: Tensor, batch_size: int, device: str | None, progress: bool
) -> np.ndarray:
    at_home = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    modes = {
        module: module.training for module in model.modules()
    }  # some may be frozen in eval mode
    try:
        model.to(device or at_home).eval()
        parts = [
            model(as_input(images[start : start + batch_size].to(device or at_home))).float().cpu()
            # At least one turn, so that no images give an array (0, d).
            for start in tqdm(
                range(0, len(images) or 1, batch_size),
                unit="batch",
                desc="embed",
                disable=not progress,
            )
        ]
    finally:
        model.to(at_home)
        for module, training in modes.items():
            module.training = training
    return torch.cat(parts).numpy()
