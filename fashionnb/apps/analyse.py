"""Describe a folder of plain product photos in a detector's files, for users without a detector.

The garment is separated from a smooth background (`fashionnb.data.foreground`), its colour is named
(`fashionnb.data.colour`), and its type, pattern and season are predicted by a published multi-task
model. `fashionnb.data.detector` reads the files. One photo, one garment, framed as in a shop: for
rooms or streets the results are poor.
"""

import logging
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from PIL import Image
from tqdm import tqdm

from fashionnb import checkpoints
from fashionnb.data import detector
from fashionnb.data.attribute_encoder import AttributeEncoder
from fashionnb.data.colour import dominant_colour, name_colours
from fashionnb.data.decoding import FORMATS, is_blank
from fashionnb.data.foreground import garment
from fashionnb.data.images import FolderImages, letterbox, list_pictures, warn_of_blank
from fashionnb.errors import DataError, DataNotFound, ModelMismatch
from fashionnb.files import only_writer
from fashionnb.models.fusion import AttributeHeads

MODEL = "multitask"
"""The published model that is used by default."""

_log = logging.getLogger(__name__)
_MARGIN = 0.02  # of the photo's longer side, around the garment


def analyse(
    folder: Path | str,
    out: Path | str,
    *,
    model: Path | str | None = None,
    skip_unreadable: bool = False,
) -> tuple[list[Path], dict[str, str]]:
    """Analyse a folder of photos: find the garment in each, and write down its attributes.

    All photos are analysed before anything is written, and a JSON file is written after its crop.
    So the files are complete, or there are none. What an earlier run wrote of photos that are gone
    is removed, and counted in the log.

    Parameters
    ----------
    folder : Path or str
        Photos, also in folders below; other files are ignored.
    out : Path or str
        Where for each photo ``fashion_analysis_<photo>.json`` and its crop go, in the same folders;
        names that a disk or the reader may refuse are made plain. It belongs to one `folder`, and
        is not within it, or the next run would take the crops for photos.
    model : Path or str, optional
        A folder with an `AttributeHeads` and its ``attributes.json``; by default the published
        "multitask".
    skip_unreadable : bool
        Leave out photos that cannot be read.

    Returns
    -------
    files : list of Path
        The JSON files, one for each photo.
    skipped : dict of str to str
        The photos that could not be read, each with the reason.

    Raises
    ------
    DataNotFound
        If there is no such folder, or no such model.
    DataError
        If there is no photo, or one that cannot be read; or if `out` is within `folder`, or holds
        what a detector or an analysis of another folder wrote.
    ModelMismatch
        If the checkpoint is broken, or holds something else.
    WriteError
        If `out` cannot be written, or another run is writing there.
    """
    folder, out = Path(folder), Path(out)
    photos, names = _photos(folder, out)
    _earlier(folder, out)  # what is not ours is noticed now, and not after all photos
    heads, encoder, size = _load(model)
    items, skipped = {}, {}
    blank = []
    for name in tqdm(names, unit="photo", desc="analyse"):
        try:
            photo = photos.image(name)
            items[name] = _item(photo, heads, encoder, size)
            blank += [photos.where(name)] * is_blank(photo)
        except DataError as error:
            if not skip_unreadable:
                raise DataError(
                    f"{error} Nothing was written; to leave such photos out, say "
                    "--skip-unreadable (skip_unreadable=True)."
                ) from error
            skipped[name] = str(error)
    warn_of_blank(blank, len(names))
    files = {}
    with only_writer(out):
        for name, stem in _stems(items).items():
            path = PurePosixPath(stem)
            item = items[name].model_copy(update={"crop_file": f"{path.name}_00_crop.jpg"})
            crop = photos.image(name).convert("RGB").crop(tuple(map(int, item.box)))
            file = out / path.parent / f"fashion_analysis_{path.name}.json"
            files[file] = file.parent / item.crop_file
            detector.write_file(file, [(item, crop)], {"photo": _utf8(name), **_made_of(folder)})
        _remove(_earlier(folder, out), files)
    return list(files), skipped


def _made_of(folder: Path) -> dict[str, str]:
    """The field of our files that says whose photos they describe."""
    return {"folder": _utf8(folder.resolve().as_posix())}


def _earlier(folder: Path, out: Path) -> dict[Path, list[Path]]:
    """What an earlier run wrote into `out`: each JSON file with its crops."""
    found = {}
    for file in sorted(out.rglob(detector.FILES)):
        try:
            items, extra, _ = detector.parse(file.read_bytes(), str(file))
        except (DataError, OSError):  # perhaps ours, but nothing that anybody can read
            continue
        # The first edition did not write the folder.
        if "photo" not in extra or extra.get("folder", "") not in ("", *_made_of(folder).values()):
            raise DataError(
                f"{out} holds {file.name} of {extra.get('folder', 'a detector')}; an analysis of "
                f"{folder} would mix with it, or write over it. Choose another folder, or delete "
                "that one."
            )
        found[file] = [file.parent / item.crop_file for item in items.values()]
    return found


def _remove(earlier: dict[Path, list[Path]], files: dict[Path, Path]) -> None:
    """Remove the files of photos that are gone, each JSON file before its crops."""
    gone = {file: crops for file, crops in earlier.items() if file not in files}
    for file, crops in gone.items():
        for path in (file, *crops):
            if path not in files.values():
                path.unlink(missing_ok=True)
    if gone:
        _log.warning("Removed the files of %d photo(s) that an earlier run had found.", len(gone))


def _photos(folder: Path, out: Path) -> tuple[FolderImages, list[str]]:
    """The images of a folder, and the names of those that are photos."""
    if not folder.is_dir():
        raise DataNotFound(
            f"{folder}: there is no such folder. Name the folder that your photos are in."
        )
    if out.resolve().is_relative_to(folder.resolve()):
        raise DataError(
            f"{out} is within {folder}: the next run would take its crops for photos. "
            "Choose another."
        )
    photos = FolderImages(folder)
    names = list_pictures(photos, folder)
    if not names:
        raise DataError(f"{folder}: there is no photo in it. Name a folder of photos: {FORMATS}.")
    return photos, names


def _load(model: Path | str | None) -> tuple[AttributeHeads, AttributeEncoder, int]:
    """The model, the meaning of its outputs, and the size of its input."""
    try:
        folder = checkpoints.published(MODEL) if model is None else Path(model)
        heads = checkpoints.load_model(folder)
        encoder = AttributeEncoder.load(folder / "attributes.json")
    except DataNotFound as error:
        raise DataNotFound(
            f"{error} To predict types, patterns and seasons takes the model of chapter 07: "
            "`fashionnb run 07` trains it, then name its folder, "
            "_build/models/07-more-than-looks/standard/multitask (--model FOLDER)."
        ) from error
    checkpoints.check_task(heads.card, folder, "attributes")
    if tuple(heads.sizes) != encoder.sizes or "category" not in encoder.columns:
        raise ModelMismatch(
            f"{folder}: attributes.json ({', '.join(encoder.columns)}; sizes {encoder.sizes}) does "
            f"not belong to the model (sizes {tuple(heads.sizes)}), or has no category. "
            "Train both again."
        )
    return heads, encoder, checkpoints.image_size(heads.card, folder, None)


def _item(
    photo: Image.Image, heads: AttributeHeads, encoder: AttributeEncoder, size: int
) -> detector.Item:
    """The garment in one photo; its crop has no name yet."""
    photo = photo.convert("RGB")
    small, mask = garment(photo)
    colour, share = dominant_colour(small, mask)
    (name,), (score,) = name_colours(colour[None])
    values = {
        "crop_file": "crop.jpg",
        "box": _box(mask, photo.size),
        "color": {"label": name, "score": float(score * share)},
    }
    # The whole photo, not the crop: the model was trained on a shop's framing, and recognises types
    # far worse without it.
    on_white = Image.fromarray(np.where(mask[..., None], small, np.uint8(255)))
    seen = Image.fromarray(small) if is_blank(on_white) else on_white
    picture = torch.from_numpy(letterbox(seen, size, 3)).movedim(2, 0)[None].float() / 255
    numbers, probabilities = heads.name(picture)
    for column, part, number, probability in zip(
        encoder.columns, encoder.parts, numbers[0], probabilities[0], strict=True
    ):
        label, score = part.decode([int(number)])[0], min(1.0, float(probability))
        if column == "category":
            values |= {"det_label": label, "det_score": score}
        elif column in ("pattern", "season"):
            values[column] = {"label": label, "score": score}
    return detector.Item.model_validate(values)


def _box(mask: np.ndarray, size: tuple[int, int]) -> list[float]:
    """The box around the garment, in whole pixels of the photo: left, top, right, bottom."""
    scale = np.divide(mask.shape[::-1], size)
    margin = _MARGIN * max(size)
    first, last = np.reshape(Image.fromarray(mask).getbbox(), (2, 2)) / scale
    left, top = np.floor(first - margin).clip(min=0).tolist()
    right, bottom = np.ceil(last + margin).clip(max=size).tolist()
    return [left, top, right, bottom]


def _stems(names: Iterable[str]) -> dict[str, str]:
    """Each name without its ending, plain; of names that would then be one, each gets a hash.

    Disks may take "A" for "a", and one form of "é" for the other.
    """
    stems = {
        name: "/".join(map(_plain, PurePosixPath(name).with_suffix("").parts)) for name in names
    }
    count = Counter(stem.casefold() for stem in stems.values())
    return {
        name: f"{stem}-{_digest(name)}" if count[stem.casefold()] > 1 else stem
        for name, stem in stems.items()
    }


def _plain(part: str) -> str:
    """A name of a folder or photo as every disk and the reader takes it, at most 100 bytes."""
    part = unicodedata.normalize("NFC", part)
    if re.fullmatch(r"[\w.-]|[\w.-][\w .-]*[\w-]", part) and len(os.fsencode(part)) <= 100:
        return part
    letters = re.sub(r"[^\w-]+", "-", part)[:20]
    return f"{letters}-{_digest(part)}"


def _digest(name: str) -> str:
    return sha256(os.fsencode(name)).hexdigest()[:8]


def _utf8(text: str) -> str:
    """The text; what is not UTF-8 in it is written as "\\udcff"."""
    return text.encode("utf-8", "backslashreplace").decode()
