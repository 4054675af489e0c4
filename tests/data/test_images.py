"""fashionnb.data.images: every kind of picture comes out upright and plain, every kind of bad file says what it is."""

import io
import struct
import threading
import zipfile
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fashionnb.data import images
from fashionnb.data.images import (
    ArrayImages,
    FolderImages,
    ZipImages,
    decode,
    letterbox,
    open_images,
)
from fashionnb.errors import DataError, DataNotFound

RNG = np.random.default_rng(0)


def encoded(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A PNG of a few bytes that claims any size; there are no pixels in it."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b""))
        + chunk(b"IEND", b"")
    )


def photo(height: int = 20, width: int = 12, seed: int = 0) -> Image.Image:
    return Image.fromarray(
        np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    )


@pytest.fixture
def shelf(tmp_path):
    """The same pictures, and things that are none, in a folder and in a zip."""
    files = {f"images/{row}.png": encoded(photo(seed=row)) for row in range(150)}
    files |= {"styles.csv": b"id\n1\n", "images/.DS_Store": b"x", "__MACOSX/images/._0.png": b"x"}
    for name, data in files.items():
        path = tmp_path / "shelf" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    with zipfile.ZipFile(tmp_path / "shelf.zip", "w") as archive:
        archive.writestr("images/", b"")
        for name, data in files.items():
            archive.writestr(name, data)
    return tmp_path


# decode


def test_grey_and_rgb_come_out_as_they_are():
    for image in (photo(), photo().convert("L")):
        result = decode(encoded(image), "here")
        assert result.mode == image.mode
        assert (np.asarray(result) == np.asarray(image)).all()


@pytest.mark.parametrize(
    ("image", "kind", "mode", "first"),
    [
        (Image.new("1", (4, 4), 1), "PNG", "L", 255),
        (Image.new("I;16", (4, 4), 65535), "PNG", "L", 255),
        (Image.new("I;16", (4, 4), 257 * 100), "PNG", "L", 100),
        (Image.new("I", (4, 4), 257 * 7), "TIFF", "L", 7),
        (Image.new("LA", (4, 4), (0, 255)), "PNG", "L", 0),
        (Image.new("LA", (4, 4), (0, 0)), "PNG", "L", 255),
        (Image.new("RGBA", (4, 4), (200, 0, 0, 255)), "PNG", "RGB", (200, 0, 0)),
        (Image.new("RGBA", (4, 4), (200, 0, 0, 0)), "PNG", "RGB", (255, 255, 255)),
        (Image.new("RGB", (4, 4), (10, 20, 30)).quantize(), "PNG", "RGB", (10, 20, 30)),
        (Image.new("RGB", (4, 4), (10, 20, 30)).quantize(), "GIF", "RGB", (10, 20, 30)),
        (Image.new("CMYK", (4, 4), (0, 255, 255, 0)), "TIFF", "RGB", (255, 0, 0)),
        (Image.new("CMYK", (4, 4), (0, 0, 0, 0)), "JPEG", "RGB", (255, 255, 255)),
    ],
)
def test_every_mode_becomes_grey_or_rgb(image, kind, mode, first):
    result = decode(encoded(image, kind), "here")
    assert result.mode == mode
    assert result.getpixel((0, 0)) == first


def test_a_transparent_palette_and_a_transparent_colour_become_white():
    palette = Image.new("P", (4, 4), 1)
    palette.putpalette([0, 0, 0, 200, 0, 0])
    assert decode(encoded(palette, transparency=1), "here").getpixel((0, 0)) == (255, 255, 255)
    assert decode(encoded(palette), "here").getpixel((0, 0)) == (200, 0, 0)
    keyed = Image.new("RGB", (4, 4), (1, 2, 3))
    assert decode(encoded(keyed, transparency=(1, 2, 3)), "here").getpixel((0, 0)) == (
        255,
        255,
        255,
    )


# How a camera that was held so stores an upright picture, from the definition of the EXIF tag 0x0112.
STORED = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, 1),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a, -1),
}


@pytest.mark.parametrize("orientation", STORED)
def test_pictures_are_turned_upright(orientation):
    upright = np.asarray(photo(5, 3))
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](upright)))
    assert (np.asarray(decode(encoded(stored, exif=exif), "here")) == upright).all()


def test_a_damaged_exif_block_does_not_cost_the_picture(caplog):
    data = encoded(photo(), exif=b"Exif\0\0MX\0*\0\0\0\x08\0\0")
    assert (np.asarray(decode(data, "rack 7")) == np.asarray(photo())).all()
    assert "rack 7: the EXIF block is damaged" in caplog.text


@pytest.mark.parametrize("kind", ["JPEG", "MPO", "WEBP", "BMP", "TIFF"])
def test_the_other_formats_that_garments_come_in_are_read(kind):
    assert (
        decode(encoded(Image.new("RGB", (8, 6), (250, 10, 10)), kind), "here").getpixel((4, 3))[0]
        > 240
    )


def test_the_first_frame_of_an_animation_counts():
    data = encoded(
        Image.new("L", (4, 4), 10),
        "GIF",
        save_all=True,
        append_images=[Image.new("L", (4, 4), 200)],
    )
    assert np.asarray(decode(data, "here").convert("L")).max() == 10


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<!DOCTYPE html>",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        b"\xff\xd8\xff",
    ],
)
def test_what_is_not_a_picture_is_refused(data):
    with pytest.raises(DataError, match=r"rack 7: not a picture"):
        decode(data, "rack 7")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "TIFF"])
def test_a_picture_that_is_cut_short_is_refused(kind):
    data = encoded(photo(64, 64), kind)
    with pytest.raises(DataError, match=r"rack 7: (the picture cannot be decoded|not a picture)"):
        decode(data[: len(data) * 2 // 3], "rack 7")


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("size", [(8_000, 8_000), (10_000, 10_000), (60_000, 60_000)])
def test_a_decompression_bomb_is_recognised_from_its_header(size):
    with pytest.raises(DataError, match=r"rack 7: .*decompression bomb"):
        decode(png_header(*size), "rack 7")


def test_floating_point_pictures_are_refused():
    with pytest.raises(DataError, match="mode 'F'"):
        decode(encoded(Image.new("F", (4, 4), 0.5), "TIFF"), "here")


@given(
    st.binary(max_size=200)
    | st.binary(max_size=200).map(lambda data: encoded(photo(4, 4))[:60] + data)
)
def test_any_bytes_give_a_picture_or_a_data_error(data):
    try:
        assert decode(data, "here").mode in ("L", "RGB")
    except DataError as error:
        assert str(error).startswith("here: ")  # noqa: PT017  either outcome is right


# letterbox


@given(*[st.integers(1, 70)] * 4, st.sampled_from([1, 3]))
def test_letterbox_centres_and_never_stretches(height, width, to_height, to_width, channels):
    result = letterbox(Image.new("RGB", (width, height), "black"), (to_height, to_width), channels)
    assert result.shape == (to_height, to_width, channels)
    assert result.dtype == np.uint8
    garment = result[..., 0] == 0
    rows, columns = garment.any(1).sum(), garment.any(0).sum()
    assert garment.sum() == rows * columns  # one black rectangle
    assert (result[~garment] == 255).all()  # on white
    assert rows == to_height or columns == to_width  # as large as fits
    scale = min(to_height / height, to_width / width)
    assert abs(rows - max(1, height * scale)) <= 0.5 + 1e-9
    assert abs(columns - max(1, width * scale)) <= 0.5 + 1e-9
    top, left = np.argmax(garment.any(1)), np.argmax(garment.any(0))
    assert abs(2 * top + rows - to_height) <= 1
    assert abs(2 * left + columns - to_width) <= 1


def test_letterbox_leaves_a_picture_of_the_right_size_alone_and_gives_a_writable_array():
    result = letterbox(photo(9, 7), (9, 7), 3)
    assert (result == np.asarray(photo(9, 7))).all()
    result[:] = 0


def test_letterbox_smooths_a_fine_check_instead_of_aliasing():
    check = Image.fromarray((np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8))
    assert abs(letterbox(check, 8, 1).astype(int) - 127.5).max() < 2


@pytest.mark.parametrize(
    ("size", "channels"), [(0, 3), (-2, 3), ((4, 0), 3), ((4, 4, 4), 3), (4, 2), (4, 4)]
)
def test_letterbox_refuses_sizes_and_channels_that_cannot_be(size, channels):
    with pytest.raises(DataError, match=r"A size is|Pictures have"):
        letterbox(photo(), size, channels)


# arrays


def test_an_array_gives_its_rows_in_the_order_asked():
    array = RNG.integers(0, 256, (5, 4, 3), np.uint8)
    store = ArrayImages(array)
    assert (store.pixels([3, 0, 3], channels=1)[..., 0] == array[[3, 0, 3]]).all()
    assert (np.asarray(store.image(2)) == array[2]).all()


def test_grey_becomes_rgb_by_repeating_and_rgb_becomes_grey_as_pillow_does_it():
    grey = RNG.integers(0, 256, (5, 4, 3), np.uint8)
    assert (ArrayImages(grey).pixels([1, 4]) == grey[[1, 4]][..., None].repeat(3, 3)).all()
    colour = RNG.integers(0, 256, (5, 4, 3, 3), np.uint8)
    expected = np.stack([np.asarray(Image.fromarray(picture).convert("L")) for picture in colour])
    assert (ArrayImages(colour).pixels(range(5), channels=1)[..., 0] == expected).all()


def test_pixels_of_an_array_are_a_copy():
    array = np.zeros((2, 4, 4), np.uint8)
    for channels in (1, 3):
        ArrayImages(array).pixels([0, 1], channels=channels)[:] = 9
    assert array.max() == 0


def test_an_array_can_be_scaled():
    store = ArrayImages(RNG.integers(0, 256, (70, 8, 4), np.uint8))
    result = store.pixels(range(70), size=16, channels=3)
    assert result.shape == (70, 16, 16, 3)
    assert (result[69] == letterbox(store.image(69), 16, 3)).all()


def test_no_pictures_are_no_pictures():
    store = ArrayImages(np.zeros((2, 4, 4), np.uint8))
    assert store.pixels([], channels=1).shape == (0, 4, 4, 1)
    assert store.pixels([], size=(6, 5)).shape == (0, 6, 5, 3)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((2, 4, 4)),
        np.zeros((4, 4), np.uint8),
        np.zeros((2, 4, 4, 2), np.uint8),
        np.zeros(3, np.uint8),
    ],
)
def test_an_array_of_another_kind_is_refused(array):
    with pytest.raises(DataError, match=r"Images in memory: expected uint8 \(n, height, width, "):
        ArrayImages(array)


@pytest.mark.parametrize("keys", [[2], [-1], ["a"], [0.5]])
def test_rows_that_are_not_there_are_refused(keys):
    with pytest.raises(DataError, match="from 0 to 1"):
        ArrayImages(np.zeros((2, 4, 4), np.uint8)).pixels(keys)


# folders and zips


def test_folder_and_zip_give_the_same(shelf):
    folder, archive = open_images(shelf / "shelf"), open_images(shelf / "shelf.zip")
    assert isinstance(folder, FolderImages)
    assert isinstance(archive, ZipImages)
    assert folder.names == archive.names
    assert len(folder.names) == 151  # without what is hidden
    keys = [f"images/{row}.png" for row in (149, 3, *range(148))]
    expected = np.stack([np.asarray(photo(seed=row)) for row in (149, 3, *range(148))])
    for store in (folder, archive):
        assert store.read("styles.csv") == b"id\n1\n"
        assert (store.pixels(keys) == expected).all()
        assert (np.asarray(store.image(keys[0])) == expected[0]).all()


def test_a_zip_can_be_read_by_many_threads(shelf):
    store = open_images(shelf / "shelf.zip")
    keys = [f"images/{row}.png" for row in range(150)]
    expected, wrong = store.pixels(keys), []

    def look() -> None:
        if not (store.pixels(keys) == expected).all():
            wrong.append(1)

    threads = [threading.Thread(target=look) for _ in range(6)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert not wrong


@pytest.mark.parametrize("kind", ["shelf", "shelf.zip"])
def test_pictures_of_several_sizes_need_a_size(shelf, kind):
    with zipfile.ZipFile(shelf / "shelf.zip", "a") as archive:
        archive.writestr("images/wide.png", encoded(photo(20, 30)))
    (shelf / "shelf/images/wide.png").write_bytes(encoded(photo(20, 30)))
    store, keys = open_images(shelf / kind), ["images/0.png", "images/wide.png"]
    with pytest.raises(DataError, match=r"wide\.png: 30 x 20 pixels.*size=\(20, 12\)"):
        store.pixels(keys)
    assert store.pixels(keys, size=16, channels=1).shape == (2, 16, 16, 1)


@pytest.mark.parametrize("kind", ["shelf", "shelf.zip"])
@pytest.mark.parametrize("key", ["images/missing.png", "../shelf.zip", "/etc/hostname", "C:/x.png"])
def test_names_that_are_not_there_or_lead_out_are_refused(shelf, kind, key):
    with pytest.raises(DataError, match=r"leads out|cannot be read|no member"):
        open_images(shelf / kind).image(key)


def test_nothing_there_is_said_so(tmp_path):
    with pytest.raises(DataNotFound, match="no such file or folder"):
        open_images(tmp_path / "nowhere")


def test_one_bad_picture_among_many_is_named(shelf):
    (shelf / "shelf/images/77.png").write_bytes(b"<html>")
    store = open_images(shelf / "shelf")
    with pytest.raises(DataError, match=r"77\.png: not a picture"):
        store.pixels([f"images/{row}.png" for row in range(150)])


@pytest.mark.parametrize(
    "name", ["../evil.jpg", "images/../../evil.jpg", "/evil.jpg", "C:\\evil.jpg", "a\\..\\..\\evil"]
)
def test_path_traversal_in_a_zip_is_refused_when_it_is_opened(tmp_path, name):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("images/0.png", encoded(photo()))
        archive.writestr(name, b"x")
    with pytest.raises(DataError, match=r"a\.zip: .*path traversal"):
        ZipImages(tmp_path / "a.zip")


@pytest.mark.parametrize(
    "compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA]
)
def test_a_corrupt_member_is_named_and_the_others_are_read(tmp_path, compression):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("good.png", encoded(photo()))
        archive.writestr("bad.png", encoded(photo(60, 60)))
        start = archive.getinfo("bad.png").header_offset
        size = archive.getinfo("bad.png").compress_size
    data = bytearray(path.read_bytes())
    for place in range(start + 60, start + size, 40):
        data[place] ^= 0xFF
    path.write_bytes(data)
    store = ZipImages(path)
    with pytest.raises(DataError, match=r"a\.zip, member bad\.png: corrupt"):
        store.image("bad.png")
    assert (np.asarray(store.image("good.png")) == np.asarray(photo())).all()


def test_an_encrypted_member_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("secret.png", encoded(photo()))
        archive.getinfo("secret.png").flag_bits |= 1  # what the directory at the end says
    data = bytearray((tmp_path / "a.zip").read_bytes())
    data[6] |= 1  # what the member's own header says
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(DataError, match=r"secret\.png: .*encrypted"):
        ZipImages(tmp_path / "a.zip").image("secret.png")


def test_a_member_that_unpacks_to_far_too_much_is_refused_before_it_is_unpacked(
    tmp_path, monkeypatch
):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.png", bytes(100_000))
    monkeypatch.setattr(images, "MOST_BYTES", 99_999)
    with pytest.raises(DataError, match=r"bomb\.png: .*decompression bomb"):
        ZipImages(tmp_path / "a.zip").image("bomb.png")


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_zip_that_is_cut_short_or_no_zip_is_refused(shelf, share):
    data = (shelf / "shelf.zip").read_bytes()
    (shelf / "cut.zip").write_bytes(data[: int(len(data) * share)] or b"<html>Not found</html>")
    with pytest.raises(DataError, match=r"cut\.zip: not a zip file"):
        open_images(shelf / "cut.zip")
