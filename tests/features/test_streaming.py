"""Pictures to vectors: flat memory, each embedded once, none left out silently, and a cache that is never wrong."""

import gc
import itertools
import sqlite3
import threading
import weakref

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fashionnb.data.images import FolderImages
from fashionnb.errors import DataError
from fashionnb.features.store import FeatureStore, digest_of
from fashionnb.features.streaming import collect, stream


class Encoder:
    """A picture's mean colour as a vector of length 1; counts what it is shown."""

    def __init__(self, order=(0, 1, 2)):
        self.shown, self.order = 0, list(order)

    def __call__(self, pixels):
        assert pixels.dtype == np.uint8
        self.shown += len(pixels)
        means = pixels.astype(np.float32).mean((1, 2))[:, self.order] + 1
        return means / np.linalg.norm(means, axis=1, keepdims=True)


class Endless:
    """A store that has a picture for every number, and knows how many of them are in memory."""

    def __init__(self):
        self.alive = self.most = self.made = 0
        self.lock = threading.Lock()

    def image(self, key):
        image = Image.new("RGB", (64, 64), (key % 256, key // 256 % 256, 7))
        with self.lock:
            self.made += 1
            self.alive += 1
            self.most = max(self.most, self.alive)
        weakref.finalize(image, self.gone)
        return image

    def gone(self):
        with self.lock:
            self.alive -= 1


@pytest.fixture
def folder(tmp_path):
    """Twenty pictures in a folder, and the means that the encoder gives."""
    rng = np.random.default_rng(0)
    (tmp_path / "pictures").mkdir()
    for row in range(20):
        array = np.broadcast_to(rng.integers(0, 256, 3, np.uint8), (4, 4, 3))
        Image.fromarray(np.ascontiguousarray(array)).save(tmp_path / "pictures" / f"{row:02}.png")
    return tmp_path / "pictures"


@pytest.fixture
def cache(tmp_path):
    """A folder that is not there yet."""
    return tmp_path / "deep" / "cache"


def file_of(cache):
    return FeatureStore(cache, "test").file


def vectors_of(folder, encode, cache=None, **options):
    images = FolderImages(folder)
    store = None if cache is None else FeatureStore(cache, "test")
    try:
        batches = stream(encode, images, images.names, 4, 3, store=store, **options)
        return collect(batches, len(images.names), progress=False)
    finally:
        if store:
            store.close()


def expected(folder):
    pixels = [np.asarray(Image.open(path)) for path in sorted(folder.glob("*.png"))]
    return Encoder()(np.stack(pixels))


def test_endless_pictures_in_flat_memory():
    store, asked = Endless(), itertools.count()
    batches = stream(Encoder(), store, asked, 4, 3, batch_size=50)
    for _ in range(30):
        assert len(next(batches).vectors) == 50
    gc.collect()
    assert store.made == 1500
    assert next(asked) == 1500  # no more keys than were asked for
    assert store.most <= 2 * 8 + 2  # what eight threads decode, and what each has just finished
    assert store.alive <= 1


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 9), st.integers(1, 12), st.sets(st.integers(0, 8)), st.booleans())
def test_batches_make_no_difference_and_failures_keep_their_place(n, batch_size, broken, cached):
    class Store(Endless):
        def image(self, key):
            if key in broken:
                raise DataError(f"{key} is broken")
            return super().image(key)

    store = FeatureStore(None, "test") if cached else None
    found = stream(Encoder(), Store(), range(n), 4, 3, batch_size=batch_size, store=store)
    vectors, rows, failed = collect(found, n, progress=False)
    good = [key for key in range(n) if key not in broken]
    assert rows.tolist() == good
    assert failed == [(key, f"{key} is broken") for key in range(n) if key in broken]
    if good:
        np.testing.assert_array_equal(
            vectors, Encoder()(np.array([[[[key, 0, 7]]] for key in good], np.uint8))
        )


def test_a_bug_in_a_store_is_not_taken_for_a_broken_picture():
    with pytest.raises(AttributeError):
        list(stream(Encoder(), object(), range(3), 4, 3))


def test_strict_finds_every_failure_but_does_no_more_work(folder):
    for row in (3, 17):
        (folder / f"{row:02}.png").write_bytes(b"broken")
    encode = Encoder()
    vectors, rows, failed = vectors_of(folder, encode, batch_size=2, strict=True)
    assert [row for row, _ in failed] == [3, 17]
    assert "03.png: not a picture" in failed[0][1]
    assert encode.shown == len(rows) == len(vectors) == 2


def test_strict_goes_on_where_a_cache_keeps_the_work(folder, cache):
    (folder / "03.png").write_bytes(b"broken")
    first, again = Encoder(), Encoder()
    vectors_of(folder, first, batch_size=2, strict=True, cache=cache)
    vectors_of(folder, again, batch_size=2, strict=True, cache=cache)
    assert (first.shown, again.shown) == (19, 2)  # the probe


# The cache


def test_only_what_is_new_is_embedded(folder, cache):
    first, rows, _ = vectors_of(folder, Encoder(), cache=cache)
    np.testing.assert_array_equal(first, expected(folder))
    (folder / "00.png").rename(folder / "zz.png")  # the same picture under another name
    Image.new("RGB", (4, 4), (1, 2, 3)).save(folder / "aa.png")
    Image.new("RGB", (4, 4), (3, 2, 1)).save(
        folder / "05.png"
    )  # another picture under the same name
    encode = Encoder()
    second, rows, _ = vectors_of(folder, encode, cache=cache)
    assert len(rows) == 21
    assert encode.shown == 2 + 4  # the probe
    np.testing.assert_array_equal(second, expected(folder))


def test_known_pictures_are_not_even_decoded(folder, cache, monkeypatch):
    from fashionnb.features import streaming as module

    vectors_of(folder, Encoder(), cache=cache, batch_size=5)
    decoded = []
    decode = module.decode
    monkeypatch.setattr(
        module, "decode", lambda data, where: decoded.append(where) or decode(data, where)
    )
    vectors_of(folder, Encoder(), cache=cache, batch_size=5)
    assert len(decoded) == 4  # the probe, once


def test_other_code_behind_the_same_weights_is_noticed(folder, cache, caplog):
    vectors_of(folder, Encoder(), cache=cache)
    other = Encoder(order=(2, 1, 0))
    found, _, _ = vectors_of(folder, other, cache=cache, batch_size=7)
    np.testing.assert_array_equal(found, expected(folder)[:, ::-1])
    assert "made by other code" in caplog.text
    other.shown = 0
    np.testing.assert_array_equal(
        vectors_of(folder, other, cache=cache)[0], expected(folder)[:, ::-1]
    )
    assert other.shown == 4


def zeros(content):
    return content[:4096] + bytes(len(content) - 4096)


@pytest.mark.parametrize(
    "spoil", [lambda content: b"x" * 999, lambda content: content[:5000], zeros]
)
def test_a_broken_file_is_computed_again_with_a_warning(folder, cache, spoil, caplog):
    vectors_of(folder, Encoder(), cache=cache)
    file_of(cache).write_bytes(spoil(file_of(cache).read_bytes()))
    found, _, _ = vectors_of(folder, Encoder(), cache=cache)
    np.testing.assert_array_equal(found, expected(folder))
    assert "is broken" in caplog.text
    again = Encoder()
    vectors_of(folder, again, cache=cache)
    assert again.shown == 4


def test_a_database_with_other_tables_is_replaced(folder, cache, caplog):
    cache.mkdir(parents=True)
    with sqlite3.connect(file_of(cache)) as database:
        database.execute("CREATE TABLE features (something TEXT)")
    database.close()
    np.testing.assert_array_equal(vectors_of(folder, Encoder(), cache=cache)[0], expected(folder))
    assert "is broken" in caplog.text


@pytest.mark.parametrize(
    "bad",
    [b"", b"abc", np.ones(2, "<f4").tobytes(), np.full(3, np.nan, "<f4").tobytes(), "text", None],
)
def test_a_damaged_vector_is_computed_again(folder, cache, bad):
    vectors_of(folder, Encoder(), cache=cache)
    digest = digest_of((folder / "07.png").read_bytes())
    change = "UPDATE features SET content = ? WHERE digest = ?"
    with sqlite3.connect(file_of(cache)) as database:
        assert database.execute(change, (bad, digest)).rowcount == 1
    database.close()
    np.testing.assert_array_equal(vectors_of(folder, Encoder(), cache=cache)[0], expected(folder))


def test_what_was_embedded_before_an_interruption_is_kept(folder, cache):
    class Tired(Encoder):
        def __call__(self, pixels):
            if self.shown >= 15:
                raise KeyboardInterrupt
            return super().__call__(pixels)

    with pytest.raises(KeyboardInterrupt):
        vectors_of(folder, Tired(), cache=cache, batch_size=5)
    encode = Encoder()
    np.testing.assert_array_equal(vectors_of(folder, encode, cache=cache)[0], expected(folder))
    assert encode.shown == 5 + 4


def test_two_at_once_share_a_file(folder, cache):
    images = FolderImages(folder)
    one, two = (
        stream(
            Encoder(), images, images.names, 4, 3, store=FeatureStore(cache, "test"), batch_size=4
        )
        for _ in range(2)
    )
    for first, second in zip(one, two, strict=True):
        np.testing.assert_array_equal(first.vectors, second.vectors)


def test_what_is_new_is_counted(folder, cache):
    images, store = FolderImages(folder), FeatureStore(cache, "test")
    list(stream(Encoder(), images, images.names[:6], 4, 3, store=store))
    [batch] = stream(Encoder(), images, images.names[3:9], 4, 3, store=store)
    assert (batch.new, batch.read, len(batch.digests)) == (3, 6, 6)


def test_pictures_of_another_size_or_mode_are_told_apart():
    class Store:
        def __init__(self, image):
            self.picture = image

        def image(self, key):
            return self.picture

    store, encode = FeatureStore(None, "test"), Encoder()
    for image in (
        Image.new("L", (6, 2)),
        Image.new("L", (2, 6)),
        Image.new("RGB", (2, 2)),
        Image.new("L", (6, 2)),
    ):
        list(stream(encode, Store(image), [0], 4, 3, store=store))
    assert encode.shown == 3 + 1
