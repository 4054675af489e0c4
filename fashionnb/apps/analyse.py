"""From a folder of plain product photos to a detector's files, so that a user without a detector can begin.

The garment is told from a smooth backdrop (`fashionnb.data.foreground`), its colour named as the eye would
(`fashionnb.data.colour`), and its type, pattern and season by the multi-task model of chapter 07. What is written,
`fashionnb.data.detector` reads. One photo, one garment, framed as in a shop: of rooms or streets it makes nothing good.
"""

import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from PIL import Image
from tqdm import tqdm

from fashionnb import checkpoints
from fashionnb.data import detector
from fashionnb.data.attribute_encoder import AttributeEncoder
from fashionnb.data.colour import dominant_colour, name_colours
from fashionnb.data.detector import Item
from fashionnb.data.folder import SUFFIXES
from fashionnb.data.foreground import foreground
from fashionnb.data.images import FolderImages, letterbox
from fashionnb.errors import DataError, DataNotFound, ModelMismatch
from fashionnb.models.fusion import AttributeHeads

MODEL = "multitask"
"""The published model that is taken if none is named."""

_FIELDS = {"category": "det_label", "pattern": "pattern", "season": "season"}
_SIZE = 64  # pixels that the model looks at, if its card does not say it
_SMALLEST, _LARGEST = 64, 256  # pixels: enough to tell a garment from the wall
_AROUND = 0.02  # of the photo's longer side is left around the garment
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Analysed:
    """What `analyse` did. Introduced in chapter 07.

    files : the JSON files, one for each photo. skipped : (photo, why) of those that could not be read.
    """

    files: tuple[Path, ...]
    skipped: tuple[tuple[str, str], ...]


def analyse(
    folder: Path | str,
    out: Path | str,
    *,
    model: Path | str | None = None,
    unreadable: str = "raise",
    progress: bool = False,
) -> Analysed:
    """Find the garment in each photo of a folder, and write what it is. Introduced in chapter 07.

    All photos are looked at before anything is written, and a JSON is written after its crop. So there are whole files,
    or none.

    Parameters
    ----------
    folder : photos, also in folders below; other files are left alone.
    out : where for each photo ``fashion_analysis_<photo>.json`` and its crop go, in the same folders. Not within
        `folder`, or the next run would take the crops for photos.
    model : a folder with an `AttributeHeads` and its ``attributes.json``; None: the published "multitask".
    unreadable : "raise", or "skip" to leave out photos that cannot be read, and report them.
    progress : show a bar.

    Returns
    -------
    Analysed : what was written, what was skipped.

    Raises
    ------
    DataNotFound : there is no such folder, or the model is not there.
    DataError : no photo, a photo that cannot be read, `out` within `folder`, or another word for `unreadable`.
    ModelMismatch : the checkpoint is broken, or holds something else.
    WriteError : `out` cannot be written.
    """
    folder, out = Path(folder), Path(out)
    if unreadable not in ("raise", "skip"):
        raise DataError(f"unreadable is 'raise' or 'skip', got {unreadable!r}.")
    if not folder.is_dir():
        raise DataNotFound(
            f"{folder}: there is no such folder. Name the folder that your photos are in."
        )
    if out.resolve().is_relative_to(folder.resolve()):
        raise DataError(
            f"{out} is within {folder}: the next run would take its crops for photos. Choose another."
        )
    photos = FolderImages(folder)
    names = [name for name in photos.names if PurePosixPath(name).suffix.lower() in SUFFIXES]
    if not names:
        raise DataError(f"{folder}: there is no photo in it. Photos end in {', '.join(SUFFIXES)}.")
    heads, encoder, size = _model(model)
    found, skipped = {}, []
    for name in tqdm(names, unit="photo", desc="analyse", disable=not progress):
        try:
            found[name] = _item(photos.image(name), heads, encoder, size)
        except DataError as error:
            if unreadable == "raise":
                raise DataError(
                    f"{error} Nothing was written; to leave such photos out, skip the unreadable."
                ) from error
            _log.warning("A photo was skipped. %s", error)
            skipped.append((name, str(error)))
    files = []
    for name, stem in zip(found, _stems(found), strict=True):
        path = PurePosixPath(stem)
        item = found[name].model_copy(update={"crop_file": f"{path.name}_00_crop.jpg"})
        crop = photos.image(name).convert("RGB").crop(tuple(map(int, item.box)))
        file = out / path.parent / f"fashion_analysis_{path.name}.json"
        detector.write_file(file, [item], [(item.crop_file, crop)], {"photo": name})
        files.append(file)
    return Analysed(tuple(files), tuple(skipped))


def _model(model: Path | str | None) -> tuple[AttributeHeads, AttributeEncoder, int]:
    """The model, what its numbers mean, and the size of the pictures that it looks at."""
    try:
        folder = checkpoints.published(MODEL) if model is None else Path(model)
        heads, card = checkpoints.load(folder)
        encoder = AttributeEncoder.load(folder / "attributes.json")
    except DataNotFound as error:
        raise DataNotFound(
            f"{error} To name types, patterns and seasons takes the model of chapter 07: `fashionnb run 07` trains it, "
            "then name its folder, _build/models/07-more-than-looks/cpu/multitask (--model FOLDER)."
        ) from error
    if not isinstance(heads, AttributeHeads):
        raise ModelMismatch(
            f"{folder}: a {card.architecture}, but naming attributes takes 'attributes' (chapter 07)."
        )
    if tuple(heads.sizes) != encoder.sizes or "category" not in encoder.columns:
        raise ModelMismatch(
            f"{folder}: attributes.json ({', '.join(encoder.columns)}; sizes {encoder.sizes}) does not belong to the "
            f"model (sizes {tuple(heads.sizes)}), or has no category. Train both again."
        )
    return heads, encoder, int(card.training.get("size", _SIZE))


def _item(photo: Image.Image, heads: AttributeHeads, encoder: AttributeEncoder, size: int) -> Item:
    """What is in one photo; its crop has no name yet."""
    photo = photo.convert("RGB")
    small, mask, scale = _garment(photo)
    colour, _ = dominant_colour(small, mask)
    (name,), (score,) = name_colours(colour[None])
    box = _box(mask, scale, photo.size)
    on_white = Image.fromarray(np.where(mask[..., None], small, np.uint8(255)))
    # The whole photo, not the crop: the model has learnt from a shop's framing, and names types far worse without it.
    picture = torch.from_numpy(letterbox(on_white, size, 3)).movedim(2, 0)[None].float() / 255
    numbers, sure = heads.name(picture)
    values = {
        "crop_file": "crop.jpg",
        "box": [float(side) for side in box],
        "color": {"label": name, "score": float(score)},
    }
    for column, part, number, chance in zip(
        encoder.columns, encoder.parts, numbers[0], sure[0], strict=True
    ):
        label, chance = part.decode([int(number)])[0], min(1.0, float(chance))
        if column == "category":
            values |= {"det_label": label, "det_score": chance}
        elif column in _FIELDS:
            values[_FIELDS[column]] = {"label": label, "score": chance}
    return Item.model_validate(values)


def _garment(photo: Image.Image) -> tuple[np.ndarray, np.ndarray, tuple[float, float]]:
    """The photo at working size, where the garment is in it, and by what factors it is smaller (or larger)."""
    small = photo.copy()
    small.thumbnail((_LARGEST, _LARGEST))
    pixels, larger = np.asarray(small), -(-_SMALLEST // min(small.size))
    pixels = pixels.repeat(larger, 0).repeat(larger, 1)
    mask = foreground(pixels[None])[0]
    if not mask.any():  # a white shirt on white: the whole photo, rather than nothing
        mask = np.ones_like(mask)
    return pixels, mask, (pixels.shape[1] / photo.width, pixels.shape[0] / photo.height)


def _box(
    mask: np.ndarray, scale: tuple[float, float], size: tuple[int, int]
) -> tuple[int, int, int, int]:
    """Around the garment, in whole pixels of the photo: left, top, right, bottom."""
    y, x = np.nonzero(mask)
    around = _AROUND * max(size)
    left, top = (
        max(0, int(low.min() / factor - around)) for low, factor in zip((x, y), scale, strict=True)
    )
    right, bottom = (
        min(most, int(np.ceil((high.max() + 1) / factor + around)))
        for high, factor, most in zip((x, y), scale, size, strict=True)
    )
    return left, top, right, bottom


def _stems(names: dict[str, Item]) -> Iterator[str]:
    """The names without their endings; of photos that differ in the ending alone, with it."""
    plain = {name: PurePosixPath(name).with_suffix("").as_posix() for name in names}
    twice = Counter(plain.values())
    for name, stem in plain.items():
        yield stem if twice[stem] == 1 else f"{stem}-{PurePosixPath(name).suffix[1:]}"
