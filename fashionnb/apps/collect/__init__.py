"""Collect the pictures of a list of links: politely, safely, and resuming where a run stopped.

`collect` does it, or `fashionnb collect` on the command line. It is built on `http_request` (one
request, to an address that may be contacted), `polite_client` (robots.txt, pauses, redirects) and
`manifest` (what is written down). Whether a picture may be used is another question: keep its
licence in the list, and it goes into the manifest.
"""

import math
from collections import Counter, deque
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from fashionnb import files
from fashionnb.apps.collect.http_request import FetchError, parse
from fashionnb.apps.collect.manifest import (
    FINDINGS,
    IMAGES,
    Manifest,
    Row,
    as_table,
    file_name,
    read_list,
)
from fashionnb.apps.collect.polite_client import PoliteClient
from fashionnb.data import downloads
from fashionnb.data.decoding import decode
from fashionnb.errors import DataError, DataNotFound

TRIES = 4
"""How often one link is tried in a run."""

_WORDS = {
    "dead": "dead link(s)",
    "refused": "refused",
    "unusable": "without a usable picture",
    "failed": "failed (run it again for those)",
}
_FINAL = ("dead", "refused", "unusable")  # asking again would bring the same
_ENDINGS = {
    b"\xff\xd8\xff": "jpg",
    b"\x89PNG": "png",
    b"GIF8": "gif",
    b"BM": "bmp",
    b"II": "tif",
    b"MM": "tif",
    b"RIFF": "webp",
}


def collect(
    links: Path | str,
    out: Path | str,
    *,
    pause: float = 1.0,
    max_bytes: int = 20_000_000,
    allow_private: bool = False,
    again: bool = False,
) -> pd.DataFrame:
    """Collect images: download a list of links politely, and write down what became of each.

    The pictures go into `out/images`, the findings into `out/manifest.csv`. There is one request at
    a time, with a pause between two to the same host; robots.txt is respected (RFC 9309); while one
    host wants to be left alone, the list goes on with others. A row is not asked for again if its
    picture is in `out`, or if it would be refused again; a row that failed is. Proxies are not
    used: one that resolves names itself would undo the check of addresses.

    Parameters
    ----------
    links : Path or str
        A CSV file. The column `url` is required; `id` names the picture; `source`, `licence` and
        any other column are copied into the manifest.
    out : Path or str
        A folder, made if need be. A second run that writes to it at the same time is refused.
    pause : float
        Seconds between two requests to one host; a site may ask for more (Crawl-delay).
    max_bytes : int
        Larger pictures are not downloaded.
    allow_private : bool
        Contact machines of the local network, too. For an intranet; never for a list of unknown
        origin.
    again : bool
        Ask again for every row without a picture, dead links included.

    Returns
    -------
    DataFrame
        The rows of the list, in its order: `id`, `url`, `source`, `licence`, its other columns;
        then `final_url` (after redirects), `file` (relative to `out`, "" without a picture),
        `sha256`, `bytes`, `width`, `height`, `status`, `error`, `date`. `status` is "ok";
        "duplicate" (the same bytes or the same URL as an earlier row, whose file it shares); or why
        there is no picture: "dead" (404, 410), "refused" (by the site, by its robots.txt, or by
        us), "unusable" (no picture, or too large), "failed" (no answer, or not now).

    Raises
    ------
    DataNotFound
        If there is no such list; or if `FASHIONNB_OFFLINE` forbids the network, and something is to
        be fetched.
    DataError
        If the list or the manifest is broken, or the pause is no time.
    WriteError
        If the folder cannot be written, another run is writing there, or the disk is full. What was
        fetched is kept.
    """
    if not 0 <= pause < math.inf:
        raise DataError(f"pause is a number of seconds from 0 on, got {pause!r}.")
    wanted, out = read_list(links), Path(out)
    client = PoliteClient(pause, max_bytes, allow_private)
    with files.only_writer(out):
        manifest = Manifest(out)
        try:
            _collect(wanted, manifest, client, again)
        finally:
            manifest.close(row["id"] for row in wanted)
    return as_table(manifest.rows[row["id"]] for row in wanted)


def report(table: pd.DataFrame) -> list[str]:
    """Report what `collect` did: a line for each link without an image, then the counts.

    Parameters
    ----------
    table : DataFrame
        As `collect` returns it.

    Returns
    -------
    list of str
        Lines without characters that could control a terminal.
    """
    rows = table.to_dict("records")
    lines = ["{status}: {id}: {error}: {url}".format_map(row) for row in rows if not row["file"]]
    count = Counter(row["status"] for row in rows)
    pictures = f"{count['ok'] + count['duplicate']:,} of {len(rows):,} pictures are here"
    if count["duplicate"]:
        pictures += f" ({count['duplicate']:,} the same as another)"
    without = [f"{count[status]:,} {words}" for status, words in _WORDS.items() if count[status]]
    # A link is somebody else's text, and must not control a terminal.
    lines = ["".join(letter if letter.isprintable() else "?" for letter in line) for line in lines]
    return [*lines, f"{', '.join([pictures, *without])}."]


def _collect(wanted: list[Row], manifest: Manifest, client: PoliteClient, again: bool) -> None:
    """Fetch what the manifest has not settled."""
    settled = {
        item: row for item, row in manifest.rows.items() if _is_settled(row, manifest.folder, again)
    }
    todo = []
    for row in wanted:
        if settled.get(row["id"], {}).get("url") == row["url"]:
            # What the list says of the picture may have changed, its licence for instance.
            manifest.rows[row["id"]] = settled[row["id"]] | row
        else:
            todo.append(row)
    if todo and downloads.offline():
        raise DataNotFound(
            f"FASHIONNB_OFFLINE is set, so {len(todo)} picture(s) were not asked for. Unset it."
        )
    with tqdm(total=len(todo), unit="picture", disable=not todo, ncols=79) as bar:
        _fetch_all(todo, manifest, settled, client, bar)


def _fetch_all(
    todo: list[Row], manifest: Manifest, settled: dict[str, Row], client: PoliteClient, bar: tqdm
) -> None:
    """Fetch from the host that may be asked next, until every row has a finding in the manifest."""
    by_url = {row["url"]: row for row in settled.values()}
    by_content = {row["sha256"]: row["file"] for row in settled.values() if row["file"]}
    queues: dict[str, deque[Row]] = {}
    for row in todo:
        queues.setdefault(_host(row["url"]), deque()).append(row)
    tries = Counter()
    while queues:
        host = min(queues, key=lambda name: client.ready.get(name, 0.0))
        queue, found, finished = queues[host], None, 1
        row = queue[0]
        if row["url"] not in by_url:
            try:
                if client.read_robots(parse(row["url"])):
                    continue  # the picture must wait until the host may be asked again
                found = _fetch(row, client, manifest.folder, by_content)
            except FetchError as error:
                tries[row["id"]] += 1
                if error.retry and tries[row["id"]] < TRIES:
                    client.postpone(host, max(error.wait, 2.0 ** tries[row["id"]]))
                    continue
                found = {"status": error.status, "error": " ".join(error.reason.split())}
                if host and error.host == host:  # all that was to be asked of it fails alike
                    finished = len(queue)
        for row in [queue.popleft() for _ in range(finished)]:
            if row["url"] in by_url:
                by_url[row["url"]] = row | _same(by_url[row["url"]])
            else:
                now = datetime.now(UTC).isoformat(timespec="seconds")
                by_url[row["url"]] = row | dict.fromkeys(FINDINGS, "") | found | {"date": now}
            manifest.add(by_url[row["url"]])
            bar.update()
        if not queue:
            del queues[host]


def _fetch(row: Row, client: PoliteClient, folder: Path, by_content: dict[str, str]) -> Row:
    """Fetch one picture, and write it into the folder unless its bytes are there already."""
    data, final_url = client.picture(row["url"])
    try:
        picture = decode(data, "")
    except DataError as error:
        raise FetchError("unusable", str(error).removeprefix(": ").partition(". ")[0]) from error
    digest = sha256(data).hexdigest()
    file = by_content.get(digest)
    status = "duplicate" if file else "ok"
    if not file:
        file = by_content[digest] = f"{IMAGES}/{_write(data, digest, row['id'], folder / IMAGES)}"
    return {
        "final_url": final_url,
        "file": file,
        "sha256": digest,
        "bytes": str(len(data)),
        "width": str(picture.width),
        "height": str(picture.height),
        "status": status,
    }


def _write(data: bytes, digest: str, item: str, folder: Path) -> str:
    """Write a picture under a name made from its id; the name."""
    # `decode` has accepted the bytes, so what is not in `_ENDINGS` is AVIF or HEIC.
    other = "avif" if b"avif" in data[:64] else "heic"
    ending = next((name for begins, name in _ENDINGS.items() if data.startswith(begins)), other)
    target = folder / file_name(item, ending)
    if target.exists() and files.sha256(target) != digest:
        # The link of this id was another before; or the file is not ours.
        target = target.with_stem(f"{target.stem}-{digest[:8]}")
    with files.written_whole(target) as aside:
        aside.write_bytes(data)
    return target.name


def _same(row: Row) -> Row:
    """The finding of a URL that another row has, too."""
    found = {column: row[column] for column in FINDINGS}
    return found | {"status": "duplicate"} if found["file"] else found


def _is_settled(row: Row, folder: Path, again: bool) -> bool:
    """True if there is no need to ask for this row of the manifest again."""
    if not row["file"]:
        return row["status"] in _FINAL and not again
    # Only the name counts: nothing outside of the folder, whatever a manifest may say.
    path = folder / IMAGES / Path(row["file"]).name
    return path.is_file() and str(path.stat().st_size) == row["bytes"]


def _host(url: str) -> str:
    try:
        return parse(url).host
    except FetchError:
        return ""
