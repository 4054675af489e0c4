"""What stands between the network and the demo: only its own addresses, small requests, and no help from elsewhere.

Gradio can do much that this demo does not need: serve files, keep uploads, fetch pages for others. So the guard lets
through what the page asks for and nothing else, whatever a later Gradio adds. It also tells the browser to load nothing
from any other host, and answers only to the names that the demo was started under.
"""

import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from ipaddress import ip_address
from typing import Any

from fashionnb.apps.demo.uploads import MOST_BYTES, too_large

PHOTO = "/photo"
"""Where photos are sent to."""

ALLOWED = re.compile(
    r"/|/photo|/garments/\d+\.webp|/(config|theme\.css|robots\.txt|favicon\.ico|manifest\.json)"
    r"|/(assets|static)/[\w./-]+|/gradio_api/(run/predict|heartbeat/\w+)"
)
"""The addresses that there are."""

MOST_ASKED = 50_000
"""Bytes of any request but a photo: a few words and ids."""

POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; font-src 'self' data:; "
    "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; worker-src 'self' blob:; object-src 'none'; "
    "base-uri 'self'; form-action 'self'; frame-ancestors 'self' http://localhost:* http://127.0.0.1:*"
)
"""Content-Security-Policy: nothing is loaded from another host; notebooks on this machine may show the page."""

HEADERS = {
    b"content-security-policy": POLICY.encode(),
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
}

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class Guard:
    """An ASGI application around another, which sees only what passes. Introduced in chapter 11.

    app : the application. hosts : the names in the Host header that are answered, without a port; None: any. With them
    no page of the internet can reach a demo on loopback through a name of its own ("DNS rebinding").
    """

    def __init__(self, app: Callable, hosts: frozenset[str] | None = None) -> None:
        self.app, self.hosts = app, hosts

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it: 404 for another address, 413 for too many bytes, 421 for another host."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        headers = dict(scope["headers"])
        if self.hosts is not None and _host(headers.get(b"host", b"")) not in self.hosts:
            await _refuse(
                send, 421, "This demo answers only to the name that it was started under."
            )
            return
        if not ALLOWED.fullmatch(scope["path"]) or ".." in scope["path"]:
            await _refuse(send, 404, "There is nothing here.")
            return
        most = MOST_BYTES if scope["path"] == PHOTO else MOST_ASKED
        told = headers.get(b"content-length", b"0")
        if not told.isdigit() or int(told) > most:
            await _refuse(send, 413, too_large(int(told) if told.isdigit() else None))
            return
        counted = _Counted(receive, send, most)
        with suppress(_TooMuch):
            await self.app(scope, counted.receive, counted.send)


class _TooMuch(Exception):
    """More bytes came than may come."""


class _Counted:
    """The two ends of a request: bytes are counted as they come, headers are added to what goes."""

    def __init__(self, receive: Receive, send: Send, most: int) -> None:
        self._receive, self._send, self._left = receive, send, most
        self._answered = self._refused = False

    async def receive(self) -> Message:
        message = await self._receive()
        self._left -= len(message.get("body", b""))
        if self._left < 0:  # no length was told
            if not self._answered:
                await _refuse(self._send, 413, too_large(None))
            self._answered = self._refused = True
            raise _TooMuch
        return message

    async def send(self, message: Message) -> None:
        if self._refused:  # the application may want to tell of its own error
            return
        if message["type"] == "http.response.start":
            self._answered = True
            kept = [
                (name, value)
                for name, value in message.get("headers", [])
                if name.lower() not in HEADERS
            ]
            message = {**message, "headers": [*kept, *HEADERS.items()]}
        await self._send(message)


def loopback(host: str) -> bool:
    """Whether only this machine can reach a server on this address."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _host(header: bytes) -> str:
    """The name in a Host header, without the port and the brackets of IPv6."""
    return re.sub(r":\d+$", "", header.decode("latin-1")).strip("[]").lower()


async def _refuse(send: Send, status: int, why: str) -> None:
    body = why.encode()
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
    ]
    headers += [(b"connection", b"close"), *HEADERS.items()]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
