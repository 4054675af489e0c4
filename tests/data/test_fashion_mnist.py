"""fashionnb.data.fashion_mnist: what is faithful is read, whatever the wrapper; what is not is refused."""

import gzip
import struct
from dataclasses import replace
from hashlib import sha256

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fashionnb.data import fashion_mnist
from fashionnb.data.fashion_mnist import CLASSES, SOURCE, check, read, read_idx
from fashionnb.errors import DataError, DataNotFound

RNG = np.random.default_rng(0)
TRAIN, TEST = (
    RNG.integers(0, 256, (30, 28, 28), np.uint8),
    RNG.integers(0, 256, (20, 28, 28), np.uint8),
)
TRAIN_LABELS, TEST_LABELS = (
    RNG.integers(0, 10, 30).astype(np.uint8),
    np.arange(20, dtype=np.uint8) % 10,
)
CONTENT = dict(zip(SOURCE.sha256, (TRAIN, TRAIN_LABELS, TEST, TEST_LABELS), strict=True))
on_disk = settings(
    max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)


def idx(array: np.ndarray) -> bytes:
    """The IDX format, from its definition: 0, 0, type 8 (uint8), dimensions; the sizes, big-endian; the values."""
    return (
        bytes([0, 0, 8, array.ndim])
        + b"".join(struct.pack(">I", n) for n in array.shape)
        + array.tobytes()
    )


@pytest.fixture
def folder(tmp_path):
    for name, array in CONTENT.items():
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(idx(array)))
    return tmp_path


def put(folder, name, data):
    (folder / f"{name}.gz").unlink()
    (folder / name).write_bytes(data)


def test_both_splits_are_read_train_first(folder):
    catalogue = read(folder)
    assert catalogue.classes == CLASSES
    assert list(catalogue.table) == ["id", "category", "split", "image"]
    assert catalogue.table["id"].tolist() == [f"train-{i:05d}" for i in range(30)] + [
        f"test-{i:05d}" for i in range(20)
    ]
    assert catalogue.table["split"].tolist() == ["train"] * 30 + ["test"] * 20
    assert (catalogue.labels() == np.concatenate([TRAIN_LABELS, TEST_LABELS])).all()
    assert (catalogue.pixels(channels=1)[..., 0] == np.concatenate([TRAIN, TEST])).all()
    assert catalogue.tensor(channels=1).shape == (50, 1, 28, 28)
    assert (np.asarray(catalogue.image("test-00003")) == TEST[3]).all()


@pytest.mark.parametrize(
    "wrap",
    [lambda data: data, gzip.compress, lambda d: gzip.compress(d[:99]) + gzip.compress(d[99:])],
)
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_any_faithful_repack_is_read_whatever_its_name_says(folder, wrap, suffix):
    for name, array in CONTENT.items():
        (folder / f"{name}.gz").unlink()
        (folder / f"{name}{suffix}").write_bytes(wrap(idx(array)))
    assert (read(folder).pixels(channels=1)[..., 0] == np.concatenate([TRAIN, TEST])).all()


@on_disk
@given(
    arrays(np.uint8, st.one_of(st.tuples(st.integers(0, 9)), st.tuples(*[st.integers(0, 5)] * 3))),
    st.booleans(),
)
def test_idx_round_trip(tmp_path, array, zipped):
    (tmp_path / "a").write_bytes(gzip.compress(idx(array)) if zipped else idx(array))
    result = read_idx(tmp_path / "a")
    assert result.shape == array.shape
    assert (result == array).all()


@on_disk
@given(st.integers(0, len(idx(TRAIN[:2])) - 1), st.booleans())
def test_a_truncated_file_is_refused_wherever_it_ends(tmp_path, length, zipped):
    data = idx(TRAIN[:2])[:length]
    (tmp_path / "a").write_bytes(gzip.compress(data) if zipped else data)
    with pytest.raises(DataError, match=r"a: .*(cut short|not an IDX file)"):
        read_idx(tmp_path / "a")


@on_disk
@given(st.data())
def test_a_truncated_gzip_is_refused_wherever_it_ends(tmp_path, data):
    whole = gzip.compress(idx(TRAIN_LABELS))
    (tmp_path / "a").write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    with pytest.raises(DataError, match=r"a: .*(cut short|not an IDX file)"):
        read_idx(tmp_path / "a")


def test_no_flipped_byte_in_a_gzip_gives_other_labels(tmp_path):
    whole, refused = gzip.compress(idx(TRAIN_LABELS), mtime=0), 0
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 0x55
        (tmp_path / "a").write_bytes(damaged)
        try:
            assert (
                read_idx(tmp_path / "a") == TRAIN_LABELS
            ).all()  # the header has bytes that do not matter
        except DataError:
            refused += 1
    assert refused > len(whole) / 2


def test_bytes_that_follow_are_refused(tmp_path):
    (tmp_path / "a").write_bytes(idx(TRAIN_LABELS) + b"\0")
    with pytest.raises(DataError, match=r"its header says 38 bytes, .*, found 39"):
        read_idx(tmp_path / "a")


@pytest.mark.parametrize(
    "start",
    [b"\0\0\x08\x02", b"\0\0\x0d\x03", b"\x03\x08\0\0", b"<!DOCTYPE", b"PK\x03\x04", b"\0\0\x08"],
)
def test_a_wrong_magic_number_is_refused(tmp_path, start):
    (tmp_path / "a").write_bytes(start + bytes(100 if len(start) > 3 else 0))
    with pytest.raises(DataError, match="expected 2051 for images or 2049 for labels"):
        read_idx(tmp_path / "a")


def test_a_header_that_claims_more_than_can_be_is_refused_without_making_room_for_it(tmp_path):
    (tmp_path / "a").write_bytes(struct.pack(">4I", 2051, 2**32 - 1, 2**32 - 1, 2**32 - 1))
    with pytest.raises(DataError, match="looks cut short or damaged"):
        read_idx(tmp_path / "a")


def test_label_and_image_counts_must_agree(folder):
    put(folder, "train-labels-idx1-ubyte", idx(TRAIN_LABELS[:29]))
    with pytest.raises(
        DataError, match=r"found images of shape \(30, 28, 28\) and labels of shape \(29,\)"
    ):
        read(folder)


def test_pictures_of_another_size_are_refused(folder):
    put(folder, "t10k-images-idx3-ubyte", idx(TEST[:, :27]))
    with pytest.raises(DataError, match="expected images of 28 x 28"):
        read(folder)


def test_a_label_above_nine_is_refused(folder):
    put(
        folder,
        "t10k-labels-idx1-ubyte",
        idx(TEST_LABELS + (np.arange(20, dtype=np.uint8) == 7) * np.uint8(9)),
    )
    with pytest.raises(DataError, match="label 16 in row 7"):
        read(folder)


def test_images_and_labels_that_changed_places_are_refused(folder):
    put(folder, "t10k-labels-idx1-ubyte", idx(TEST))
    with pytest.raises(DataError, match=r"labels of shape \(20, 28, 28\)"):
        read(folder)
    put(folder, "t10k-images-idx3-ubyte", idx(TEST_LABELS))
    with pytest.raises(DataError, match=r"images of shape \(20,\)"):
        read(folder)


def test_a_folder_that_is_not_there(folder):
    with pytest.raises(DataNotFound, match="no such folder"):
        read(folder / "nowhere")


def test_check_refuses_what_is_well_formed_but_not_the_published_files(folder, monkeypatch):
    with pytest.raises(DataError, match="not the published file"):
        check(folder)
    digests = {name: sha256(idx(array)).hexdigest() for name, array in CONTENT.items()}
    monkeypatch.setattr(fashion_mnist, "SOURCE", replace(SOURCE, sha256=digests))
    assert check(folder) == [
        f"{name}.gz: the unpacked content is as published (SHA-256)" for name in CONTENT
    ]


def test_the_real_files(real_data):
    assert len(check(real_data / "fashion-mnist")) == 4
    catalogue = read(real_data / "fashion-mnist")
    assert catalogue.table.groupby("split")["category"].value_counts().unique().tolist() == [
        1000,
        6000,
    ]
    # The first test labels as everybody knows them, and the published mean and deviation of the training pictures.
    assert catalogue.split("test").labels()[:5].tolist() == [9, 2, 1, 1, 6]
    pixels = catalogue.split("train").pixels(channels=1) / np.float32(255)
    assert pixels.mean() == pytest.approx(0.2860, abs=1e-4)
    assert pixels.std() == pytest.approx(0.3530, abs=1e-4)
