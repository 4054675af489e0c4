"""Make one HTTP request safely: to a public address, and within limits of time and size.

A list of links is somebody else's text. A link, or a redirect, could make this machine contact its
own network: a router, a printer, the metadata service of a cloud. So a host name is resolved once,
its addresses are checked, and the connection goes to an address that was checked: a name that
resolves differently a moment later ("DNS rebinding") gains nothing. Neither `requests` nor urllib3
can connect to a given address and limit the time of a whole answer, so this is built on Python's
`http.client`: no server may keep us for long, not even with one byte of its headers a second.
"""

import gzip
import http.client
import io
import ipaddress
import re
import socket
import ssl
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import requests.certs
from urllib3.exceptions import InvalidHeader, LocationParseError
from urllib3.util import Retry, Url, parse_url

import fashionnb

AGENT = f"fashionnb/{fashionnb.__version__} (+https://github.com/fashionnb/fashionnb)"
"""How we introduce ourselves to a server."""

READ_TIMEOUT, TOTAL_TIMEOUT = 15.0, 60.0
"""Seconds without a byte, and for a whole answer."""

MAX_WAIT = 120.0
"""Seconds; a server that asks for a longer wait is left alone until the next run."""

_PORTS = {"http": 80, "https": 443}
_MAX_ADDRESSES = 4  # of a host with many addresses, so many are tried
_TRY_AGAIN = (408, 425, 429)
_GONE = (404, 410)
_LABEL = "[a-z0-9_-]{1,63}"  # a part of a host's name
_HOST = re.compile(rf"{_LABEL}(\.{_LABEL})*|\[[0-9a-f:.]+\]")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")  # IPv4 addresses as networks without IPv4 write them


class FetchError(Exception):
    """Error of an HTTP request to collect an image: why there is none.

    Parameters
    ----------
    status : str
        "dead" (no such page), "refused" (by us, by robots.txt, by the server), "unusable" (the
        answer is no picture that we accept) or "failed" (no answer, or not now; the next run asks
        again).
    reason : str
        For people.
    retry : bool
        Whether asking once more may help.
    wait : float
        Seconds to wait before that.
    host : str
        The host that fails in this way whatever it is asked for; "" if only this URL fails.
    """

    def __init__(
        self, status: str, reason: str, *, retry: bool = False, wait: float = 0.0, host: str = ""
    ) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason
        self.retry, self.wait, self.host = retry, wait, host


def parse(text: str) -> Url:
    """Parse the URL of an HTTP request into its parts, in one form and in ASCII.

    A "#fragment" is dropped.

    Parameters
    ----------
    text : str
        A link of the list, or where a redirect leads.

    Returns
    -------
    urllib3.util.Url
        With `scheme` "http" or "https", a `host`, and a `port` only if it is not the usual one.

    Raises
    ------
    FetchError
        "refused", if it is not http or https, holds a password, or is broken.
    """
    try:
        url = parse_url(text.strip())
    except LocationParseError as error:
        raise FetchError("refused", f"the address is broken ({error})") from error
    if url.scheme not in _PORTS:
        raise FetchError(
            "refused",
            f"only http and https are asked, not {url.scheme or 'an address without scheme'!r:.30}",
        )
    if url.auth:
        raise FetchError("refused", "the address holds a user name or password")
    host = (url.host or "").rstrip(".")
    if not _HOST.fullmatch(host):
        raise FetchError("refused", f"{host!r:.60} is no name of a host")
    port = None if url.port == _PORTS[url.scheme] else url.port
    return url._replace(host=host, port=port, path=url.path or "/", fragment=None)


def resolve(host: str, port: int) -> list[str]:
    """Look up the IP addresses of the host of an HTTP request, best first.

    Parameters
    ----------
    host : str
        A name or an IP address, without brackets.
    port : int
        From 0 to 65535.

    Returns
    -------
    list of str
        IP addresses, each once.

    Raises
    ------
    OSError
        If they cannot be looked up (`socket.gaierror`).
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def checked_addresses(url: Url, allow_private: bool) -> list[tuple[str, int]]:
    """Look up the IP addresses that an HTTP request may connect to, once, and check each.

    Parameters
    ----------
    url : Url
        Of `parse`.
    allow_private : bool
        Whether private addresses are accepted, too.

    Returns
    -------
    list of (str, int)
        IP addresses with the port, best first.

    Raises
    ------
    FetchError
        "refused", if any of them is not public, unless `allow_private`; "failed", if there is no
        such host.
    """
    host, port = url.host.strip("[]"), url.port or _PORTS[url.scheme]
    try:
        addresses = resolve(host, port)
    except OSError as error:
        if error.errno in (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", None)):
            raise FetchError("failed", "there is no host of that name", host=url.host) from error
        raise FetchError(
            "failed",
            f"the name of the host cannot be looked up ({error})",
            retry=True,
            host=url.host,
        ) from error
    private = [address for address in addresses if not is_public(address)]
    if private and not allow_private:
        where = host if host == private[0] else f"{host} is {private[0]}, which"
        raise FetchError(
            "refused",
            f"{where} is no address of the public internet (private, local or reserved)",
            host=url.host,
        )
    return [(address, port) for address in addresses]


def is_public(text: str) -> bool:
    """Return whether an IP address belongs to the public internet, so that a request is safe.

    Of IPv4 within IPv6, the IPv4 counts.

    Parameters
    ----------
    text : str
        An IP address, with or without the zone after "%".

    Returns
    -------
    bool
        False for private, local, reserved and multicast addresses.
    """
    address = ipaddress.ip_address(text.partition("%")[0])
    if address in _NAT64:
        address = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    elif address.version == 6:
        address = address.ipv4_mapped or address.sixtofour or address
    local = address.is_multicast or address.is_reserved or getattr(address, "is_site_local", False)
    return address.is_global and not local


@contextmanager
def get(url: Url, accept: str, allow_private: bool) -> Iterator[http.client.HTTPResponse]:
    """Make an HTTP request (GET) to a checked address; headers are read and the body is not.

    Parameters
    ----------
    url : Url
        Of `parse`.
    accept : str
        The Accept header.
    allow_private : bool
        Whether to connect to private addresses.

    Yields
    ------
    http.client.HTTPResponse
        Open within the ``with`` block.

    Raises
    ------
    FetchError
        As `checked_addresses`; or "failed", here or while the body is read: no connection, no
        answer in time, or not HTTP.
    """
    request = (
        f"GET {url.request_uri} HTTP/1.1\r\nHost: {url.netloc}\r\nUser-Agent: {AGENT}\r\n"
        f"Accept: {accept}\r\nAccept-Encoding: identity\r\nConnection: close\r\n\r\n"
    )
    sock = _connect(url, checked_addresses(url, allow_private))
    deadline = time.monotonic() + TOTAL_TIMEOUT
    try:
        sock.sendall(request.encode("ascii"))
        response = http.client.HTTPResponse(_TimedSocket(sock, deadline), method="GET")
        response.begin()
        yield response
    except TimeoutError as error:
        if time.monotonic() >= deadline:
            raise FetchError("failed", f"not done after {TOTAL_TIMEOUT:g} s") from error
        raise FetchError("failed", f"no answer for {READ_TIMEOUT:g} s", retry=True) from error
    except (http.client.IncompleteRead, OSError, EOFError) as error:
        raise FetchError("failed", "the connection broke off midway", retry=True) from error
    except http.client.HTTPException as error:
        raise FetchError("failed", f"the answer is no HTTP ({type(error).__name__})") from error
    finally:
        sock.close()


def read_body(response: http.client.HTTPResponse, limit: int) -> bytes:
    """Read the body of the answer to an HTTP request, and unpack it.

    Parameters
    ----------
    response : http.client.HTTPResponse
        Of `get`.
    limit : int
        What comes after so many bytes, unpacked, is not read.

    Returns
    -------
    bytes
        The content.

    Raises
    ------
    FetchError
        "unusable", if it is packed in a way that was not asked for.
    EOFError
        If it is incomplete; `get` makes "failed" of it.
    """
    packing = response.getheader("Content-Encoding", "").strip().lower()
    if packing not in ("", "identity", "gzip", "x-gzip"):
        raise FetchError("unusable", f"packed as {packing!r:.40}, which was not asked for")
    body = gzip.GzipFile(fileobj=response) if "gzip" in packing else response
    try:
        content = body.read(limit)
    except (gzip.BadGzipFile, zlib.error) as error:
        raise FetchError("unusable", "its gzip packing is damaged") from error
    if len(content) < limit and response.length:
        raise EOFError
    return content


def status_error(response: http.client.HTTPResponse, host: str) -> FetchError:
    """Make the error for the answer to an HTTP request whose status is not 200.

    Parameters
    ----------
    response : http.client.HTTPResponse
        Of `get`.
    host : str
        The host that answered.

    Returns
    -------
    FetchError
        "dead" (404, 410), "refused" or "failed"; it says whether and when to ask again.
    """
    # The standard phrase, never the server's own words.
    phrase = http.client.responses.get(response.status, "")
    reason = f"the server answered {response.status} {phrase}".strip()
    if response.status in _GONE:
        return FetchError("dead", reason)
    if response.status < 500 and response.status not in _TRY_AGAIN:
        return FetchError("refused", reason)
    try:  # a number of seconds, or a date
        wait = Retry().parse_retry_after(response.getheader("Retry-After", ""))
    except InvalidHeader:
        wait = 0.0
    if wait > MAX_WAIT:
        reason += f" and asks to be left alone for more than {MAX_WAIT:g} s; run this again later"
        return FetchError("failed", reason, host=host)
    return FetchError("failed", reason, retry=True, wait=wait)


class _TimedSocket(io.RawIOBase):
    """A socket for `HTTPResponse` that limits the time of each read and of all together."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._sock, self._deadline = sock, deadline

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._sock.settimeout(min(left, READ_TIMEOUT))
        return self._sock.recv_into(buffer)


def _connect(url: Url, addresses: list[tuple[str, int]]) -> socket.socket:
    """Connect to the first address that accepts; with https, only to one that proves its name."""
    reason = "no address"
    for address in addresses[:_MAX_ADDRESSES]:
        try:
            sock = socket.create_connection(address, timeout=READ_TIMEOUT)
            if url.scheme == "https":
                sock = _tls().wrap_socket(sock, server_hostname=url.host.strip("[]"))
            return sock
        except ssl.SSLCertVerificationError as error:
            raise FetchError(
                "failed", f"its certificate is not valid ({error.verify_message})", host=url.host
            ) from error
        except OSError as error:
            reason = error.strerror or str(error)
    raise FetchError("failed", f"no connection ({reason})", retry=True, host=url.host)


@cache
def _tls() -> ssl.SSLContext:
    """Trusts what the system trusts, and what `requests` brings for systems without a list."""
    context = ssl.create_default_context()
    context.load_verify_locations(requests.certs.where())
    return context
