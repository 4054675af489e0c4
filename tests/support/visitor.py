"""A visitor of the demo who needs no browser: asks as the page does, over plain HTTP."""

import http.client
import io
import json
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
