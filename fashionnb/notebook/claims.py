"""Claims: sentences of a chapter with a condition on what this run measured.

A trained network gives other numbers on another machine, so a chapter does not assert them: it
makes a *claim*. Where the condition does not hold, the page says so below the sentence,
`fashionnb run` lists it at its end, and only `--strict` makes it an error. Assertions are for what
must hold everywhere: identities, shapes, oracles.
"""

import math
import os
import re
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fashionnb.errors import ResultError


@dataclass(frozen=True)
class Claim:
    """A claim of a chapter: a sentence and its condition, `at_least <= measured <= at_most`.

    A notebook displays it as Markdown.

    Parameters
    ----------
    sentence : str
        Markdown, with the numbers of this run.
    measured : float
        NaN where nothing could be measured; then the claim does not hold.
    at_least, at_most : float
        The limits.
    """

    sentence: str
    measured: float
    at_least: float = -math.inf
    at_most: float = math.inf

    @property
    def holds(self) -> bool:
        """Whether the condition holds in this run."""
        return self.at_least <= self.measured <= self.at_most

    @property
    def finding(self) -> str:
        """What was measured and what was expected: "measured 0.721, expected at least 0.75"."""
        measured = f"measured {self.measured:.3g}"
        if math.isnan(self.measured):
            measured = "nothing could be measured"
        return f"{measured}, expected {_range(self.at_least, self.at_most)}"

    @property
    def in_short(self) -> str:
        """The beginning of the sentence, without Markdown, on one line, for the terminal."""
        plain = re.sub(r"\[([^]]*)\]\([^)]*\)|[*`$|]", r"\1", self.sentence)
        return textwrap.shorten(plain, 150, placeholder=" …")

    def _repr_mimebundle_(
        self, include: Any = None, exclude: Any = None
    ) -> tuple[dict[str, str], dict[str, Any]]:
        shown = [self.sentence]
        if not self.holds:
            small = " in the quick profile, which is for tests and whose numbers mean nothing"
            where = small if os.environ.get("FASHIONNB_PROFILE") == "quick" else " on this machine"
            shown.append(f"> **This did not hold{where}:** {self.finding}.")
        text = "\n\n".join(shown)
        return {"text/markdown": text, "text/plain": text}, {"fashionnb": {"claim": self.as_json()}}

    def as_json(self) -> dict[str, Any]:
        """Return the fields for a JSON file; None stands for NaN and for a missing limit."""
        return {
            name: value if name == "sentence" or math.isfinite(value) else None
            for name, value in vars(self).items()
        }


def claim(
    sentence: str, measured: float, at_least: float = -math.inf, at_most: float = math.inf
) -> None:
    """Display a claim: its sentence, and below it whether `measured` is outside the limits.

    For "A is better than B" measure the difference, or the gap between their intervals, and
    expect at least 0.

    Parameters
    ----------
    sentence : str
        Markdown; put the numbers of the run into it with an f-string.
    measured : float
        NaN never holds.
    at_least, at_most : float
        The limits; one of them at least.

    Raises
    ------
    ResultError
        If no limit is given: such a claim would always hold.
    """
    from IPython.display import display

    if at_least == -math.inf and at_most == math.inf:
        raise ResultError(
            f"Give at_least or at_most: without them {sentence[:60]!r} holds whatever was measured."
        )
    display(Claim(sentence, float(measured), float(at_least), float(at_most)))


def claims_in(notebook: Mapping[str, Any]) -> Iterator[Claim]:
    """Yield the claims that an executed notebook made, in their order.

    Parameters
    ----------
    notebook : mapping
        The notebook, or its JSON.

    Yields
    ------
    Claim
        Whether it holds or not.
    """
    missing = {"measured": math.nan, "at_least": -math.inf, "at_most": math.inf}
    for cell in notebook["cells"]:
        for output in cell.get("outputs", ()):
            made = output.get("metadata", {}).get("fashionnb", {}).get("claim")
            if made:
                given = {name: value for name, value in made.items() if value is not None}
                yield Claim(**missing | given)


def _range(low: float, high: float) -> str:
    if math.isinf(high):
        return f"at least {low:g}"
    return f"at most {high:g}" if math.isinf(low) else f"{low:g} to {high:g}"
