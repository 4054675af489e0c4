"""Serve the demo: to this machine only unless asked, to many visitors at once, without internet.

What it answers is in `fashionnb.apps.demo.web_app`. As a context manager `Server` runs in the
background, for screenshots and tests.
"""

import logging
import os
import socket
import threading
from contextlib import suppress
from ipaddress import ip_address

from fashionnb.apps.demo.backend import DemoBackend
from fashionnb.errors import FashionNBError, needs_extra

HOST, PORT = "127.0.0.1", 8000

MAX_CONNECTIONS = 400
"""Connections at the same time; a later one is answered "try again" (503)."""

KEEP_ALIVE_SECONDS = 60  # that a connection may idle
BACKLOG = 256  # connections that wait to be accepted


class DemoError(FashionNBError, RuntimeError):
    """Error of the demo: its server, or the browser for screenshots, cannot be started."""


class Server:
    """Server of the demo of one catalogue, on one address.

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
        If the address cannot be used.
    MissingExtra
        If Gradio is not installed.
    """

    def __init__(self, backend: DemoBackend, host: str = HOST, port: int = PORT) -> None:
        self._socket = _listen(host, port)
        name = f"[{host}]" if ":" in host else host
        self.address = f"http://{name}:{self._socket.getsockname()[1]}"
        hosts = [name, "localhost", "127.0.0.1", "[::1]"] if is_loopback(host) else None
        self._server = _uvicorn_server(backend, hosts)
        self._thread = threading.Thread(target=self.run, daemon=True)

    def run(self) -> None:
        """Serve until Ctrl-C."""

        def is_ours(record: logging.LogRecord) -> bool:
            # A page that is open at the end would be logged as an error, with its traceback; and so
            # would a visitor who does not keep to HTTP.
            broken = record.exc_info and type(record.exc_info[1]).__name__ == "LocalProtocolError"
            return not (broken or self._server.should_exit)

        log = logging.getLogger("uvicorn.error")
        log.addFilter(is_ours)
        try:
            with suppress(KeyboardInterrupt):
                self._server.run(sockets=[self._socket])
        finally:
            log.removeFilter(is_ours)

    def __enter__(self) -> "Server":
        """Serve in the background; raises `DemoError` if that fails."""
        self._thread.start()
        while not self._server.started:
            self._thread.join(0.02)
            if not self._thread.is_alive():
                raise DemoError(f"The demo did not start on {self.address}; the log says why.")
        return self

    def __exit__(self, *_) -> None:
        self._server.should_exit = True
        self._thread.join(10)


def is_loopback(host: str) -> bool:
    """Return whether a server of the demo on this address can be reached from this machine only.

    Parameters
    ----------
    host : str
        An IP address, or a name.

    Returns
    -------
    bool
        True for loopback addresses and "localhost".
    """
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _uvicorn_server(backend: DemoBackend, hosts: list[str] | None):
    """The server of the demo's application, which is imported only now: Gradio takes seconds."""
    # Set before Gradio is imported, so that it never contacts its makers.
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    with needs_extra("demo", "The demo"):
        import uvicorn

        from fashionnb.apps.demo.web_app import build_app
    config = uvicorn.Config(
        build_app(backend, hosts), log_level="error", access_log=False, server_header=False,
        limit_concurrency=MAX_CONNECTIONS, timeout_keep_alive=KEEP_ALIVE_SECONDS, ws="none",
        timeout_graceful_shutdown=1,
    )  # fmt: skip
    return uvicorn.Server(config)


def _listen(host: str, port: int) -> socket.socket:
    """A socket that listens already, so that early visitors wait for the page."""
    try:
        family = socket.getaddrinfo(host, None)[0][0]
        both = family == socket.AF_INET6 and socket.has_dualstack_ipv6()
        return socket.create_server(
            (host, port), family=family, backlog=BACKLOG, dualstack_ipv6=both
        )
    except (OSError, OverflowError) as error:  # ports go to 65535
        raise DemoError(
            f"{host}, port {port}: this address cannot be used ({error}). Is another demo running "
            f"there? Choose another port, for instance --port {PORT + 1}."
        ) from error
