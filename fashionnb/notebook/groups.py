"""What a page shows of its groups, any of which may be empty.

Other data than the page was written for (drawn garments, a small sample, a catalogue without some column) leave some of
its groups empty: no outfit of five pieces, no column to compare people by. Then the page says so in one sentence, and
goes on. And of many things it shows a random sample: the first ones of a sorted list are no sample.
"""

from collections.abc import Iterable, Mapping, Sequence, Sized
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from IPython.display import Markdown

T = TypeVar("T")


def sample(things: Iterable[T], n: int, seed: int = 0) -> list[T]:
    """At most `n` of the things at random, in their order; all if there are fewer. Introduced in chapter 08."""
    things = list(things)
    chosen = np.random.default_rng(seed).permutation(len(things))[:n]
    return [things[i] for i in np.sort(chosen)]


def present(things: Sized, otherwise: str) -> bool:
    """True if there are any; if not, the page shows the sentence `otherwise` (Markdown). Introduced in chapter 08.

    For the condition of the cell that shows them: `if present(large, "No outfit has five pieces."): …`.
    """
    if len(things):
        return True
    from IPython.display import Markdown, display

    display(Markdown(otherwise))
    return False


def table_of(
    lines: Sequence[Mapping[str, Any]], index: str, otherwise: str
) -> "pd.DataFrame | Markdown":
    """A table with one line for each group, or the sentence `otherwise` if there is no group. Introduced in chapter 09.

    Parameters
    ----------
    lines : column -> value, the same columns in each. index : the column that names the groups.
    """
    import pandas as pd
    from IPython.display import Markdown

    return pd.DataFrame(lines).set_index(index) if lines else Markdown(otherwise)
