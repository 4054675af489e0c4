"""Make one HTTP request within limits: of silence, of total time, of bytes packed and unpacked.

Built on Python's `http.client` rather than `requests`, because the connection must go to the very
IP address that was checked, and no server may keep us longer than the limits allow, not even with
one byte of its headers a second.
"""

import http
import http.client
import io
import math
import socket
import ssl
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from http.client import HTTPResponse

import fashionnb
from fashionnb.apps.collect.safe_urls import FetchError, Url
from fashionnb.errors import DataError

AGENT = f"fashionnb/{fashionnb.__version__} (+https://github.com/fashionnb/fashionnb)"
"""How we introduce ourselves to a server."""

_CHUNK = 1 << 16
_MAX_ADDRESSES = 4  # of a host with many addresses, so many are tried
_TRY_AGAIN = (408, 425, 429)
_GONE = (404, 410)


@dataclass(frozen=True)
class Limits:
    """How patient to be, and how polite.

    Attributes
    ----------
    pause : float
        Seconds between two requests to one host; a site may ask for more (Crawl-delay).
    tries : int
        Of one URL.
    max_wait : float
        Seconds; a server that asks for a longer wait is left alone until the next run, and a
        Crawl-delay counts up to this.
    read_timeout : float
        Seconds without a byte.
    total_timeout : float
        Seconds for a whole answer.
    max_bytes : int
        Of a picture, unpacked.
    max_redirects : int
        Followed for one picture.

    Raises
    ------
    DataError
        If a number makes no sense.
    """

    pause: float = 1.0
    tries: int = 4
    max_wait: float = 120.0
    read_timeout: float = 15.0
    total_timeout: float = 60.0
    max_bytes: int = 20_000_000
    max_redirects: int = 5

    def __post_init__(self) -> None:
        smallest = {"tries": 1, "max_bytes": 1, "read_timeout": 0.001, "total_timeout": 0.001}
        for name, value in vars(self).items():
            least = smallest.get(name, 0)
            if not least <= value < math.inf:
                raise DataError(f"Limits: {name} is a number from {least} on, got {value!r}.")


@contextmanager
def get(
    url: Url, addresses: list[str], accept: str, limits: Limits, clock: Callable[[], float]
) -> Iterator[HTTPResponse]:
    """Request a URL; of the response, the headers are read and the body is not.

    Parameters
    ----------
    url : Url
        What to request.
    addresses : list of str
        IP addresses of its host; the first that answers is used.
    accept : str
        The Accept header.
    limits : Limits
        Of time, also while the body is read.
    clock : callable
        As `time.monotonic`.

    Yields
    ------
    HTTPResponse
        Open within the ``with`` block.

    Raises
    ------
    FetchError
        "failed", here or while the body is read: no connection, no answer in time, or not HTTP.
    """
    deadline = clock() + limits.total_timeout
    request = (
        f"GET {url.target} HTTP/1.1\r\nHost: {url.netloc}\r\nUser-Agent: {AGENT}\r\n"
        f"Accept: {accept}\r\nAccept-Encoding: identity\r\nConnection: close\r\n\r\n"
    )
    sock = _connect(url, addresses, deadline, limits, clock)
    try:
        sock.sendall(request.encode("ascii"))
        response = HTTPResponse(_TimedSocket(sock, deadline, limits, clock), method="GET")
        response.begin()
        yield response
    except TimeoutError as error:
        raise FetchError(
            "failed", f"no answer for {limits.read_timeout:g} s", retry=True
        ) from error
    except (http.client.IncompleteRead, OSError) as error:
        raise _broke_off() from error
    except http.client.HTTPException as error:
        raise FetchError("failed", f"the answer is no HTTP ({type(error).__name__})") from error
    finally:
        sock.close()


def read_body(response: HTTPResponse, limit: int, cut: bool = False) -> bytes:
    """Read the content of a response, and unpack it.

    Parameters
    ----------
    response : HTTPResponse
        Of `get`.
    limit : int
        Bytes at most, unpacked.
    cut : bool
        True leaves what comes after `limit` bytes unread, rather than to raise.

    Returns
    -------
    bytes
        The content.

    Raises
    ------
    FetchError
        "unusable", if it is larger than `limit` or packed in a way that was not asked for;
        "failed", if it is incomplete.
    """
    too_large = FetchError("unusable", f"more than {limit / 1e6:,.3g} MB")
    if not cut and (response.length or 0) > limit:
        raise too_large
    packing = response.getheader("Content-Encoding", "").strip().lower()
    if packing not in ("", "identity", "gzip", "x-gzip"):
        raise FetchError("unusable", f"packed as {packing!r:.40}, which was not asked for")
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16) if "gzip" in packing else None
    content = bytearray()
    while chunk := response.read(_CHUNK):
        if unpacker:
            # One byte beyond the limit is enough to know: a "bomb" is never unpacked.
            chunk = _unpack(unpacker, chunk, limit - len(content) + 1)
        content += chunk
        if len(content) > limit:
            if cut:
                return bytes(content[:limit])
            raise too_large
        if unpacker and unpacker.eof:  # what follows is no part of it, and could be endless
            return bytes(content)
    if response.length or unpacker:
        raise _broke_off()
    return bytes(content)


def _unpack(unpacker, chunk: bytes, limit: int) -> bytes:
    try:
        return unpacker.decompress(chunk, limit)
    except zlib.error as error:
        raise FetchError("unusable", "its gzip packing is damaged") from error


def status_error(response: HTTPResponse, limits: Limits, host: str) -> FetchError:
    """The error that a status other than 200 means."""
    try:  # the standard phrase, never the server's own words
        status = f"{response.status} {http.HTTPStatus(response.status).phrase}"
    except ValueError:
        status = str(response.status)
    reason = f"the server answered {status}"
    if response.status in _GONE:
        return FetchError("dead", reason)
    if response.status < 500 and response.status not in _TRY_AGAIN:
        return FetchError("refused", reason)
    wait = retry_after(response)
    if wait > limits.max_wait:
        reason += f" and asks to be left alone for {wait:,.0f} s; run this again later"
        return FetchError("failed", reason, host=host)
    return FetchError("failed", reason, retry=True, wait=wait)


def retry_after(response: HTTPResponse) -> float:
    """The seconds that a server asks us to wait, as a number or a date; 0 if it does not."""
    value = response.getheader("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        return float(value[:12])
    try:
        then = parsedate_to_datetime(value)
        # By the server's clock, if it sends the time: ours may be wrong.
        date = response.getheader("Date")
        now = parsedate_to_datetime(date) if date else datetime.now(UTC)
        return max(0.0, (then - now).total_seconds())
    except (TypeError, ValueError):  # no date; or one of the two without a time zone
        return 0.0


class _TimedSocket(io.RawIOBase):
    """A socket for `HTTPResponse` that limits the time of each read and of all together."""

    def __init__(
        self, sock: socket.socket, deadline: float, limits: Limits, clock: Callable[[], float]
    ) -> None:
        self._sock, self._deadline, self._limits, self._clock = sock, deadline, limits, clock

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:
        left = self._deadline - self._clock()
        if left <= 0:
            raise _too_slow(self._limits)
        self._sock.settimeout(min(left, self._limits.read_timeout))
        try:
            return self._sock.recv_into(buffer)
        except TimeoutError:
            if left <= self._limits.read_timeout:
                raise _too_slow(self._limits) from None
            raise


def _broke_off() -> FetchError:
    return FetchError("failed", "the connection broke off midway", retry=True)


def _too_slow(limits: Limits) -> FetchError:
    return FetchError("failed", f"not done after {limits.total_timeout:g} s")


def _connect(
    url: Url, addresses: list[str], deadline: float, limits: Limits, clock: Callable[[], float]
) -> socket.socket:
    """Connect to the first address that accepts; with https, only to one that proves its name."""
    reason = "no address"
    for address in addresses[:_MAX_ADDRESSES]:
        left = deadline - clock()
        if left <= 0:
            raise _too_slow(limits)
        try:
            return _connection(url, address, min(left, limits.read_timeout))
        except ssl.SSLCertVerificationError as error:
            reason = f"its certificate is not valid ({error.verify_message})"
            raise FetchError("failed", reason, host=url.host) from error
        except TimeoutError:
            reason = "no answer in time"
        except OSError as error:
            reason = error.strerror or str(error)
    raise FetchError("failed", f"no connection ({reason})", retry=True, host=url.host)


def _connection(url: Url, address: str, timeout: float) -> socket.socket:
    sock = socket.create_connection((address, url.port), timeout=timeout)
    if url.scheme == "http":
        return sock
    try:
        return _tls().wrap_socket(sock, server_hostname=url.host)
    except OSError:
        sock.close()
        raise


@cache
def _tls() -> ssl.SSLContext:
    """Trusts what the system trusts, and what `requests` brings for systems without a list."""
    import requests.certs

    context = ssl.create_default_context()
    context.load_verify_locations(requests.certs.where())
    return context
