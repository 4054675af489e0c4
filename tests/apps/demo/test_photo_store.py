"""Photos that visitors send: what is kept, for how long, and every kind of file that is refused."""

import io

import numpy as np
import pytest
from PIL import Image
from visitor import bomb

from fashionnb.apps.demo import photo_store
from fashionnb.apps.demo.photo_store import MAX_BYTES, MAX_SIDE, PhotoStore, too_large_message
from fashionnb.errors import DataError


def packed(picture, form="PNG"):
    out = io.BytesIO()
    picture.save(out, form)
    return out.getvalue()


@pytest.mark.parametrize(
    ("mode", "form"),
    [("RGB", "JPEG"), ("L", "PNG"), ("RGBA", "PNG"), ("P", "GIF"), ("RGB", "WEBP")],
)
def test_a_photo_comes_back_once_small_and_in_colour(mode, form):
    kept = PhotoStore()
    token = kept.add(packed(Image.new(mode, (1_200, 600)), form))
    photo = kept.take(token)
    assert (photo.mode, photo.size) == ("RGB", (MAX_SIDE, MAX_SIDE // 2))
    with pytest.raises(DataError, match="not there any more"):
        kept.take(token)


def test_pixels_of_a_small_photo_are_left_alone():
    pixels = np.random.default_rng(0).integers(0, 256, (40, 30, 3), np.uint8)
    kept = PhotoStore()
    assert np.array_equal(np.asarray(kept.take(kept.add(packed(Image.fromarray(pixels))))), pixels)


def test_only_so_many_wait(monkeypatch):
    monkeypatch.setattr(photo_store, "MAX_WAITING", 3)
    kept, one = PhotoStore(), packed(Image.new("RGB", (2, 2)))
    tokens = [kept.add(one) for _ in range(5)]
    assert len(set(tokens)) == 5
    assert all(kept.take(token).size == (2, 2) for token in tokens[2:])
    for token in (*tokens[:2], "", "../../etc/passwd"):
        with pytest.raises(DataError, match="Choose it again"):
            kept.take(token)


@pytest.mark.parametrize(
    ("data", "phrase"),
    [
        (b"this is a text file, whatever it is called", "not a picture"),
        (b"", "is empty"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not a picture"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not a picture"),
        (packed(Image.new("RGB", (90, 90)), "JPEG")[:300], "cut short or damaged|not a picture"),
        (bomb(), "decompression bomb"),
        (bytes(MAX_BYTES + 1), "10 MB are accepted"),
    ],
    ids=["text", "empty", "svg", "eps", "cut short", "bomb", "large"],
)
def test_what_is_no_photo_is_refused_with_a_reason(data, phrase):
    with pytest.raises(DataError, match=phrase):
        PhotoStore().add(data)


def test_too_large_says_how_large():
    assert "200 MB" in too_large_message(200_000_000)
