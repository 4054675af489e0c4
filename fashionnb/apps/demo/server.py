"""Serve the demo: on this machine only unless asked, to many visitors at once, without a word to any other host.

`Server` puts the page, the pictures of the garments and the photos of visitors behind
`fashionnb.apps.demo.request_guard`. Used as a context manager it works in the background, for notebooks, screenshots
and tests.
"""

import asyncio
import inspect
import io
import os
import socket
import threading
from contextlib import suppress
from functools import lru_cache
from unittest import mock

from fashionnb.apps.demo import request_guard
from fashionnb.apps.demo.stylist import Stylist
from fashionnb.apps.demo.uploads import Photos
from fashionnb.errors import FashionNBError

HOST, PORT = "127.0.0.1", 8000

UPLOADS = 4
"""Photos that are received at the same time; others wait, so that memory stays flat."""

PATIENCE = 30
"""Seconds in which a photo has to arrive."""

AT_ONCE = 400
"""Connections at the same time; who comes later is told to try again (503)."""


KEPT_OPEN = 60  # seconds that a connection may idle
BACKLOG = 256  # connections that wait to be accepted


class DemoError(FashionNBError, RuntimeError):
    """The demo cannot be started."""


class Server:
    """The demo of one catalogue on one address. Introduced in chapter 11.

    Parameters
    ----------
    host : "127.0.0.1", only this machine; "0.0.0.0", everybody who can reach it. port : 0 for any that is free.

    Raises
    ------
    DemoError : Gradio is not installed, or the address cannot be had.
    """

    def __init__(self, stylist: Stylist, host: str = HOST, port: int = PORT) -> None:
        self.stylist, self.photos = stylist, Photos()
        self._socket = _bound(host, port)
        self.address = (
            f"http://{host if ':' not in host else f'[{host}]'}:{self._socket.getsockname()[1]}"
        )
        """Where the page is."""
        hosts = (
            frozenset({host.lower(), "localhost", "127.0.0.1", "::1"})
            if request_guard.loopback(host)
            else None
        )
        import uvicorn

        config = uvicorn.Config(
            request_guard.Guard(_app(stylist, self.photos), hosts), log_level="warning", access_log=False,
            server_header=False, limit_concurrency=AT_ONCE, timeout_keep_alive=KEPT_OPEN, ws="none",
            timeout_graceful_shutdown=1,
        )  # fmt: skip
        self._server = uvicorn.Server(config)
        self._thread: threading.Thread | None = None

    def run(self) -> None:
        """Serve until Ctrl-C."""
        with suppress(KeyboardInterrupt):
            self._server.run(sockets=[self._socket])

    def start(self) -> "Server":
        """Serve in the background, until `stop`. Raises `DemoError` if that fails."""
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, daemon=True
        )
        self._thread.start()
        while not self._server.started:
            self._thread.join(0.02)
            if not self._thread.is_alive():
                raise DemoError(f"The demo did not start on {self.address}; the log says why.")
        return self

    def stop(self) -> None:
        """End what `start` began."""
        self._server.should_exit = True
        if self._thread is not None:
            self._thread.join(10)

    __enter__ = start

    def __exit__(self, *_) -> None:
        self.stop()


def _app(stylist: Stylist, photos: Photos):
    """The page, and beside it `/photo` and the pictures of the garments."""
    gradio = _gradio()
    from fastapi import FastAPI, Request, Response
    from fastapi.concurrency import run_in_threadpool

    from fashionnb.apps.demo import page

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    slots = asyncio.Semaphore(UPLOADS)
    picture = lru_cache(5_000)(lambda row: _picture(stylist, row))

    @app.get("/garments/{row}.webp")
    def garment(row: int) -> Response:
        if row >= len(stylist.catalogue):
            return Response("There is no such garment.", 404, media_type="text/plain")
        return Response(
            picture(row), media_type="image/webp", headers={"cache-control": "max-age=3600"}
        )

    @app.post(request_guard.PHOTO)
    async def photo(request: Request) -> Response:
        try:
            async with asyncio.timeout(PATIENCE), slots:
                data = b"".join([chunk async for chunk in request.stream()])
                said, status = await run_in_threadpool(photos.add, data), 200
        except FashionNBError as error:
            said, status = str(error), 400
        except TimeoutError:
            said, status = (
                "The photo took too long to arrive. Send it again, or send it smaller.",
                408,
            )
        return Response(said, status, media_type="text/plain")

    theme = gradio.themes.Base(
        font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]
    )
    return gradio.mount_gradio_app(
        app, page.build(stylist, photos), path="/", theme=theme, css=page.CSS, footer_links=[], run_history=False,
        allowed_paths=[], max_file_size=0, ssr_mode=False, mcp_server=False, pwa=False, show_error=False,
    )  # fmt: skip


def _picture(stylist: Stylist, row: int) -> bytes:
    from fashionnb.apps.demo.html import SHOWN

    picture = stylist.catalogue.images.image(stylist.catalogue.table["image"].iloc[row]).convert(
        "RGB"
    )
    picture.thumbnail((SHOWN, SHOWN))
    packed = io.BytesIO()
    picture.save(packed, "WEBP", quality=85)
    return packed.getvalue()


def _gradio():
    os.environ["GRADIO_ANALYTICS_ENABLED"] = (
        "False"  # before it is imported, so that it never calls home
    )
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    try:
        with mock.patch("inspect.getfile", _no_file_of_gradio):
            import gradio
    except ImportError as error:
        raise DemoError('The demo needs Gradio: `pip install "fashionnb[demo]"`.') from error
    return gradio


def _no_file_of_gradio(of: object, getfile=inspect.getfile) -> str:
    """Gradio spends half of its import on stubs for editors, in its own folder, but for classes without a file none."""
    if getattr(of, "__module__", "").startswith("gradio."):
        raise OSError("no stubs, please")
    return getfile(of)


def _bound(host: str, port: int) -> socket.socket:
    """A socket that listens; who comes before the page is ready waits."""
    try:
        if not 0 <= port <= 65_535:  # the system would take the remainder
            raise OverflowError("ports go from 0 to 65535")
        kind, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        found = socket.socket(kind, socket.SOCK_STREAM)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(address)
        found.listen(BACKLOG)
    except (OSError, OverflowError) as error:
        raise DemoError(
            f"{host}, port {port}: this address cannot be had ({error}). Is another demo running there? Name another "
            f"port, for instance --port {PORT + 1}."
        ) from error
    return found
