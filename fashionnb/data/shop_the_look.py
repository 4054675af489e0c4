"""Read and write Shop-the-Look: scenes, each with a product in it and the box around the product.

It is `fashion.json` (one pair a line) and `fashion-cat.json`, as published for Kang et al. 2019,
"Complete the Look: Scene-based Complementary Product Recommendation", and images that
`fashionnb collect` downloads for `links`. Some links no longer work, so pairs without an image are
left out and counted. `fashionnb.synthetic.composed_outfits` writes scenes as the same files.
"""

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

import pandas as pd
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
)

from fashionnb.data.catalogue import BOX, Catalogue, Scenes
from fashionnb.data.checked_files import (
    MOST_LISTED,
    check_counts,
    first_error,
    parse_json,
    refuse_problems,
)
from fashionnb.data.decoding import SUFFIXES
from fashionnb.data.images import FolderImages, ZipImages, find_file, open_images
from fashionnb.data.registry import Source
from fashionnb.data.splits import SHARES
from fashionnb.errors import DataError
from fashionnb.files import write_text

PAIRS, CATEGORIES = "fashion.json", "fashion-cat.json"
COUNTS = {"products in fashion-cat.json": 38_111, "leaves in fashion-cat.json": 10}
"""What the published list of categories holds."""

# It becomes the name of a file.
_Signature = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-][\w.-]{0,99}$")]
_GET_IT = "Get it from the authors' page."
_GET_PICTURES = (
    'To get pictures: `python -c "from fashionnb.data.shop_the_look import links; '
    "links({path!r}).to_csv('links.csv', index=False)\"`, then `fashionnb collect links.csv --out "
    "{path}`. It asks once a second for each, and some links are dead."
)
_Category = Annotated[str, Field(pattern=r"[^| ]")]  # its parts are divided by "|"
_Split = Literal["", *SHARES]


def _within(box: tuple[float, ...]) -> tuple[float, ...]:
    left, top, right, bottom = box
    if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
        raise ValueError("it is not left < right and top < bottom within 0 to 1")
    return box


def _listed(product: str, info: ValidationInfo) -> str:
    if product not in info.context:
        raise ValueError(f"it is not in {CATEGORIES}")
    return product


class _Pair(BaseModel):
    """One line of the list; products are looked up in the context."""

    model_config = ConfigDict(strict=True)
    scene: _Signature
    product: Annotated[_Signature, AfterValidator(_listed)]
    bbox: Annotated[tuple[float, float, float, float], AfterValidator(_within)]
    split: _Split = ""


def read(path: Path | str) -> Catalogue:
    """Read the products of Shop-the-Look that are in a scene.

    Parameters
    ----------
    path : path
        As in `read_scenes`.

    Returns
    -------
    Catalogue
        As that of `read_scenes`.

    Raises
    ------
    DataNotFound, DataError
        As `read_scenes`.
    """
    return read_scenes(path).catalogue


def read_scenes(path: Path | str) -> Scenes:
    """Read the scenes of Shop-the-Look, with the products in them, whose images are here.

    No line is left out silently: if one is malformed this raises, and `salvage` gives the others.

    Parameters
    ----------
    path : path
        A folder or a zip with `fashion.json`, `fashion-cat.json`, and images `<signature>.jpg` in
        any folder of it. Where `fashionnb collect` wrote its `manifest.csv`, that names the file of
        each image.

    Returns
    -------
    Scenes
        One row a pair in the order of the file; `scene` is the key of its image. A field `split` in
        every line becomes a column. The catalogue has `id` (the signature), `category` (the leaf),
        `path` (the whole category) and `image`. `table.attrs` counts what was left out:
        `pairs_without_image`, `scenes_without_image`, `products_without_image`; and `repeats`,
        pairs that repeat an earlier one.

    Raises
    ------
    DataNotFound
        If there is nothing at `path`.
    DataError
        If a list is missing or cannot be read; a line is malformed (the first ten are listed, with
        their numbers); or no pair has both images.
    """
    scenes, problems = salvage(path)
    summary = f"{path}: {len(problems):,} line(s) are malformed, {len(scenes):,} pair(s) are good."
    refuse_problems(problems, summary, "fashionnb.data.shop_the_look.salvage")
    return scenes


def salvage(path: Path | str) -> tuple[Scenes, list[str]]:
    """Read the good pairs of Shop-the-Look's list, and what is wrong with its malformed lines.

    Parameters
    ----------
    path : path
        As in `read_scenes`.

    Returns
    -------
    scenes : Scenes
        Of the good lines.
    problems : list of str
        One for each malformed line: the file, the line, counted from 1, and what is wrong.

    Raises
    ------
    DataNotFound, DataError
        As `read_scenes`, except for malformed lines.
    """
    images, table, categories, problems = _lists(path)
    files = _files(images)
    scene, product = (table[column].map(files) for column in ("scene", "product"))
    here = scene.notna() & product.notna()
    if not here.any():
        raise DataError(
            f"{path}: no pair of {len(table):,} has both pictures here. "
            + _GET_PICTURES.format(path=str(path))
        )
    counts = {
        "pairs_without_image": int((~here).sum()),
        "scenes_without_image": table["scene"][scene.isna()].nunique(),
        "products_without_image": table["product"][product.isna()].nunique(),
        "repeats": int(table[["scene", "product", *BOX]].duplicated().sum()),
    }
    kept = table[here].assign(scene=scene[here]).reset_index(drop=True)
    kept.attrs.update(counts)
    ids = kept["product"].drop_duplicates()
    paths = ids.map(categories)
    products = pd.DataFrame(
        {
            "id": ids,
            "category": paths.str.rpartition("|")[2],
            "path": paths,
            "image": ids.map(files),
        }
    ).reset_index(drop=True)
    catalogue = Catalogue(SOURCE.name, products, images, tuple(sorted(set(products["category"]))))
    return Scenes(catalogue, images, kept), problems


def links(path: Path | str) -> pd.DataFrame:
    """List the web address of every image of Shop-the-Look, for `fashionnb collect`.

    Parameters
    ----------
    path : path
        As in `read_scenes`.

    Returns
    -------
    DataFrame
        With the columns `id` (the signature, by which `read_scenes` finds the image again), `url`
        and `source`; scenes first.

    Raises
    ------
    DataNotFound, DataError
        As `salvage`, but images are not needed.
    """
    _, table, _, _ = _lists(path)
    ids = pd.concat([table["scene"], table["product"]]).drop_duplicates().reset_index(drop=True)
    return pd.DataFrame({"id": ids, "url": ids.map(url), "source": SOURCE.name})


def url(signature: str) -> str:
    """Return the web address of an image of Shop-the-Look.

    Parameters
    ----------
    signature : str
        What the authors' lists call the image.

    Returns
    -------
    str
        The address as the authors of the dataset give it.
    """
    folders = f"{signature[:2]}/{signature[2:4]}/{signature[4:6]}"
    return f"http://i.pinimg.com/400x/{folders}/{signature}.jpg"


def check(path: Path | str) -> list[str]:
    """Check the files of Shop-the-Look: count pairs, malformed lines, and images that are here.

    Parameters
    ----------
    path : path
        As in `read_scenes`.

    Returns
    -------
    list of str
        One line for each thing that was found.

    Raises
    ------
    DataNotFound, DataError
        As `salvage`, but images may be missing; or if the categories are not the published ones.
    """
    images, table, categories, problems = _lists(path)
    leaves = {text.rpartition("|")[2] for text in categories.values()}
    found = dict(zip(COUNTS, (len(categories), len(leaves)), strict=True))
    check_counts(path, found, COUNTS, _GET_IT)
    files = _files(images)
    listed = "".join(f"; {problem}" for problem in problems[:MOST_LISTED])
    lines = [
        f"{len(categories):,} products of {len(leaves)} leaf categories",
        f"{len(table):,} pairs of {table['scene'].nunique():,} scenes and "
        f"{table['product'].nunique():,} products",
        f"{len(problems):,} malformed line(s){listed}",
    ]
    missing = 0
    for column in ("scene", "product"):
        ids = table[column].drop_duplicates()
        here = int(ids.isin(files.keys()).sum())
        missing += len(ids) - here
        lines.append(f"{here:,} of {len(ids):,} pictures of {column}s are here")
    if missing:
        lines.append(_GET_PICTURES.format(path=str(path)))
    return lines


def write_lists(folder: Path | str, table: pd.DataFrame, categories: Mapping[str, str]) -> None:
    """Write the two lists of Shop-the-Look, pairs and categories, without images.

    Parameters
    ----------
    folder : path
        Made if need be.
    table : DataFrame
        With the columns `scene` and `product` (names of images), `left`, `top`, `right`, `bottom`,
        and optionally `split`.
    categories : mapping of str to str
        Product -> its category, the parts divided by "|".
    """
    rows = table.assign(bbox=table[BOX].to_numpy().tolist())
    columns = [column for column in ("product", "scene", "bbox", "split") if column in rows]
    lines = [json.dumps(row) for row in rows[columns].to_dict("records")]
    write_text(Path(folder) / CATEGORIES, json.dumps(dict(categories)))
    write_text(Path(folder) / PAIRS, "\n".join(lines) + "\n")


def _lists(
    path: Path | str,
) -> tuple[FolderImages | ZipImages, pd.DataFrame, dict[str, str], list[str]]:
    """The files, the pairs, product -> category, and what is wrong with the other lines."""
    images = open_images(path)
    pairs, leaves = (find_file(images, name, path, _GET_IT) for name in (PAIRS, CATEGORIES))
    problem = "expected a dictionary, product -> category as text"
    categories = parse_json(
        images.read(leaves), dict[str, _Category], images.where(leaves), problem, _GET_IT
    )
    where = images.where(pairs)
    rows, problems = [], []
    # What is not UTF-8 becomes a character that no name may have.
    lines = images.read(pairs).decode("utf-8-sig", errors="replace").split("\n")
    for line, text in enumerate(lines, start=1):
        if not text.strip():
            continue
        try:
            row = _Pair.model_validate_json(text, context=categories)
        except ValidationError as error:
            problems.append(f"{where}, line {line}: {first_error(error)}")
        else:
            rows.append((row.scene, row.product, *row.bbox, row.split))
    if not rows:
        raise DataError(
            f"{where}: there is no good pair in it, and {len(problems)} malformed line(s)"
            f"{f', the first: {problems[0]}' if problems else ''}. {_GET_IT}"
        )
    table = pd.DataFrame(rows, columns=["scene", "product", *BOX, "split"])
    if (table["split"] == "").any():
        table = table.drop(columns="split")
    return images, table, categories, problems


def _files(images: FolderImages | ZipImages) -> dict[str, str]:
    """Signature -> its image: by the names of files, and by a manifest of `fashionnb collect`."""
    pictures = {name for name in images.names if name.lower().endswith(SUFFIXES)}
    files = {PurePosixPath(name).stem: name for name in images.names if name in pictures}
    for manifest in [name for name in images.names if PurePosixPath(name).name == "manifest.csv"]:
        root = manifest.removesuffix("manifest.csv")
        text = images.read(manifest).decode("utf-8-sig", errors="replace")
        try:
            rows = list(csv.DictReader(io.StringIO(text, newline="")))
        except csv.Error as error:
            raise DataError(
                f"{images.where(manifest)}: not CSV ({error}). Correct it, or move it away: then "
                "pictures are found by their names."
            ) from error
        for row in rows:
            if row.get("id") and root + (row.get("file") or "") in pictures:
                files[row["id"]] = root + row["file"]
    return files


SOURCE = Source(
    name="shop-the-look",
    title="Shop-the-Look",
    files=("shop-the-look",),
    urls={
        file: (f"https://raw.githubusercontent.com/kang205/STL-Dataset/master/{file}",)
        for file in (PAIRS, CATEGORIES)
    },
    bytes=15_000_000,
    licence="none stated; the pictures are their makers'",
    terms="pictures come separately, by `fashionnb collect`; do not redistribute them",
    citation="Kang et al. 2019, Complete the Look: Scene-based Complementary Product "
    "Recommendation, https://arxiv.org/abs/1812.01748",
    homepage="https://github.com/kang205/STL-Dataset",
    reader="shop_the_look",
    read=read,
    read_scenes=read_scenes,
    check=check,
)
