"""Refuse every request that the demo's page does not make.

Gradio can do much that this demo does not need: serve files, keep uploads, fetch pages for others.
So only the addresses that the page uses are answered, whatever a later Gradio adds; requests are
small; and browsers are told to load nothing from other hosts. Host names are checked by starlette.
"""

import re
from collections.abc import Sequence
from contextlib import suppress

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fashionnb.apps.demo.photo_store import MAX_BYTES, too_large_message

PHOTO_PATH = "/photo"
"""Where photos are uploaded to."""

ALLOWED_PATHS = re.compile(
    r"/|/photo|/garments/\d+\.webp|/(config|theme\.css|robots\.txt|favicon\.ico|manifest\.json)"
    r"|/(assets|static)/[\w./-]+|/gradio_api/(run/predict|heartbeat/\w+)"
)

MAX_REQUEST_BYTES = 50_000
"""Size of any request but a photo: a few words and ids."""

HEADERS = {
    # Nothing is loaded from another host; notebooks on this machine may show the page in a frame.
    "content-security-policy": "default-src 'self'; img-src 'self' data: blob:; "
    "style-src 'self' 'unsafe-inline'; font-src 'self' data:; "
    "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; worker-src 'self' blob:; "
    "object-src 'none'; base-uri 'self'; form-action 'self'; "
    "frame-ancestors 'self' http://localhost:* http://127.0.0.1:*",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}
"""Added to every answer."""


class _TooLarge(Exception):
    """More bytes came than are accepted."""


class RequestFilter:
    """An ASGI application that passes on to another only the requests that are allowed.

    Other addresses are answered by 404, too large requests by 413, other host names by 400.

    Parameters
    ----------
    app : ASGIApp
        The application that is protected.
    hosts : sequence of str, optional
        The names in the Host header that are answered, without a port; None for any. They keep
        web pages that resolve their own name to this machine ("DNS rebinding") from using a demo
        that only this machine should reach.
    """

    def __init__(self, app: ASGIApp, hosts: Sequence[str] | None = None) -> None:
        self.app = TrustedHostMiddleware(app, hosts, www_redirect=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; websockets get no answer."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, receive, send_with_headers)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def refuse(status: int, reason: str) -> None:
            response = PlainTextResponse(reason, status, {"connection": "close"})
            await response(scope, receive, send)

        path = scope["path"]
        limit = MAX_BYTES if path == PHOTO_PATH else MAX_REQUEST_BYTES
        declared = Headers(scope=scope).get("content-length", "0")
        if not ALLOWED_PATHS.fullmatch(path) or ".." in path:
            await refuse(404, "There is nothing here.")
        elif not declared.isdecimal():
            await refuse(413, too_large_message(None))
        elif int(declared) > limit:
            await refuse(413, too_large_message(int(declared)))
        elif not await _passed_on(self.app, scope, receive, send, limit):
            await refuse(413, too_large_message(None))


async def _passed_on(app: ASGIApp, scope: Scope, receive: Receive, send: Send, limit: int) -> bool:
    """Let an application answer; False if its answer is missing because too many bytes came."""
    left, answered = limit, False

    async def receive_counted() -> Message:
        nonlocal left
        message = await receive()
        left -= len(message.get("body", b""))
        if left < 0:
            raise _TooLarge
        return message

    async def send_unless_refused(message: Message) -> None:
        nonlocal answered
        if left >= 0:
            answered = True
            await send(message)

    with suppress(_TooLarge):
        await app(scope, receive_counted, send_unless_refused)
    return answered or left >= 0
