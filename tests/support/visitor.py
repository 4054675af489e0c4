"""A visitor of the demo who needs no browser: asks as the page does, over plain HTTP."""

import http.client
import io
import json
import socket
import struct
import uuid
import zlib
from urllib.parse import urlsplit

from PIL import Image

from fashionnb.synthetic import drawn_garments

EVERYTHING = "everything that is missing"


def jpeg(colour: str = "Navy Blue", seed: int = 77, size: int = 256) -> bytes:
    """The photo of a coat."""
    packed = io.BytesIO()
    Image.fromarray(drawn_garments.draw("Coat", colour, size=size, seed=seed)).save(packed, "JPEG")
    return packed.getvalue()


def bomb(side=50_000):
    """A PNG of a few bytes that claims to be 50,000 pixels wide and high."""

    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(9)))
        + chunk(b"IEND", b"")
    )


class Visitor:
    """Asks the demo at an address, over one connection, with a session of its own."""

    def __init__(self, address: str) -> None:
        self.place = urlsplit(address)
        self.session = uuid.uuid4().hex[:11]
        self.connection = http.client.HTTPConnection(
            self.place.hostname, self.place.port, timeout=60
        )
        config = json.loads(self.ask("GET", "/config")[1])
        self.pieces = {one["props"].get("elem_id"): one["id"] for one in config["components"]}
        self.events = {
            one["targets"][0][0]: one for one in config["dependencies"] if one["targets"]
        }

    def ask(
        self, method: str, path: str, body: bytes | None = None, **headers: str
    ) -> tuple[int, bytes]:
        """The status and the body of one answer."""
        self.connection.request(method, path, body, headers)
        answer = self.connection.getresponse()
        return answer.status, answer.read()

    def click(self, piece: str, **told) -> list:
        """What the page shows after a click on a piece of it, by what the click tells."""
        event = self.events[self.pieces[piece]]
        data = [
            EVERYTHING if i == len(event["inputs"]) - 1 else None
            for i in range(len(event["inputs"]))
        ]
        asked = {
            "data": data,
            "event_data": told,
            "fn_index": event["id"],
            "session_hash": self.session,
        }
        asked["trigger_id"] = self.pieces[piece]
        body = json.dumps(asked).encode()
        status, answer = self.ask(
            "POST", "/gradio_api/run/predict", body, **{"Content-Type": "application/json"}
        )
        if status != 200:
            raise RuntimeError(f"{status}: {answer[:300]!r}")
        return json.loads(answer)["data"]

    def send(self, photo: bytes) -> list:
        """What the page shows after a photo was sent."""
        status, said = self.ask("POST", "/photo", photo)
        return self.click(
            "upload", **({"token": said.decode()} if status == 200 else {"refused": said.decode()})
        )


def _request(method: str, path: str, body: bytes = b"", *headers: str) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: HOST", "Connection: close", *headers]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode("utf-8", "surrogateescape") + b"\r\n\r\n" + body


def _click(content: object) -> bytes:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return _request("POST", "/gradio_api/run/predict", body, "Content-Type: application/json")


FILES = [
    "/gradio_api/file=/etc/passwd", "/gradio_api/file=../../etc/passwd", "/static/../../../etc/passwd",
    "/assets/..%2f..%2f..%2fetc%2fpasswd", "/assets//etc/passwd", "/static//etc/passwd", "/garments/99999999.webp",
    "/garments/..%2f1.webp", "/garments/-1.webp", "/garments/1.webp%00.jpg", "/garments/%D9%A1.webp", "/%2e%2e/%2e%2e/etc/passwd",
    "/..\\..\\windows\\win.ini", "/gradio_api/upload", "/gradio_api/proxy=http://127.0.0.1/", "/gradio_api/info",
    "/gradio_api/queue/join", "/gradio_api/stream/a/b/c", "/gradio_api/component_server", "/gradio_api/reset", "/login",
    "/docs", "/openapi.json", "/.env", "/.git/config", "//evil.example/", "/photo/../../etc/passwd", "/" + 5_000 * "a",
]  # fmt: skip
"""Paths where nothing of the host may be reached."""

HOSTILE: dict[str, bytes] = {
    **{f"GET {path[:40]}": _request("GET", path) for path in FILES},
    "another site's name": _request("GET", "/").replace(b"HOST", b"evil.example"),
    "no name": _request("GET", "/").replace(b"Host: HOST\r\n", b""),
    "two names": _request("GET", "/", b"", "Host: evil.example"),
    "a method that there is not": _request("BREW", "/"),
    "delete": _request("DELETE", "/garments/1.webp"),
    "put": _request("PUT", "/photo", b"x"),
    "trace": _request("TRACE", "/"),
    "connect": b"CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n",
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 hello\r\n\r\n",
    "a bare line feed in a header": b"GET / HTTP/1.1\nHost: HOST\nX: a\rb\n\n",
    "a header of 200 kB": _request("GET", "/", b"", "X-Long: " + 200_000 * "a"),
    "a thousand headers": _request("GET", "/login", b"", *(f"X-{n}: {n}" for n in range(1_000))),
    "two lengths": b"POST /photo HTTP/1.1\r\nHost: HOST\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    "a length and chunks": b"POST /photo HTTP/1.1\r\nHost: HOST\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a length below zero": b"POST /photo HTTP/1.1\r\nHost: HOST\r\nContent-Length: -5\r\n\r\nhello",
    "a length that is no number": b"POST /photo HTTP/1.1\r\nHost: HOST\r\nContent-Length: many\r\n\r\nhello",
    "a chunk that is none": b"POST /photo HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n",
    "200 megabytes told": b"POST /photo HTTP/1.1\r\nHost: HOST\r\nContent-Length: 200000000\r\n\r\n",
    "an empty photo": _request("POST", "/photo", b"", "Content-Length: 0"),
    "text as a photo": _request("POST", "/photo", b"hello" * 100),
    "a page as a photo": _request("POST", "/photo", b"<svg onload='alert(1)' xmlns='http://www.w3.org/2000/svg'/>"),
    "half a photo": _request("POST", "/photo", jpeg(size=96)[:700]),
    "a decompression bomb": _request("POST", "/photo", bomb()),
    "a click that is no JSON": _click(b"{"),
    "a click of bytes": _click(b"\xff\xfe\x00"),
    "a click that is a list": _click([]),
    "a click on nothing": _click({"data": [], "fn_index": 9_999, "session_hash": "x"}),
    "a click with too much": _click({"data": [None] * 5_000, "fn_index": 0, "session_hash": "x"}),
    "a click of another type": _click({"data": "all", "fn_index": "first", "session_hash": 3}),
    "a click nested without end": _click(b"[" * 20_000),
    "a click of 1 MB": _click({"data": ["a" * 1_000_000], "fn_index": 0}),
    **{f"a click {number} with words": _click({"data": ["<b>"] * count, "fn_index": number, "event_data": {"item": [1]}, "session_hash": "x"}) for number in range(4) for count in (1, 2, 3)},
    "a click on a name": _click({"data": [], "fn_index": 0, "api_name": "/../etc", "session_hash": "../../x"}),
}  # fmt: skip
"""What the demo must refuse, as it goes over the wire; HOST stands for its address."""


def refusal(address: str, sent: bytes) -> bytes:
    """What the demo answers to bytes over a connection of their own; nothing if it hangs up."""
    place = urlsplit(address)
    with socket.create_connection((place.hostname, place.port), timeout=60) as plain:
        said = b""
        try:
            plain.sendall(sent.replace(b"HOST", place.netloc.encode()))
            while piece := plain.recv(1 << 16):
                said += piece
        except ConnectionError:
            pass
        return said


def is_refused(said: bytes) -> bool:
    """Whether an answer is a refusal: a status from 400 to 499, and nothing of the host."""
    status = said[:12]
    return (not said or status.startswith(b"HTTP/1.1 4")) and not any(
        secret in said for secret in (b"root:", b"Traceback", b'File "')
    )
