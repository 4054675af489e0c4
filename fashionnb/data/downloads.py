"""Get one file from the network: several addresses, checked bytes, never half a file.

Only `fashionnb.data.registry.fetch` needs this. The transfer and its progress bar are pooch's; here are the mirrors,
the check of what came, and the words for what went wrong. A download that broke off leaves nothing behind and starts
again.
"""

import gzip
import hashlib
import os
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

from fashionnb.errors import DataError, DataNotFound
from fashionnb.files import written_whole

# Seconds to get a connection, and seconds of silence after which a transfer is given up.
TIMEOUT = (10, 60)


class _Failed(Exception):
    """One attempt came to nothing. Not an `OSError`, so that `written_whole` does not take it for a full disk."""

    def __init__(self, reason: str, *, again: bool = False, wrong: bool = False) -> None:
        super().__init__(reason)
        self.again = again  # it broke off midway: the same address may well do better
        self.wrong = wrong  # something came, but not the file


def offline() -> bool:
    """True if `FASHIONNB_OFFLINE` forbids the network (any value but "0" and the empty one)."""
    return os.environ.get("FASHIONNB_OFFLINE", "0") not in ("", "0")


def download(
    urls: Sequence[str], target: Path, *, sha256: str | None = None, progress: bool = True
) -> None:
    """Write to `target` what the first good address of `urls` gives.

    Each address is asked once, and a second time if the transfer broke off midway. `target` appears only after its
    content was checked.

    Parameters
    ----------
    urls : the same file at several places, tried in this order.
    target : where it goes. If the name ends in ".gz" the unpacked content is checked, so every faithful repack passes.
    sha256 : of the (unpacked) content; None where nobody publishes one: then only the kind of file (zip, parquet) is
        looked at, and the caller has to check the rest.
    progress : show a bar on stderr.

    Raises
    ------
    DataNotFound : no address gave anything, or the network is forbidden; the message has the reason for each address.
    DataError : at least one address answered, but with other bytes than expected. They are not kept.
    WriteError : the folder cannot be written, or the disk is full.
    """
    if offline():
        raise DataNotFound(
            f"{target.name}: FASHIONNB_OFFLINE is set, so no download was tried. Unset it to download."
        )
    failures: list[tuple[str, _Failed]] = []
    for url in urls:
        for _attempt in range(2):
            try:
                with written_whole(target) as aside:
                    _transfer(url, aside, target.name, progress)
                    if fault := _fault(aside, target.name, sha256):
                        raise _Failed(fault, wrong=True)
                return
            except _Failed as failure:
                failures.append((url, failure))
                if not failure.again:
                    break
    story = "\n".join(f"  {url}: {failure}" for url, failure in failures)
    if any(failure.wrong for _, failure in failures):
        raise DataError(
            f"{target.name}: what came is not the expected file, and was thrown away.\n{story}\n"
            "Perhaps a proxy or a log-in page answered in its place; try again from another network, or later."
        )
    raise DataNotFound(f"{target.name}: no address gave it.\n{story}")


class _Bar:
    """The progress bar in the form that pooch wants: it sets `total`, and calls `update`, `reset` and `close`.

    It appears with the first bytes, so that an address that does not answer leaves no trace on a page.
    """

    def __init__(self, name: str) -> None:
        self.name, self.total, self.tqdm = name, 0, None

    def update(self, n: int) -> None:
        from tqdm import tqdm

        if self.tqdm is None:
            self.tqdm = tqdm(
                desc=self.name, total=self.total or None, unit="B", unit_scale=True, ncols=79
            )
        # pooch counts whole chunks, and in the end everything once more.
        self.tqdm.update(min(n, self.total - self.tqdm.n) if self.total else n)

    def reset(self) -> None:
        pass

    def close(self) -> None:
        if self.tqdm is not None:
            self.tqdm.close()


def _transfer(url: str, aside: Path, name: str, progress: bool) -> None:
    """Stream `url` into the file `aside`; every network trouble becomes a `_Failed` with a short reason."""
    import pooch
    import requests

    bar = _Bar(name) if progress else False
    try:
        pooch.HTTPDownloader(progressbar=bar, chunk_size=1 << 16, timeout=TIMEOUT)(url, aside, None)
    except requests.HTTPError as error:
        answer = error.response
        raise _Failed(
            f"the server answered {answer.status_code} {answer.reason}".strip()
        ) from error
    except requests.Timeout as error:
        raise _Failed("no answer in time") from error
    except requests.RequestException as error:
        # A server that falls silent midway is, in requests, a ConnectionError with this text.
        if isinstance(error, requests.exceptions.ChunkedEncodingError) or "Read timed out" in str(
            error
        ):
            raise _Failed("the transfer broke off midway", again=True) from error
        raise _Failed(f"no connection ({_root(error)})") from error
    finally:
        if bar:
            bar.close()


def _root(error: BaseException) -> str:
    """What the innermost error says, as in "Connection refused"; the outer ones are long and say less."""
    while deeper := error.__cause__ or error.__context__:
        error = deeper
    return str(getattr(error, "strerror", None) or error)


def _fault(file: Path, name: str, sha256: str | None) -> str | None:
    """What is wrong with the content of `file`, which is to be called `name`; None if nothing is."""
    with file.open("rb") as content:
        begins = content.read(16)
        content.seek(max(0, file.stat().st_size - 4))
        ends = content.read()
    if sha256 is not None:
        found = _digest(file, unpack=name.endswith(".gz"))
        if found is None:
            return f"it cannot be unpacked (it begins {begins!r})"
        return None if found == sha256 else f"its sha256 is {found}, expected {sha256}"
    if name.endswith(".zip") and not zipfile.is_zipfile(file):
        return f"it is not a zip file, or is cut short (it begins {begins!r})"
    if name.endswith(".parquet") and not (begins.startswith(b"PAR1") and ends == b"PAR1"):
        return f"it is not a parquet file, or is cut short (it begins {begins!r})"
    return None


def _digest(file: Path, unpack: bool) -> str | None:
    """SHA-256 of the content; None if it was to be unpacked and cannot be."""
    try:
        with gzip.open(file) if unpack else file.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()
    except (gzip.BadGzipFile, EOFError, zlib.error):
        return None
