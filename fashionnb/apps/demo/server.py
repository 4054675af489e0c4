"""Serve the demo: to this machine only unless asked, to many visitors at once, without internet.

`Server` puts the page, the pictures of the garments and the uploaded photos behind
`fashionnb.apps.demo.request_filter`. As a context manager it runs in the background, for notebooks,
screenshots and tests.
"""

import asyncio
import inspect
import os
import socket
import threading
from contextlib import suppress
from functools import lru_cache
from ipaddress import ip_address
from unittest import mock

from fashionnb.apps.demo.backend import DemoBackend
from fashionnb.apps.demo.photo_store import PhotoStore
from fashionnb.errors import FashionNBError

HOST, PORT = "127.0.0.1", 8000

PARALLEL_UPLOADS = 4
"""Photos that are received at the same time; others wait, so that little memory is used."""

UPLOAD_SECONDS = 30
"""Time in which a photo has to arrive."""

MAX_CONNECTIONS = 400
"""Connections at the same time; a later one is answered "try again" (503)."""

KEEP_ALIVE_SECONDS = 60  # that a connection may idle
BACKLOG = 256  # connections that wait to be accepted


class DemoError(FashionNBError, RuntimeError):
    """The demo cannot be started."""


class Server:
    """The demo of one catalogue on one address.

    Parameters
    ----------
    backend : DemoBackend
        Computes the answers.
    host : str
        "127.0.0.1" serves this machine only, "0.0.0.0" everybody who can reach it.
    port : int
        0 for any free port.

    Attributes
    ----------
    address : str
        Where the page is.

    Raises
    ------
    DemoError
        If Gradio is not installed, or the address cannot be used.
    """

    def __init__(self, backend: DemoBackend, host: str = HOST, port: int = PORT) -> None:
        self._socket = _listen(host, port)
        name = f"[{host}]" if ":" in host else host
        self.address = f"http://{name}:{self._socket.getsockname()[1]}"
        app = _app(backend)
        import uvicorn

        from fashionnb.apps.demo.request_filter import RequestFilter

        hosts = [name, "localhost", "127.0.0.1", "[::1]"] if is_loopback(host) else None
        config = uvicorn.Config(
            RequestFilter(app, hosts), log_level="warning", access_log=False, server_header=False,
            limit_concurrency=MAX_CONNECTIONS, timeout_keep_alive=KEEP_ALIVE_SECONDS, ws="none",
            timeout_graceful_shutdown=1,
        )  # fmt: skip
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self.run, daemon=True)

    def run(self) -> None:
        """Serve until Ctrl-C."""
        with suppress(KeyboardInterrupt):
            self._server.run(sockets=[self._socket])

    def start(self) -> "Server":
        """Serve in the background, until `stop`.

        Raises
        ------
        DemoError
            If that fails.
        """
        self._thread.start()
        while not self._server.started:
            self._thread.join(0.02)
            if not self._thread.is_alive():
                raise DemoError(f"The demo did not start on {self.address}; the log says why.")
        return self

    def stop(self) -> None:
        """End what `start` began."""
        self._server.should_exit = True
        self._thread.join(10)

    __enter__ = start

    def __exit__(self, *_) -> None:
        self.stop()


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server on this address."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _app(backend: DemoBackend):
    """The page, the upload of photos, and the pictures of the garments."""
    gradio = _import_gradio()
    from fastapi import FastAPI, Request, Response
    from fastapi.concurrency import run_in_threadpool

    from fashionnb.apps.demo import gradio_page, html_rendering, request_filter

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    photos, slots = PhotoStore(), asyncio.Semaphore(PARALLEL_UPLOADS)

    @lru_cache(5_000)
    def picture(row: int) -> bytes:
        key = backend.catalogue.table["image"].iloc[row]
        return html_rendering.thumbnail(backend.catalogue.images.image(key))

    @app.get("/garments/{row}.webp")
    def garment(row: int) -> Response:
        if row >= len(backend.catalogue):
            return Response("There is no such garment.", 404, media_type="text/plain")
        headers = {"cache-control": "max-age=3600"}
        return Response(picture(row), headers=headers, media_type="image/webp")

    @app.post(request_filter.PHOTO_PATH)
    async def photo(request: Request) -> Response:
        status = 200
        try:
            async with asyncio.timeout(UPLOAD_SECONDS), slots:
                text = await run_in_threadpool(photos.add, await request.body())
        except FashionNBError as error:
            text, status = str(error), 400
        except TimeoutError:
            text = "The photo took too long to arrive. Send it again, or send it smaller."
            status = 408
        return Response(text, status, media_type="text/plain")

    theme = gradio.themes.Base(
        font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]
    )
    return gradio.mount_gradio_app(
        app, gradio_page.build(backend, photos), path="/", theme=theme, css=gradio_page.CSS,
        footer_links=[], run_history=False, allowed_paths=[], max_file_size=0, ssr_mode=False,
        mcp_server=False, pwa=False, show_error=False,
    )  # fmt: skip


def _import_gradio():
    # Set before the import, so that Gradio never contacts its makers.
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    try:
        with mock.patch("inspect.getfile", _getfile_but_of_gradio):
            import gradio
    except ImportError as error:
        raise DemoError('The demo needs Gradio: `pip install "fashionnb[demo]"`.') from error
    return gradio


def _getfile_but_of_gradio(of: object, getfile=inspect.getfile) -> str:
    """Keep Gradio from writing stubs for editors, which takes half of the time of its import."""
    if getattr(of, "__module__", "").startswith("gradio."):
        raise OSError("no stubs, please")
    return getfile(of)


def _listen(host: str, port: int) -> socket.socket:
    """A socket that listens already, so that early visitors wait for the page."""
    try:
        if not 0 <= port <= 65_535:  # the system would take the remainder
            raise OverflowError("ports go from 0 to 65535")
        kind, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(kind, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(BACKLOG)
    except (OSError, OverflowError) as error:
        raise DemoError(
            f"{host}, port {port}: this address cannot be used ({error}). Is another demo running "
            f"there? Choose another port, for instance --port {PORT + 1}."
        ) from error
    return listening
