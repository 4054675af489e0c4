"""A polite visitor: one request a host at a time, robots.txt first, every redirect checked like a new address."""

from collections.abc import Callable
from http.client import HTTPResponse
from typing import TypeVar
from urllib.parse import urljoin

from fashionnb.apps.collect import robots, web_addresses
from fashionnb.apps.collect.http_request import Limits, answered, asked, body
from fashionnb.apps.collect.web_addresses import Address, Trouble

T = TypeVar("T")

_MOVED = (301, 302, 303, 307, 308)
_BYTES_OF_SOME_KIND = (
    "application/octet-stream",
    "binary/octet-stream",
)  # what careless servers call a picture


class Visitor:
    """Knows when each host may be asked next, and what its robots.txt says.

    ready : host -> when it may be asked next, by `clock`.
    clock, sleep : as `time.monotonic` and `time.sleep`.
    """

    def __init__(
        self,
        limits: Limits,
        allow_private: bool,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> None:
        self.limits, self.allow_private, self.clock, self.sleep = (
            limits,
            allow_private,
            clock,
            sleep,
        )
        self.ready: dict[str, float] = {}
        self._delays: dict[str, float] = {}
        self._rules: dict[str, robots.Rules] = {}

    def picture(self, url: str) -> tuple[bytes, str]:
        """The bytes at `url`, and the address that gave them in the end. They claim to be a picture; no more is known.

        Raises
        ------
        Trouble : there is no picture, and why.
        """

        def content(response: HTTPResponse, address: Address) -> bytes:
            if response.status != 200:
                raise answered(response, self.limits, address.host)
            kind = response.getheader("Content-Type", "").partition(";")[0].strip().lower()
            if kind and not kind.startswith("image/") and kind not in _BYTES_OF_SOME_KIND:
                raise Trouble("unusable", f"not a picture, its type is {kind!r:.60}")
            return body(response, self.limits.bytes)

        return self._visit(url, "image/*", content, self._check)

    def greet(self, url: str) -> bool:
        """Read the robots.txt of a site that has not been asked yet; True if it was read now. Raises `Trouble`."""
        address = web_addresses.parse(url)
        new = address.origin not in self._rules
        if new:
            self._learn(address)
        return new

    def put_off(self, host: str, seconds: float) -> None:
        """Ask nothing more of a host for so many seconds."""
        self.ready[host] = max(self.ready.get(host, 0.0), self.clock() + seconds)

    def _visit(
        self,
        url: str,
        accept: str,
        content: Callable[[HTTPResponse, Address], T],
        check: Callable[[Address], None],
    ) -> tuple[T, str]:
        """Follow redirects to an answer, and give its content. `check` raises for an address not to be asked."""
        for _ in range(self.limits.redirects + 1):
            address = web_addresses.parse(url)
            check(address)
            if (early := self.ready.get(address.host, 0.0) - self.clock()) > 0:
                self.sleep(early)
            places = web_addresses.places(address, self.allow_private)
            try:
                with asked(address, places, accept, self.limits, self.clock) as response:
                    to = response.getheader("Location")
                    if response.status not in _MOVED or not to:
                        return content(response, address), address.url
                    url = _joined(address.url, to)
            finally:
                self.put_off(
                    address.host, max(self.limits.pause, self._delays.get(address.host, 0.0))
                )
        raise Trouble("unusable", f"more than {self.limits.redirects} redirects")

    def _check(self, address: Address) -> None:
        """Raise `Trouble` if robots.txt forbids the address, or cannot be had."""
        if address.origin not in self._rules:
            self._learn(address)
        if not self._rules[address.origin].allow(address.target):
            raise Trouble(
                "refused", f"robots.txt of {address.host} asks robots to leave this address alone"
            )

    def _learn(self, address: Address) -> None:
        self._rules[address.origin] = rules = self._robots(address)
        delay = max(self._delays.get(address.host, 0.0), min(rules.delay, self.limits.longest))
        self._delays[address.host] = delay
        self.put_off(address.host, delay)

    def _robots(self, address: Address) -> robots.Rules:
        """A site without a robots.txt allows everything; one that cannot give it now, nothing (RFC 9309)."""

        def content(response: HTTPResponse, asked_of: Address) -> robots.Rules:
            if 400 <= response.status < 500 and response.status != 429:
                return robots.Rules()
            if not 200 <= response.status < 300:
                raise answered(response, self.limits, asked_of.host)
            return robots.parse(
                body(response, robots.MOST_BYTES, cut=True).decode("utf-8", "replace")
            )

        try:
            return self._visit(
                f"{address.origin}/robots.txt", "text/plain", content, lambda _: None
            )[0]
        except Trouble as trouble:
            if trouble.host == address.host:  # it has this trouble with whatever is asked of it
                raise
            reason = f"its robots.txt cannot be had, so it is left alone: {trouble.reason}"
            raise Trouble(
                "failed", reason, again=trouble.again, wait=trouble.wait, host=address.host
            ) from trouble


def _joined(base: str, to: str) -> str:
    """Where a redirect leads. Headers come as Latin-1, but what servers put there is UTF-8."""
    try:
        return urljoin(base, to.encode("latin-1").decode("utf-8", "replace"))
    except ValueError as error:
        raise Trouble("unusable", f"a redirect to a broken address ({error})") from error
