"""What the demo answers on the web: its page, pictures of garments, uploaded photos, nothing else.

Gradio can do much that this demo does not need: serve files, keep uploads, fetch pages for others.
So only the addresses that the page uses are answered, whatever a later Gradio adds; requests are
small; and browsers are told to load nothing from other hosts. Host names are checked by starlette.
`fashionnb.apps.demo.server` serves it.
"""

import asyncio
import json
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

import gradio
from fastapi import FastAPI, Request, Response
from fastapi.responses import PlainTextResponse
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import ASGIApp

from fashionnb.apps.demo import gradio_page
from fashionnb.apps.demo.backend import DemoBackend
from fashionnb.apps.demo.photo_store import MAX_BYTES, PhotoStore, too_large_message
from fashionnb.errors import FashionNBError

PHOTO_PATH = "/photo"
"""Where photos are uploaded to."""

ALLOWED_PATHS = re.compile(
    r"/|/photo|/garments/\d+\.webp|/(config|theme\.css|robots\.txt|favicon\.ico|manifest\.json)"
    r"|/(assets|static)/[\w./-]+|/gradio_api/(run/predict|heartbeat/\w+)"
)

MAX_REQUEST_BYTES = 50_000
"""Size of any request but a photo: a few words and ids."""

PARALLEL_UPLOADS = 4
"""Photos that are received at the same time; others wait, so that little memory is used."""

UPLOAD_SECONDS = 30
"""Time in which a photo has to arrive."""

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


def build_app(backend: DemoBackend, hosts: Sequence[str] | None) -> ASGIApp:
    """Build the web application of the demo: page, upload of photos, pictures of garments.

    Parameters
    ----------
    backend : DemoBackend
        Computes the answers.
    hosts : sequence of str, optional
        As in `protected`.

    Returns
    -------
    ASGIApp
        Protected, ready to be served.
    """
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    photos, slots = PhotoStore(), asyncio.Semaphore(PARALLEL_UPLOADS)

    @lru_cache(5_000)
    def picture(row: int) -> bytes:
        key = backend.catalogue.table["image"].iloc[row]
        return gradio_page.thumbnail(backend.catalogue.images.image(key))

    @app.get("/garments/{row}.webp")
    def garment(row: int) -> Response:
        if row >= len(backend.catalogue):
            return PlainTextResponse("There is no such garment.", 404)
        return Response(picture(row), 200, {"cache-control": "max-age=3600"}, "image/webp")

    @app.post(PHOTO_PATH)
    async def photo(request: Request) -> Response:
        try:
            async with asyncio.timeout(UPLOAD_SECONDS), slots:
                token = await asyncio.to_thread(photos.add, await request.body())
        except FashionNBError as error:
            return PlainTextResponse(str(error), 400)
        except TimeoutError:
            return PlainTextResponse(
                "The photo took too long to arrive. Send it again, or send it smaller.", 408
            )
        return PlainTextResponse(token)

    page = gradio_page.build(backend, photos)
    inputs = {
        number: [{value for _, value in getattr(part, "choices", ())} for part in event.inputs]
        for number, event in page.fns.items()
    }

    @app.middleware("http")
    async def clicks_of_the_page(request: Request, pass_on: RequestResponseEndpoint) -> Response:
        # Gradio answers others by an error of its own, and logs a traceback.
        if request.url.path.endswith("/run/predict") and not _is_click(
            await request.body(), inputs
        ):
            return _refuse(400, "This is no click on this page. Load the page again.")
        return await pass_on(request)

    theme = gradio.themes.Base(
        font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]
    )
    gradio.mount_gradio_app(
        app, page, path="/", theme=theme, css=gradio_page.CSS,
        footer_links=[], run_history=False, allowed_paths=[], max_file_size=0, ssr_mode=False,
        mcp_server=False, pwa=False, show_error=False,
    )  # fmt: skip
    return protected(app, hosts)


def protected(app: ASGIApp, hosts: Sequence[str] | None) -> ASGIApp:
    """Protect the demo's web application: pass on only the requests that its page makes.

    Other addresses are answered by 404, too large requests by 413, those that do not say their
    length by 411, other host names by 400.

    Parameters
    ----------
    app : ASGIApp
        The application that is protected.
    hosts : sequence of str, optional
        The names in the Host header that are answered, without a port; None for any. They keep
        web pages that resolve their own name to this machine ("DNS rebinding") from using a demo
        that only this machine should reach.

    Returns
    -------
    ASGIApp
        Which answers all other requests itself.
    """
    checked = TrustedHostMiddleware(app, hosts, www_redirect=False)
    return BaseHTTPMiddleware(checked, dispatch=_answer)


async def _answer(request: Request, pass_on: RequestResponseEndpoint) -> Response:
    response = _refusal(request)
    if response is None:
        response = await pass_on(request)
    response.headers.update(HEADERS)
    return response


def _refusal(request: Request) -> Response | None:
    """The answer to a request that is not allowed; its body is never read."""
    path = request.scope["path"]
    if not ALLOWED_PATHS.fullmatch(path) or ".." in path:
        return _refuse(404, "There is nothing here.")
    length = request.headers.get("content-length", "0")
    if "transfer-encoding" in request.headers or not length.isdecimal():
        return _refuse(411, "Say how long the request is, by the header Content-Length.")
    if int(length) > (MAX_BYTES if path == PHOTO_PATH else MAX_REQUEST_BYTES):
        return _refuse(413, too_large_message(int(length)))
    return None


def _is_click(body: bytes, inputs: Mapping[int, Sequence[set]]) -> bool:
    """Whether a request is a click on the page: an event's number, and what its inputs take.

    `inputs` has the choices of each input of an event, none if it takes anything.
    """
    try:
        asked = json.loads(body)
        given = zip(asked["data"], inputs[asked["fn_index"]], strict=True)
        return all(not choices or value in choices for value, choices in given)
    except (ValueError, TypeError, LookupError, RecursionError):
        return False


def _refuse(status: int, reason: str) -> Response:
    return PlainTextResponse(reason, status, {"connection": "close"})
