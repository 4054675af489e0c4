"""Download one file: from several addresses in turn, resumed, checked, and never half a file.

Only `fashionnb.data.registry.fetch` needs this. The transfer is that of requests; here are the
mirrors, the check of what came, and the messages. What a download that broke off had brought is
kept in a hidden file beside its target, and the next one goes on from there. A host that does not
answer is asked once in a process, so that a machine without network is not waited for again and
again.
"""

# Why not `pooch.retrieve`: it compares the SHA-256 of the file as it comes, but a `.gz` is known by
# its unpacked content; it moves a file to its place before anything else can look at it; it has one
# address; and a full disk is a bare OSError.

import gzip
import hashlib
import logging
import os
import queue
import socket
import threading
import zipfile
import zlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from fashionnb.errors import DataError, DataNotFound
from fashionnb.files import written_whole

TIMEOUT = (5, 30)
"""Seconds to get a connection, and seconds of silence after which a transfer is given up."""

TRIES = 3
"""How often a transfer that breaks off is taken up again before its address is given up."""

_log = logging.getLogger(__name__)
_hosts: dict[str, str] = {}  # of those asked in this process -> "" or why there was no answer


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

    A transfer that breaks off goes on where it stopped, if the server can do that, at most three
    times and also in a later call; what was put together so and is wrong is downloaded whole.
    `target` appears only after its content was checked. A host that does not answer is not asked
    again in this process, and when the first two do not, no other one is: there is no network.

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
        try:
            _reach(url, target.name)
            _fetch(url, target, sha256, progress)
            return
        except (DataError, DataNotFound) as failure:
            failures.append((url, failure))
    reasons = "\n".join(f"  {url}: {failure}" for url, failure in failures)
    if any(isinstance(failure, DataError) for _, failure in failures):
        raise DataError(
            f"{target.name}: what came is not the expected file, and was deleted.\n{reasons}\n"
            "Perhaps a proxy or a log-in page answered in its place; try again from another "
            "network, or later."
        )
    raise DataNotFound(f"{target.name}: no address gave it.\n{reasons}")


def _reach(url: str, name: str) -> None:
    """Raise `DataNotFound` if the host of `url` does not answer, or did not in this process."""
    host = urlsplit(url).netloc
    if host in _hosts:
        if _hosts[host]:
            raise DataNotFound(
                f"{host} did not answer before ({_hosts[host]}), and is asked once in a process"
            )
        return
    if len(_hosts) > 1 and all(_hosts.values()):
        raise DataNotFound(
            f"not tried: {' and '.join(_hosts)} did not answer, so there seems to be no network"
        )
    _log.warning("Asking %s for %s, for at most %d seconds.", host, name, TIMEOUT[0])
    _hosts[host] = _silence(url)
    if _hosts[host]:
        raise DataNotFound(_hosts[host])


def _silence(url: str) -> str:
    """Why nobody at `url`, or at the proxy on the way, accepts a connection; "" if somebody does.

    requests knows no limit for the search for a name, and waits for each of the addresses that
    belong to it. This is over in `TIMEOUT[0]` seconds.
    """
    from requests.utils import get_environ_proxies, prepend_scheme_if_needed, select_proxy

    proxy = select_proxy(url, get_environ_proxies(url))
    place = urlsplit(prepend_scheme_if_needed(proxy, "http") if proxy else url)
    port = place.port or (80 if place.scheme == "http" else 443)
    answers: queue.SimpleQueue[str] = queue.SimpleQueue()

    def knock() -> None:
        try:
            # Two seconds for each address, since the first ones may be of a broken IPv6.
            socket.create_connection((place.hostname, port), timeout=2).close()
            answers.put("")
        except OSError as error:
            answers.put(f"nothing came ({error.strerror or error})")

    threading.Thread(target=knock, daemon=True).start()
    try:
        return answers.get(timeout=TIMEOUT[0])
    except queue.Empty:
        return "no answer in time"


def _fetch(url: str, target: Path, sha256: str | None, progress: bool) -> None:
    """Download and check `target` from one address, resuming what an earlier transfer left."""
    kept = target.with_name(f".{target.name}.part")
    broken = 0
    while True:
        resumed = False
        try:
            with written_whole(target) as aside:
                # It is taken away for as long as it grows, so that two processes never share it.
                with suppress(FileNotFoundError):
                    kept.replace(aside)
                    resumed = True
                try:
                    _transfer(url, aside, target.name, progress)
                except (DataNotFound, KeyboardInterrupt):
                    if aside.exists() and aside.stat().st_size:
                        aside.replace(kept)
                    raise
                _check(aside, target.name, sha256)
            return
        except _BrokeOff:
            broken += 1
            if broken == TRIES:
                raise
        except DataError:
            if not resumed:  # else its beginning may have been of another file
                raise


def _transfer(url: str, aside: Path, name: str, progress: bool) -> None:
    """Stream `url` to the end of `aside`; every network error becomes a `DataNotFound`."""
    import requests
    from tqdm import tqdm

    have = aside.stat().st_size if aside.exists() else 0
    # Not compressed on the way, so that a position in the file is one in the transfer.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    try:
        response = requests.get(url, stream=True, timeout=TIMEOUT, headers=headers)
    except requests.RequestException as error:
        silent = isinstance(error, requests.Timeout)
        reason = "no answer in time" if silent else f"nothing came ({_root(error)})"
        _hosts[urlsplit(url).netloc] = reason
        raise DataNotFound(reason) from error
    with response:
        part = response.status_code == 206
        begin = response.headers.get("content-range", "").startswith(f"bytes {have}-")
        if have and (response.status_code == 416 or (part and not begin)):
            raise DataError("the server cannot go on where the last transfer stopped")
        try:
            response.raise_for_status()
        except requests.HTTPError as error:
            raise DataNotFound(f"nothing came ({error})") from error
        have = have if part else 0  # a server that cannot resume sends the whole
        length = int(response.headers.get("content-length", 0))
        # The bar appears now, so that an address that does not answer shows none.
        with (
            aside.open("ab" if part else "wb") as file,
            tqdm(
                desc=name, initial=have, total=have + length if length else None, unit="B",
                unit_scale=True, ncols=79, disable=not progress,
            ) as bar,
        ):  # fmt: skip
            try:
                for chunk in response.iter_content(1 << 16):
                    bar.update(file.write(chunk))
            except requests.RequestException as error:
                raise _BrokeOff("the transfer broke off midway") from error


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
