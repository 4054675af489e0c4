"""fashionnb.notebook.quiz: the page without a script, and what a guess shows."""

import base64
import io
import re

import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output
from PIL import Image

from fashionnb.data.catalogue import Blank
from fashionnb.errors import DataError
from fashionnb.notebook.quiz import outfit_quiz
from fashionnb.publishing import chapter_page

BLANKS = [
    Blank("one", ("skirt", "bag"), ("boot", "shoe", "heel"), 1, 3),
    Blank("two", ("coat",), ("hat", "cap", "scarf"), 0, 1),
]
ITEMS = {item for blank in BLANKS for item in (*blank.asked, *blank.answers)}
PICTURES = {item: np.full((20, 14, 3), 8 * i, np.uint8) for i, item in enumerate(sorted(ITEMS))}
CAPTIONS = {item: f"a {item}" for item in ITEMS}


def game(**change):
    return outfit_quiz(
        **({"blanks": BLANKS, "images": PICTURES, "choices": [1, 2], "captions": CAPTIONS} | change)
    )


def test_without_a_script_there_are_pictures_and_answers_to_unfold():
    bare = re.sub(r"<(script|style)>.*?</\1>", "", game().data, flags=re.DOTALL)
    assert re.findall(r"<details><summary>The answer</summary><p>(.*?)</p>", bare) == [
        "It was B; the network chose it, too.",
        "It was A; the network chose C.",
    ]
    order = [item for blank in BLANKS for item in (*blank.asked, *blank.answers)]
    assert re.findall(r'alt="(.*?)"', bare) == [CAPTIONS[item] for item in order]
    for item, packed in zip(
        order, re.findall(r'src="data:image/webp;base64,(.*?)"', bare), strict=True
    ):
        picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(packed))).convert("RGB"))
        assert picture.shape == (20, 14, 3)
        assert np.abs(picture.astype(int) - PICTURES[item]).max() <= 4
    assert "<button" not in bare


def test_words_cannot_become_code():
    page = game(by="</script>`${1}\\", captions=CAPTIONS | {"skirt": '"><script>'}).data
    assert page.count("<script>") == page.count("</script>") == 1
    assert 'alt="&quot;&gt;&lt;script&gt;"' in page


def test_two_games_on_one_page_do_not_meet():
    first, second = (
        re.search(r'<div id="(.*?)"', page.data)[1] for page in (game(), game(choices=[0, 0]))
    )
    assert first != second


def test_publishing_leaves_it_alone():
    shown = new_output("execute_result", data={"text/html": game()._repr_html_()})
    cell = new_code_cell("1", outputs=[shown], execution_count=1)
    chapter_page.clean(new_notebook(cells=[cell]), "here")
    assert cell.outputs == [shown]


@pytest.mark.parametrize(
    ("change", "phrase"),
    [
        ({"blanks": [], "choices": []}, "one question or more"),
        ({"choices": [1]}, "one choice for each; got 2 and 1"),
        ({"choices": [1, 3]}, "Question 2: a choice is from 0 to 2.*got 3"),
        ({"choices": [-1, 0]}, "Question 1: .*got -1"),
        ({"images": {}}, "Question 1: the item 'skirt' has no image"),
        ({"captions": {}}, "the item 'skirt' has no image or no caption"),
        ({"images": PICTURES | {"bag": np.zeros((4, 4, 3))}}, "that of 'bag' is float64"),
        (
            {"images": PICTURES | {"bag": np.zeros((4, 4), np.uint8)}},
            r"that of 'bag' is uint8 \(4, 4\)",
        ),
        (
            {"blanks": [Blank("x", ("bag",), ("hat",) * 27, 0, 1)], "choices": [0]},
            "at most 26 answers",
        ),
    ],
)
def test_bad_input(change, phrase):
    with pytest.raises(DataError, match=phrase):
        game(**change)


@pytest.fixture
def opened(open_browser, tmp_path):
    """A function that opens a page with a game, and collects what goes wrong."""

    def start(**options):
        ground = "@media (prefers-color-scheme: dark) { body { background: #14181e; color: #ccc } }"
        theme = ".row > * { width: 100% }"  # of the pages: a class that is not for us
        head = f'<!DOCTYPE html><meta charset="utf-8"><style>{ground}{theme}</style>'
        (tmp_path / "page.html").write_text(head + game().data, encoding="utf-8")
        page, told = open_browser(**options).new_page(), []
        page.on(
            "console",
            lambda message: told.append(message.text) if message.type == "error" else None,
        )
        page.on("pageerror", lambda error: told.append(str(error)))
        page.goto((tmp_path / "page.html").as_uri(), wait_until="load")
        return page, told

    return start


@pytest.mark.browser
@pytest.mark.parametrize("mode", ["light", "dark"])
def test_a_guess_shows_the_answer_and_counts(opened, mode):
    page, told = opened(color_scheme=mode)
    assert page.get_by_role("button").count() == 6
    first, second = (page.get_by_role("button").nth(i).bounding_box() for i in (0, 1))
    assert first["y"] == second["y"], "the answers lie beside each other"
    assert not page.get_by_text("It was B").is_visible()
    page.get_by_role("button", name="a shoe").click()
    assert page.get_by_text("Yes. It was B; the network chose it, too.").is_visible()
    page.get_by_role("button", name="a scarf").click()
    assert page.get_by_text("No. It was A; the network chose C.").is_visible()
    assert page.locator(".score").text_content() == "After 2 of 2: you 1, the network 1."
    assert page.locator("button.right").all_inner_texts() == ["B ✓", "A ✓"]
    assert page.locator("button.wrong").all_inner_texts() == ["C ✗"]
    assert page.locator("button:enabled").count() == 0
    colours = page.locator("section p").first.evaluate(
        "p => [getComputedStyle(p).color, getComputedStyle(p.closest('div')).backgroundColor]"
    )
    assert colours == ["rgb(34, 34, 34)", "rgb(255, 255, 255)"]
    assert told == []


@pytest.mark.browser
def test_it_can_be_played_by_keyboard(opened):
    page, told = opened()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.locator(".score").text_content() == "After 1 of 2: you 1, the network 1."
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    assert page.locator(".score").text_content() == "After 2 of 2: you 2, the network 1."
    assert told == []
