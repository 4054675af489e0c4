"""fashionnb.notebook.full_run: the committed results of a long run next to those of this one."""

from pathlib import Path

import pytest

from fashionnb.errors import ResultError
from fashionnb.notebook import full_run as module
from fashionnb.notebook import results
from fashionnb.notebook.full_run import conclusive_rows, full_run, side_by_side, training_note
from fashionnb.profiles import Profile

ABOUT = {"data": "D", "split": "test", "n": 10}
INTERVAL = (0.4, 0.6, "by hand")


def recorded(profile, **methods):
    """What a run in this profile recorded: method -> FITB."""
    record = results.start("08-x", Profile(profile, "cpu", "no", 1, (0,)), seeds=[0])
    for method, value in methods.items():
        record.add(method, "fitb", value, (value - 0.1, value + 0.1, "by hand"), **ABOUT)
    return record


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package without a checkout or any results around it."""
    monkeypatch.setattr(module.fashionnb, "__file__", str(tmp_path / "fashionnb" / "__init__.py"))
    return tmp_path


@pytest.mark.parametrize(
    "home", ["book/results", "fashionnb/published_results"], ids=["checkout", "installed"]
)
def test_the_full_run_is_found_in_a_checkout_and_in_an_installed_package(
    package, home, monkeypatch
):
    monkeypatch.setenv("FASHIONNB_RESULTS", str(package / home))
    recorded("full", ours=0.5).save()
    assert full_run("08-x").results[0].value == 0.5
    assert full_run("08-x", "cpu") == full_run("08-x")
    assert full_run("08-x", "full") is None, "the full run itself is not compared with an older one"
    assert full_run("09-y") is None
    (package / home / "full" / "08-x.json").write_text("{")
    with pytest.raises(ResultError, match=r"08-x\.json"):
        full_run("08-x")


def test_what_is_said_above_the_results():
    full = recorded("full", ours=0.5).results()
    text = training_note(full, "cpu", "6 passes", "20 passes")
    assert text.startswith(
        "**The networks of this run have not converged.** In profile `cpu` they are trained for 6 passes."
    )
    made = f"{full.run.date:%Y-%m-%d}, 0 seconds on {full.run.hardware}, float32, seeds 0; data: D"
    assert f"for 20 passes ({made})" in text
    assert "No full run came with this copy" in training_note(None, "cpu", "6 passes", "20 passes")
    assert (
        training_note(full, "full", "20 passes", "20 passes") == "This is the full run: 20 passes."
    )


def test_both_runs_stand_side_by_side():
    record, full = recorded("cpu", a=0.3, b=0.4), recorded("full", a=0.5, c=0.6).results()
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
    record, full = recorded("cpu", a=0.3), recorded("full", a=0.5).results()
    assert (
        conclusive_rows(record, full)
        == conclusive_rows(record, full, ["a"])
        == (full.results, "in the full run")
    )
    assert conclusive_rows(record, full, ["a", "b"])[1] == "in this run"
    rows, where = conclusive_rows(record, None)
    assert ([row.value for row in rows], where) == ([0.3], "in this run")


def test_every_committed_full_run_can_be_shown():
    folder = Path(__file__).resolve().parents[2] / "book" / "results" / "full"
    for path in folder.glob("*.json"):
        assert full_run(path.stem).run.profile == "full"
