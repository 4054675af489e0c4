"""Write composed outfits in the file format of Polyvore Outfits.

`fashionnb.data.polyvore` reads them back, so whatever works on Polyvore Outfits works on composed
outfits, too.
"""

import json
import pickle
from collections.abc import Mapping
from itertools import combinations_with_replacement
from pathlib import Path

import pandas as pd

from fashionnb.data.catalogue import Catalogue, Outfits
from fashionnb.data.polyvore import EDITIONS, SPLITS
from fashionnb.data.question_files import write_blanks, write_judged
from fashionnb.errors import DataError
from fashionnb.files import write_text, written_whole
from fashionnb.synthetic.composed_outfits.composition import make_blanks, make_judged
from fashionnb.synthetic.composed_outfits.rules import kinds, roles


def write_polyvore(
    folder: Path | str, editions: Mapping[str, Outfits], hardness: str = "type", seed: int = 0
) -> None:
    """Write composed outfits, with questions, as files in the format of Polyvore Outfits.

    The semantic category of an item is its role, its fine category is its kind. The metadata are
    written last, and nothing can be read without them, so a run that was stopped does not leave a
    dataset that looks complete.

    Parameters
    ----------
    folder : path
        Created if it does not exist.
    editions : mapping of str to Outfits
        "disjoint" or "nondisjoint", or both, of one catalogue.
    hardness : str
        Of the questions; see `fashionnb.synthetic.composed_outfits.composition`.
    seed : int
        Of the questions.

    Raises
    ------
    DataError
        If an edition is unknown, there is none, their catalogues differ, an id cannot be a file
        name, or no question can be made.
    WriteError
        If the folder cannot be written.
    """
    folder = Path(folder)
    catalogue = _one_catalogue(editions)
    for edition, outfits in editions.items():
        for published, split in SPLITS.items():
            rows = [
                {
                    "set_id": name,
                    "items": [
                        {"item_id": item, "index": i} for i, item in enumerate(items, start=1)
                    ],
                }
                for name, items in outfits.sets.items()
                if outfits.split[name] == split
            ]
            write_text(folder / edition / f"{published}.json", json.dumps(rows))
            if split != "train":
                write_blanks(
                    folder / edition / f"fill_in_blank_{published}.json",
                    make_blanks(outfits, hardness, split, seed=seed),
                    outfits,
                )
                write_judged(
                    folder / edition / f"compatibility_{published}.txt",
                    make_judged(outfits, hardness, split, seed=seed),
                    outfits,
                )
        pairs = list(combinations_with_replacement(sorted(set(roles(catalogue))), 2))
        with written_whole(folder / edition / "typespaces.p") as aside:
            aside.write_bytes(pickle.dumps(pairs, protocol=2))  # lists, tuples and text only
    used = {
        item for outfits in editions.values() for items in outfits.sets.values() for item in items
    }
    worn = catalogue.take(catalogue.table["id"].isin(used))
    write_photos(worn, folder / "images")
    fine, names = pd.MultiIndex.from_arrays([kinds(worn), roles(worn)]).factorize(sort=True)
    write_text(
        folder / "categories.csv",
        pd.DataFrame(names.tolist()).to_csv(header=False, lineterminator="\n"),
    )
    metadata = {
        row["id"]: {
            "url_name": "",
            "description": "",
            "catgeories": [],  # the published files spell it so
            "title": row.get("name", ""),
            "related": [],
            "category_id": str(number),
            "semantic_category": names[number][1],
        }
        for row, number in zip(worn.table.to_dict("records"), fine, strict=True)
    }
    write_text(folder / "polyvore_item_metadata.json", json.dumps(metadata))


def write_photos(catalogue: Catalogue, folder: Path) -> None:
    """Write the photos of the items in composed outfits, as in Polyvore Outfits: `<id>.jpg`.

    Parameters
    ----------
    catalogue : Catalogue
        The items.
    folder : path
        Created if it does not exist.

    Raises
    ------
    DataError
        If an id cannot be a file name.
    WriteError
        If the folder cannot be written.
    """
    table = catalogue.table[["id", "image"]]
    strange = table["id"][~table["id"].str.fullmatch(r"[A-Za-z0-9_-][\w.-]{0,99}")]
    if len(strange):
        raise DataError(
            f"{catalogue.name}: the id {strange.iloc[0]!r} cannot be the name of a photo's file."
        )
    for item, key in table.itertuples(index=False, name=None):
        with written_whole(folder / f"{item}.jpg") as aside:
            if hasattr(catalogue.images, "read") and str(key).lower().endswith((".jpg", ".jpeg")):
                aside.write_bytes(catalogue.images.read(key))
            else:
                catalogue.images.image(key).save(aside, "JPEG", quality=95)


def _one_catalogue(editions: Mapping[str, Outfits]) -> Catalogue:
    if not editions or set(editions) - set(EDITIONS):
        raise DataError(
            f"Expected outfits for disjoint, nondisjoint or both, got {sorted(editions) or 'none'}."
        )
    first, *others = (outfits.catalogue for outfits in editions.values())
    if any(other.table["id"].tolist() != first.table["id"].tolist() for other in others):
        raise DataError("The editions have different catalogues; their items would get mixed up.")
    return first
