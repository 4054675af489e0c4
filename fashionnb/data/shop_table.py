"""Read a shop's own table as a catalogue, and its own judgements: CSV, JSON lines, Parquet, Excel.

Columns are understood by their usual names in several languages, or as the reader is told. A
picture is named by a path, by a web address that `fashionnb collect` has downloaded, or by the id.
What was understood, what was not, and which rows have no picture is reported, never passed over.
"""

import csv
import io
import json
import logging
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

import pandas as pd

from fashionnb.data.catalogue import Catalogue
from fashionnb.data.folder import SPLITS
from fashionnb.data.images import FolderImages
from fashionnb.errors import DataError, DataNotFound

# Small letters without accents, blanks and signs; of two columns with the same meaning the one that
# stands first here counts.
_NAMES = {
    "id": (
        "id itemid productid articleid sku code ref reference productcode articlenumber article "
        "artikelnummer artikelnr artnr artikelid produktid produktnummer artikel idproduit "
        "referencia codigo idprodotto codice artikelcode indeks handle asin gtin ean"
    ),
    "image": (
        "image images img picture pictures photo photos bild bilder foto fotos imagen imagenes "
        "immagine immagini afbeelding zdjecie imagepath imagefile imagename picturename filename "
        "file path bilddatei datei dateiname fichier archivo bestand plik imageurl imagelink "
        "imagesrc pictureurl photourl bildurl fotourl urlimage urlimagen urlimmagine url link"
    ),
    "category": (
        "category categories categoryname subcategory articletype producttype itemtype kategorie "
        "warengruppe produktart produkttyp categorie categoria tipo tipologia categoriaprodotto "
        "kategoria type class label soort rodzaj"
    ),
    "colour": (
        "colour color basecolour basecolor colourname colorname farbe couleur colore kleur kolor "
        "cor"
    ),
    "pattern": "pattern muster motif estampado fantasia patroon wzor",
    "season": "season saison jahreszeit temporada stagione seizoen sezon",
    "gender": "gender sex geschlecht genre genero genere geslacht plec",
    "usage": "usage occasion use anlass verwendung uso ocasion occasione gelegenheid okazja",
    "name": (
        "name title productname productdisplayname bezeichnung titel produktname nom titre nombre "
        "titulo nome titolo naam nazwa"
    ),
    "split": "split subset partition",
}
COLUMNS = tuple(_NAMES)
"""The columns of a catalogue that a table's columns can become."""

_JUDGEMENTS = {
    "query": "query queryid queryitem q anfrage requete consulta",
    "relevant": "relevant relevantid item itemid match clicked clickedid result resultid target id",
    "grade": "grade relevance rating score gain label note nota bewertung clicks klicks",
}
_SPLITS = {name: split for split, names in SPLITS.items() for name in names}
_log = logging.getLogger(__name__)
_LISTED = 5  # rows that a report names


def read(path: Path | str, columns: Mapping[str, str] | None = None) -> Catalogue:
    """Read a shop's own table and the pictures that lie in its folder or below.

    Parameters
    ----------
    path : path
        A .csv, .tsv, .txt, .jsonl, .ndjson, .parquet or .xlsx file.
    columns : mapping of str to str, optional
        Our column (see `COLUMNS`) -> the table's, where its name does not say it.

    Returns
    -------
    Catalogue
        One row for each id whose picture is here, in the order of the table; all values are text.
        Columns that were not understood keep their names. `table.attrs["report"]` says in a few
        lines what was understood, what was not, and which rows were left out.

    Raises
    ------
    DataNotFound
        If there is no such file.
    DataError
        If it is not what its ending says, `columns` names what is not there, or no row has a
        picture.
    """
    path = Path(path).absolute()
    raw = _raw(path)
    theirs = _understood(raw.columns, dict(columns or {}), path)
    if not {"id", "image"} & theirs.keys():
        raise DataError(
            f"{path}: no column says the picture or the id; the columns are "
            f"{', '.join(raw.columns)}. Say which it is, for instance --columns image=foto."
        )
    table = raw.drop(columns=[*theirs.values(), *(name for name in theirs if name in raw)])
    for ours, name in theirs.items():
        table[ours] = raw[name]
    report = [
        "understood: " + ", ".join(f"{ours} = {name!r}" for ours, name in theirs.items()) + ".",
    ]
    if others := [name for name in raw.columns if name not in theirs.values()]:
        report.append(f"not understood, and kept as they are: {', '.join(others)}.")
    images = FolderImages(path.parent)
    find = _finder(images)
    named = table["image"] if "image" in table else table["id"]
    table["image"] = [
        find(value) or find(item) for value, item in zip(named, _ids(table), strict=True)
    ]
    table["id"] = [
        item or image or f"row {row}"
        for row, (item, image) in enumerate(zip(_ids(table), table["image"], strict=True), start=2)
    ]
    without = table["image"] == ""
    lost = [
        f"{item} ({value or 'none named'})" for item, value in zip(table["id"], named, strict=True)
    ]
    lost = [text for text, gone in zip(lost, without, strict=True) if gone]
    advice = (
        "Pictures lie in the folder of the table or below; web addresses are downloaded into it by "
        f"`fashionnb collect LIST.csv --out {path.parent / 'pictures'}`."
    )
    if without.all():
        raise DataError(
            f"{path}: no row of {len(table):,} has a picture here; the first is {lost[0]}. "
            f"Understood were: {', '.join(f'{ours} = {name}' for ours, name in theirs.items())}; "
            f"--columns image=NAME names another column. {advice}"
        )
    if lost:
        report.append(
            f"left out, without a picture: {len(lost):,} of {len(table):,} rows: "
            f"{', '.join(lost[:_LISTED])}{', …' if len(lost) > _LISTED else ''}. {advice}"
        )
    table = table[~without]
    if repeats := int(table["id"].duplicated().sum()):
        report.append(f"left out, since their id came before: {repeats:,} rows.")
        table = table.drop_duplicates("id")
    if "category" not in table:
        table["category"] = ""
    if "split" in table:
        table["split"] = [_SPLITS.get(value.lower(), value.lower()) for value in table["split"]]
    first = [name for name in COLUMNS if name in table]
    table = table[[*first, *table.columns.difference(first, sort=False)]].reset_index(drop=True)
    table.attrs["report"] = [f"{path.name}: {len(table):,} items.", *report]
    return Catalogue(path.stem, table, images, tuple(sorted(set(table["category"]))))


def read_judgements(path: Path | str) -> pd.DataFrame:
    """Read a shop's own judgements: which items are relevant to which query item, and how much.

    Parameters
    ----------
    path : path
        A table of any kind that `read` takes, with the columns `query`, `relevant` (ids) and, if
        wanted, `grade`: a number, where 0 is not relevant. Without it every pair counts 1.

    Returns
    -------
    DataFrame
        The columns `query`, `relevant` (str) and `grade` (float64), each pair once, with its
        highest grade; pairs of grade 0 are left out.

    Raises
    ------
    DataNotFound
        If there is no such file.
    DataError
        If it is not what its ending says, lacks a column, a grade is no number from 0 on, or no
        pair is left.
    """
    path = Path(path)
    raw = _raw(path)
    theirs = _understood(raw.columns, {}, path, _JUDGEMENTS)
    if missing := [name for name in ("query", "relevant") if name not in theirs]:
        raise DataError(
            f"{path}: there is no column {' and no '.join(missing)}; the columns are "
            f"{', '.join(raw.columns)}. Judgements have query, relevant and perhaps grade."
        )
    table = raw[[theirs["query"], theirs["relevant"]]].set_axis(["query", "relevant"], axis=1)
    grades = raw[theirs["grade"]] if "grade" in theirs else pd.Series("1", index=raw.index)
    table["grade"] = pd.to_numeric(grades, errors="coerce").astype(float)
    bad = ~(table["grade"].between(0, float("inf"), inclusive="left"))
    bad |= (table["query"] == "") | (table["relevant"] == "")
    if bad.any():
        row = int(bad.to_numpy().argmax())
        raise DataError(
            f"{path}, item {row + 1}: expected a query, a relevant id and a grade from 0 on; got "
            f"{', '.join(map(repr, raw.iloc[row]))}. Correct it, or leave it out."
        )
    best = (
        table[table["grade"] > 0].groupby(["query", "relevant"], sort=False, as_index=False).max()
    )
    if not len(best):
        raise DataError(f"{path}: every grade is 0, so there is nothing to be found.")
    return best


def _raw(path: Path) -> pd.DataFrame:
    """A table as it is, all cells as text."""
    if not path.is_file():
        raise DataNotFound(f"{path}: there is no such file. Check the path.")
    if path.suffix.lower() not in _READERS:
        raise DataError(
            f"{path}: tables end in {', '.join(_READERS)}. Save it as one of them, such as CSV."
        )
    try:
        raw = _READERS[path.suffix.lower()](path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}).") from error
    raw = raw.rename(columns=str).apply(lambda column: column.map(_text))
    raw = raw.loc[:, [bool(name.strip()) for name in raw.columns]]
    if not len(raw) or not len(raw.columns):
        raise DataError(f"{path}: the table is empty. It has a line of names, then one an item.")
    return raw


def _ids(table: pd.DataFrame) -> Iterable[str]:
    return table["id"] if "id" in table else [""] * len(table)


def _understood(
    names: Iterable[str],
    told: Mapping[str, str],
    path: Path,
    known: Mapping[str, str] = _NAMES,
) -> dict[str, str]:
    """Our columns -> those of the table, in our order."""
    names = list(names)
    meaning = {name: ours for ours, usual in known.items() for name in usual.split()}
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise DataError(f"{path}: the column {twice[0]!r} stands twice. Give each its own name.")
    theirs = {}
    for ours, name in told.items():
        if _plain(ours) not in meaning:
            raise DataError(f"--columns: {ours!r} is none of ours, which are {', '.join(known)}.")
        if name not in names:
            raise DataError(
                f"{path}: there is no column {name!r}; the columns are {', '.join(names)}."
            )
        theirs[meaning[_plain(ours)]] = name
    free = [name for name in names if name not in theirs.values() and _plain(name) in meaning]
    for name in sorted(free, key=lambda name: list(meaning).index(_plain(name))):
        theirs.setdefault(meaning[_plain(name)], name)
    return {ours: theirs[ours] for ours in known if ours in theirs}


def _plain(name: str) -> str:
    letters = unicodedata.normalize("NFKD", name.casefold().replace("ł", "l"))
    return "".join(letter for letter in letters if letter.isalnum())


def _finder(images: FolderImages) -> Callable[[str], str]:
    """Finds the picture that a value names: the key in `images`, or ""."""
    names = [name for name in images.names if not name.lower().endswith((*SUFFIXES, ".json"))]
    kept = {_folded(name): name for name in names}
    endings, stems = defaultdict(set), defaultdict(set)
    for name in names:
        endings[_folded(PurePosixPath(name).name)].add(name)
        stems[_folded(PurePosixPath(name).stem)].add(name)
    collected = {}
    for manifest in images.names:
        root = manifest.removesuffix("manifest.csv")
        if PurePosixPath(manifest).name != "manifest.csv":
            continue
        for row in _delimited(images.root / manifest).to_dict("records"):
            file = kept.get(_folded(root + row.get("file", "")), "") if row.get("file") else ""
            collected |= {
                row[name]: file for name in ("url", "final_url", "id") if row.get(name) and file
            }

    def find(value: str) -> str:
        if not value or value in collected:
            return collected.get(value, "")
        path = unquote(urlsplit(value).path) if "://" in value else value
        parts = [part for part in _folded(path).split("/") if part not in ("", ".")]
        for start in range(len(parts)):  # the whole path, and what is left without its beginning
            if name := kept.get("/".join(parts[start:])):
                return name
        last = parts[-1] if parts else ""
        for found in (endings.get(last, ()), stems.get(last, ())):
            if len(found) == 1:
                return next(iter(found))
        return ""

    return find


def _folded(name: str) -> str:
    """A path as disks compare them that ignore capitals, with "/" and in one form of accents."""
    return unicodedata.normalize("NFC", name.strip().replace("\\", "/")).casefold()


def _text(value: object) -> str:
    """A cell as text: "" if it is unknown, the first of a list, 12 for 12.0."""
    if isinstance(value, list | tuple) or hasattr(value, "tolist"):
        value = value.tolist() if hasattr(value, "tolist") else value
        value = (value[0] if value else "") if isinstance(value, list | tuple) else value
    if value is None or value is pd.NaT or value is pd.NA or value != value:
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip()


def _delimited(path: Path) -> pd.DataFrame:
    """A table as text with commas, semicolons, tabs or bars, in any usual encoding."""
    data = path.read_bytes()
    try:
        text = data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError:
        _log.warning("%s is not UTF-8; it is read as Windows-1252.", path)
        text = data.decode("cp1252", errors="replace")  # what Excel writes on Windows
    header = text.partition("\n")[0]
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t|", key=header.count))
    try:
        names = [name.strip() for name in next(rows, [])]
        lines = []
        for cells in filter(any, rows):
            if len(cells) != len(names):
                raise DataError(
                    f"{path}, line {rows.line_num}: {len(cells)} fields, expected {len(names)}. "
                    'A field with a separator in it must stand in quotation marks: "a,b".'
                )
            lines.append(cells)
    except csv.Error as error:
        raise DataError(
            f"{path}, line {rows.line_num}: not CSV ({error}). Save it as CSV in UTF-8."
        ) from error
    return pd.DataFrame(lines, columns=names, dtype=str)


def _json_lines(path: Path) -> pd.DataFrame:
    rows = []
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        try:
            row = json.loads(line) if line.strip() else {}
        except (ValueError, RecursionError) as error:
            raise DataError(
                f"{path}, line {number}: not JSON ({error!s:.80}). Each line holds one item: "
                '{"id": "1", "image": "1.jpg"}.'
            ) from error
        if not isinstance(row, dict):
            raise DataError(
                f"{path}, line {number}: expected an object such as "
                f'{{"id": "1", "image": "1.jpg"}}, got {line[:40]!r}.'
            )
        rows += [row] if row else []
    return pd.DataFrame(rows, dtype=object)


def _parquet(path: Path) -> pd.DataFrame:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pd.DataFrame(pq.read_table(path).to_pydict(), dtype=object)
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"{path}: not a Parquet file, or one that is cut short ({error!s:.80}). Write it again."
        ) from error


def _excel(path: Path) -> pd.DataFrame:
    try:
        return pd.read_excel(path, dtype=object, keep_default_na=False)
    except ImportError as error:
        raise DataError(
            f"{path}: Excel files need openpyxl. `pip install openpyxl`, or save it as CSV."
        ) from error
    except Exception as error:  # of zipfile, of openpyxl and of its parser
        raise DataError(
            f"{path}: not an Excel file that can be read ({error!s:.80}). Save it as CSV."
        ) from error


_READERS: dict[str, Callable[[Path], pd.DataFrame]] = {
    ".csv": _delimited,
    ".tsv": _delimited,
    ".txt": _delimited,
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".parquet": _parquet,
    ".xlsx": _excel,
}
SUFFIXES = tuple(_READERS)
"""The endings of the tables that are read."""
