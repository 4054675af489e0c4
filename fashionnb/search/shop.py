"""From names and files to a recommender: what `fashionnb recommend` and the demo begin with.

A shop is a catalogue with a vector for each item. The catalogue comes from a dataset, from what a detector found, or
from a folder of pictures; the vectors from a file, or from a model.
"""

from pathlib import Path, PurePosixPath

import numpy as np

from fashionnb import data
from fashionnb.data import atelier, detector, folder
from fashionnb.data.images import open_images
from fashionnb.data.nouns import Catalogue
from fashionnb.data.register import SOURCES
from fashionnb.errors import DataError
from fashionnb.search.recommend import Recommender


def open_catalogue(source: str) -> Catalogue:
    """The catalogue that a word or a path means. Introduced in chapter 07.

    Parameters
    ----------
    source : a name of `fashionnb data list`; "atelier" for 2,000 drawn garments; a detector's JSON, or a folder or zip
        that holds such; or a folder or zip of pictures, in a folder for each category.

    Raises
    ------
    DataNotFound : there is nothing at the path, or the dataset is not on this machine and cannot be fetched.
    DataError : the files are damaged, or there is no picture.
    """
    if source in SOURCES:
        return data.load(source, stand_in=False)
    if source == "atelier":
        return atelier.catalogue()
    path = Path(source)
    if path.is_file() and path.suffix.lower() == ".json":
        return detector.read(path)
    found = any(PurePosixPath(name).match(detector.FILES) for name in open_images(path).names)
    return detector.read(path) if found else folder.read(path)


def open_recommender(
    catalogue: Catalogue,
    vectors: Path | str | None = None,
    model: Path | str | None = None,
    *,
    size: int | None = None,
    cache: Path | str | None = None,
    seed: int = 0,
    progress: bool = True,
) -> Recommender:
    """A recommender for a catalogue, whose vectors are read from a file, or made by a model. Introduced in chapter 07.

    Parameters
    ----------
    vectors : a file that `Recommender.save` wrote; if there is none, the model's vectors are written there.
    model : a folder with a trained model, or the name of a published one. With it, pictures that are not in the
        catalogue can be asked by; without it, the file must be there.
    size, cache, progress : of the pictures, of their vectors and of embedding them, as
        `fashionnb.search.engine.VisualSearchEngine` has them.

    Raises
    ------
    DataError : neither a file nor a model; or as `Recommender.load`.
    DataNotFound, ModelMismatch : as `Recommender.load`, or the model is not there, or broken.
    WriteError : the vectors cannot be written.
    """
    if model is None:
        if vectors is None:
            raise DataError(
                "To compare pictures takes their vectors: name a file of them (--vectors FILE), a model to make them "
                "(--model style2vec), or both, to make them once."
            )
        return Recommender.load(vectors, catalogue, seed=seed)
    from fashionnb.search.engine import VisualSearchEngine  # torch, which nothing else here needs

    engine = VisualSearchEngine(model, size=size)
    options = {"model": engine.fingerprint, "embed": engine.embed_image, "seed": seed}
    if vectors is not None and Path(vectors).exists():
        return Recommender.load(vectors, catalogue, **options)
    made = Recommender(catalogue, engine.embed_dataset(catalogue, cache=cache, progress=progress).vectors, **options)
    if vectors is not None:
        made.save(vectors)
    return made


def without_pictures(catalogue: Catalogue, seed: int = 0) -> Recommender:
    """A recommender that knows attributes only, for `recommend_by_attributes`: no vectors needed. Chapter 07."""
    return Recommender(catalogue, np.ones((len(catalogue), 1), np.float32), seed=seed)
