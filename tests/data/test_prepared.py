"""One image in any form a person has it, as the pixels that a model takes."""

import io

import numpy as np
import pytest
from PIL import Image

from fashionnb.data.images import prepared
from fashionnb.errors import DataError, DataNotFound


def photo(height=20, width=12, seed=0):
    return Image.fromarray(
        np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    )


def encoded(image, kind="PNG", **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


# One picture


def test_all_ways_to_give_a_picture_are_the_same(tmp_path):
    image = photo(8, 8)
    (tmp_path / "one.png").write_bytes(encoded(image))
    array = np.asarray(image)
    ways = [
        tmp_path / "one.png",
        str(tmp_path / "one.png"),
        encoded(image),
        image,
        array,
        array / 255,
    ]
    ways += [array.astype(np.float32) / 255, Image.open(tmp_path / "one.png")]
    for way in ways:
        np.testing.assert_array_equal(prepared(way, 8, 3), array)
    grey = array[..., 0]
    for way in (grey, grey[..., None]):
        np.testing.assert_array_equal(prepared(way, 8, 1)[..., 0], grey)
    see_through = np.dstack([array, np.zeros((8, 8), np.uint8)])
    np.testing.assert_array_equal(prepared(see_through, 8, 3), array)  # nobody saves nothing


def test_a_pil_image_is_turned_upright_and_left_as_it_was():
    exif = Image.Exif()
    exif[0x0112] = 6
    lying = Image.open(io.BytesIO(encoded(photo(4, 8), exif=exif)))
    np.testing.assert_array_equal(prepared(lying, (8, 4), 3), np.rot90(np.asarray(photo(4, 8)), -1))
    assert lying.size == (8, 4)


def test_a_pil_image_with_a_damaged_exif_block_is_still_a_picture():
    image = photo(8, 8)
    image.info["exif"] = b"Exif\0\0MX\0*\0\0\0\x08\0\0"
    np.testing.assert_array_equal(prepared(image, 8, 3), np.asarray(photo(8, 8)))


@pytest.mark.parametrize(
    "mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I;16", "I", "HSV", "LAB"]
)
def test_pil_images_of_every_mode(mode):
    assert prepared(Image.new(mode, (3, 2)), 4, 3).shape == (4, 4, 3)


@pytest.mark.parametrize(
    ("picture", "error", "phrase"),
    [
        ("nowhere.jpg", DataNotFound, "nowhere.jpg: there is no such picture"),
        (".", DataError, "cannot be read .*directory"),
        ("a\0b", DataError, "cannot be read"),
        ("a" * 500, DataError, "cannot be read"),
        (b"", DataError, "the bytes given: not a picture.*is empty"),
        (b"hello", DataError, "not a picture"),
        (encoded(photo())[:-100], DataError, "cut short or damaged"),
        (Image.new("F", (2, 2)), DataError, "mode 'F'"),
        (Image.new("RGB", (0, 2)), DataError, "0 x 2 pixels"),
        (Image.new("1", (10_001, 10_000)), DataError, "10001 x 10000 pixels"),
        (
            Image.open(io.BytesIO(encoded(photo())[:-100])),
            DataError,
            "the PIL image: the picture cannot be decoded",
        ),
        (np.zeros((0, 3), np.uint8), DataError, r"got uint8 \(0, 3\)"),
        (np.zeros((3, 3, 2), np.uint8), DataError, r"got uint8 \(3, 3, 2\)"),
        (np.zeros((1, 3, 3, 3), np.uint8), DataError, r"got uint8 \(1, 3, 3, 3\)"),
        (np.zeros((3, 3), int), DataError, "got int64"),
        (np.full((3, 3), 200.0), DataError, "goes from 200 to 200"),
        (np.full((3, 3), np.nan), DataError, "goes from nan"),
        (7, DataError, "got int"),
        (None, DataError, "got NoneType"),
    ],
    ids=lambda given: given[:20] if isinstance(given, str) else type(given).__name__,
)
def test_what_is_no_picture(picture, error, phrase, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=phrase):
        prepared(picture, 8, 3)
