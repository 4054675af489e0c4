"""Open a dataset by its name: `load("fashion-mnist")` gives a `Catalogue`, whatever this machine
has.

The three types are in `fashionnb.data.catalogue`, the datasets in `fashionnb.data.registry`, one
reader per format beside them. Where a dataset cannot be had, drawn garments (`fashionnb.synthetic`)
take its place, and `banner` says so on the page.
"""

import logging
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from fashionnb.data import (
    clothing,
    detector,
    fashion_mnist,
    folder,
    mango,
    polyvore,
    products,
    registry,
    shop_the_look,
)
from fashionnb.data.catalogue import Catalogue, Outfits
from fashionnb.data.images import open_images
from fashionnb.errors import DataError, DataNotFound
from fashionnb.files import WriteError
from fashionnb.synthetic import composed_outfits, drawn_garments

if TYPE_CHECKING:
    from IPython.display import Markdown

log = logging.getLogger(__name__)


def load(name: str, folder: Path | str | None = None, stand_in: bool = True) -> Catalogue:
    """Load a dataset by its name, as a catalogue: found on this machine, downloaded, or else drawn.

    Parameters
    ----------
    name : str
        For instance "fashion-mnist"; `fashionnb data list` names all.
    folder : Path or str, optional
        Where the datasets are; by default `FASHIONNB_DATA`, then the cache, then a download.
    stand_in : bool
        Draw garments of the same form if the dataset cannot be had. The catalogue then says so in
        `stands_in_for`, a warning is logged, and the page should show `banner`. False raises
        instead.

    Returns
    -------
    Catalogue
        Of all splits.

    Raises
    ------
    DataError
        If the dataset is here but damaged, or there is none of that name.
    DataNotFound
        If the folder is not there, or the dataset cannot be had and `stand_in` is False.
    WriteError
        If the dataset cannot be put into the cache and `stand_in` is False.
    """
    source, path = _found(name, folder, stand_in)
    return source.read(path) if path else _drawn(name)


def load_outfits(name: str, folder: Path | str | None = None, stand_in: bool = True) -> Outfits:
    """Load the outfits of a dataset by its name, with their items, or else compose some.

    Parameters
    ----------
    name : str
        A dataset of outfits, such as "mango-outfits".
    folder : Path or str, optional
        As in `load`.
    stand_in : bool
        Compose outfits of drawn garments (`fashionnb.synthetic.composed_outfits`) if the dataset
        cannot be had; their catalogue says so in `stands_in_for`. False raises instead.

    Returns
    -------
    Outfits
        Of all splits.

    Raises
    ------
    DataError, DataNotFound, WriteError
        As `load`; or if the dataset has no outfits.
    """
    source, path = _found(name, folder, stand_in)
    if source.read_outfits is None:
        raise DataError(
            f"{name} has no outfits. `fashionnb data list` says what each dataset holds."
        )
    if path:
        return source.read_outfits(path)
    return composed_outfits.compose(_drawn(name), 1_000, "nondisjoint")


def _found(
    name: str, folder: Path | str | None, stand_in: bool
) -> tuple[registry.Source, Path | None]:
    """What is known of a dataset, and where it is; None if it cannot be had and may be drawn."""
    source = registry.get(name)
    if source.read is None:
        raise DataError(
            f"{name} is no catalogue of garments; `fashionnb.data.{source.reader}` reads it."
        )
    registry.places(folder)  # raises, since a wrong folder is a mistake and not a missing dataset
    try:
        return source, registry.fetch(name, folder)
    except (DataNotFound, DataError, WriteError) as error:
        if not stand_in:
            raise
        log.warning(
            "%s cannot be had, drawn garments stand in. `%s` tells why.",
            name,
            registry.remedy(name),
        )
        log.info("%s", error)
        return source, None


def banner(*catalogues: Catalogue) -> "Markdown | None":
    """Write a notice of the missing datasets in whose place garments are drawn.

    A chapter displays it below its set-up, so that nobody takes its numbers for those of the real
    data.

    Parameters
    ----------
    *catalogues : Catalogue
        All that the chapter uses.

    Returns
    -------
    IPython.display.Markdown or None
        A block quote; None if all catalogues are real.
    """
    missing = list(
        dict.fromkeys(
            catalogue.stands_in_for for catalogue in catalogues if catalogue.stands_in_for
        )
    )
    if not missing:
        return None
    from IPython.display import Markdown

    titles = " and ".join(f"**{registry.get(name).title}**" for name in missing)
    commands = ", ".join(f"`{registry.remedy(name)}`" for name in missing)
    return Markdown(
        f"> ⚠️ **Drawn garments stand in for the real ones.** This page ran without {titles}: not "
        "on this machine, and not to be downloaded. Everything below was computed on garments that "
        "`fashionnb.synthetic.drawn_garments` draws. It shows that the code works and what the "
        "figures look like, but **its numbers are not comparable** with those of the real data, "
        "here or anywhere else."
        f"\n>\n> To get the real data: {commands} in a terminal (in a notebook, `!` before it) "
        "downloads it, or says how to get it by hand. Then run this page again."
    )


def _drawn(name: str) -> Catalogue:
    """Drawn garments in the form of a dataset: its splits, about its image size, its channels."""
    # Fewer than the real ones where those are many: drawing should take seconds.
    shapes = {
        fashion_mnist.SOURCE.name: {
            "size": 28,
            "channels": 1,
            "background": "black",
            "categories": fashion_mnist.CLASSES,
            "splits": {"train": 12_000, "test": 2_000},
        },
        clothing.SOURCE.name: {"size": 64, "splits": clothing.COUNTS},
        products.SOURCE.name: {
            "size": (80, 60),
            "splits": {"train": 1_600, "validation": 200, "test": 200},
        },
        mango.SOURCE.name: {
            "size": (112, 80),
            "splits": {"train": 600},
        },  # outfits have splits, not their items
        polyvore.SOURCE.name: {"size": 96, "splits": {"train": 600}},
        shop_the_look.SOURCE.name: {"size": 96, "splits": {"train": 600}},
        polyvore.MARYLAND_SOURCE.name: {
            "size": 96,
            "splits": {"train": 400, "validation": 100, "test": 100},
        },
    }
    shape = shapes[name]
    return drawn_garments.catalogue(sum(shape["splits"].values()), stands_in_for=name, **shape)


def open_catalogue(source: Path | str | Catalogue) -> Catalogue:
    """Open a dataset by its name, or your own files by their path, as a catalogue.

    Images are listed, not opened, so that two million of them cost no more than their names.

    Parameters
    ----------
    source : Path, str or Catalogue
        A name of `fashionnb data list` (for a folder of that name write "./fashion-mnist"); "drawn"
        for 2,000 drawn garments ("atelier" is an older name for them); the JSON file of a detector,
        or a folder or zip that holds such; a folder or zip of images, in a folder for each
        category. A catalogue is given back as it is.

    Returns
    -------
    Catalogue
        With one item at least.

    Raises
    ------
    DataNotFound
        If there is nothing at the path, or the dataset is not on this machine and cannot be
        fetched.
    DataError
        If the files are damaged, or there is no image.
    """
    if isinstance(source, Catalogue):
        if not len(source):
            raise DataError(f"{source.name}: the catalogue has no items.")
        return source
    if source in registry.SOURCES:
        return load(source, stand_in=False)
    if source in ("drawn", "atelier"):
        return drawn_garments.catalogue()
    path = Path(source)
    if path.is_file() and path.suffix.lower() == ".json":
        return detector.read(path)
    if path.is_file() and path.suffix.lower() in folder.SUFFIXES:
        raise DataError(
            f"{path} is a single image. Name the folder or zip file that holds all of them."
        )
    if not path.exists():
        raise DataNotFound(
            f"{source}: there is no such file or folder, and no dataset of that name. "
            f"The datasets: {', '.join(registry.SOURCES)}."
        )
    found = any(PurePosixPath(name).match(detector.FILES) for name in open_images(path).names)
    return detector.read(path) if found else folder.read(path)
