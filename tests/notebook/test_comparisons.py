"""fashionnb.notebook.comparisons: recorded numbers in sentences, conditions and tables."""

import io
import math

import pytest

from fashionnb.notebook import comparisons, results
from fashionnb.profiles import Profile

ITEMS = {"data": "fashion-mnist", "split": "test", "n": 10_000}
HOW = "bootstrap over 10,000 test items, 1,000 resamples"


@pytest.fixture
def record():
    return results.start("02-style2vec", Profile("quick", "cpu", "no", 2, (0, 1)), seeds=[0, 1])


def test_a_lead_is_the_gap_between_intervals_and_nothing_measured_is_nan(record):
    record.add("ours", "mrr", 0.8, (0.7, 0.9, HOW), **(ITEMS | {"split": "validation"}))
    record.add("ours", "mrr", 0.6, (0.5, 0.7, HOW), **(ITEMS | {"split": "test"}))
    record.add("theirs", "mrr", 0.3, (0.2, 0.4, HOW), **(ITEMS | {"split": "test"}))
    record.add("theirs", "mrr", 0.9, (0.9, 0.9, HOW), class_="Shirt", **(ITEMS | {"split": "test"}))
    assert record.lead("ours", "theirs", "mrr") == pytest.approx(0.1)
    assert record.lead("theirs", "ours", "mrr") == pytest.approx(-0.5)
    assert math.isnan(record.lead("ours", "nobody", "mrr"))
    rows = record.results().results
    assert comparisons.value(rows, "ours", "mrr") == 0.6
    assert math.isnan(comparisons.value(rows, "nobody", "mrr"))
    assert (
        comparisons.gap(rows, "ours", "theirs", "mrr")
        == comparisons.gap(rows, "theirs", "ours", "mrr")
        == pytest.approx(0.1)
    )
    assert math.isnan(comparisons.gap(rows, "ours", "nobody", "mrr"))
    assert record.shown("ours", "mrr") == "0.600 [0.500, 0.700]"
    assert record.shown("nobody", "mrr") == "not measured"
    assert comparisons.best(record.results().results, ["nobody", "theirs", "ours"], "mrr") == "ours"
    assert comparisons.best([], ["nobody", "theirs"], "mrr") == "nobody"


@pytest.mark.parametrize(
    ("low", "value", "high", "cell"),
    [
        (0.5512, 0.5623, 0.5734, "0.56 [0.55, 0.57]"),
        (0.881, 0.888, 0.894, "0.888 [0.881, 0.894]"),
        (0.88801, 0.88842, 0.88883, "0.8884 [0.8880, 0.8888]"),
        (0.9, 0.9, 0.9, "0.900 [0.900, 0.900]"),
        (-0.4, 0.1, 0.9, "0.10 [-0.40, 0.90]"),
    ],
)
def test_cells_show_what_the_interval_can_tell_apart(record, low, value, high, cell):
    record.add("a", "silhouette", value, (low, high, HOW), **ITEMS)
    assert record.table().loc["a", "silhouette"] == cell


def test_large_numbers_are_whole(record):
    record.add("a", "images_per_second", 6282.55, (6182.9, 6382.2, HOW), **ITEMS)
    assert record.table().loc["a", "images_per_second"] == "6,283 [6,183, 6,382]"


def test_table(record):
    record.add("pixels", "recall@1", 0.8, (0.7, 0.9, HOW), role="baseline", **ITEMS)
    record.add("ours", "mrr", 0.9, (0.8, 1.0, HOW), role="ours", **ITEMS)
    record.add(
        "ours",
        "recall@1",
        0.9,
        (0.8, 1.0, HOW),
        role="ours",
        reference=(0.949, "ResNet18 (README)"),
        **ITEMS,
    )
    record.add("ours", "mrr", 0.1, (0.0, 0.2, HOW), class_="Shirt", **ITEMS)
    table = record.table()
    assert list(table.columns) == ["role", "recall@1", "mrr"]
    assert table.to_dict("index") == {
        "pixels": {"role": "baseline", "recall@1": "0.80 [0.70, 0.90]", "mrr": ""},
        "ours": {"role": "ours", "recall@1": "0.90 [0.80, 1.00]", "mrr": "0.90 [0.80, 1.00]"},
        "ResNet18 (README)": {"role": "reported elsewhere", "recall@1": "0.949", "mrr": ""},
    }
    assert list(record.table(["mrr"]).columns) == ["role", "mrr"]
    assert list(record.table(["mrr"]).index) == ["ours"]


def test_table_tells_splits_apart(record):
    for split in ("train", "test"):
        record.add("a", "accuracy", 0.9, (0.8, 1.0, HOW), **(ITEMS | {"split": split}))
    assert record.table()["split"].tolist() == ["train", "test"]


def test_table_of_nothing_is_empty(record):
    assert record.table().empty


def test_terminal_tables(record):
    from rich.console import Console

    record.add("Style2Vec", "recall@1", 0.888, (0.881, 0.894, HOW), **ITEMS)
    console = Console(width=160, file=io.StringIO())
    console.print(comparisons.terminal_tables({"02-style2vec": record.results()}))
    text = console.file.getvalue()
    assert "0.888 [0.881, 0.894]" in text
    assert "02-style2vec · quick" in text
