"""Fetch pictures politely: robots.txt first, pauses between requests, every redirect checked."""

import re
from collections.abc import Callable
from http.client import HTTPResponse
from typing import TypeVar
from urllib.parse import urljoin

from protego import Protego

from fashionnb.apps.collect import safe_urls
from fashionnb.apps.collect.http_request import Limits, get, read_body, status_error
from fashionnb.apps.collect.safe_urls import FetchError, Url

T = TypeVar("T")

ROBOT = "fashionnb"
"""What a robots.txt calls us."""

MAX_ROBOTS_BYTES = 500 * 1024
"""What comes after this many bytes of a robots.txt is not read; RFC 9309 asks for no more."""

_REDIRECTS = (301, 302, 303, 307, 308)
# What careless servers call a picture.
_UNKNOWN_TYPES = ("", "application/octet-stream", "binary/octet-stream")
# RFC 9309: "User-agent: fashionnb/2.0" means "fashionnb"; Protego keeps the version.
_VERSION = re.compile(r"^(\s*user-agent\s*:\s*[\w-]+)/.*", re.IGNORECASE | re.MULTILINE)


class PoliteClient:
    """A client that remembers when each host may be asked next, and what its robots.txt says.

    Parameters
    ----------
    limits : Limits
        How fast, how long, how large.
    allow_private : bool
        Whether to connect to private addresses.
    clock, sleep : callable
        As `time.monotonic` and `time.sleep`.

    Attributes
    ----------
    ready : dict of str to float
        When each host may be asked next, by `clock`.
    """

    def __init__(
        self,
        limits: Limits,
        allow_private: bool,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> None:
        self.limits, self.allow_private = limits, allow_private
        self.clock, self.sleep = clock, sleep
        self.ready: dict[str, float] = {}
        self._delays: dict[str, float] = {}
        self._robots: dict[str, Protego] = {}

    def picture(self, url: str) -> tuple[bytes, str]:
        """Fetch what claims to be a picture.

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

        def content(response: HTTPResponse, asked: Url) -> bytes:
            if response.status != 200:
                raise status_error(response, self.limits, asked.host)
            kind = response.getheader("Content-Type", "").partition(";")[0].strip().lower()
            if not kind.startswith("image/") and kind not in _UNKNOWN_TYPES:
                raise FetchError("unusable", f"not a picture, its type is {kind!r:.60}")
            return read_body(response, self.limits.max_bytes)

        return self._follow(url, "image/*", content, obey_robots=True)

    def read_robots(self, url: Url) -> bool:
        """Read the robots.txt of a site, unless that was done; True if it was read now.

        Raises
        ------
        FetchError
            If it cannot be read.
        """
        if url.origin in self._robots:
            return False
        self._robots[url.origin] = robots = self._fetch_robots(url)
        delay = min(robots.crawl_delay(ROBOT) or 0.0, self.limits.max_wait)
        self._delays[url.host] = delay = max(self._delays.get(url.host, 0.0), delay)
        self.postpone(url.host, delay)
        return True

    def postpone(self, host: str, seconds: float) -> None:
        """Ask nothing more of a host for so many seconds."""
        self.ready[host] = max(self.ready.get(host, 0.0), self.clock() + seconds)

    def _follow(
        self,
        url: str,
        accept: str,
        content: Callable[[HTTPResponse, Url], T],
        obey_robots: bool,
    ) -> tuple[T, str]:
        """Follow redirects; return what `content` makes of the last response, and its URL."""
        for _ in range(self.limits.max_redirects + 1):
            asked = safe_urls.parse(url)
            if obey_robots:
                self._check_robots(asked)
            early = self.ready.get(asked.host, 0.0) - self.clock()
            if early > 0:
                self.sleep(early)
            addresses = safe_urls.checked_addresses(asked, self.allow_private)
            try:
                with get(asked, addresses, accept, self.limits, self.clock) as response:
                    target = response.getheader("Location")
                    if response.status not in _REDIRECTS or not target:
                        return content(response, asked), asked.text
                    url = _joined(asked.text, target)
            finally:
                pause = max(self.limits.pause, self._delays.get(asked.host, 0.0))
                self.postpone(asked.host, pause)
        raise FetchError("unusable", f"more than {self.limits.max_redirects} redirects")

    def _check_robots(self, url: Url) -> None:
        self.read_robots(url)
        if not self._robots[url.origin].can_fetch(url.text, ROBOT):
            raise FetchError(
                "refused", f"robots.txt of {url.host} asks robots to leave this address alone"
            )

    def _fetch_robots(self, url: Url) -> Protego:
        """A site without a robots.txt allows everything; one that fails, nothing (RFC 9309)."""

        def content(response: HTTPResponse, asked: Url) -> Protego:
            if 400 <= response.status < 500 and response.status != 429:
                return Protego()
            if not 200 <= response.status < 300:
                raise status_error(response, self.limits, asked.host)
            return parse_robots(read_body(response, MAX_ROBOTS_BYTES, cut=True))

        where = f"{url.origin}/robots.txt"
        try:
            return self._follow(where, "text/plain", content, obey_robots=False)[0]
        except FetchError as error:
            if error.host == url.host:  # it fails whatever it is asked for
                raise
            reason = f"its robots.txt cannot be had, so it is left alone: {error.reason}"
            raise FetchError(
                "failed", reason, retry=error.retry, wait=error.wait, host=url.host
            ) from error


def parse_robots(content: bytes) -> Protego:
    """Read a robots.txt; lines that cannot be understood are passed over."""
    return Protego.parse(_VERSION.sub(r"\1", content.decode("utf-8-sig", "replace")))


def _joined(base: str, target: str) -> str:
    """Where a redirect leads; headers come as Latin-1, but what servers send is UTF-8."""
    try:
        return urljoin(base, target.encode("latin-1").decode("utf-8", "replace"))
    except ValueError as error:
        raise FetchError("unusable", f"a redirect to a broken address ({error})") from error
