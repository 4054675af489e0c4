"""Shop-the-Look: pairs of a scene and a product that is in it, with the box where, from a website of pinned pictures.

Reads `fashion.json` (one pair a line) and `fashion-cat.json` as published for Kang et al. 2019, "Complete the Look:
Scene-based Complementary Product Recommendation", and the pictures that `fashionnb collect` fetched for `links`. Its
links rot, so pairs without a picture are left out and counted. `fashionnb.synthetic.composed_outfits` writes scenes as
the same files.
"""

import csv
import io
import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pandas as pd

from fashionnb.data.catalogue import BOX, Catalogue, Scenes
from fashionnb.data.images import FolderImages, ZipImages, open_images
from fashionnb.data.splits import SHARES
from fashionnb.errors import DataError
from fashionnb.files import write_text, written_whole

SOURCE = "shop-the-look"
PAIRS, CATEGORIES = "fashion.json", "fashion-cat.json"
COUNTS = {"products": 38_111, "leaves": 10}
"""What the published list of categories holds."""

_NAME = re.compile(r"[A-Za-z0-9_-][\w.-]{0,99}")  # a signature; it becomes the name of a file
_MOST_TOLD = 10
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Problem:
    """What is wrong with one line of a list of pairs, counted from 1. Introduced in chapter 11."""

    where: str
    line: int
    reason: str

    def __str__(self) -> str:
        return f"{self.where}, line {self.line}: {self.reason}"


def read(path: Path | str) -> Catalogue:
    """The products that are in a scene; see `read_scenes`. Introduced in chapter 11."""
    return read_scenes(path).catalogue


def read_scenes(path: Path | str) -> Scenes:
    """The pairs whose two pictures are here. Introduced in chapter 11.

    No line is left out silently: if one is malformed this raises, and `salvage` gives the others.

    Parameters
    ----------
    path : a folder or a zip with `fashion.json`, `fashion-cat.json`, and pictures `<signature>.jpg` in any folder of
        it. Where `fashionnb collect` wrote its `manifest.csv`, that says which file is whose.

    Returns
    -------
    Scenes, one row a pair in the order of the file; `scene` is the key of its picture. A field `split` in every line
        becomes a column. The catalogue has `id` (the signature), `category` (the leaf), `path` (the whole category)
        and `image`. `table.attrs` counts what was left out: `pairs_without_image`, `scenes_without_image`,
        `products_without_image`; and `repeats`, pairs that stand there before.

    Raises
    ------
    DataNotFound : there is nothing at `path`.
    DataError : a list is missing or cannot be read; a line is malformed: the first ten are told, with their numbers;
        or no pair has both pictures.
    """
    scenes, problems = salvage(path)
    if problems:
        told = "\n".join(f"  {problem}" for problem in problems[:_MOST_TOLD])
        more = f"\n  … and {len(problems) - _MOST_TOLD} more" if len(problems) > _MOST_TOLD else ""
        raise DataError(
            f"{path}: {len(problems):,} line(s) are malformed, {len(scenes):,} pair(s) are good.\n{told}{more}\n"
            "Correct them, or take the good ones with `fashionnb.data.shop_the_look.salvage`."
        )
    return scenes


def salvage(path: Path | str) -> tuple[Scenes, list[Problem]]:
    """The pairs of a list some of whose lines are malformed, and what is wrong with those. Introduced in chapter 11.

    Parameters and errors as `read_scenes`, but for malformed lines.
    """
    images, table, categories, problems = _lists(path)
    files = _files(images)
    scene, product = (table[column].map(files) for column in ("scene", "product"))
    here = scene.notna() & product.notna()
    if not here.any():
        raise DataError(
            f"{path}: no pair of {len(table):,} has both pictures here. Write the table of "
            f"`fashionnb.data.shop_the_look.links` to a CSV file, and run `fashionnb collect` with it and --out {path}."
        )
    counts = {
        "pairs_without_image": int((~here).sum()),
        "scenes_without_image": table["scene"][scene.isna()].nunique(),
        "products_without_image": table["product"][product.isna()].nunique(),
        "repeats": int(table[["scene", "product", *BOX]].duplicated().sum()),
    }
    if counts["pairs_without_image"]:
        _log.info(
            "%s: %d of %d pairs lack a picture.", path, counts["pairs_without_image"], len(table)
        )
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
    catalogue = Catalogue(SOURCE, products, images, tuple(sorted(set(products["category"]))))
    return Scenes(catalogue, images, kept), problems


def links(path: Path | str) -> pd.DataFrame:
    """Where every picture of the lists is: a table for `fashionnb collect`. Introduced in chapter 11.

    Returns
    -------
    table with the columns `id` (the signature, so the pictures are found again), `url` and `source`; scenes first.

    Raises
    ------
    DataNotFound, DataError : as `salvage`, but pictures are not needed.
    """
    _, table, _, _ = _lists(path)
    ids = pd.concat([table["scene"], table["product"]]).drop_duplicates().reset_index(drop=True)
    return pd.DataFrame({"id": ids, "url": ids.map(url), "source": SOURCE})


def url(signature: str) -> str:
    """The address of a picture, as the authors say."""
    return f"http://i.pinimg.com/400x/{signature[:2]}/{signature[2:4]}/{signature[4:6]}/{signature}.jpg"


def check(path: Path | str) -> list[str]:
    """Count pairs, scenes and products, malformed lines, and the pictures that are here.

    Returns
    -------
    One line for each thing that was found.

    Raises
    ------
    DataNotFound, DataError : as `salvage`, but pictures may be missing; or the categories are not the published ones.
    """
    images, table, categories, problems = _lists(path)
    found = {
        "products": len(categories),
        "leaves": len({text.rpartition("|")[2] for text in categories.values()}),
    }
    for what, expected in COUNTS.items():
        if found[what] != expected:
            raise DataError(
                f"{path}: expected {expected:,} {what} in {CATEGORIES}, found {found[what]:,}. Get it again."
            )
    files = _files(images)
    lines = [
        f"{found['products']:,} products of {found['leaves']} leaf categories",
        f"{len(table):,} pairs of {table['scene'].nunique():,} scenes and {table['product'].nunique():,} products",
        f"{len(problems):,} malformed line(s){''.join(f'; {problem}' for problem in problems[:_MOST_TOLD])}",
    ]
    for column in ("scene", "product"):
        ids = table[column].drop_duplicates()
        lines.append(
            f"{ids.isin(files.keys()).sum():,} of {len(ids):,} pictures of {column}s are here"
        )
    return lines


def write(scenes: Scenes, folder: Path | str) -> None:
    """Write scenes as Shop-the-Look's files, with their pictures. Introduced in chapter 11.

    What `read_scenes` gave is written so that it reads the same again. Pictures with bytes of their own are copied byte
    for byte, others become JPEG.

    Raises
    ------
    DataError : a name that cannot be the name of a file, or a picture that cannot be read.
    WriteError : the folder cannot be written.
    """
    folder, table, products = Path(folder), scenes.table, scenes.catalogue.table
    stems = {key: PurePosixPath(str(key)).stem for key in table["scene"].unique()}
    wanted = [(stems[key], scenes.images, key) for key in stems]
    wanted += [
        (item, scenes.catalogue.images, key)
        for item, key in zip(products["id"], products["image"], strict=True)
    ]
    if strange := [name for name, _, _ in wanted if not _NAME.fullmatch(name)]:
        raise DataError(f"{strange[0]!r} cannot be the name of a picture's file.")
    for name, images, key in wanted:
        with written_whole(folder / "images" / f"{name}.jpg") as aside:
            if hasattr(images, "read"):
                aside.write_bytes(images.read(key))
            else:
                images.image(key).save(aside, "JPEG", quality=95)
    column = "path" if "path" in products else "category"
    categories = dict(zip(products["id"], products[column], strict=True))
    write_lists(folder, table.assign(scene=table["scene"].map(stems)), categories)


def write_lists(folder: Path | str, table: pd.DataFrame, categories: Mapping[str, str]) -> None:
    """Write `fashion-cat.json` and `fashion.json`, without pictures. Introduced in chapter 11.

    Parameters
    ----------
    table : `scene` and `product` (names of pictures), `left`, `top`, `right`, `bottom`; `split` if it is there.
    categories : product -> its category, the parts divided by "|".
    """
    columns = ["product", "scene", *BOX] + (["split"] if "split" in table else [])
    lines = []
    for product, scene, left, top, right, bottom, *split in table[columns].itertuples(
        index=False, name=None
    ):
        row = {"product": product, "scene": scene, "bbox": [left, top, right, bottom]}
        lines.append(json.dumps(row | ({"split": split[0]} if split else {})))
    write_text(Path(folder) / CATEGORIES, json.dumps(dict(categories)))
    write_text(Path(folder) / PAIRS, "\n".join(lines) + "\n")


def _lists(
    path: Path | str,
) -> tuple[FolderImages | ZipImages, pd.DataFrame, dict[str, str], list[Problem]]:
    """The files, the pairs, product -> category, and what is wrong with the other lines."""
    images = open_images(path)
    found = [name for name in images.names if f"/{name}".endswith(f"/{PAIRS}")]
    if not found:
        here = ", ".join(images.names[:3]) or "none"
        raise DataError(
            f"{path}: there is no {PAIRS}; the files here are {here}. Get it from the authors' page."
        )
    root = min(found, key=lambda name: (name.count("/"), name)).removesuffix(PAIRS)
    categories = _categories(images, root + CATEGORIES)
    where = images.where(root + PAIRS)
    rows, problems = [], []
    # Decoded once; what is no UTF-8 becomes a sign that no name may have.
    lines = images.read(root + PAIRS).decode("utf-8-sig", errors="replace").split("\n")
    for line, text in enumerate(lines, start=1):
        if not text.strip():
            continue
        row = _pair(text, categories)
        if isinstance(row, str):
            problems.append(Problem(where, line, row))
        else:
            rows.append(row)
    if not rows:
        raise DataError(
            f"{where}: there is no good pair in it, and {len(problems)} malformed line(s). Get it again."
        )
    table = pd.DataFrame(rows, columns=["scene", "product", *BOX, "split"])
    return (
        images,
        table if (table["split"] != "").all() else table.drop(columns="split"),
        categories,
        problems,
    )


def _pair(text: str, categories: Mapping[str, str]) -> "tuple | str":
    """One line as a row, or what is wrong with it. Plain checks: a model for each line would take ten times as long."""
    try:
        row = json.loads(text)
    except (ValueError, RecursionError) as error:
        return f"not JSON, or cut short ({error!s:.80})"
    if not isinstance(row, dict):
        return f"an object with product, scene and bbox is wanted, got {row!r:.60}"
    scene, product, box = row.get("scene"), row.get("product"), row.get("bbox")
    for what, name in (("scene", scene), ("product", product)):
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            return f"{what} is no signature: {name!r:.60}"
    if (
        not isinstance(box, list)
        or len(box) != 4
        or not all(type(side) in (int, float) for side in box)
    ):
        return f"bbox is no list of four numbers: {box!r:.60}"
    left, top, right, bottom = box
    if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
        return f"bbox is not left < right and top < bottom within 0 to 1: {box!r:.80}"
    if product not in categories:
        return f"product {product} is not in {CATEGORIES}"
    split = row.get("split", "")
    if split != "" and split not in SHARES:
        return f"split is none of {', '.join(SHARES)}: {split!r:.40}"
    return scene, product, left, top, right, bottom, split


def _categories(images: FolderImages | ZipImages, name: str) -> dict[str, str]:
    where = images.where(name)
    if name not in images.names:
        raise DataError(f"{where}: there is no such file. Get it from the authors' page.")
    try:
        found = json.loads(images.read(name))
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"{where}: not JSON, or cut short ({error!s:.80}). Get it again."
        ) from error
    if not isinstance(found, dict) or not all(
        isinstance(text, str) and text.strip("| ") for text in found.values()
    ):
        raise DataError(
            f"{where}: expected a dictionary, product -> category as text. Get it again."
        )
    return found


def _files(images: FolderImages | ZipImages) -> dict[str, str]:
    """Signature -> its picture: by the names of the files, and by a manifest of `fashionnb collect`."""
    endings = (".jpg", ".jpeg", ".png", ".webp", ".gif")
    pictures = (name for name in images.names if name.lower().endswith(endings))
    files = {name.rpartition("/")[2].rpartition(".")[0]: name for name in pictures}
    for name in images.names:
        if f"/{name}".endswith("/manifest.csv"):
            root = name.removesuffix("manifest.csv")
            rows = csv.DictReader(
                io.StringIO(images.read(name).decode("utf-8-sig", errors="replace"), newline="")
            )
            known = set(files.values())
            files |= {
                row["id"]: root + row["file"]
                for row in rows
                if root + (row.get("file") or "") in known
            }
    return files
