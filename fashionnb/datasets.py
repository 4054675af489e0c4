"""Open a dataset by its name, or your own files by their path, whatever this machine has.

`load("fashion-mnist")` gives a `Catalogue`, `load_outfits` gives `Outfits`, `load_scenes` `Scenes`.

The three types are in `fashionnb.data.catalogue`, the datasets in `fashionnb.data.registry`, one
reader per format beside them. Where a dataset cannot be had, drawn garments (`fashionnb.synthetic`)
take its place, and `banner` says so on the page.
"""

import logging
from collections.abc import Mapping
from dataclasses import replace
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
    shop_table,
    shop_the_look,
)
from fashionnb.data.catalogue import Catalogue, Outfits, Scenes
from fashionnb.data.images import is_picture_file, open_images, path_on_disk
from fashionnb.data.splits import by_category
from fashionnb.errors import DataError, DataNotFound
from fashionnb.files import WriteError
from fashionnb.synthetic import composed_outfits, drawn_garments

if TYPE_CHECKING:
    from IPython.display import Markdown

log = logging.getLogger(__name__)

# Of each category that `load_classes` takes; with fewer, no number of one class means anything.
_LEAST = {"train": 20, "test": 8}
_MOST_CLASSES = 20  # more do not fit into a figure

_DRAWN = ("drawn", "atelier")  # names of drawn garments, the second an older one


def load(name: str, folder: Path | str | None = None, stand_in: bool = True) -> Catalogue:
    """Load a dataset by its name, as a catalogue: found on this machine, downloaded, or else drawn.

    Parameters
    ----------
    name : str
        For instance "fashion-mnist"; `fashionnb data list` names all. Or your own images, as in
        `open_catalogue`.
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
        If the dataset is here but damaged.
    DataNotFound
        If the folder is not there; the dataset cannot be had and `stand_in` is False; or it is
        neither the name of a dataset nor a path.
    WriteError
        If the dataset cannot be put into the cache and `stand_in` is False.
    """
    if name not in registry.SOURCES:
        return open_catalogue(name)
    source, path = _found(name, folder, stand_in)
    return source.read(path) if path else _drawn(name)


def load_classes(name: str, folder: Path | str | None = None, *, tested: int = 0) -> Catalogue:
    """Load garments to learn their categories from: a training and a test part, common categories.

    Parameters
    ----------
    name : str
        As in `load`: the name of a dataset, or your own images, a folder for each category.
    folder : Path or str, optional
        As in `load`.
    tested : int
        The least number of test images in all.

    Returns
    -------
    Catalogue
        With the splits of the dataset; where it has no training and test part, with those of
        `fashionnb.data.splits.by_category`. Only the 20 commonest categories, of those with 20
        images or more for training and 8 or more in the test.

    Raises
    ------
    DataError
        As `load`; or if there are fewer than two such categories, or too few test images.
    DataNotFound
        As `load`.
    """
    catalogue = load(name, folder)
    table = catalogue.table
    if not {"train", "test"} <= set(table.get("split", ())):
        table = table.assign(split=by_category(table["id"], table["category"], catalogue.name))
    known = table[table["category"] != ""]
    parts = {part: known["category"][known["split"] == part].value_counts() for part in _LEAST}
    enough = [
        category
        for category in known["category"].value_counts().index
        if all(parts[part].get(category, 0) >= least for part, least in _LEAST.items())
    ][:_MOST_CLASSES]
    if len(enough) < 2:
        raise DataError(
            f"{catalogue.name}: expected two categories or more with {_LEAST['train']} images for "
            f"training and {_LEAST['test']} for the test, found {len(enough)}. Put your images "
            "into a folder for each category, about 40 or more in each."
        )
    classes = tuple(category for category in catalogue.classes if category in enough)
    kept = table[table["category"].isin(classes)].reset_index(drop=True)
    if (found := (kept["split"] == "test").sum()) < tested:
        raise DataError(f"{catalogue.name}: expected {tested} test images or more, found {found}.")
    return replace(catalogue, table=kept, classes=classes)


def load_outfits(
    name: Path | str | Outfits,
    folder: Path | str | None = None,
    stand_in: bool = True,
    *,
    edition: str | None = None,
) -> Outfits:
    """Load the outfits of a dataset by its name, with their items, or else compose some.

    Parameters
    ----------
    name : Path, str or Outfits
        A dataset of outfits, such as "mango-outfits"; or the folder or zip of your own outfits, in
        the format of Polyvore Outfits (`fashionnb.data.polyvore`). Outfits are given back as they
        are.
    folder : Path or str, optional
        As in `load`.
    stand_in : bool
        Compose outfits of drawn garments (`fashionnb.synthetic.composed_outfits`) if the dataset
        cannot be had; their catalogue says so in `stands_in_for`. False raises instead.
    edition : str, optional
        Of Polyvore Outfits "disjoint" or "nondisjoint"; without it "disjoint", if that is there.

    Returns
    -------
    Outfits
        Of all splits. The catalogue of your own outfits has the name of their folder.

    Raises
    ------
    DataError, DataNotFound, WriteError
        As `load`; or if the dataset has no outfits, or no such edition.
    """
    if isinstance(name, Outfits):
        return name
    if name not in registry.SOURCES:
        path = _own(name)
        there = polyvore.editions_in(path)
        outfits = polyvore.read_outfits(path, _edition(path, edition, there) or there[0])
        return replace(outfits, catalogue=replace(outfits.catalogue, name=_name_of(path)))
    source, path = _found(name, folder, stand_in)
    if source.read_outfits is None:
        raise DataError(
            f"{name} has no outfits. `fashionnb data list` says what each dataset holds."
        )
    edition = _edition(name, edition, source.editions)
    if path is None:
        return composed_outfits.compose(_drawn(name), 1_000, edition or "nondisjoint")
    return source.read_outfits(path, edition) if edition else source.read_outfits(path)


def load_scenes(
    name: Path | str | Scenes,
    folder: Path | str | None = None,
    stand_in: bool = True,
    *,
    most: int | None = None,
    seed: int = 0,
) -> Scenes:
    """Load the scenes of a dataset by its name, or draw a scene of each of its outfits.

    Parameters
    ----------
    name : Path, str or Scenes
        A dataset of scenes, such as "shop-the-look", or of outfits, such as "mango-outfits"; or the
        folder or zip of your own, in the format of Shop-the-Look (`fashionnb.data.shop_the_look`)
        or of Polyvore Outfits. Scenes are given back as they are.
    folder : Path or str, optional
        As in `load`.
    stand_in : bool
        As in `load_outfits`.
    most : int, optional
        At most so many scenes, at random.
    seed : int
        Of the choice, and of scenes that are drawn.

    Returns
    -------
    Scenes
        Their catalogue has all that is known of the products.

    Raises
    ------
    DataError, DataNotFound, WriteError
        As `load_outfits`; or if no outfit can be drawn as a scene.
    """
    if isinstance(name, Scenes):
        return name
    if name in registry.SOURCES:
        source, path = _found(name, folder, stand_in)
        if source.read_scenes is None:
            outfits = load_outfits(name, folder, stand_in)
        elif path is None:
            outfits = composed_outfits.compose(_drawn(name), 1_000, "nondisjoint")
        else:
            return source.read_scenes(path).sample(most, seed)
    else:
        path = _own(name)
        files = [PurePosixPath(file).name for file in open_images(path).names]
        if shop_the_look.PAIRS in files:
            scenes = shop_the_look.read_scenes(path)
            scenes = replace(scenes, catalogue=replace(scenes.catalogue, name=_name_of(path)))
            return scenes.sample(most, seed)
        outfits = load_outfits(path)
    outfits = outfits.sample(most, seed)
    return composed_outfits.drawn_scenes(outfits, registry.cache_folder() / "drawn", seed)


def locate(source: str) -> str:
    """Make the place of a dataset independent of the working folder.

    Parameters
    ----------
    source : str
        The name of a dataset, "drawn", or the path of your own files.

    Returns
    -------
    str
        A name as it is; a path in full.

    Raises
    ------
    DataNotFound
        If it is neither the name of a dataset nor a path.
    """
    return source if source in registry.SOURCES or source in _DRAWN else str(_own(source))


def _own(source: Path | str) -> Path:
    """The full path of one's own files."""
    path = path_on_disk(Path(source).expanduser().absolute())
    if not str(source).strip() or not path.exists():
        raise DataNotFound(
            f"{source}: there is no such file or folder, and no dataset of that name. "
            f"The datasets: {', '.join(registry.SOURCES)}."
        )
    return path


def _name_of(path: Path) -> str:
    return path.name.removesuffix(".zip")


def _edition(where: Path | str, wanted: str | None, there: tuple[str, ...]) -> str | None:
    """The edition that is wanted, if it is there; a dataset may have none."""
    if wanted is not None and wanted not in there:
        known = f"it has {', '.join(there)}" if there else "its outfits are split in one way only"
        raise DataError(f"{where}: there is no edition (split) {wanted!r}; {known}.")
    return wanted


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


def banner(*catalogues: Catalogue, written_for: str = "") -> "Markdown | None":
    """Write a notice of the missing datasets in whose place garments are drawn.

    A chapter displays it below its set-up, so that nobody takes its numbers for those of the real
    data. It also says so if the chapter runs on other data than its text was written for.

    Parameters
    ----------
    *catalogues : Catalogue
        All that the chapter uses; first the one that a reader can choose.
    written_for : str
        The title of the dataset that the text of the chapter speaks of.

    Returns
    -------
    IPython.display.Markdown or None
        A block quote; None if all catalogues are real, and those that the text is about.
    """
    parts = [_other_data(catalogues[0], written_for)] if written_for else []
    parts.append(_stand_ins(catalogues))
    text = "\n>\n".join(filter(None, parts))
    if not text:
        return None
    from IPython.display import Markdown

    return Markdown(text)


def _other_data(catalogue: Catalogue, written_for: str) -> str:
    """A notice that the text of a chapter is about other data; "" if it is not."""
    source = registry.SOURCES.get(catalogue.dataset)
    title = source.title if source else catalogue.dataset
    if title == written_for:
        return ""
    return (
        f"> ℹ️ **This page ran on {title}.** Its text was written for {written_for}. Numbers, "
        "tables, figures and the sentences that say whether a claim holds are those of "
        f"{title}; what the text says of the photos, the shop and the people behind "
        f"{written_for} need not be true of them."
    )


def _stand_ins(catalogues: tuple[Catalogue, ...]) -> str:
    """A notice of the datasets that drawn garments stand in for; "" if there is none."""
    missing = list(
        dict.fromkeys(
            catalogue.stands_in_for for catalogue in catalogues if catalogue.stands_in_for
        )
    )
    if not missing:
        return ""
    titles = " and ".join(f"**{registry.get(name).title}**" for name in missing)
    commands = ", ".join(f"`{registry.remedy(name)}`" for name in missing)
    return (
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


def open_catalogue(
    source: Path | str | Catalogue, columns: Mapping[str, str] | None = None
) -> Catalogue:
    """Open a dataset by its name, or your own files by their path, as a catalogue.

    Images are listed, not opened, so that two million of them cost no more than their names.

    Parameters
    ----------
    source : Path, str or Catalogue
        A name of `fashionnb data list` (for a folder of that name write "./fashion-mnist"); "drawn"
        for 2,000 drawn garments ("atelier" is an older name for them); the JSON file of a detector,
        or a folder or zip that holds such; a shop's own table (`fashionnb.data.shop_table`); a
        folder or zip of images, in a folder for each category. A catalogue is given back as it is.
    columns : mapping of str to str, optional
        Of a table: our column -> the table's, where its name does not say it.

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
    if source in _DRAWN:
        return drawn_garments.catalogue()
    path = _own(source)
    if path.is_file() and path.suffix.lower() in shop_table.SUFFIXES:
        return shop_table.read(path, columns)
    if columns:
        raise DataError(
            f"{source}: columns are for a table ({', '.join(shop_table.SUFFIXES)}). Leave them out."
        )
    if path.is_file() and path.suffix.lower() == ".json":
        return detector.read(path)
    if path.is_file() and is_picture_file(path):
        raise DataError(
            f"{path} is a single image. Name the folder or zip file that holds all of them."
        )
    found = any(PurePosixPath(name).match(detector.FILES) for name in open_images(path).names)
    return detector.read(path) if found else folder.read(path)
