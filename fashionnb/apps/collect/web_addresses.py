"""Which web addresses may be asked: http and https only, and no machine that the public internet does not reach.

A list of links is somebody else's text. Without these checks a link, or a redirect, could make this machine ask its own
network: a router, a printer, the metadata service of a cloud. A name is looked up once and the connection goes to the
address that was checked, so a name that changes its mind in between ("DNS rebinding") gains nothing.
"""

import ipaddress
import re
import socket
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

_PORTS = {"http": 80, "https": 443}
_SAFE = "!#$%&'()*+,/:;=?@[]~"  # what stays as it is in a path or a query; "%" too, since links are quoted already
_NAT64 = ipaddress.ip_network("64:ff9b::/96")  # IPv4 addresses as networks without IPv4 write them


class Trouble(Exception):
    """Why there is no picture.

    status : "dead" (no such page), "refused" (by us, by robots.txt, by the server), "unusable" (something came, but no
        picture that we take), "failed" (no answer, or not now: the next run asks again).
    again : asking once more may help, after `wait` seconds at least.
    host : the host that has this trouble with whatever is asked of it; "" if it is about one address alone.
    """

    def __init__(
        self, status: str, reason: str, *, again: bool = False, wait: float = 0.0, host: str = ""
    ) -> None:
        super().__init__(reason)
        self.status, self.reason, self.again, self.wait, self.host = (
            status,
            reason,
            again,
            wait,
            host,
        )


@dataclass(frozen=True)
class Address:
    """A web address in its parts.

    host : in ASCII, without brackets.
    target : path and query, in ASCII.
    """

    scheme: str
    host: str
    port: int
    target: str

    @property
    def origin(self) -> str:
        """Scheme, host, and the port unless it is the usual one; also what the Host header says after "//"."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}" + (
            "" if self.port == _PORTS[self.scheme] else f":{self.port}"
        )

    @property
    def url(self) -> str:
        return self.origin + self.target


def parse(url: str) -> Address:
    """The address in its parts, quoted where need be; a "#fragment" is dropped.

    Raises
    ------
    Trouble : "refused", if it is no http or https address, holds a password, or is broken.
    """
    url = url.strip()
    if not url:
        raise Trouble("refused", "there is no address")
    if re.search(r"[\x00-\x1f\x7f\ud800-\udfff]", url):
        raise Trouble("refused", "the address holds a control character or half a character")
    try:
        parts = urlsplit(url)
        scheme, host, port = parts.scheme.lower(), parts.hostname or "", parts.port
        host = (
            str(ipaddress.IPv6Address(host))
            if ":" in host
            else host.rstrip(".").encode("idna").decode().lower()
        )
    except ValueError as error:  # UnicodeError is one
        raise Trouble("refused", f"the address is broken ({error})") from error
    if scheme not in _PORTS:
        raise Trouble(
            "refused",
            f"only http and https are asked, not {scheme or 'an address without scheme'!r:.30}",
        )
    if "@" in parts.netloc:
        raise Trouble("refused", "the address holds a user name or password")
    if not re.fullmatch(r"[a-z0-9._-]+|[0-9a-f:.]+", host):
        raise Trouble("refused", f"{host!r:.60} is no name of a host")
    target = quote(parts.path or "/", _SAFE) + (
        f"?{quote(parts.query, _SAFE)}" if parts.query else ""
    )
    return Address(
        scheme, host, _PORTS[scheme] if port is None else port, target.replace("#", "%23")
    )


def resolve(host: str, port: int) -> list[str]:
    """The IP addresses of a host, best first. Raises OSError (`socket.gaierror`)."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def places(address: Address, allow_private: bool = False) -> list[str]:
    """Where to connect to: the IP addresses of the host, looked up once and checked.

    Raises
    ------
    Trouble : "refused", if any of them is not public, unless `allow_private`; "failed", if there is no such host.
    """
    try:
        found = resolve(address.host, address.port)
    except (OSError, UnicodeError) as error:
        unknown = getattr(error, "errno", None) in (
            socket.EAI_NONAME,
            getattr(socket, "EAI_NODATA", None),
        )
        reason = (
            "there is no host of that name"
            if unknown
            else f"the name of the host cannot be looked up ({error})"
        )
        raise Trouble("failed", reason, again=not unknown, host=address.host) from error
    if not allow_private and (inside := [place for place in found if not public(place)]):
        where = (
            address.host if address.host == inside[0] else f"{address.host} is {inside[0]}, which"
        )
        reason = f"{where} is no address of the public internet (private, local or reserved)"
        raise Trouble("refused", reason, host=address.host)
    return found


def public(place: str) -> bool:
    """True for an IP address that the public internet reaches. An IPv4 address inside an IPv6 one is what counts."""
    address = ipaddress.ip_address(place.partition("%")[0])
    if address.version == 6:
        inner = address.ipv4_mapped or address.sixtofour
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            address = inner
    local = address.is_multicast or address.is_reserved or getattr(address, "is_site_local", False)
    return address.is_global and not local
