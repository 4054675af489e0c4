"""A web server on this machine that misbehaves in any way, and a clock that takes no time: for tests of collecting."""

import contextlib
import io
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from PIL import Image

Answer = Callable[[BaseHTTPRequestHandler], None]


def picture(shade: int = 0, size: tuple[int, int] = (6, 4), kind: str = "PNG") -> bytes:
    """The bytes of a picture; another shade, other bytes."""
    buffer = io.BytesIO()
    Image.new("RGB", size, (shade, 100, 200)).save(buffer, kind)
    return buffer.getvalue()


def page(
    content: bytes = b"", kind: str | None = "image/png", status: int = 200, **headers: str | None
) -> Answer:
    """A plain answer. A header that is None is left out; "_" in its name stands for "-"."""
    sent = {"Content_Type": kind, "Content_Length": str(len(content)), **headers}

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response_only(status)
        for name, value in sent.items():
            if value is not None:
                handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(content)

    return answer


def moved(to: str, status: int = 302) -> Answer:
    return page(status=status, kind=None, Location=to)


def raw(content: bytes) -> Answer:
    """These bytes and nothing else, be they HTTP or not."""
    return lambda handler: handler.wfile.write(content)


def stream(first: bytes, then: Callable[[], Iterator[bytes]]) -> Answer:
    """Bytes as long as anyone listens."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(first)
        for piece in then():
            handler.wfile.write(piece)
            handler.wfile.flush()

    return answer


def reset(handler: BaseHTTPRequestHandler) -> None:
    """The connection is torn down without an answer."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()


class Web:
    """Answers each path with the answers given for it, one after another; the last one for good. The rest is 404.

    asked : (host as the client named it, path) of each request. headers : those of the last one. over : set at the end.
    """

    def __init__(self) -> None:
        self.answers: dict[str, list[Answer]] = {}
        self.asked: list[tuple[str, str]] = []
        self.headers: dict[str, str] = {}
        self.over = threading.Event()
        web = self

        class Handler(BaseHTTPRequestHandler):
            wbufsize = 0

            def do_GET(self) -> None:
                web.asked.append((self.headers["Host"], self.path))
                web.headers = dict(self.headers)
                answers = web.answers.get(self.path, [page(status=404, kind=None)])
                with contextlib.suppress(
                    OSError, ValueError
                ):  # the client hung up; or a closed file, after `reset`
                    (answers.pop(0) if len(answers) > 1 else answers[0])(self)

            def log_message(self, *_) -> None:
                pass

        class Server(ThreadingHTTPServer):
            def handle_error(self, *_) -> None:
                pass  # a connection that was torn down on purpose

        self.http = Server(("127.0.0.1", 0), Handler)
        self.port = self.http.server_port
        threading.Thread(target=self.http.serve_forever, args=(0.005,), daemon=True).start()

    def url(self, path: str, *answers: Answer, host: str = "shop.example") -> str:
        """The address of `path`, which from now on gives these answers."""
        if answers:
            self.answers[f"/{path}"] = list(answers)
        return f"http://{host}:{self.port}/{path}"

    def paths(self) -> list[str]:
        """What was asked for, robots.txt left out."""
        return [path for _, path in self.asked if path != "/robots.txt"]

    def close(self) -> None:
        self.over.set()
        self.http.shutdown()
        self.http.server_close()


class Clock:
    """Time that passes when somebody sleeps, and `step` seconds whenever somebody looks."""

    def __init__(self, step: float = 0.0) -> None:
        self.now, self.step, self.slept = 0.0, step, []

    def monotonic(self) -> float:
        self.now += self.step
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
