"""fashionnb.data.images: every kind of picture comes out upright and plain, every kind of bad file says what it is."""

import io
import threading
import zipfile

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
    letterbox,
    open_images,
)
from fashionnb.errors import DataError, DataNotFound

RNG = np.random.default_rng(0)


def encoded(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


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
