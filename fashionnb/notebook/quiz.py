"""Fill-in-the-blank for the reader: guess which garment goes with these, then see the answer.

One piece of HTML that needs no kernel and asks no other host. Without JavaScript (on GitHub, in print) each question is
pictures with an answer to be unfolded; with it the pictures become buttons, and the guesses are counted.
"""

import base64
import hashlib
import io
from collections.abc import Mapping, Sequence
from html import escape

import numpy as np
from IPython.display import HTML
from PIL import Image

from fashionnb.data.catalogue import Blank
from fashionnb.errors import DataError

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
QUALITY = 85  # of WebP

# A ground of its own, so that photos on white look the same in a dark page.
STYLE = """
#{id} { background: #fff; color: #222; border: 1px solid #999; padding: 0.6em 1em; font: 15px/1.4 sans-serif }
#{id} section { margin: 0.8em 0 1.4em }
#{id} p { margin: 0.4em 0; color: inherit }
#{id} .laid { display: flex; flex-wrap: wrap; gap: 8px; align-items: flex-end }
#{id} figure { margin: 0; text-align: center }
#{id} img { display: block; height: 112px; width: auto; margin: 0; background: #fff }
#{id} button { font: inherit; color: inherit; background: #fff; border: 3px solid #bbb; padding: 3px; cursor: pointer }
#{id} button:focus-visible, #{id} summary:focus-visible { outline: 3px solid #222; outline-offset: 2px }
#{id} button:hover:enabled { border-color: #555 }
#{id} button:disabled { cursor: default; color: inherit; opacity: 1 }
#{id} button.right { border-color: #0173b2; background: #e3f1fa }
#{id} button.wrong { border-color: #de8f05; border-style: dashed }
#{id} summary { cursor: pointer }
"""

# Each picture that may be chosen becomes a button, which a keyboard reaches without help.
BEHAVIOUR = """
(() => {
  const box = document.getElementById("{id}"), score = box.querySelector(".score");
  const sections = [...box.querySelectorAll("section")];
  let asked = 0, yours = 0, theirs = 0;
  for (const section of sections) {
    const truth = +section.dataset.truth, said = +section.dataset.said, details = section.querySelector("details");
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
      asked += 1; yours += chosen === truth; theirs += said === truth;
      verdict.textContent = (chosen === truth ? "Yes. " : "No. ") + details.querySelector("p").textContent;
      score.textContent = `After ${asked} of ${sections.length}: you ${yours}, {by} ${theirs}.`;
    }
  }
})();
"""


def guess(
    blanks: Sequence[Blank],
    pictures: Mapping[str, np.ndarray],
    said: Sequence[int],
    *,
    captions: Mapping[str, str],
    by: str = "the network",
) -> HTML:
    """Questions to be guessed on the page, before the right answer and a network's are shown. Introduced in chapter 10.

    Parameters
    ----------
    blanks : the questions, one or more.
    pictures : id -> (height, width, 3) uint8, of every item in them; some 100 pixels tall.
    said : (q,) which answer the network chose.
    captions : id -> a few words that do not give the answer away, read to those who do not see the picture.
    by : what to call the network.

    Raises
    ------
    DataError : no question, not one choice for each or a choice that is no answer, more than 26 answers, an item
        without a picture or caption, or a picture of another shape or type.
    """
    if not len(blanks) or len(said) != len(blanks):
        raise DataError(
            f"Expected one question or more, and one choice for each; got {len(blanks)} and {len(said)}."
        )
    sections = [
        _section(number, blank, int(choice), pictures, captions, by, len(blanks))
        for number, (blank, choice) in enumerate(zip(blanks, said, strict=True), start=1)
    ]
    body = f"<p class='score' role='status'>Guess first; then see.</p>{''.join(sections)}"
    name = f"guess-{hashlib.sha256(body.encode()).hexdigest()[:10]}"
    script = BEHAVIOUR.replace("{id}", name).replace("{by}", _quoted(by))
    style = STYLE.replace("{id}", name)
    return HTML(f'<div id="{name}"><style>{style}</style>{body}</div><script>{script}</script>')


def _section(
    number: int,
    blank: Blank,
    said: int,
    pictures: Mapping[str, np.ndarray],
    captions: Mapping[str, str],
    by: str,
    of: int,
) -> str:
    if not 0 <= said < len(blank.answers) <= len(LETTERS):
        raise DataError(
            f"Question {number}: a choice is from 0 to {len(blank.answers) - 1}, and there are at most {len(LETTERS)} "
            f"answers; got {said}."
        )

    def image(item: str) -> str:
        if item not in pictures or item not in captions:
            raise DataError(f"Question {number}: the item {item!r} has no picture or no caption.")
        return f'<img alt="{escape(captions[item])}" src="{_packed(pictures[item], item)}">'

    worn = "".join(image(item) for item in blank.asked)
    offered = "".join(
        f"<figure>{image(item)}<figcaption>{letter}</figcaption></figure>"
        for letter, item in zip(LETTERS, blank.answers, strict=False)
    )
    agrees = "chose it, too" if said == blank.truth else f"chose {LETTERS[said]}"
    answer = f"It was {LETTERS[blank.truth]}; {escape(by)} {agrees}."
    return (
        f'<section data-truth="{blank.truth}" data-said="{said}"><p><b>{number} of {of}.</b> Somebody put these '
        f'together:</p><div class="laid">{worn}</div><p>Which of these was with them?</p><div class="laid">{offered}'
        f"</div><details><summary>The answer</summary><p>{answer}</p></details></section>"
    )


def _packed(picture: np.ndarray, item: str) -> str:
    """A picture as the address of itself."""
    picture = np.asarray(picture)
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
        raise DataError(
            f"Expected pictures uint8 (height, width, 3); that of {item!r} is {picture.dtype} {picture.shape}."
        )
    packed = io.BytesIO()
    Image.fromarray(picture).save(packed, "webp", quality=QUALITY)
    return "data:image/webp;base64," + base64.b64encode(packed.getvalue()).decode()


def _quoted(text: str) -> str:
    """Text for the middle of a template string of JavaScript, which it cannot end."""
    for sign in "\\`$<":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text
