"""fashionnb.notebook.claims: what a claim shows, what it leaves for the run's summary, what it refuses."""

import json
import math

import numpy as np
import pytest
from IPython.core.formatters import DisplayFormatter

from fashionnb.errors import ResultError
from fashionnb.notebook.claims import Claim, claim, claims_in


@pytest.fixture
def shown(monkeypatch):
    """Everything that is displayed: (data, metadata) as a notebook would keep it."""
    found = []
    formatter = DisplayFormatter()
    formatter.active_types = ["text/plain", "text/markdown"]
    monkeypatch.setattr(
        "IPython.display.display", lambda thing: found.append(formatter.format(thing))
    )
    monkeypatch.delenv("FASHIONNB_PROFILE", raising=False)
    return found


def test_a_claim_that_holds_is_its_sentence(shown):
    claim("It is **more** than half.", np.float32(0.75), at_least=0.5)
    [(data, _)] = shown
    assert data["text/markdown"] == "It is **more** than half."


def test_one_that_does_not_hold_says_what_was_measured_and_expected(shown):
    claim("It is enough.", 0.7213, at_least=0.75)
    [(data, _)] = shown
    sentence, notice = data["text/markdown"].split("\n\n")
    assert sentence == "It is enough."
    assert (
        notice == "> **This did not hold on this machine:** measured 0.721, expected at least 0.75."
    )


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"at_least": 0.9}, "expected at least 0.9"),
        ({"at_most": 0.1}, "expected at most 0.1"),
        ({"at_least": 0.6, "at_most": 0.9}, "expected 0.6 to 0.9"),
    ],
)
def test_limits_in_words(limits, words):
    made = Claim("…", 0.5, **limits)
    assert not made.holds
    assert words in made.finding


@pytest.mark.parametrize("edge", [0.25, 0.75])
def test_the_limits_themselves_hold(edge):
    assert Claim("…", edge, 0.25, 0.75).holds


def test_nothing_measured_does_not_hold(shown):
    """An empty group has no mean, and a page must bear that."""
    claim("It is so.", math.nan, at_least=0)
    [(data, metadata)] = shown
    assert "nothing could be measured, expected at least 0" in data["text/markdown"]
    json.dumps(metadata, allow_nan=False)


def test_the_quick_profile_is_named(shown, monkeypatch):
    monkeypatch.setenv("FASHIONNB_PROFILE", "quick")
    claim("It is so.", -1, at_least=0)
    assert "in the quick profile" in shown[0][0]["text/markdown"]


def test_claims_are_found_in_a_notebook(shown):
    claim("A.", 1, at_least=2)
    claim("B.", math.nan, at_most=3)
    outputs = [
        {"output_type": "display_data", "data": data, "metadata": metadata}
        for data, metadata in shown
    ]
    notebook = {"cells": [{"cell_type": "markdown"}, {"cell_type": "code", "outputs": outputs}]}
    first, second = claims_in(json.loads(json.dumps(notebook)))
    assert first == Claim("A.", 1.0, at_least=2.0)
    assert second.sentence == "B."
    assert math.isnan(second.measured)
    assert (second.at_least, second.at_most) == (-math.inf, 3.0)


def test_in_short_keeps_intervals_and_drops_markdown():
    long = Claim(
        "**Ours** is `0.5` [0.4, 0.6], see [chapter 02](02-style2vec.md): " + "word " * 40,
        1,
        at_least=0,
    )
    assert long.in_short.startswith("Ours is 0.5 [0.4, 0.6], see chapter 02: word")
    assert len(long.in_short) <= 150
    assert long.in_short.endswith(" …")


def test_what_cannot_be_a_claim_is_refused():
    with pytest.raises(ResultError, match="Give at_least or at_most"):
        claim("…", 1)
