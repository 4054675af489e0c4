"""fashionnb.notebook.results: recorded, saved, loaded."""

import json
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fashionnb
from fashionnb.errors import ResultError
from fashionnb.notebook import results
from fashionnb.notebook.results import full_run
from fashionnb.profiles import Profile

QUICK = Profile("quick", "cpu", "no", 2, (0, 1))
ITEMS = {"data": "fashion-mnist", "split": "test", "n": 10_000}
HOW = "bootstrap over 10,000 test items, 1,000 resamples"


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("FASHIONNB_RESULTS", "FASHIONNB_MODELS", "FASHIONNB_PARAMETERS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def record():
    return results.start("02-style2vec", QUICK, seeds=[0, 1])


def checkout(folder: Path) -> Path:
    (folder / "book" / "deep").mkdir(parents=True)
    (folder / "_toc.yml").touch()
    return folder


def test_time_that_an_interrupted_run_had_spent_counts(record):
    record.earlier_seconds = 1_000.0
    record.add("pixels", "recall@1", 0.8, (0.79, 0.81, HOW), role="baseline", **ITEMS)
    assert 1_000 <= record.results().run.seconds < 1_100


def test_what_is_saved_is_what_is_read(record):
    record.add("pixels", "recall@1", 0.8, (0.79, 0.81, HOW), role="baseline", **ITEMS)
    row = record.add(
        "Style2Vec", "silhouette", np.float32(0.5), SimpleNamespace(low=0.4, high=0.6, how=HOW, level=0.9),
        class_="Shirt", reference=(0.35, "starting point"), **(ITEMS | {"n": np.int64(1000)}),
    )  # fmt: skip
    path = record.save()
    assert path == Path("results/quick/02-style2vec.json").resolve()
    read = results.load("02-style2vec", "quick")
    assert read.results[1] == row
    assert (row.class_, row.n, row.interval.level, row.reference.source) == (
        "Shirt",
        1000,
        0.9,
        "starting point",
    )
    assert read.run.seeds == [0, 1]
    assert (read.run.profile, read.run.threads, read.run.device) == ("quick", 2, "cpu")
    assert read.run.precision == "no"
    assert re.search(r".+, \d+ cores?, \d+ GB$", read.run.hardware), "the processor comes first"
    assert read.run.peak_memory_mb > 10
    assert {"python", "torch", "numpy", "fashionnb"} <= set(read.run.versions)
    raw = json.loads(path.read_text())
    assert list(raw) == ["results", "run"]
    assert raw["results"][1]["class"] == "Shirt"
    assert "class" not in raw["results"][0], "what is not there is not written"
    assert list(raw["results"][0])[:4] == ["method", "metric", "value", "interval"]


def test_a_number_measured_again_replaces_the_former(record):
    record.add("a", "recall@1", 0.5, (0.4, 0.6, HOW), **ITEMS)
    record.add("a", "recall@1", 0.7, (0.6, 0.8, HOW), **ITEMS)
    record.add("a", "recall@1", 0.9, (0.8, 1.0, HOW), **(ITEMS | {"split": "train"}))
    assert [row.value for row in record.results().results] == [0.7, 0.9]


def test_value(record):
    record.add("a", "silhouette", 0.5, (0.4, 0.6, HOW), **ITEMS)
    record.add("a", "silhouette", 0.1, (0.0, 0.2, HOW), class_="Shirt", **ITEMS)
    assert record.value("a", "silhouette") == 0.5
    assert record.value("a", "silhouette", "Shirt") == 0.1
    with pytest.raises(
        ResultError, match=r"0 rows for 'mrr' of 'a'.*Recorded so far: a · silhouette"
    ):
        record.value("a", "mrr")
    record.add("a", "silhouette", 0.6, (0.5, 0.7, HOW), **(ITEMS | {"split": "train"}))
    with pytest.raises(ResultError, match="2 rows"):
        record.value("a", "silhouette")


@given(
    value=st.floats(0, 1),
    below=st.floats(0, 1),
    above=st.floats(0, 1),
    n=st.integers(1, 10**9),
    level=st.floats(0.5, 0.99),
)
def test_any_good_row_survives_the_file(value, below, above, n, level):
    interval = SimpleNamespace(low=value - below, high=value + above, how=HOW, level=level)
    record = results.start("x", QUICK)
    row = record.add("a", "auc", value, interval, data="d", split="s", n=n)
    record.save()
    assert results.load("x", "quick").results == [row]


@pytest.mark.parametrize(
    ("change", "phrase"),
    [
        (
            {"metric": "recall"},
            "no metric 'recall'; use one of: recall@k, precision@k, map@r, mrr, silhouette",
        ),
        ({"metric": "Recall@1"}, "no metric"),
        ({"value": float("nan")}, "value: Input should be a finite number, got nan"),
        (
            {"value": 80.0, "interval": (79.0, 81.0, HOW)},
            "lies in 0 to 1, got 80.0; is it a percentage",
        ),
        ({"interval": (0.6, 0.7, HOW)}, "does not contain the value 0.8"),
        ({"interval": (0.9, 0.7, HOW)}, "the interval 0.9 to 0.7 does not contain"),
        ({"interval": (0.7, 0.9, "")}, "interval.how"),
        ({"interval": (0.7, float("inf"), HOW)}, "interval.high: Input should be a finite number"),
        ({"interval": 0.1}, "an interval is an `Interval` or (low, high, how), got 0.1"),
        (
            {"interval": (0.7, 0.9)},
            "an interval is an `Interval` or (low, high, how), got (0.7, 0.9)",
        ),
        ({"n": 0}, "n: Input should be greater than or equal to 1, got 0"),
        ({"role": "best"}, "role: Input should be 'baseline', 'upper bound' or 'ours', got 'best'"),
        ({"split": ""}, "split: String should have at least 1 character"),
        ({"value": None}, "value: Input should be a valid number, got None"),
    ],
)
def test_bad_rows(record, change, phrase):
    good = {
        "metric": "recall@1",
        "value": 0.8,
        "interval": (0.7, 0.9, HOW),
        "role": None,
        **ITEMS,
    } | change
    with pytest.raises(ResultError) as error:
        record.add("a", good.pop("metric"), good.pop("value"), good.pop("interval"), **good)
    assert phrase in str(error.value)
    assert str(error.value).startswith("02-style2vec: ")
    assert record.results().results == []


def test_resampled_statistics_may_miss_their_interval(record):
    record.add("a", "davies_bouldin", 1.0, (1.1, 1.4, HOW), **ITEMS)
    assert record.value("a", "davies_bouldin") == 1.0


def test_nothing_is_not_saved(record):
    with pytest.raises(ResultError, match="nothing was recorded"):
        record.save()


@pytest.mark.parametrize("chapter", ["02-style2vec.md", "../02", "", "a/b"])
def test_chapters_have_plain_names(chapter):
    with pytest.raises(ResultError, match="named like '02-style2vec'"):
        results.start(chapter, QUICK)


def test_parameters_of_the_run_are_recorded(monkeypatch):
    monkeypatch.setenv("FASHIONNB_PARAMETERS", '{"epochs": 3}')
    assert results.start("x", QUICK).results().run.parameters == {"epochs": 3}


def saved(root: Path, chapter: str, profile: str = "standard") -> Path:
    record = results.start(chapter, Profile(profile, "cpu", "no", 1, (0,)))
    record.add("a", "mrr", 0.5, (0.4, 0.6, HOW), **ITEMS)
    path = root / profile / f"{chapter}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    return record.save().rename(path)


@pytest.mark.parametrize(
    ("damage", "phrase"),
    [
        (lambda text: text[:100], "Invalid JSON"),
        (
            lambda text: text.replace('"mrr"', '"nonsense"'),
            "results.0: there is no metric 'nonsense'",
        ),
        (lambda text: text.replace('"seeds"', '"sedes"'), "run.seeds: Field required"),
        (lambda text: text.replace('"value": 0.5', '"value": "NaN"'), "results.0.value"),
    ],
)
def test_damaged_files_say_where(tmp_path, damage, phrase):
    path = saved(tmp_path, "02-style2vec")
    path.write_text(damage(path.read_text()))
    with pytest.raises(ResultError) as error:
        results.load("02-style2vec", root=tmp_path)
    assert str(path) in str(error.value)
    assert phrase in str(error.value)


def test_a_missing_file_says_what_there_is(tmp_path):
    saved(tmp_path, "01-exploring")
    with pytest.raises(
        ResultError,
        match=r"Results of profile standard: 01-exploring\. `fashionnb run 02-x --profile standard`",
    ):
        results.load("02-x", root=tmp_path)


def test_results_under_the_former_name_of_a_profile(tmp_path):
    path = saved(tmp_path, "01-exploring")
    path.write_text(path.read_text().replace('"profile": "standard"', '"profile": "cpu"'))
    assert results.load("01-exploring", "cpu", tmp_path).run.profile == "standard"
    assert results.recorded("cpu", tmp_path) == ["01-exploring"]


def test_load_all_goes_in_the_order_of_the_book(tmp_path, monkeypatch):
    monkeypatch.setenv("FASHIONNB_RESULTS", str(tmp_path))
    for chapter in ("02-b", "01-a"):
        saved(tmp_path, chapter)
    assert list(results.load_all()) == ["01-a", "02-b"]
    assert results.load_all("full") == {}


def test_folders(tmp_path, monkeypatch):
    assert results.checkout() is None
    assert results.results_folder() == tmp_path / "results"
    assert results.models_folder("02-x", "quick") == tmp_path / "models" / "02-x" / "quick"
    root = checkout(tmp_path / "clone")
    monkeypatch.chdir(root / "book" / "deep")
    assert results.checkout() == root
    assert results.results_folder() == root / "book" / "results"
    assert results.models_folder("02-x", "full") == root / "_build" / "models" / "02-x" / "full"
    monkeypatch.setenv("FASHIONNB_RESULTS", str(tmp_path / "r"))
    monkeypatch.setenv("FASHIONNB_MODELS", str(tmp_path / "m"))
    assert results.results_folder() == tmp_path / "r"
    assert results.models_folder("02-x", "quick") == tmp_path / "m" / "02-x" / "quick"


def test_results_kept_apart_do_not_hide_the_published_ones(tmp_path, monkeypatch):
    root = checkout(tmp_path / "clone")
    monkeypatch.chdir(root)
    saved(root / "book" / "results", "01-a")
    saved(root / "book" / "results", "02-b")
    saved(root / "_build" / "results", "02-b")
    monkeypatch.setenv("FASHIONNB_RESULTS", str(root / "_build" / "results"))
    assert results.recorded() == ["01-a", "02-b"]
    (root / "_build" / "results" / "standard" / "02-b.json").write_text("damaged")
    assert results.load("01-a").run.chapter == "01-a"
    with pytest.raises(ResultError, match="_build"):
        results.load("02-b")


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package without a checkout or any results around it."""
    monkeypatch.setattr(fashionnb, "__file__", str(tmp_path / "fashionnb" / "__init__.py"))
    return tmp_path


@pytest.mark.parametrize(
    "home", ["book/results", "fashionnb/published_results"], ids=["checkout", "installed"]
)
def test_the_full_run_is_found_in_a_checkout_and_in_an_installed_package(
    package, home, monkeypatch
):
    monkeypatch.setenv("FASHIONNB_RESULTS", str(package / home))
    saved(package / home, "08-x", "full")
    assert full_run("08-x").results[0].value == 0.5
    assert full_run("08-x", "standard") == full_run("08-x")
    assert full_run("08-x", "full") is None, "the full run itself is not compared with an older one"
    assert full_run("09-y") is None
    data = full_run("08-x").results[0].data
    assert full_run("08-x", data=data) == full_run("08-x")
    assert full_run("08-x", data="my-outfits") is None, "of other data it says nothing"
    (package / home / "full" / "08-x.json").write_text("{")
    with pytest.raises(ResultError, match=r"08-x\.json"):
        full_run("08-x")


def test_every_committed_full_run_can_be_shown():
    folder = Path(__file__).resolve().parents[2] / "book" / "results" / "full"
    for path in folder.glob("*.json"):
        assert full_run(path.stem).run.profile == "full"


@pytest.mark.parametrize(
    "metric",
    [
        *(
            "recall@1",
            "recall@10",
            "precision@1",
            "map@r",
            "map@10",
            "mrr",
            "silhouette",
            "davies_bouldin",
            "fitb",
        ),
        *(
            "calinski_harabasz",
            "nmi",
            "ami",
            "trustworthiness",
            "knn_preservation",
            "images_per_second",
        ),
    ],
)
def test_known_metrics(metric):
    interval = {"low": 0.1, "high": 0.3, "how": "x"}
    row = results.Row(
        method="m", metric=metric, value=0.2, interval=interval, data="d", split="s", n=1
    )
    assert row.interval.level == 0.95


def test_a_message_says_how_many_more_problems_there_are(record):
    with pytest.raises(ResultError, match=r"^02-style2vec: .*: n: .*got 0 \(and 1 more\)\.$"):
        record.add("a", "mrr", 0.8, (0.7, 0.9, HOW), data="d", split="test", n=0, role="best")
