"""Download one file: from several addresses in turn, checked, and never half a file.

Only `fashionnb.data.registry.fetch` needs this. The transfer is that of requests; here are the
mirrors, the check of what came, and the messages. A download that broke off leaves nothing behind
and starts again.
"""

# Why not `pooch.retrieve`: it compares the SHA-256 of the file as it comes, but a `.gz` is known by
# its unpacked content; it moves a file to its place before anything else can look at it; it has one
# address; and a full disk is a bare OSError.

import gzip
import hashlib
import os
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

from fashionnb.errors import DataError, DataNotFound
from fashionnb.files import written_whole

TIMEOUT = (10, 60)
"""Seconds to get a connection, and seconds of silence after which a transfer is given up."""


class _BrokeOff(DataNotFound):
    """The transfer broke off midway: the same address may well do better."""


def offline() -> bool:
    """Say whether `FASHIONNB_OFFLINE` forbids downloads.

    Returns
    -------
    bool
        True for any value of it except "0" and "".
    """
    return os.environ.get("FASHIONNB_OFFLINE", "0") not in ("", "0")


def download(
    urls: Sequence[str], target: Path, *, sha256: str | None = None, progress: bool = True
) -> None:
    """Download one file from the first of several addresses that gives it, and check it.

    Each address is tried once, and a second time if the transfer broke off midway. `target` appears
    only after its content was checked.

    Parameters
    ----------
    urls : sequence of str
        The same file at several places, tried in this order.
    target : Path
        Where it goes. If the name ends in ".gz" the unpacked content is checked, so that a copy
        that was packed anew passes.
    sha256 : str, optional
        Of the (unpacked) content. Without it only the kind of file (zip, parquet) is checked, and
        the caller has to check the rest.
    progress : bool
        Show a bar on stderr.

    Raises
    ------
    DataNotFound
        If no address gave anything, or the network is forbidden; the message has the reason for
        each address.
    DataError
        If at least one address answered, but with other bytes than expected. They are not kept.
    WriteError
        If the folder cannot be written, or the disk is full.
    """
    if offline():
        raise DataNotFound(
            f"{target.name}: FASHIONNB_OFFLINE is set, so no download was tried. "
            "Unset it to download."
        )
    failures: list[tuple[str, Exception]] = []
    for url in urls:
        for _attempt in range(2):
            try:
                with written_whole(target) as aside:
                    _transfer(url, aside, target.name, progress)
                    _check(aside, target.name, sha256)
                return
            except (DataError, DataNotFound) as failure:
                failures.append((url, failure))
                if not isinstance(failure, _BrokeOff):
                    break
    reasons = "\n".join(f"  {url}: {failure}" for url, failure in failures)
    if any(isinstance(failure, DataError) for _, failure in failures):
        raise DataError(
            f"{target.name}: what came is not the expected file, and was deleted.\n{reasons}\n"
            "Perhaps a proxy or a log-in page answered in its place; try again from another "
            "network, or later."
        )
    raise DataNotFound(f"{target.name}: no address gave it.\n{reasons}")


def _transfer(url: str, aside: Path, name: str, progress: bool) -> None:
    """Stream `url` into the file `aside`; every network error becomes a `DataNotFound`."""
    import requests
    from tqdm import tqdm

    try:
        with requests.get(url, stream=True, timeout=TIMEOUT) as response, aside.open("wb") as file:
            response.raise_for_status()
            # The bar appears now, so that an address that does not answer shows none.
            total = int(response.headers.get("content-length", 0)) or None
            with tqdm(
                desc=name, total=total, disable=not progress, unit="B", unit_scale=True, ncols=79
            ) as bar:
                for chunk in response.iter_content(1 << 16):
                    bar.update(file.write(chunk))
    except requests.Timeout as error:
        raise DataNotFound("no answer in time") from error
    except requests.RequestException as error:
        # A server that falls silent midway is, in requests, a ConnectionError with this text.
        silent = "Read timed out" in str(error)
        if silent or isinstance(error, requests.exceptions.ChunkedEncodingError):
            raise _BrokeOff("the transfer broke off midway") from error
        raise DataNotFound(f"nothing came ({_root(error)})") from error


def _root(error: BaseException) -> str:
    """The message of the innermost error, as in "Connection refused"."""
    while deeper := error.__cause__ or error.__context__:
        error = deeper
    return str(getattr(error, "strerror", None) or error)


def _check(file: Path, name: str, sha256: str | None) -> None:
    """Raise `DataError` if `file`, a download of `name`, has other content than it should."""
    with file.open("rb") as content:
        begins = content.read(16)
        content.seek(max(0, file.stat().st_size - 4))
        ends = content.read()
    if sha256 is not None:
        try:
            with gzip.open(file) if name.endswith(".gz") else file.open("rb") as content:
                found = hashlib.file_digest(content, "sha256").hexdigest()
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise DataError(f"it cannot be unpacked (it begins {begins!r})") from error
        if found != sha256:
            raise DataError(f"its sha256 is {found}, expected {sha256}")
    elif name.endswith(".zip") and not zipfile.is_zipfile(file):
        raise DataError(f"it is not a zip file, or is cut short (it begins {begins!r})")
    elif name.endswith(".parquet") and not (begins.startswith(b"PAR1") and ends == b"PAR1"):
        raise DataError(f"it is not a parquet file, or is cut short (it begins {begins!r})")
