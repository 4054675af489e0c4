"""Images to vectors: batched, without gradients, and kept on disk so that the same work is not done twice.

What to do with the vectors: `fashionnb.evaluation` measures them and finds neighbours among them.
"""

import hashlib
import logging
from pathlib import Path

import numpy as np
import safetensors.numpy
import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from tqdm import tqdm

from fashionnb.checkpoints import fingerprint
from fashionnb.errors import DataError
from fashionnb.files import written_whole
from fashionnb.models import as_input

logger = logging.getLogger(__name__)
PROBE = 4  # images that are embedded afresh before a cached file is believed


def embed(
    model: nn.Module,
    images: Tensor | np.ndarray,
    *,
    batch_size: int = 256,
    device: str | None = None,
    cache: Path | str | None = None,
    progress: bool = False,
) -> np.ndarray:
    """The embedding of every image. Introduced in chapter 02.

    Parameters
    ----------
    model : called in eval mode; afterwards its mode and device are what they were.
    images : a tensor (n, channels, height, width), or an array (n, height, width, channels) or (n, height, width);
        uint8, or floats in [0, 1].
    batch_size : images at a time. 256 is about the fastest on a CPU, whose memory is slow to hand out larger pieces;
        a GPU takes more.
    device : where to compute; None is where the model is.
    cache : a folder. The vectors are kept there under a hash of the model's weights and of the images.
    progress : show a bar.

    Returns
    -------
    embeddings : (n, d) float32.

    Raises
    ------
    DataError : images of another shape or kind, or floats outside [0, 1].
    WriteError : the cache cannot be written.
    """
    images = as_tensor(images)
    if cache is None:
        return _compute(model, images, batch_size, device, progress)
    file = Path(cache) / f"{_key(model, images)}.safetensors"
    kept = _read(file)
    # The weights are in the key, the code of the model is not: a few images are embedded again, and must agree.
    probe = _compute(model, images[:PROBE], batch_size, device, progress=False)
    if (
        kept is not None
        and len(kept) == len(images)
        and np.allclose(kept[:PROBE], probe, rtol=1e-2, atol=1e-3)
    ):
        return kept
    embeddings = _compute(model, images, batch_size, device, progress)
    with written_whole(file) as aside:
        aside.write_bytes(safetensors.numpy.save({"embeddings": embeddings}))
    return embeddings


def as_tensor(images: Tensor | np.ndarray) -> Tensor:
    """Images as `embed` takes them, as one tensor (n, channels, height, width), uint8 or float32 in [0, 1].

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


def _key(model: nn.Module, images: Tensor) -> str:
    digest = hashlib.sha256(f"{fingerprint(model)} {images.dtype} {tuple(images.shape)}".encode())
    digest.update(images.cpu().contiguous().numpy())
    return digest.hexdigest()[:32]


def _read(file: Path) -> np.ndarray | None:
    """The vectors in a cached file; None if there is none, or it is broken (then they are computed again)."""
    if not file.exists():
        return None
    try:
        return safetensors.numpy.load(file.read_bytes())["embeddings"]
    except (SafetensorError, KeyError) as error:
        logger.warning("%s is broken (%s); computing it again.", file, error)
        return None
