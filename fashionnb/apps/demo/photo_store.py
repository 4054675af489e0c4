"""Photos that visitors upload to the demo: checked, made small, kept in memory, never on disk.

File names and the types that browsers report are ignored: the first bytes decide whether an upload
is a picture. So no name can lead to a file, and no visitor can ask for the file of another.
"""

import secrets
import threading

from PIL import Image

from fashionnb.data.decoding import decode
from fashionnb.errors import DataError

MAX_BYTES = 10_000_000
"""A larger upload is refused before it is read."""

MAX_SIDE = 512
"""Larger photos are scaled down to this many pixels, which is all that the models use."""

MAX_WAITING = 100
"""Photos that wait for their visitor's next request, at most 80 MB; the oldest are dropped."""


class PhotoStore:
    """Store for photos uploaded to the demo: in memory, each under a random token.

    Several threads may use it.
    """

    def __init__(self) -> None:
        self._photos: dict[str, Image.Image] = {}
        # A photo of 89 megapixels takes 270 MB while it is decoded: one at a time.
        self._adding = threading.Lock()

    def add(self, data: bytes) -> str:
        """Keep the picture in these bytes, and return the token to ask for it by.

        Raises
        ------
        DataError
            If there are too many bytes, or no picture, or a damaged one, or one of too many
            pixels.
        """
        if len(data) > MAX_BYTES:
            raise DataError(too_large_message(len(data)))
        token = secrets.token_urlsafe(16)
        with self._adding:
            photo = decode(data, "Your file").convert("RGB")
            photo.thumbnail((MAX_SIDE, MAX_SIDE), Image.Resampling.BICUBIC)
            self._photos[token] = photo
            if len(self._photos) > MAX_WAITING:
                del self._photos[next(iter(self._photos))]
        return token

    def take(self, token: str) -> Image.Image:
        """Return a photo and forget it.

        Raises
        ------
        DataError
            If there is no photo of this token, or no longer.
        """
        photo = self._photos.pop(token, None)
        if photo is None:
            raise DataError(
                "Your photo is not there any more: photos are not kept. Choose it again."
            )
        return photo


def too_large_message(size: int) -> str:
    """Write the message that a photo uploaded to the demo is too large.

    Parameters
    ----------
    size : int
        Of the upload, in bytes.

    Returns
    -------
    str
        What was sent, what is accepted, and what to do.
    """
    return (
        f"Your file has {size / 1e6:,.0f} MB; at most {MAX_BYTES / 1e6:.0f} MB are accepted. "
        "Send the photo smaller: a side of 1,000 pixels is plenty."
    )
