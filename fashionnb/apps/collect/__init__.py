"""Collect the pictures of a list of links: politely, safely, and so that a run that broke off goes on.

`collect` is all that one needs, or `fashionnb collect` on the command line. Below it: `addresses` (what may be asked),
`robots` (what a site asks of robots), `fetching` (one request), `visitor` (manners), `manifest` (what is written down).
Whether a picture may be used is another question: keep its licence in the list, it goes into the manifest.
"""

import time
from collections import Counter, deque
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from fashionnb import files
from fashionnb.apps.collect.http_request import Limits
from fashionnb.apps.collect.manifest import (
    FINDINGS,
    IMAGES,
    Manifest,
    as_table,
    file_name,
    read,
    read_list,
)
from fashionnb.apps.collect.polite_client import Visitor
from fashionnb.apps.collect.web_addresses import Trouble, parse
from fashionnb.data import downloads
from fashionnb.data.images import decode
from fashionnb.errors import DataError, DataNotFound

__all__ = ["Limits", "collect", "read", "report"]

_WORDS = {
    "dead": "dead link(s)",
    "refused": "refused",
    "unusable": "without a usable picture",
    "failed": "failed (run it again for those)",
}
_FINAL = ("dead", "refused", "unusable")  # asking again would bring the same
_KINDS = {
    b"\xff\xd8\xff": "jpg",
    b"\x89PNG": "png",
    b"GIF8": "gif",
    b"BM": "bmp",
    b"II": "tif",
    b"MM": "tif",
}


def collect(
    rows: Path | str | pd.DataFrame,
    out: Path | str,
    *,
    limits: Limits | None = None,
    allow_private: bool = False,
    again: bool = False,
    progress: bool = True,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> pd.DataFrame:
    """Fetch the pictures of a list into `out/images`, and write down in `out/manifest.csv` what became of each.

    Introduced in chapter 07. One request at a time, with a pause between two to the same host; robots.txt is respected
    (RFC 9309); the list goes on with other hosts while one wants to be left alone. A row whose picture lies in `out`
    is not asked for again, nor is one whose trouble would be the same; a row that failed is. Proxies are not used: one
    that looks names up by itself would undo the check of addresses.

    Parameters
    ----------
    rows : a CSV file or a table. `url` is needed; `id` gives the picture its name; `source`, `licence` and any other
        column are copied into the manifest.
    out : a folder, made if need be. One run at a time may write to it.
    limits : how fast, how long, how large; None for the usual ones.
    allow_private : ask machines of the own network, too. For an intranet; never for a list of unknown origin.
    again : ask again for every row without a picture, dead links included.
    progress : show a bar on stderr.
    clock, sleep : seconds that only go forwards, and a wait of so many seconds.

    Returns
    -------
    table : the rows of the list, in its order: `id`, `url`, `source`, `licence`, its other columns; then `final_url`
        (after redirects), `file` (from `out`, "" without a picture), `sha256`, `bytes`, `width`, `height`, `status`,
        `error`, `date`. `status` is "ok"; "duplicate" (the same bytes, or the same address, as a row before it, whose
        file it shares); or why there is no picture: "dead" (404, 410), "refused" (by the site, by its robots.txt, or by
        us), "unusable" (no picture, or too large), "failed" (no answer, or not now).

    Raises
    ------
    DataNotFound : there is no such list; or `FASHIONNB_OFFLINE` forbids the network, and something is to be fetched.
    DataError : the list or the manifest is broken.
    WriteError : the folder cannot be written, or the disk is full. What was fetched is kept.
    """
    wanted, out = read_list(rows), Path(out)
    book = Manifest(out)
    try:
        known = {item: row for item, row in book.rows.items() if _settled(row, out, again)}
        todo = [row for row in wanted if known.get(row["id"], {}).get("url") != row["url"]]
        open_ids = {row["id"] for row in todo}
        # What the list says of a picture that is here may have changed, its licence for instance.
        book.rows.update(
            {row["id"]: known[row["id"]] | row for row in wanted if row["id"] not in open_ids}
        )
        if todo and downloads.offline():
            raise DataNotFound(
                f"FASHIONNB_OFFLINE is set, so {len(todo)} picture(s) were not asked for. Unset it."
            )
        with tqdm(
            total=len(todo), unit="picture", disable=not (progress and todo), ncols=79
        ) as bar:
            _visit_all(
                todo, book, known, Visitor(limits or Limits(), allow_private, clock, sleep), bar
            )
    finally:
        book.close(row["id"] for row in wanted)
    return as_table(book.rows[row["id"]] for row in wanted)


def report(table: pd.DataFrame) -> list[str]:
    """One line for each row of `collect`'s table without a picture, and a last line that counts them all."""
    rows = table.to_dict("records")
    lines = ["{status}: {id}: {error}: {url}".format_map(row) for row in rows if not row["file"]]
    count = Counter(row["status"] for row in rows)
    pictures = f"{count['ok'] + count['duplicate']:,} of {len(rows):,} pictures are here"
    shared = f" ({count['duplicate']:,} the same as another)" if count["duplicate"] else ""
    without = [f"{count[status]:,} {words}" for status, words in _WORDS.items() if count[status]]
    # A link is somebody else's text, and must not steer a terminal.
    lines = ["".join(letter if letter.isprintable() else "?" for letter in line) for line in lines]
    return [*lines, f"{', '.join([pictures + shared, *without])}."]


def _visit_all(
    todo: list[dict], book: Manifest, before: dict[str, dict], visitor: Visitor, bar: tqdm
) -> None:
    """Go on with the host that may be asked next, until every row has a finding. Each is written down at once."""
    by_url = {row["url"]: row for row in before.values()}
    by_content = {row["sha256"]: row["file"] for row in before.values() if row["file"]}
    queues: dict[str, deque[dict]] = {}
    for row in todo:
        queues.setdefault(_host(row["url"]), deque()).append(row)
    tries = Counter()
    while queues:
        host = min(queues, key=lambda name: visitor.ready.get(name, 0.0))
        queue = queues[host]
        row = queue[0]
        known = row["url"] in by_url
        found = None if known else _fetch(row, visitor, book.folder, by_content)
        if found is None and not known:
            continue
        if isinstance(found, Trouble) and found.again:
            tries[row["id"]] += 1
            if tries[row["id"]] < visitor.limits.tries:
                visitor.put_off(host, max(found.wait, 2.0 ** tries[row["id"]]))
                continue
        # What is wrong with a host as a whole is wrong with all that was to be asked of it.
        lost = isinstance(found, Trouble) and host != "" and found.host == host
        for row in [queue.popleft() for _ in range(len(queue) if lost else 1)]:
            finding = _same(by_url[row["url"]]) if row["url"] in by_url else _finding(found)
            by_url[row["url"]] = row | finding
            book.add(by_url[row["url"]])
            bar.update()
        if not queue:
            del queues[host]


def _fetch(
    row: dict, visitor: Visitor, folder: Path, by_content: dict[str, str]
) -> "dict[str, str] | Trouble | None":
    """Ask for one picture, look at it, and put it into the folder unless its bytes are there already.

    None if the host's robots.txt had to be read first: the picture is for when the host may be asked again.
    """
    try:
        if visitor.greet(row["url"]):
            return None
        data, final_url = visitor.picture(row["url"])
    except Trouble as trouble:
        return trouble
    try:
        picture = decode(data, "")
    except DataError as error:
        return Trouble("unusable", str(error).removeprefix(": ").partition(". ")[0])
    digest = sha256(data).hexdigest()
    file = by_content.get(digest)
    status = "duplicate" if file else "ok"
    if not file:
        target = folder / IMAGES / file_name(row["id"], _ending(data))
        if (
            target.exists() and files.sha256(target) != digest
        ):  # the link of this id was another; or it is not ours
            target = target.with_stem(f"{target.stem}-{digest[:8]}")
        with files.written_whole(target) as aside:
            aside.write_bytes(data)
        file = by_content[digest] = f"{IMAGES}/{target.name}"
    return {
        "final_url": final_url,
        "file": file,
        "sha256": digest,
        "bytes": str(len(data)),
        "width": str(picture.width),
        "height": str(picture.height),
        "status": status,
    }


def _finding(found: "dict[str, str] | Trouble") -> dict[str, str]:
    """What the manifest says of an answer, or of the want of one."""
    if isinstance(found, Trouble):
        found = {"status": found.status, "error": " ".join(found.reason.split())}
    return (
        dict.fromkeys(FINDINGS, "")
        | found
        | {"date": datetime.now(UTC).isoformat(timespec="seconds")}
    )


def _same(row: dict[str, str]) -> dict[str, str]:
    """What the manifest says of an address that another row has, too."""
    found = {column: row.get(column, "") for column in FINDINGS}
    return found | ({"status": "duplicate"} if found["file"] else {})


def _settled(row: dict[str, str], folder: Path, again: bool) -> bool:
    """True if there is no need to ask for this row of the manifest once more."""
    if not row["file"]:
        return row["status"] in _FINAL and not again
    path = (
        folder / IMAGES / Path(row["file"]).name
    )  # nothing outside of the folder, whatever a manifest may say
    return path.is_file() and str(path.stat().st_size) == row["bytes"]


def _host(url: str) -> str:
    try:
        return parse(url).host
    except Trouble:
        return ""


def _ending(data: bytes) -> str:
    """The ending of a picture's name, by its first bytes. `decode` has let through what is in `_KINDS`, or WebP."""
    return next((ending for begins, ending in _KINDS.items() if data.startswith(begins)), "webp")
