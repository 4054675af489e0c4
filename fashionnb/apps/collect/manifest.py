"""Read the list of links to collect, and keep the manifest: one row for each link.

During a run, each row is appended to a journal as soon as it is known, so that a killed run loses
nothing. At its end, or at the start of the next run, the journal becomes part of `manifest.csv`,
which is written whole.
"""

import csv
import hashlib
import io
import json
import re
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import pandas as pd
from pydantic import TypeAdapter

from fashionnb.errors import DataError, DataNotFound, WriteError
from fashionnb.files import write_text

MANIFEST = "manifest.csv"
JOURNAL = ".manifest.jsonl"
IMAGES = "images"

FINDINGS = ["final_url", "file", "sha256", "bytes", "width", "height", "status", "error", "date"]
"""The columns that a run fills in."""

_COLUMNS = ["id", "url", "source", "licence"]  # of every manifest, before those of the list
_RESERVED_NAMES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)")  # on Windows

Row = dict[str, str]


def read_list(path: Path | str) -> list[Row]:
    """Read the list of links to collect from a CSV file, as rows for the manifest.

    Parameters
    ----------
    path : Path or str
        A CSV file with the column `url`.

    Returns
    -------
    list of dict
        For each row `id`, `url`, `source`, `licence` and all other columns, as text; "" if
        unknown. Where there is no id, it is made from the URL.

    Raises
    ------
    DataNotFound
        If there is no such file.
    DataError
        If it is not CSV in UTF-8, has no column `url` or one that the manifest writes, or has an
        id twice.
    """
    columns, listed = _read_csv(Path(path))
    _check_columns(columns, path)
    found: dict[str, Row] = {}
    without_id = Counter()
    for line in listed:
        row = dict.fromkeys(_COLUMNS, "") | line
        row["url"] = row["url"].strip()
        if not row["id"]:
            without_id[row["url"]] += 1
            row["id"] = _new_id(row["url"], without_id[row["url"]])
        if row["id"] in found:
            raise DataError(
                f"{path}: the id {row['id']!r} stands twice. "
                "Ids must be unique; leave them out if need be."
            )
        found[row["id"]] = row
    return list(found.values())


def _check_columns(columns: list[str], where: Path | str) -> None:
    twice = sorted({column for column in columns if columns.count(column) > 1})
    if twice:
        raise DataError(f"{where}: the column(s) {', '.join(twice)} stand twice. Rename one.")
    if "url" not in columns:
        raise DataError(
            f"{where}: there is no column url; the columns are {', '.join(columns) or 'none'}. "
            "Call the one with the addresses url."
        )
    taken = [column for column in FINDINGS if column in columns]
    if taken:
        raise DataError(
            f"{where}: the column(s) {', '.join(taken)} are what the manifest writes; rename them."
        )


def _new_id(url: str, number: int) -> str:
    """An id for a URL; one that comes again gets a number."""
    new = f"url-{_digest(url)}"
    return new if number == 1 else f"{new}-{number}"


def file_name(item: str, ending: str) -> str:
    """Make the file name of a collected image from its id, safe on every disk.

    It is the id, or its letters and a hash.

    Parameters
    ----------
    item : str
        The id, any text.
    ending : str
        Of the file, without the dot, such as "jpg".

    Returns
    -------
    str
        Small letters, digits, "-" and "_", then the ending.
    """
    if re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,99}", item) and not _RESERVED_NAMES.fullmatch(item):
        return f"{item}.{ending}"
    plain = re.sub(r"[^a-z0-9]+", "-", item.lower())[:60].strip("-")
    return f"{plain}{plain and '-'}{_digest(item)}.{ending}"


class Manifest:
    """Manifest of a folder of collected images: one row for each link, safe if a run is killed.

    It has the rows of `manifest.csv` and those that a run adds. Made at the start of a run, it
    takes in the journal of a run that was killed.

    Parameters
    ----------
    folder : Path
        Where `manifest.csv` is or will be.

    Attributes
    ----------
    rows : dict of str to dict
        The rows by id.

    Raises
    ------
    WriteError
        If nothing can be written there.
    DataError
        If the files there are no manifest.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows: dict[str, Row] = {}
        if (folder / MANIFEST).exists():
            columns, rows = _read_csv(folder / MANIFEST)
            missing = [column for column in [*_COLUMNS, *FINDINGS] if column not in columns]
            if missing:
                raise DataError(
                    f"{folder / MANIFEST}: no manifest of `fashionnb collect`, it lacks the "
                    f"column(s) {', '.join(missing)}. Move it away, or choose another folder."
                )
            self.rows = {row["id"]: row for row in rows}
        self.rows.update((row["id"], row) for row in _read_journal(folder / JOURNAL))
        self._save(())
        self._journal = (folder / JOURNAL).open("a", encoding="utf-8")

    def add(self, row: Row) -> None:
        """Keep a row; from now on it is safe if the process is killed."""
        self.rows[row["id"]] = row
        try:
            self._journal.write(json.dumps(row) + "\n")
            self._journal.flush()
        except OSError as error:
            raise WriteError(
                f"{self.folder / JOURNAL}: cannot be written ({error.strerror or error}). "
                "Make room on the disk, and run the same thing again."
            ) from error

    def close(self, first: Iterable[str]) -> None:
        """Write `manifest.csv`, the rows with the ids `first` on top, and remove the journal."""
        with suppress(OSError):  # a full disk: `add` has said so
            self._journal.close()
        self._save(first)

    def _save(self, first: Iterable[str]) -> None:
        if self.rows or (self.folder / MANIFEST).exists():
            self._write(first)
        (self.folder / JOURNAL).unlink(missing_ok=True)

    def _write(self, first: Iterable[str]) -> None:
        ids = dict.fromkeys([*(item for item in first if item in self.rows), *self.rows])
        table = _as_text(self.rows.values()).set_index("id", drop=False).loc[[*ids]]
        # "\r\n" at line ends makes it quote both within a field.
        write_text(self.folder / MANIFEST, table.to_csv(index=False, lineterminator="\r\n"))


def as_table(rows: Iterable[Row]) -> pd.DataFrame:
    """Make a DataFrame of rows of the manifest of collected images.

    Parameters
    ----------
    rows : iterable of dict of str to str
        As `Manifest` has them.

    Returns
    -------
    DataFrame
        One row for each link. `bytes`, `width` and `height` are int64, 0 if unknown; the rest is
        text, "" if unknown.
    """
    table = _as_text(rows)
    for column in ("bytes", "width", "height"):
        table[column] = [int(value) if value.isdecimal() else 0 for value in table[column]]
    return table


def _as_text(rows: Iterable[Row]) -> pd.DataFrame:
    """The rows with the columns of all, those of the list first, then the findings."""
    rows = list(rows)
    columns = dict.fromkeys([*_COLUMNS, *(name for row in rows for name in row)])
    own = [column for column in columns if column not in FINDINGS]
    return pd.DataFrame(rows, columns=[*own, *FINDINGS]).fillna("")


def _read_csv(path: Path) -> tuple[list[str], list[Row]]:
    """The header and the rows, all of one length."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError as error:
        raise DataNotFound(f"{path}: there is no such file. Check its path.") from error
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read ({error.strerror or error}). Put a CSV file in its place."
        ) from error
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: not UTF-8 text (byte {error.start}); save it as UTF-8."
        ) from error
    lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows = []
    try:
        columns = [column.strip() for column in next(lines, [])]
        for cells in filter(None, lines):
            if len(cells) != len(columns):
                raise DataError(
                    f"{path}, line {lines.line_num}: {len(cells)} fields, "
                    f"expected {len(columns)}. "
                    'A field with a comma in it must stand in quotation marks: "a,b".'
                )
            rows.append(dict(zip(columns, cells, strict=True)))
    except csv.Error as error:
        raise DataError(f"{path}, line {lines.line_num}: not CSV ({error}). Correct it.") from error
    return columns, rows


def _read_journal(path: Path) -> list[Row]:
    """The rows of a run that was killed; the last line may be torn."""
    if not path.exists():
        return []
    try:
        *lines, _torn = path.read_text("utf-8", errors="replace").split("\n")
        rows = TypeAdapter(list[Row]).validate_python([json.loads(line) for line in lines])
        if any({*_COLUMNS, *FINDINGS} - row.keys() for row in rows):
            raise ValueError("it lacks columns")
    except (OSError, ValueError, RecursionError) as error:
        why = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise DataError(
            f"{path}: a line is damaged, or it is no journal ({why}). "
            "Delete it; its pictures are fetched again."
        ) from error
    return rows


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]
