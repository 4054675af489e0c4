"""Parse URLs, and refuse those that do not lead to the public internet: http and https only.

A list of links is somebody else's text. Without these checks a link, or a redirect, could make this
machine contact its own network: a router, a printer, the metadata service of a cloud. A host name
is resolved once and the connection goes to the address that was checked, so a name that resolves
differently a moment later ("DNS rebinding") gains nothing.
"""

import ipaddress
import re
import socket
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

_PORTS = {"http": 80, "https": 443}
# What stays as it is in a path or a query; "%" too, since links are quoted already.
_SAFE = "!#$%&'()*+,/:;=?@[]~"
_NAT64 = ipaddress.ip_network("64:ff9b::/96")  # IPv4 addresses as networks without IPv4 write them


class FetchError(Exception):
    """Why there is no picture.

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


@dataclass(frozen=True)
class Url:
    """A URL in its parts.

    Attributes
    ----------
    scheme : str
        "http" or "https".
    host : str
        In ASCII, without brackets.
    port : int
        Given or usual.
    target : str
        Path and query, in ASCII.
    """

    scheme: str
    host: str
    port: int
    target: str

    @property
    def netloc(self) -> str:
        """Host, and the port unless it is the usual one; the value of the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        return f"{self.scheme}://{self.netloc}"

    @property
    def text(self) -> str:
        """The whole URL."""
        return self.origin + self.target


def parse(url: str) -> Url:
    """Split a URL into its parts, quoted where necessary; a "#fragment" is dropped.

    Raises
    ------
    FetchError
        "refused", if it is not http or https, holds a password, or is broken.
    """
    url = url.strip()
    if not url:
        raise FetchError("refused", "there is no address")
    if re.search(r"[\x00-\x1f\x7f\ud800-\udfff]", url):
        raise FetchError("refused", "the address holds a control character or half a character")
    try:
        parts = urlsplit(url)
        scheme, port = parts.scheme.lower(), parts.port
        host = _ascii_host(parts.hostname or "")
    except ValueError as error:  # UnicodeError is one
        raise FetchError("refused", f"the address is broken ({error})") from error
    if scheme not in _PORTS:
        got = scheme or "an address without scheme"
        raise FetchError("refused", f"only http and https are asked, not {got!r:.30}")
    if "@" in parts.netloc:
        raise FetchError("refused", "the address holds a user name or password")
    if not re.fullmatch(r"[a-z0-9._-]+|[0-9a-f:.]+", host):
        raise FetchError("refused", f"{host!r:.60} is no name of a host")
    target = quote(parts.path or "/", _SAFE)
    if parts.query:
        target += f"?{quote(parts.query, _SAFE)}"
    port = _PORTS[scheme] if port is None else port
    return Url(scheme, host, port, target.replace("#", "%23"))


def _ascii_host(host: str) -> str:
    if ":" in host:
        return str(ipaddress.IPv6Address(host))
    return host.rstrip(".").encode("idna").decode().lower()


def resolve(host: str, port: int) -> list[str]:
    """Look up the IP addresses of a host, best first; raises OSError (`socket.gaierror`)."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def checked_addresses(url: Url, allow_private: bool = False) -> list[str]:
    """Look up the IP addresses of a URL's host, once, and check them: where to connect to.

    Raises
    ------
    FetchError
        "refused", if any of them is not public, unless `allow_private`; "failed", if there is no
        such host.
    """
    try:
        addresses = resolve(url.host, url.port)
    except (OSError, UnicodeError) as error:
        unknown = (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", None))
        if getattr(error, "errno", None) in unknown:
            raise FetchError("failed", "there is no host of that name", host=url.host) from error
        reason = f"the name of the host cannot be looked up ({error})"
        raise FetchError("failed", reason, retry=True, host=url.host) from error
    private = [address for address in addresses if not is_public(address)]
    if private and not allow_private:
        named = url.host == private[0]
        where = url.host if named else f"{url.host} is {private[0]}, which"
        reason = f"{where} is no address of the public internet (private, local or reserved)"
        raise FetchError("refused", reason, host=url.host)
    return addresses


def is_public(text: str) -> bool:
    """Whether the public internet reaches an IP address; of IPv4 within IPv6, the IPv4 counts."""
    address = ipaddress.ip_address(text.partition("%")[0])
    if address.version == 6:
        inner = address.ipv4_mapped or address.sixtofour
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        address = inner or address
    local = address.is_multicast or address.is_reserved or getattr(address, "is_site_local", False)
    return address.is_global and not local
