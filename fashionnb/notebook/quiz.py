"""An interactive quiz: the reader guesses which garment completes an outfit, then sees the answer.

HTML that needs no kernel and no other host. Without JavaScript (on GitHub, in print) each question
is a row of images with an answer to unfold; with it the images are buttons, and the guesses are
counted.
"""

import hashlib
import json
import string
from collections.abc import Mapping, Sequence
from html import escape

import numpy as np
from IPython.display import HTML

from fashionnb.data.catalogue import Blank
from fashionnb.errors import DataError
from fashionnb.notebook.explorer import webp_url

LETTERS = string.ascii_uppercase
QUALITY = 85  # of WebP

# A background of its own, so that photos on white look the same in a dark page.
STYLE = """
#{id} { background: #fff; color: #222; border: 1px solid #999; padding: 0.6em 1em }
#{id} { font: 15px/1.4 sans-serif }
#{id} section { margin: 0.8em 0 1.4em }
#{id} p { margin: 0.4em 0; color: inherit }
#{id} .laid { display: flex; flex-wrap: wrap; gap: 8px; align-items: flex-end }
#{id} figure { margin: 0; text-align: center }
#{id} img { display: block; height: 112px; width: auto; margin: 0; background: #fff }
#{id} button { font: inherit; color: inherit; background: #fff; border: 3px solid #bbb }
#{id} button { padding: 3px; cursor: pointer }
#{id} button:focus-visible { outline: 3px solid #222; outline-offset: 2px }
#{id} summary:focus-visible { outline: 3px solid #222; outline-offset: 2px }
#{id} button:hover:enabled { border-color: #555 }
#{id} button:disabled { cursor: default; color: inherit; opacity: 1 }
#{id} button.right { border-color: #0173b2; background: #e3f1fa }
#{id} button.wrong { border-color: #de8f05; border-style: dashed }
#{id} summary { cursor: pointer }
"""

# Each image that can be chosen becomes a button, which a keyboard can reach.
BEHAVIOUR = """
(() => {
  const box = document.getElementById("{id}"), score = box.querySelector(".score");
  const sections = [...box.querySelectorAll("section")];
  const other = {by};
  let asked = 0, yours = 0, theirs = 0;
  for (const section of sections) {
    const truth = +section.dataset.truth, choice = +section.dataset.choice;
    const details = section.querySelector("details");
    const verdict = document.createElement("p");
    verdict.setAttribute("role", "status");
    details.hidden = true;
    details.before(verdict);
    const buttons = [...section.querySelectorAll("figure")].map((figure, i) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...figure.childNodes);
      button.addEventListener("click", () => answer(i));
      figure.replaceWith(button);
      return button;
    });
    function answer(chosen) {
      buttons.forEach((button, i) => {
        button.disabled = true;
        if (i === truth) { button.className = "right"; button.lastChild.append(" ✓"); }
        else if (i === chosen) { button.className = "wrong"; button.lastChild.append(" ✗"); }
      });
      asked += 1; yours += chosen === truth; theirs += choice === truth;
      const answer = details.querySelector("p").textContent;
      verdict.textContent = (chosen === truth ? "Yes. " : "No. ") + answer;
      score.textContent = `After ${asked} of ${sections.length}: you ${yours}, ${other} ${theirs}.`;
    }
  }
})();
"""


def outfit_quiz(
    blanks: Sequence[Blank],
    images: Mapping[str, np.ndarray],
    choices: Sequence[int],
    *,
    captions: Mapping[str, str],
    by: str = "the network",
) -> HTML:
    """Make an interactive quiz of fill-in-the-blank questions: the reader against a network.

    Parameters
    ----------
    blanks : sequence of Blank
        q questions, one or more.
    images : mapping of str to ndarray of shape (height, width, 3), uint8
        Id -> image, of every item in the questions; some 100 pixels tall.
    choices : sequence of int, length q
        The answers that the network chose.
    captions : mapping of str to str
        Id -> a few words that do not give the answer away, for readers who do not see the image.
    by : str
        How to call the network.

    Returns
    -------
    HTML
        The quiz, which needs no kernel and no other host.

    Raises
    ------
    DataError
        If there is no question, not one choice for each, a choice that is no answer, more than 26
        answers, an item without image or caption, or an image of another shape or dtype.
    """
    if not len(blanks) or len(choices) != len(blanks):
        raise DataError(
            "Expected one question or more, and one choice for each; "
            f"got {len(blanks)} and {len(choices)}."
        )
    sections = []
    for number, (blank, choice) in enumerate(zip(blanks, choices, strict=True), start=1):
        if not 0 <= choice < len(blank.answers) <= len(LETTERS):
            raise DataError(
                f"Question {number}: a choice is from 0 to {len(blank.answers) - 1}, and there are "
                f"at most {len(LETTERS)} answers; got {choice}."
            )
        pictures = {
            item: _image(item, number, images, captions) for item in (*blank.asked, *blank.answers)
        }
        sections.append(_section(f"{number} of {len(blanks)}", blank, int(choice), pictures, by))
    body = f"<p class='score' role='status'>Guess first; then see.</p>{''.join(sections)}"
    name = f"quiz-{hashlib.sha256(body.encode()).hexdigest()[:10]}"
    quoted = json.dumps(by).replace("<", "\\u003c")  # no name may end the script
    script = BEHAVIOUR.replace("{id}", name).replace("{by}", quoted)
    style = STYLE.replace("{id}", name)
    return HTML(f'<div id="{name}"><style>{style}</style>{body}</div><script>{script}</script>')


def _image(
    item: str, number: int, images: Mapping[str, np.ndarray], captions: Mapping[str, str]
) -> str:
    if item not in images or item not in captions:
        raise DataError(f"Question {number}: the item {item!r} has no image or no caption.")
    image = np.asarray(images[item])
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise DataError(
            f"Expected images uint8 (height, width, 3); that of {item!r} is {image.dtype} "
            f"{image.shape}."
        )
    return f'<img alt="{escape(captions[item])}" src="{webp_url(image, QUALITY)}">'


def _section(position: str, blank: Blank, choice: int, images: Mapping[str, str], by: str) -> str:
    worn = "".join(images[item] for item in blank.asked)
    offered = "".join(
        f"<figure>{images[item]}<figcaption>{letter}</figcaption></figure>"
        for letter, item in zip(LETTERS, blank.answers, strict=False)
    )
    agrees = "chose it, too" if choice == blank.truth else f"chose {LETTERS[choice]}"
    answer = f"It was {LETTERS[blank.truth]}; {escape(by)} {agrees}."
    return (
        f'<section data-truth="{blank.truth}" data-choice="{choice}">'
        f"<p><b>{position}.</b> Somebody put these together:</p>"
        f'<div class="laid">{worn}</div><p>Which of these was with them?</p>'
        f'<div class="laid">{offered}</div>'
        f"<details><summary>The answer</summary><p>{answer}</p></details></section>"
    )
