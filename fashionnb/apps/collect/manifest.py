"""The list of links that goes in, and the manifest that comes out: one row for each link, whatever became of it.

While a run goes on, each row is appended to a journal as soon as it is known, so that a killed run loses nothing. At
the end, or at the beginning of the next run, the journal becomes part of `manifest.csv`, which is written whole.
"""

import csv
import hashlib
import io
import json
import re
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from fashionnb.errors import DataError, DataNotFound, WriteError
from fashionnb.files import write_text

MANIFEST = "manifest.csv"
JOURNAL = ".manifest.jsonl"
IMAGES = "images"

FINDINGS = ["final_url", "file", "sha256", "bytes", "width", "height", "status", "error", "date"]
"""The columns that a run fills in."""

_ALWAYS = ["id", "url", "source", "licence"]
_UNFIT_NAMES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)")  # Windows keeps these for itself


def read_list(rows: Path | str | pd.DataFrame) -> list[dict[str, str]]:
    """The links to collect: a CSV file or a table, with the column `url`.

    Returns
    -------
    rows, each with `id`, `url`, `source`, `licence` and all other columns, as text; what is unknown is "". Where there
        is no id, it is made from the address.

    Raises
    ------
    DataNotFound : there is no such file.
    DataError : it is no CSV in UTF-8, has no column `url` or one that the manifest writes, or an id stands twice.
    """
    if isinstance(rows, pd.DataFrame):
        where, columns = "The table", [str(column) for column in rows.columns]
        cells = [
            ["" if pd.isna(cell) else str(cell) for cell in row]
            for row in rows.itertuples(index=False)
        ]
    else:
        where = str(rows)
        columns, cells = _read_csv(Path(rows))
    if twice := {column for column in columns if columns.count(column) > 1}:
        raise DataError(f"{where}: the column(s) {', '.join(sorted(twice))} stand twice.")
    if "url" not in columns:
        raise DataError(
            f"{where}: there is no column url; the columns are {', '.join(columns) or 'none'}."
        )
    if taken := [column for column in FINDINGS if column in columns]:
        raise DataError(
            f"{where}: the column(s) {', '.join(taken)} are what the manifest writes; rename them."
        )
    found: dict[str, dict[str, str]] = {}
    for line in cells:
        row = dict.fromkeys(_ALWAYS, "") | dict(zip(columns, line, strict=True))
        row["url"] = row["url"].strip()
        if not row["id"]:
            made = row["id"] = f"url-{_digest(row['url'])}"
            again = 1
            while row["id"] in found:
                again += 1
                row["id"] = f"{made}-{again}"
        if row["id"] in found:
            raise DataError(
                f"{where}: the id {row['id']!r} stands twice. Ids must be unique; leave them out if need be."
            )
        found[row["id"]] = row
    try:
        json.dumps(list(found.values()), ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise DataError(
            f"{where}: it holds half a character ({error.object[error.start : error.end]!r})."
        ) from error
    return list(found.values())


def file_name(item: str, ending: str) -> str:
    """A name that every disk takes, made from an id: the id itself, or what is plain of it and a hash."""
    if re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,99}", item) and not _UNFIT_NAMES.fullmatch(item):
        return f"{item}.{ending}"
    plain = re.sub(r"[^a-z0-9]+", "-", item.lower())[:60].strip("-")
    return f"{plain}{plain and '-'}{_digest(item)}.{ending}"


class Manifest:
    """The rows of a folder, by id: those of `manifest.csv`, and those that a run adds.

    Made when a run begins: it takes up what a killed run left. Raises `WriteError` where nothing can be written, and
    `DataError` if what is there is no manifest.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows: dict[str, dict[str, str]] = {}
        if (folder / MANIFEST).exists():
            columns, cells = _read_csv(folder / MANIFEST)
            if missing := [column for column in [*_ALWAYS, *FINDINGS] if column not in columns]:
                raise DataError(
                    f"{folder / MANIFEST}: no manifest of `fashionnb collect`, it lacks the column(s) "
                    f"{', '.join(missing)}. Move it away, or choose another folder."
                )
            for line in cells:
                row = dict(zip(columns, line, strict=True))
                self.rows[row["id"]] = row
        self.rows.update((row["id"], row) for row in _read_journal(folder / JOURNAL))
        self.save(())
        self._journal = (folder / JOURNAL).open("a", encoding="utf-8")

    def add(self, row: dict[str, str]) -> None:
        """Keep a row; from now on it outlives this process."""
        self.rows[row["id"]] = row
        try:
            self._journal.write(json.dumps(row) + "\n")
            self._journal.flush()
        except OSError as error:
            raise WriteError(
                f"{self.folder / JOURNAL}: cannot be written ({error.strerror or error}). "
                "Make room on the disk, and run the same thing again."
            ) from error

    def close(self, first: Iterable[str] = ()) -> None:
        """Write `manifest.csv` whole, the rows with the ids `first` before the others; the journal is done with."""
        self._journal.close()
        self.save(first)

    def save(self, first: Iterable[str]) -> None:
        ids = dict.fromkeys([*(item for item in first if item in self.rows), *self.rows])
        columns = dict.fromkeys(
            [*_ALWAYS, *(name for row in self.rows.values() for name in row), *FINDINGS]
        )
        order = [*(column for column in columns if column not in FINDINGS), *FINDINGS]
        text = io.StringIO(newline="")
        out = csv.writer(text)  # its "\r\n" at line ends makes it quote both within a field
        out.writerow(order)
        out.writerows([self.rows[item].get(column, "") for column in order] for item in ids)
        write_text(self.folder / MANIFEST, text.getvalue())
        (self.folder / JOURNAL).unlink(missing_ok=True)


def as_table(rows: Iterable[dict[str, str]]) -> pd.DataFrame:
    """Rows of a manifest as a table: `bytes`, `width` and `height` are int64, 0 without a picture; all else is text."""
    rows = list(rows)
    columns = dict.fromkeys([*_ALWAYS, *(name for row in rows for name in row), *FINDINGS])
    order = [*(column for column in columns if column not in FINDINGS), *FINDINGS]
    table = pd.DataFrame(rows, columns=order).fillna("")
    for column in ("bytes", "width", "height"):
        table[column] = [int(value) if value.isdigit() else 0 for value in table[column]]
    return table


def read(folder: Path | str) -> pd.DataFrame:
    """Every row that was collected into a folder, in the form that `collect` returns. Introduced in chapter 07.

    Raises
    ------
    DataNotFound : there is none.
    DataError : it is damaged.
    """
    columns, cells = _read_csv(Path(folder) / MANIFEST)
    return as_table(dict(zip(columns, line, strict=True)) for line in cells)


def _read_csv(path: Path) -> tuple[list[str], list[list[str]]]:
    """The header and the rows, all of one length."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError as error:
        raise DataNotFound(f"{path}: there is no such file.") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}).") from error
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: not UTF-8 text (byte {error.start}); save it as UTF-8."
        ) from error
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    cells = []
    try:
        columns = [column.strip() for column in next(rows, [])]
        for row in rows:
            if row and len(row) != len(columns):
                raise DataError(
                    f"{path}, line {rows.line_num}: {len(row)} fields, expected {len(columns)}. "
                    'A field with a comma in it must stand in quotation marks: "a,b".'
                )
            if row:
                cells.append(row)
    except csv.Error as error:
        raise DataError(f"{path}, line {rows.line_num}: not CSV ({error}).") from error
    return columns, cells


def _read_journal(path: Path) -> list[dict[str, str]]:
    """The rows of a run that was killed. The last line may be torn, if it was killed while it wrote."""
    if not path.exists():
        return []
    *lines, _torn = path.read_text("utf-8", errors="replace").split("\n")
    try:
        return [json.loads(line) for line in lines]
    except json.JSONDecodeError as error:
        raise DataError(
            f"{path}: a line is damaged ({error.msg}). Delete this file; its pictures are fetched again."
        ) from error


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]
