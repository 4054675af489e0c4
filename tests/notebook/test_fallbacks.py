"""fashionnb.notebook.fallbacks: notes where a page has nothing to show, and random samples."""

import numpy as np
import pandas as pd
import pytest
from IPython.display import Markdown

from fashionnb.notebook import fallbacks


@pytest.fixture
def said(monkeypatch):
    """What a page displays."""
    shown = []
    monkeypatch.setattr("fashionnb.notebook.fallbacks.display", lambda one: shown.append(one.data))
    return shown


def test_a_sample_is_random_and_keeps_the_order():
    some = fallbacks.sample(range(1_000), 100, seed=1)
    assert some == sorted(some)
    assert len(set(some)) == 100
    assert 400 < np.mean(some) < 600  # the first hundred have a mean of 49.5
    assert (
        some
        == fallbacks.sample(range(1_000), 100, seed=1)
        != fallbacks.sample(range(1_000), 100, seed=2)
    )
    assert fallbacks.sample({"a": 1, "b": 2}, 5) == ["a", "b"]
    assert fallbacks.sample([], 5) == []


@pytest.mark.parametrize("nothing", [[], {}, np.array([]), pd.DataFrame({"a": []})])
def test_nothing_to_show_is_a_note(said, nothing):
    assert fallbacks.nonempty(nothing, "No outfit has five pieces.") is False
    assert said == ["No outfit has five pieces."]


@pytest.mark.parametrize("something", [[0], {"a": 0}, np.array([0.0]), pd.DataFrame({"a": [0]})])
def test_something_to_show_needs_no_note(said, something):
    assert fallbacks.nonempty(something, "No outfit has five pieces.") is True
    assert said == []


def test_a_table_of_no_groups_is_a_note():
    made = fallbacks.table_or_note([{"who": "women", "recall": 0.5}], "who", "There are no groups.")
    assert made.to_dict("index") == {"women": {"recall": 0.5}}
    made = fallbacks.table_or_note([], "who", "There are no groups.")
    assert isinstance(made, Markdown)
    assert made.data == "There are no groups."
