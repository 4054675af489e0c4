"""One request to one machine, within limits: of silence, of time in all, of bytes, packed and unpacked.

Written on Python's `http.client` rather than on `requests`, since the connection must go to the very IP address that
was checked, and no server may hold us longer than the limits say, not even with one byte of its headers a second.
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
from fashionnb.apps.collect.web_addresses import Address, Trouble
from fashionnb.errors import DataError

AGENT = f"fashionnb/{fashionnb.__version__} (+https://github.com/fashionnb/fashionnb)"
"""How we introduce ourselves to a server."""

_PIECE = 1 << 16
_MOST_PLACES = 4  # of a host with many addresses, so many are tried
_NOT_NOW = (408, 425, 429)
_GONE = (404, 410)


@dataclass(frozen=True)
class Limits:
    """How much patience, and how much politeness.

    pause : seconds between two requests to one host; a site may ask for more (Crawl-delay), up to `longest`.
    tries : of one address.
    longest : seconds; a server that asks to wait longer is left alone until the next run.
    silence : seconds without a byte.
    seconds : for an answer as a whole.
    bytes : of a picture, unpacked.
    redirects : followed for one picture.

    Raises `DataError` for a number that makes no sense.
    """

    pause: float = 1.0
    tries: int = 4
    longest: float = 120.0
    silence: float = 15.0
    seconds: float = 60.0
    bytes: int = 20_000_000
    redirects: int = 5

    def __post_init__(self) -> None:
        least = {
            "pause": 0,
            "tries": 1,
            "longest": 0,
            "silence": 0.001,
            "seconds": 0.001,
            "bytes": 1,
            "redirects": 0,
        }
        for name, smallest in least.items():
            if not smallest <= getattr(self, name) < math.inf:
                raise DataError(
                    f"Limits: {name} is a number from {smallest} on, got {getattr(self, name)!r}."
                )


@contextmanager
def asked(
    address: Address, places: list[str], accept: str, limits: Limits, clock: Callable[[], float]
) -> Iterator[HTTPResponse]:
    """Ask for `address` at the first of `places` that answers; the headers are read, the body is not.

    Raises
    ------
    Trouble : "failed", here or while the body is read: no connection, no answer in time, or no HTTP.
    """
    until = clock() + limits.seconds
    host = address.origin.partition("//")[2]
    request = (
        f"GET {address.target} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {AGENT}\r\nAccept: {accept}\r\n"
        "Accept-Encoding: identity\r\nConnection: close\r\n\r\n"
    )
    sock = _connected(address, places, until, limits, clock)
    try:
        sock.sendall(request.encode("ascii"))
        response = HTTPResponse(_Patient(sock, until, limits, clock), method="GET")
        response.begin()
        yield response
    except TimeoutError as error:
        raise Trouble("failed", f"no answer for {limits.silence:g} s", again=True) from error
    except (http.client.IncompleteRead, OSError) as error:
        raise _broke_off() from error
    except http.client.HTTPException as error:
        raise Trouble("failed", f"the answer is no HTTP ({type(error).__name__})") from error
    finally:
        sock.close()


def body(response: HTTPResponse, most: int, cut: bool = False) -> bytes:
    """The content of an answer, unpacked. With `cut`, what comes after `most` bytes is left unread and is no trouble.

    Raises
    ------
    Trouble : "unusable", if it is larger than `most` or packed in a way that was not asked for; "failed", if it is cut
        short.
    """
    too_large = Trouble("unusable", f"more than {most / 1e6:,.3g} MB")
    if not cut and (response.length or 0) > most:
        raise too_large
    packed = response.getheader("Content-Encoding", "").strip().lower()
    if packed not in ("", "identity", "gzip", "x-gzip"):
        raise Trouble("unusable", f"packed as {packed!r:.40}, which was not asked for")
    unpack = zlib.decompressobj(zlib.MAX_WBITS | 16) if "gzip" in packed else None
    content = bytearray()
    while piece := response.read(_PIECE):
        try:
            # One byte beyond the limit is enough to know: a "bomb" is never unpacked.
            content += unpack.decompress(piece, most - len(content) + 1) if unpack else piece
        except zlib.error as error:
            raise Trouble("unusable", "its gzip packing is damaged") from error
        if len(content) > most:
            if cut:
                return bytes(content[:most])
            raise too_large
        if unpack and unpack.eof:  # what may follow is no part of it, and could be endless
            return bytes(content)
    if response.length or unpack:
        raise _broke_off()
    return bytes(content)


def answered(response: HTTPResponse, limits: Limits, host: str) -> Trouble:
    """What an answer other than 200 means for us."""
    try:
        said = f"{response.status} {http.HTTPStatus(response.status).phrase}"  # never the server's own words
    except ValueError:
        said = str(response.status)
    reason = f"the server answered {said}"
    if response.status in _GONE:
        return Trouble("dead", reason)
    if response.status < 500 and response.status not in _NOT_NOW:
        return Trouble("refused", reason)
    wait = retry_after(response)
    if wait > limits.longest:
        return Trouble(
            "failed",
            f"{reason} and asks to be left alone for {wait:,.0f} s; run this again later",
            host=host,
        )
    return Trouble("failed", reason, again=True, wait=wait)


def retry_after(response: HTTPResponse) -> float:
    """The seconds that a server asks us to wait, said as a number or as a date; 0 if it says nothing sensible."""
    value = response.getheader("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        return float(value[:12])
    try:
        then = parsedate_to_datetime(value)
        # By the server's clock, if it tells the time: ours may be wrong.
        told = response.getheader("Date")
        now = parsedate_to_datetime(told) if told else datetime.now(UTC)
        return max(0.0, (then - now).total_seconds())
    except (TypeError, ValueError):  # no date; or one of the two without a time zone
        return 0.0


class _Patient(io.RawIOBase):
    """The socket as `HTTPResponse` reads it: each byte in time, and all of them in time."""

    def __init__(
        self, sock: socket.socket, until: float, limits: Limits, clock: Callable[[], float]
    ) -> None:
        self._sock, self._until, self._limits, self._clock = sock, until, limits, clock

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:
        left = self._until - self._clock()
        if left <= 0:
            raise _too_slow(self._limits)
        self._sock.settimeout(min(left, self._limits.silence))
        try:
            return self._sock.recv_into(buffer)
        except TimeoutError:
            if left <= self._limits.silence:
                raise _too_slow(self._limits) from None
            raise


def _broke_off() -> Trouble:
    return Trouble("failed", "the connection broke off midway", again=True)


def _too_slow(limits: Limits) -> Trouble:
    return Trouble("failed", f"not done after {limits.seconds:g} s")


def _connected(
    address: Address, places: list[str], until: float, limits: Limits, clock: Callable[[], float]
) -> socket.socket:
    """A connection to the first place that takes one; by https, to one that proves to be the host."""
    reason = "no address"
    for place in places[:_MOST_PLACES]:
        sock = None
        try:
            left = until - clock()
            if left <= 0:
                raise _too_slow(limits)
            sock = socket.create_connection(
                (place, address.port), timeout=min(left, limits.silence)
            )
            if address.scheme == "https":
                sock = _tls().wrap_socket(sock, server_hostname=address.host)
            return sock
        except ssl.SSLCertVerificationError as error:
            sock.close()
            raise Trouble(
                "failed",
                f"its certificate is not valid ({error.verify_message})",
                host=address.host,
            ) from error
        except TimeoutError:
            reason = "no answer in time"
        except OSError as error:
            reason = error.strerror or str(error)
        if sock is not None:
            sock.close()
    raise Trouble("failed", f"no connection ({reason})", again=True, host=address.host)


@cache
def _tls() -> ssl.SSLContext:
    """Trusts what the system trusts, and what `requests` brings along for systems that keep no such list."""
    import requests.certs

    context = ssl.create_default_context()
    context.load_verify_locations(requests.certs.where())
    return context
