"""Notes in place of results that a page cannot show, and random samples of those that it can.

Other data than a page was written for (drawn garments, a small sample, a catalogue without some
column) can leave it without an outfit of five items, or without groups to compare. Then the page
says so in one sentence and goes on. Of many things it shows a random sample, since the first
entries of a sorted list are not representative.
"""

from collections.abc import Iterable, Mapping, Sequence, Sized
from typing import Any

import numpy as np
import pandas as pd
from IPython.display import Markdown, display


def sample(things: Iterable, n: int, seed: int = 0) -> list:
    """Choose random examples of many things for a page to show, or fall back on all if few.

    Parameters
    ----------
    things : iterable
        What there is to show.
    n : int
        The largest number of examples.
    seed : int
        Of the random choice.

    Returns
    -------
    list
        At most n of `things`, in their order.
    """
    things = list(things)
    chosen = np.random.default_rng(seed).permutation(len(things))[:n]
    return [things[i] for i in np.sort(chosen)]


def nonempty(things: Sized, otherwise: str) -> bool:
    """Tell whether there is anything to show on a page; if not, display a note in its place.

    For the condition of the cell that shows it: `if nonempty(large, "No outfit has five items."):`

    Parameters
    ----------
    things : sized
        What the cell shows.
    otherwise : str
        The note, in Markdown.

    Returns
    -------
    bool
        True if there is something to show.
    """
    if not len(things):
        display(Markdown(otherwise))
    return bool(len(things))


def table_or_note(
    lines: Sequence[Mapping[str, Any]], index: str, otherwise: str
) -> pd.DataFrame | Markdown:
    """Make a table with one line for each group, or fall back on a note if there is no group.

    Parameters
    ----------
    lines : sequence of mappings
        Column -> value, the same columns in each.
    index : str
        The column that names the groups.
    otherwise : str
        The note, in Markdown.

    Returns
    -------
    DataFrame or Markdown
        The table with the groups as its index, or the note.
    """
    return pd.DataFrame(lines).set_index(index) if lines else Markdown(otherwise)
