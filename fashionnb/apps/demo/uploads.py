"""The photos that people send to the demo: checked, made small, kept in memory until they are looked at, never on disk.

Neither the name of a file nor its type as the browser tells it is looked at: the first bytes say whether it is a
picture. So there is no name that could lead anywhere, and no file of one user that another could ask for.
"""

import secrets
import threading
from collections import OrderedDict

from PIL import Image

from fashionnb.data.images import decode
from fashionnb.errors import DataError

MOST_BYTES = 10_000_000
"""A larger file is refused before it is read."""

SIDE = 512
"""Pixels: larger photos are made smaller, which is all that the models look at."""

KEPT = 100
"""Photos that wait to be looked at; the oldest go first. At most 80 MB."""


class Photos:
    """Photos by the ticket that their sender got. Introduced in chapter 11. Several threads may use it.

    kept : how many, at most.
    """

    def __init__(self, kept: int = KEPT) -> None:
        self.kept = kept
        self._photos: OrderedDict[str, Image.Image] = OrderedDict()
        self._lock = threading.Lock()
        self._decoding = (
            threading.Lock()
        )  # a photo of 50 megapixels takes 150 MB while it is unpacked: one at a time

    def __len__(self) -> int:
        return len(self._photos)

    def add(self, data: bytes) -> str:
        """Keep the picture in these bytes, `SIDE` pixels at most; the ticket to ask for it by.

        Raises
        ------
        DataError : too many bytes, no picture, a damaged one, or one of more than 50 megapixels.
        """
        if len(data) > MOST_BYTES:
            raise DataError(too_large(len(data)))
        with self._decoding:
            photo = decode(data, "Your file").convert("RGB")
            photo.thumbnail((SIDE, SIDE), Image.Resampling.BICUBIC)
        ticket = secrets.token_urlsafe(16)
        with self._lock:
            self._photos[ticket] = photo
            while len(self._photos) > self.kept:
                self._photos.popitem(last=False)
        return ticket

    def take(self, ticket: str) -> Image.Image:
        """The photo of a ticket, which is forgotten. Raises `DataError` if it is not there, or not any more."""
        with self._lock:
            if ticket not in self._photos:
                raise DataError(
                    "Your photo is not there any more: photos are not kept. Choose it again."
                )
            return self._photos.pop(ticket)


def too_large(size: int | None) -> str:
    """What is said of a file that is too large; `size` in bytes, None if it is not known."""
    got = "more" if size is None else f"{size / 1e6:,.0f} MB"
    return (
        f"Your file has {got}; at most {MOST_BYTES / 1e6:.0f} MB are accepted. Send the photo smaller: a side of 1,000 "
        "pixels is plenty."
    )
