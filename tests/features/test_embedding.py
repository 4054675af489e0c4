"""Images to vectors: the same whatever the batches, the model left as it was, and a cache that is never wrong."""

import gc
import sqlite3
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import nn

from fashionnb.checkpoints import load_model
from fashionnb.data.catalogue import Catalogue
from fashionnb.data.images import FolderImages, ZipImages, prepared
from fashionnb.errors import DataError
from fashionnb.features import embedding
from fashionnb.features.embedding import as_tensor, embed, embed_images
from fashionnb.features.store import PROBE, FeatureStore, digest_of
from fashionnb.models.style2vec import Style2Vec


class Mean(nn.Module):
    """Each channel's mean, times a weight; counts the images that it is shown."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.norm = nn.BatchNorm2d(1).eval()  # frozen
        self.shown = 0

    def forward(self, images):
        assert not self.training
        assert images.dtype == torch.float32
        self.shown += len(images)
        return images.mean((2, 3)) * self.weight


def pictures(n=10, channels=1):
    return torch.randint(
        0, 256, (n, channels, 5, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(n)
    )


@given(st.integers(0, 9), st.integers(1, 12))
def test_batches_make_no_difference(n, batch_size):
    images = pictures(n, channels=3)
    expected = np.array(
        [[channel.mean() / 255 for channel in image] for image in images.numpy()]
    ).reshape(n, 3)
    vectors = embed(Mean(), images, batch_size=batch_size)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, expected, rtol=1e-5)


def test_all_ways_to_hold_images_are_the_same():
    tensor = pictures(channels=3)
    array = tensor.permute(0, 2, 3, 1).numpy()
    expected = embed(Mean(), tensor)
    for images in (array, array.astype(np.float32) / 255, array / 255.0, tensor.float() / 255):
        np.testing.assert_allclose(embed(Mean(), images), expected, rtol=1e-5)
    grey = pictures()
    np.testing.assert_array_equal(embed(Mean(), grey.numpy()[:, 0]), embed(Mean(), grey))


@pytest.mark.parametrize("training", [True, False])
def test_the_model_is_left_as_it_was(training):
    model = Mean().train(training)
    model.norm.eval()
    embed(model, pictures())
    assert model.training is training
    assert not model.norm.training
    with pytest.raises(DataError):
        embed(Style2Vec(stem=4, stages=[(8, 2), (8, 2)]).train(training), pictures())
    assert model.weight.grad is None


def test_the_mode_is_restored_after_an_error():
    model = Style2Vec(stem=4, stages=[(8, 2), (8, 2)]).train()
    with pytest.raises(DataError, match="at least 16 x 16"):
        embed(model, pictures())
    assert all(module.training for module in model.modules())


def test_the_cache_spares_the_work(tmp_path):
    model = Mean()
    first = embed(model, pictures(), cache=tmp_path)
    model.shown = 0
    np.testing.assert_array_equal(embed(model, pictures(), cache=tmp_path), first)
    assert model.shown == 4  # the probe
    assert len(list(tmp_path.iterdir())) == 1


def test_the_cache_notices_other_weights_images_and_code(tmp_path, monkeypatch):
    model, images = Mean(), pictures()
    plain = embed(model, images, cache=tmp_path)
    with torch.no_grad():
        model.weight += 1
    np.testing.assert_allclose(embed(model, images, cache=tmp_path), 2 * plain, rtol=1e-6)
    np.testing.assert_allclose(embed(model, images // 2, cache=tmp_path), embed(model, images // 2))
    forward = Mean.forward
    monkeypatch.setattr(Mean, "forward", lambda self, images: 3 * forward(self, images))
    np.testing.assert_allclose(embed(model, images, cache=tmp_path), 6 * plain, rtol=1e-6)


@pytest.mark.parametrize(
    "spoil", [lambda content: content[:-20], lambda content: b"", lambda content: b"x" * 99]
)
def test_a_broken_cache_is_computed_again(tmp_path, spoil):
    first = embed(Mean(), pictures(), cache=tmp_path)
    (file,) = tmp_path.iterdir()
    file.write_bytes(spoil(file.read_bytes()))
    np.testing.assert_array_equal(embed(Mean(), pictures(), cache=tmp_path), first)
    again = Mean()
    np.testing.assert_array_equal(embed(again, pictures(), cache=tmp_path), first)
    assert again.shown == PROBE, "the file is whole again"


def test_nan_from_the_model_is_not_taken_for_a_good_cache(tmp_path):
    model = Mean()
    with torch.no_grad():
        model.weight *= float("nan")
    embed(model, pictures(), cache=tmp_path)
    model.shown = 0
    embed(model, pictures(), cache=tmp_path)
    assert model.shown == len(pictures())


@pytest.mark.parametrize(
    ("images", "phrase"),
    [
        (np.zeros((3, 4)), r"\(n, height, width\[, channels\]\), got \(3, 4\)"),
        (torch.zeros(3, 4, 4), r"\(n, channels, height, width\), got"),
        (
            torch.full((1, 1, 4, 4), 200.0),
            r"lie in \[0, 1\], these go from 200 to 200.*Divide by 255",
        ),
        (torch.full((1, 1, 4, 4), float("nan")), "these go from nan"),
        (np.zeros((1, 4, 4), dtype=np.int32), "got torch.int32"),
    ],
)
def test_what_is_no_image(images, phrase):
    with pytest.raises(DataError, match=phrase):
        as_tensor(images)


@pytest.mark.filterwarnings("error")
def test_an_array_that_may_not_be_written_is_fine():
    array = np.zeros((2, 4, 4), dtype=np.uint8)
    array.flags.writeable = False
    assert as_tensor(array).shape == (2, 1, 4, 4)


# A catalogue, batch by batch


class Encoder:
    """A picture's mean colour as a vector of length 1; counts what it is shown."""

    def __init__(self, order=(0, 1, 2)):
        self.shown, self.order = 0, list(order)

    def __call__(self, pixels):
        assert pixels.dtype == np.uint8
        self.shown += len(pixels)
        means = pixels.astype(np.float32).mean((1, 2))[:, self.order] + 1
        return means / np.linalg.norm(means, axis=1, keepdims=True)


class Counted:
    """Images for every number, which know how many of them are in memory."""

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


def catalogue_of(images, keys):
    table = pd.DataFrame({"id": [f"id {key}" for key in keys], "category": "", "image": list(keys)})
    return Catalogue("test", table, images, ("",))


def embedded(encode, images, keys, **options):
    return embed_images(encode, catalogue_of(images, keys), 4, 3, progress=False, **options)


def embedded_folder(folder, encode, cache=None, **options):
    images = FolderImages(folder)
    store = None if cache is None else FeatureStore(cache, "test")
    try:
        return embedded(encode, images, images.names, store=store, **options)
    finally:
        if store:
            store.close()


def vectors_of(*arguments, **options):
    return embedded_folder(*arguments, **options).vectors


def expected(folder):
    pixels = [np.asarray(Image.open(path)) for path in sorted(folder.glob("*.png"))]
    return Encoder()(np.stack(pixels))


def test_many_pictures_in_flat_memory():
    images = Counted()
    found = embedded(Encoder(), images, range(1500), batch_size=50)
    gc.collect()
    assert found.vectors.shape == (1500, 3)
    assert found.vectors.dtype == np.float32
    assert images.made == found.new == 1500
    assert images.most <= 2 * 8 + 2  # what eight threads decode, and what each has just finished
    assert images.alive <= 1


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 9), st.integers(1, 12), st.sets(st.integers(0, 8)), st.booleans())
def test_batches_of_a_catalogue_make_no_difference_and_failures_are_listed(
    n, batch_size, broken, cached
):
    class Some(Counted):
        def image(self, key):
            if key in broken:
                raise DataError(f"{key} is broken")
            return super().image(key)

    store = FeatureStore(None, "test") if cached else None
    found = embedded(Encoder(), Some(), range(n), batch_size=batch_size, store=store)
    good = [key for key in range(n) if key not in broken]
    assert found.gallery.table["image"].tolist() == good
    assert found.unreadable.to_numpy().tolist() == [
        [f"id {key}", f"{key} is broken"] for key in range(n) if key in broken
    ]
    if good:
        np.testing.assert_array_equal(
            found.vectors, Encoder()(np.array([[[[key, 0, 7]]] for key in good], np.uint8))
        )


def test_a_bug_in_a_store_is_not_taken_for_a_broken_picture():
    with pytest.raises(AttributeError):
        embedded(Encoder(), object(), range(3))


def test_strict_finds_every_failure_but_does_no_more_work(folder):
    for row in (3, 17):
        (folder / f"{row:02}.png").write_bytes(b"broken")
    encode = Encoder()
    found = embedded_folder(folder, encode, batch_size=2, strict=True)
    assert found.unreadable["id"].tolist() == ["id 03.png", "id 17.png"]
    assert "03.png: not a picture" in found.unreadable["why"][0]
    assert encode.shown == len(found.vectors) == 2


def test_strict_goes_on_where_a_cache_keeps_the_work(folder, cache):
    (folder / "03.png").write_bytes(b"broken")
    first, again = Encoder(), Encoder()
    vectors_of(folder, first, batch_size=2, strict=True, cache=cache)
    vectors_of(folder, again, batch_size=2, strict=True, cache=cache)
    assert (first.shown, again.shown) == (19, 2)  # the probe


# The cache


def test_only_what_is_new_is_embedded(folder, cache):
    first = vectors_of(folder, Encoder(), cache=cache)
    np.testing.assert_array_equal(first, expected(folder))
    (folder / "00.png").rename(folder / "zz.png")  # the same picture under another name
    Image.new("RGB", (4, 4), (1, 2, 3)).save(folder / "aa.png")
    Image.new("RGB", (4, 4), (3, 2, 1)).save(
        folder / "05.png"
    )  # another picture under the same name
    encode = Encoder()
    found = embedded_folder(folder, encode, cache=cache)
    assert found.new == 2
    assert encode.shown == 2 + 4  # the probe
    np.testing.assert_array_equal(found.vectors, expected(folder))


def test_known_pictures_are_not_even_decoded(folder, cache, monkeypatch):
    vectors_of(folder, Encoder(), cache=cache, batch_size=5)
    decoded, letterbox = [], embedding.letterbox
    monkeypatch.setattr(
        embedding, "letterbox", lambda *options: decoded.append(options) or letterbox(*options)
    )
    vectors_of(folder, Encoder(), cache=cache, batch_size=5)
    assert len(decoded) == 4  # the probe, once


def test_other_code_behind_the_same_weights_is_noticed(folder, cache, caplog):
    vectors_of(folder, Encoder(), cache=cache)
    other = Encoder(order=(2, 1, 0))
    found = vectors_of(folder, other, cache=cache, batch_size=7)
    np.testing.assert_array_equal(found, expected(folder)[:, ::-1])
    assert "made by other code" in caplog.text
    other.shown = 0
    np.testing.assert_array_equal(vectors_of(folder, other, cache=cache), expected(folder)[:, ::-1])
    assert other.shown == 4


def zeros(content):
    return content[:4096] + bytes(len(content) - 4096)


@pytest.mark.parametrize(
    "spoil", [lambda content: b"x" * 999, lambda content: content[:5000], zeros]
)
def test_a_broken_file_is_computed_again_with_a_warning(folder, cache, spoil, caplog):
    vectors_of(folder, Encoder(), cache=cache)
    file_of(cache).write_bytes(spoil(file_of(cache).read_bytes()))
    found = vectors_of(folder, Encoder(), cache=cache)
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
    np.testing.assert_array_equal(vectors_of(folder, Encoder(), cache=cache), expected(folder))
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
    np.testing.assert_array_equal(vectors_of(folder, Encoder(), cache=cache), expected(folder))


def test_what_was_embedded_before_an_interruption_is_kept(folder, cache):
    class Tired(Encoder):
        def __call__(self, pixels):
            if self.shown >= 15:
                raise KeyboardInterrupt
            return super().__call__(pixels)

    with pytest.raises(KeyboardInterrupt):
        vectors_of(folder, Tired(), cache=cache, batch_size=5)
    encode = Encoder()
    np.testing.assert_array_equal(vectors_of(folder, encode, cache=cache), expected(folder))
    assert encode.shown == 5 + 4


def test_two_at_once_share_a_file(folder, cache):
    with ThreadPoolExecutor(2) as pool:
        calls = [
            pool.submit(vectors_of, folder, Encoder(), cache=cache, batch_size=4) for _ in range(2)
        ]
    for call in calls:
        np.testing.assert_array_equal(call.result(), expected(folder))


def test_what_is_new_is_counted(folder, cache):
    images, store = FolderImages(folder), FeatureStore(cache, "test")
    embedded(Encoder(), images, images.names[:6], store=store)
    assert embedded(Encoder(), images, images.names[3:9], store=store).new == 3
    store.close()


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
        embedded(encode, Store(image), [0], store=store)
    assert encode.shown == 3 + 1


def test_photos_decoded_smaller_have_the_same_neighbours(real_data):
    """Queries and gallery are decoded alike, and practically nothing changes: 60 street photos of 320 x 480 pixels."""
    images = ZipImages(real_data / "clothing-co-parsing.zip")
    keys = [name for name in images.names if name.endswith(".jpg")]
    keys = [keys[row] for row in np.random.default_rng(0).permutation(len(keys))[:60]]
    table = pd.DataFrame({"id": keys, "category": "", "image": keys})
    seen = []

    def keep(pixels):
        seen.append(pixels)
        return np.ones((len(pixels), 1), np.float32)

    embed_images(keep, Catalogue("street", table, images, ("",)), 64, 3, progress=False)
    small, whole = np.concatenate(seen), images.pixels(keys, 64, 3)
    for row, key in enumerate(keys):
        assert (small[row] == prepared(images.read(key), 64, 3)).all()
    assert (small != whole).any()  # or there was nothing to test
    model = load_model("siamese")
    one, other = embed(model, small), embed(model, whole)
    assert (one * other).sum(1).mean() > 0.999
    nearest = []
    for vectors in (one, other):
        similar = vectors @ vectors.T
        np.fill_diagonal(similar, -2)
        nearest.append(np.argsort(-similar, axis=1)[:, :10])
    shared = [len(set(a) & set(b)) for a, b in zip(*nearest, strict=True)]
    assert np.mean(shared) > 9.4
