"""fashionnb.notebook.groups: a page bears that a group is empty."""

import numpy as np
import pandas as pd
import pytest
from IPython.display import Markdown

from fashionnb.notebook import groups


@pytest.fixture
def said(monkeypatch):
    """What a page displays."""
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda one: shown.append(one.data))
    return shown


def test_a_sample_is_random_keeps_the_order_and_bears_too_few():
    some = groups.sample(range(1_000), 100, seed=1)
    assert some == sorted(some)
    assert len(set(some)) == 100
    assert 400 < np.mean(some) < 600  # the first hundred have a mean of 49.5
    assert (
        some == groups.sample(range(1_000), 100, seed=1) != groups.sample(range(1_000), 100, seed=2)
    )
    assert groups.sample({"a": 1, "b": 2}, 5) == ["a", "b"]
    assert groups.sample([], 5) == []


@pytest.mark.parametrize("nothing", [[], {}, np.array([]), pd.DataFrame({"a": []})])
def test_for_an_empty_group_the_page_has_a_sentence(said, nothing):
    assert groups.present(nothing, "No outfit has five pieces.") is False
    assert said == ["No outfit has five pieces."]


@pytest.mark.parametrize("something", [[0], {"a": 0}, np.array([0.0]), pd.DataFrame({"a": [0]})])
def test_a_group_that_is_there_needs_none(said, something):
    assert groups.present(something, "No outfit has five pieces.") is True
    assert said == []


def test_a_table_of_no_groups_is_a_sentence():
    made = groups.table_of([{"who": "women", "recall": 0.5}], "who", "There are no groups.")
    assert made.to_dict("index") == {"women": {"recall": 0.5}}
    made = groups.table_of([], "who", "There are no groups.")
    assert isinstance(made, Markdown)
    assert made.data == "There are no groups."
