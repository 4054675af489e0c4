"""The one store of features: what is known is not computed again, and nothing wrong is ever given out."""

import sqlite3

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fashionnb.errors import WriteError
from fashionnb.features.store import PROBE, FeatureStore, digest_of


class Numbers:
    """Computes two arrays from each row's number, and remembers for which rows."""

    def __init__(self, numbers, factor=1.0):
        self.numbers, self.factor, self.asked = np.asarray(numbers), factor, []

    def __call__(self, rows):
        self.asked += [int(self.numbers[row]) for row in rows]
        values = self.numbers[rows].astype(np.float32) * self.factor
        bits = (self.numbers[rows, None] >> np.arange(8) & 1).astype(np.uint8)
        return {"value": np.stack([values, -values], 1), "bits": bits.reshape(-1, 2, 4)}

    def fill(self, store, **options):
        return store.fill([digest_of(str(number)) for number in self.numbers], self, **options)


@given(
    st.lists(st.lists(st.integers(0, 40), min_size=1, max_size=12), min_size=1, max_size=4),
    st.integers(1, 5),
)
def test_it_gives_what_would_be_computed_and_computes_each_once(calls, chunk):
    store, known = FeatureStore(None, "numbers"), set()
    for number, numbers in enumerate(calls):
        compute = Numbers(numbers)
        found = compute.fill(store, chunk=chunk)
        expected = Numbers(numbers)(np.arange(len(numbers)))
        assert found.keys() == expected.keys()
        for name, array in expected.items():
            np.testing.assert_array_equal(found[name], array)
            assert found[name].dtype == array.dtype
        again = [one for one in compute.asked if one in known]
        assert len(again) <= PROBE, "more than the probe was computed again"
        assert number or not again
        known |= set(numbers)


def test_no_images_give_arrays_of_no_rows():
    found = Numbers(np.empty(0, np.int64)).fill(FeatureStore(None, "numbers"))
    assert found["value"].shape == (0, 2)


def test_another_maker_has_another_file(tmp_path):
    assert FeatureStore(tmp_path, "a", "bc").file != FeatureStore(tmp_path, "ab", "c").file


def test_code_that_computes_something_else_is_noticed(tmp_path, caplog):
    Numbers(range(9)).fill(FeatureStore(tmp_path, "numbers"))
    other = Numbers(range(9), factor=1.5)
    np.testing.assert_array_equal(
        other.fill(FeatureStore(tmp_path, "numbers"))["value"][:, 0], 1.5 * np.arange(9)
    )
    assert "made by other code" in caplog.text


def test_a_store_checks_once(tmp_path):
    store, compute = FeatureStore(tmp_path, "numbers"), Numbers(range(9))
    for _ in range(3):
        compute.fill(store)
    assert len(compute.asked) == 9 + PROBE


def test_it_is_kept_on_disk_by_chunks(tmp_path):
    class Breaks(Numbers):
        def __call__(self, rows):
            if len(self.asked) >= 6:
                raise KeyboardInterrupt
            return super().__call__(rows)

    with pytest.raises(KeyboardInterrupt):
        Breaks(range(20)).fill(FeatureStore(tmp_path, "numbers"), chunk=3)
    compute = Numbers(range(20))
    compute.fill(FeatureStore(tmp_path, "numbers"), chunk=3)
    assert len(compute.asked) == 20 - 6 + PROBE


def test_many_digests_and_one_that_is_not_known():
    store = FeatureStore(None, "numbers")
    Numbers(range(1300)).fill(store)
    assert all(store.get([digest_of(str(number)) for number in range(1300)]))
    assert store.get([b"another"]) == [None]


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(WriteError, match=r"cannot be used as a cache.*Choose a folder"):
        Numbers([1]).fill(FeatureStore(tmp_path / "file", "numbers"))


def test_a_full_disk(tmp_path):
    store = FeatureStore(tmp_path, "numbers")
    Numbers([1]).fill(store)
    store._database.execute("PRAGMA max_page_count = 5")
    with pytest.raises(WriteError, match=r"full.*make room on the disk"):
        store.put([bytes([i]) * 32 for i in range(100)], {"value": np.ones((100, 500), np.float32)})
    assert len(store.get([digest_of("1")])[0]["value"]) == 2


def test_a_broken_file_is_replaced(tmp_path, caplog):
    store = FeatureStore(tmp_path, "numbers")
    Numbers(range(5)).fill(store)
    store.close()
    store.file.write_bytes(b"no database" * 100)
    compute = Numbers(range(5))
    compute.fill(store)
    assert compute.asked == list(range(5))
    assert "is broken" in caplog.text
    with sqlite3.connect(store.file) as database:
        assert database.execute("SELECT COUNT(*) FROM features").fetchone() == (5,)
