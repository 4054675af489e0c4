"""fashionnb.notebook.comparisons: recorded numbers in sentences, conditions and tables; two runs."""

import io
import math

import pytest

from fashionnb.notebook import comparisons, results
from fashionnb.notebook.comparisons import conclusive_rows, side_by_side, training_note
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


ABOUT = {"data": "D", "split": "test", "n": 10}


def recorded(profile, **methods):
    """What a run in this profile recorded: method -> FITB."""
    record = results.start("08-x", Profile(profile, "cpu", "no", 1, (0,)), seeds=[0])
    for method, value in methods.items():
        record.add(method, "fitb", value, (value - 0.1, value + 0.1, "by hand"), **ABOUT)
    return record


def test_what_is_said_above_the_results():
    full = recorded("full", ours=0.5).results()
    text = training_note(full, "standard", "6 passes", "20 passes")
    assert text.startswith(
        "**The networks of this run have not converged.** In profile `standard` they are trained for 6 passes."
    )
    made = f"{full.run.date:%Y-%m-%d}, 0 seconds on {full.run.hardware}, float32, seeds 0; data: D"
    assert f"for 20 passes ({made})" in text
    assert "No full run on these data came with this copy" in training_note(
        None, "standard", "6 passes", "20 passes"
    )
    assert (
        training_note(full, "full", "20 passes", "20 passes") == "This is the full run: 20 passes."
    )


def test_both_runs_stand_side_by_side():
    record, full = recorded("standard", a=0.3, b=0.4), recorded("full", a=0.5, c=0.6).results()
    table = side_by_side(record, full, ["fitb"])
    assert list(table.columns) == ["fitb, this run", "fitb, full run"]
    assert table.to_dict("index") == {
        "a": {"fitb, this run": "0.30 [0.20, 0.40]", "fitb, full run": "0.50 [0.40, 0.60]"},
        "b": {"fitb, this run": "0.40 [0.30, 0.50]", "fitb, full run": ""},
        "c": {"fitb, this run": "", "fitb, full run": "0.60 [0.50, 0.70]"},
    }
    assert list(side_by_side(record, None, ["fitb", "auc"]).columns) == [
        "fitb, this run",
        "auc, this run",
    ]
    some = side_by_side(record, full, ["fitb"], ["c", "a", "nobody"])
    assert some["fitb, full run"].to_dict() == {
        "c": "0.60 [0.50, 0.70]",
        "a": "0.50 [0.40, 0.60]",
        "nobody": "",
    }


def test_conclusions_are_drawn_from_the_full_run_if_there_is_one():
    record, full = recorded("standard", a=0.3), recorded("full", a=0.5).results()
    assert (
        conclusive_rows(record, full)
        == conclusive_rows(record, full, ["a"])
        == (full.results, "in the full run")
    )
    assert conclusive_rows(record, full, ["a", "b"])[1] == "in this run"
    rows, where = conclusive_rows(record, None)
    assert ([row.value for row in rows], where) == ([0.3], "in this run")
