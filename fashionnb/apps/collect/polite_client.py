"""Fetch pictures politely: robots.txt first, pauses between requests, every redirect checked."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPResponse
from urllib.parse import urljoin

from protego import Protego
from urllib3.util import Url

from fashionnb.apps.collect.http_request import (
    MAX_WAIT,
    FetchError,
    get,
    parse,
    read_body,
    status_error,
)

ROBOT = "fashionnb"
"""What a robots.txt calls us."""

ACCEPT = "image/jpeg, image/png, image/webp, image/gif, image/bmp, image/tiff"
"""What a server is asked for: what every installation reads, or it may send JPEG XL or HEIC."""

MAX_ROBOTS_BYTES = 500 * 1024
"""What comes after this many bytes of a robots.txt is not read; RFC 9309 asks for no more."""

MAX_REDIRECTS = 5
"""Followed for one picture."""

_REDIRECTS = (301, 302, 303, 307, 308)
# RFC 9309: "User-agent: fashionnb/2.0" means "fashionnb"; Protego keeps the version.
_VERSION = re.compile(r"^(\s*user-agent\s*:\s*[\w-]+)/.*", re.IGNORECASE | re.MULTILINE)


class PoliteClient:
    """Client that fetches images politely: robots.txt first, and pauses for each host.

    It remembers when each host may be asked next, and what its robots.txt says.

    Parameters
    ----------
    pause : float
        Seconds between two requests to one host; a site may ask for more (Crawl-delay).
    max_bytes : int
        Of a picture, unpacked.
    allow_private : bool
        Whether to connect to private addresses.

    Attributes
    ----------
    ready : dict of str to float
        When each host may be asked next, by `time.monotonic`.
    """

    def __init__(self, pause: float, max_bytes: int, allow_private: bool) -> None:
        self.pause, self.max_bytes, self.allow_private = pause, max_bytes, allow_private
        self.ready: dict[str, float] = {}
        self._delays: dict[str, float] = {}
        self._robots: dict[str, Protego] = {}

    def picture(self, url: str) -> tuple[bytes, str]:
        """Fetch what may be a picture; what a server says of its type is not asked.

        Returns
        -------
        content : bytes
            Not decoded yet.
        final_url : str
            The URL after redirects.

        Raises
        ------
        FetchError
            Why there is no picture.
        """
        too_large = FetchError("unusable", f"more than {self.max_bytes / 1e6:,.3g} MB")
        with self._followed(url, ACCEPT, obey_robots=True) as (response, asked):
            if response.status != 200:
                raise status_error(response, asked.host)
            if (response.length or 0) > self.max_bytes:
                raise too_large
            content = read_body(response, self.max_bytes + 1)
            if len(content) > self.max_bytes:
                raise too_large
            return content, asked.url

    def read_robots(self, url: Url) -> bool:
        """Read the robots.txt of a site, unless that was done; True if it was read now.

        Raises
        ------
        FetchError
            If it cannot be read.
        """
        origin = _origin(url)
        if origin in self._robots:
            return False
        self._robots[origin] = robots = self._fetch_robots(url)
        delay = min(robots.crawl_delay(ROBOT) or 0.0, MAX_WAIT)
        self._delays[url.host] = delay = max(self._delays.get(url.host, 0.0), delay)
        self.postpone(url.host, delay)
        return True

    def postpone(self, host: str, seconds: float) -> None:
        """Ask nothing more of a host for so many seconds."""
        self.ready[host] = max(self.ready.get(host, 0.0), time.monotonic() + seconds)

    @contextmanager
    def _followed(
        self, url: str, accept: str, obey_robots: bool
    ) -> Iterator[tuple[HTTPResponse, Url]]:
        """The response at the end of all redirects, and its URL."""
        for _ in range(MAX_REDIRECTS + 1):
            asked = parse(url)
            if obey_robots:
                self.read_robots(asked)
                if not self._robots[_origin(asked)].can_fetch(asked.url, ROBOT):
                    raise FetchError(
                        "refused",
                        f"robots.txt of {asked.host} asks robots to leave this address alone",
                    )
            early = self.ready.get(asked.host, 0.0) - time.monotonic()
            if early > 0:
                time.sleep(early)
            try:
                with get(asked, accept, self.allow_private) as response:
                    target = response.getheader("Location")
                    if response.status not in _REDIRECTS or not target:
                        yield response, asked
                        return
                    url = _joined(asked.url, target)
            finally:
                self.postpone(asked.host, max(self.pause, self._delays.get(asked.host, 0.0)))
        raise FetchError("unusable", f"more than {MAX_REDIRECTS} redirects")

    def _fetch_robots(self, url: Url) -> Protego:
        """A site without a robots.txt allows everything; one that fails, nothing (RFC 9309)."""
        where = f"{_origin(url)}/robots.txt"
        try:
            with self._followed(where, "text/plain", obey_robots=False) as (response, asked):
                if 400 <= response.status < 500 and response.status != 429:
                    return Protego()
                if not 200 <= response.status < 300:
                    raise status_error(response, asked.host)
                return parse_robots(read_body(response, MAX_ROBOTS_BYTES))
        except FetchError as error:
            if error.host == url.host:  # it fails whatever it is asked for
                raise
            raise FetchError(
                "failed",
                f"its robots.txt cannot be had, so it is left alone: {error.reason}",
                retry=error.retry,
                wait=error.wait,
                host=url.host,
            ) from error


def parse_robots(content: bytes) -> Protego:
    """Parse a robots.txt, by which a polite client decides what it may fetch.

    Lines that cannot be understood are passed over.

    Parameters
    ----------
    content : bytes
        Of the file.

    Returns
    -------
    Protego
        The rules.
    """
    return Protego.parse(_VERSION.sub(r"\1", content.decode("utf-8-sig", "replace")))


def _origin(url: Url) -> str:
    """Scheme, host and port."""
    return f"{url.scheme}://{url.netloc}"


def _joined(base: str, target: str) -> str:
    """Where a redirect leads; headers come as Latin-1, but what servers send is UTF-8."""
    try:
        return urljoin(base, target.encode("latin-1").decode("utf-8", "replace"))
    except ValueError as error:
        raise FetchError("unusable", f"a redirect to a broken address ({error})") from error
