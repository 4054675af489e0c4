"""The explorer: what is in it, what it refuses, and what a reader sees who points, taps and clicks."""

import base64
import io
import json
import re

import numpy as np
import plotly.io as pio
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output
from PIL import Image
from plotly.offline import get_plotlyjs

from fashionnb.datasets import load
from fashionnb.errors import DataError
from fashionnb.notebook import plots
from fashionnb.notebook.explorer import explorer
from fashionnb.publishing import chapter_page

CLASSES = ("Coat", "Shirt", "Bag")
N = 30


def garments(channels=1):
    """Thirty plain pictures, 6 wide and 12 tall, each of its own shade; points on a grid; ten of each class."""
    shades = np.arange(N, dtype=np.uint8) * 8 + 10
    pictures = np.broadcast_to(shades[:, None, None, None], (N, 12, 6, channels)).copy()
    points = np.stack([np.arange(N) % 6, np.arange(N) // 6], 1).astype(float)
    return points, pictures, np.arange(N) // 10


@pytest.fixture(autouse=True)
def in_the_book(monkeypatch):
    """As where the book is built: plotly's script is not in the figure."""
    monkeypatch.setattr(
        pio.renderers, "default", pio.renderers.default
    )  # what it was is set again afterwards
    plots.use_book_renderer()


def known(page):
    """What the JavaScript is given."""
    return json.loads(re.search(r"source\} = (\{.*\});", page.data)[1])


def traces(page):
    return json.JSONDecoder().raw_decode(
        page.data, re.search(r'newPlot\(\s*"[\w-]+",\s*', page.data).end()
    )[0]


@pytest.mark.parametrize("channels", [1, 3])
def test_the_sheet_holds_every_picture_in_its_place(channels):
    points, pictures, labels = garments(channels)
    if channels == 3:
        pictures[..., 1] = 40
    told = known(explorer(points, pictures, labels, CLASSES))
    assert (told["wide"], told["tall"], told["columns"], told["classes"]) == (
        6,
        12,
        6,
        list(CLASSES),
    )
    sheet = np.asarray(
        Image.open(io.BytesIO(base64.b64decode(told["source"].partition(",")[2]))).convert("RGB")
    )
    assert sheet.shape == (5 * 12, 6 * 6, 3)
    for i, picture in enumerate(pictures):
        row, column = divmod(i, 6)
        middle = (
            sheet[row * 12 + 4 : row * 12 + 8, column * 6 + 2 : column * 6 + 4]
            .reshape(-1, 3)
            .mean(0)
        )
        # WebP keeps colours at half the resolution: neighbours blend a little. A picture's next one is 8 lighter.
        np.testing.assert_allclose(
            middle, np.broadcast_to(picture[5, 3], 3), atol=4 if channels == 1 else 30
        )


def test_one_entry_for_each_class_and_hidden_ones_for_errors():
    points, pictures, labels = garments()
    plain = traces(explorer(points, pictures, labels, CLASSES))
    assert [(dots["name"], dots.get("visible", True)) for dots in plain] == [
        (name, True) for name in CLASSES
    ]
    assert len({(dots["marker"]["color"], dots["marker"]["symbol"]) for dots in plain}) == 3
    said = labels.copy()
    said[[3, 25]] = 1
    by_error = traces(explorer(points, pictures, labels, CLASSES, predicted=said))[3:]
    assert [(dots["name"], dots["visible"]) for dots in by_error] == [
        ("right (28)", False),
        ("mistaken (2)", False),
    ]


def test_twelve_classes_still_differ():
    points, pictures, _ = garments()
    names = [f"class {i}" for i in range(12)]
    found = traces(explorer(points, pictures, np.arange(N) % 12, names))
    assert len({(dots["marker"]["color"], dots["marker"]["symbol"]) for dots in found}) == 12


def test_a_name_cannot_end_the_script():
    page = explorer(*garments(), ("</script><b>", "Shirt", "Bag"))
    assert page.data.count("</script>") == explorer(*garments(), CLASSES).data.count("</script>")
    assert known(page)["classes"][0] == "</script><b>"


def test_the_book_has_plotly_beside_it_and_a_notebook_inside():
    page = explorer(*garments(), CLASSES)
    assert '<script charset="utf-8" src="../assets/plotly.min.js">' in page.data
    assert len(page.data) < 50_000
    pio.renderers.default = "plotly_mimetype"
    page = explorer(*garments(), CLASSES)
    assert get_plotlyjs() in page.data
    assert "<script src" not in page.data
    assert 'src="http' not in page.data


def test_publishing_leaves_it_alone():
    shown = new_output(
        "execute_result", data={"text/html": explorer(*garments(), CLASSES)._repr_html_()}
    )
    cell = new_code_cell("1", outputs=[shown], execution_count=1)
    chapter_page.clean(new_notebook(cells=[cell]), "here")
    assert cell.outputs == [shown]


def test_five_thousand_real_garments_are_small_enough(real_data):
    test = load("fashion-mnist", real_data).split("test").sample(5000, 0)
    pictures, labels = test.tensor(channels=1).movedim(1, -1).numpy(), test.labels()
    points = np.random.default_rng(0).normal(size=(5000, 2))
    page = explorer(points, pictures, labels, test.classes, predicted=labels)
    assert len(page.data) < 2.5e6  # the whole page has 6 MB


@pytest.mark.parametrize(
    ("change", "phrase"),
    [
        ({"points": np.zeros((N, 3))}, r"points: expected an array of shape \(n, 2\).*\(30, 3\)"),
        ({"points": np.full((N, 2), np.nan)}, "points: row 0 holds NaN or infinity"),
        ({"points": np.zeros((0, 2))}, r"points: .*\(0, 2\)"),
        (
            {"images": np.zeros((N - 1, 4, 4, 1), np.uint8)},
            r"one for each of 30 points.*\(29, 4, 4, 1\)",
        ),
        ({"images": np.zeros((N, 4, 4), np.uint8)}, r"got uint8 \(30, 4, 4\)"),
        ({"images": np.zeros((N, 1, 4, 4), np.uint8)}, r"got uint8 \(30, 1, 4, 4\)"),
        ({"images": np.zeros((N, 4, 4, 1))}, "got float64"),
        (
            {"images": np.zeros((N, 2, 4000, 1), np.uint8)},
            "30 images of 4000 × 2 pixels do not fit.*smaller",
        ),
        ({"labels": np.zeros(N - 1, int)}, r"labels: expected an array of shape \(30,\)"),
        (
            {"labels": np.arange(N)},
            "labels: expected whole numbers from 0 to 2.*got int64 from 0 to 29",
        ),
        ({"labels": np.full(N, -1)}, "labels: .*from -1 to -1"),
        ({"labels": np.zeros(N)}, "labels: .*got float64"),
        ({"predicted": np.arange(N)}, "predicted: expected whole numbers"),
    ],
)
def test_bad_input(change, phrase):
    good = dict(zip(("points", "images", "labels"), garments(), strict=True))
    with pytest.raises(DataError, match=phrase):
        explorer(**{**good, "classes": CLASSES, **change})


@pytest.fixture
def opened(open_browser, tmp_path_factory):
    """A function that opens a page with an explorer, above which there is some text, and collects what goes wrong."""
    site = tmp_path_factory.mktemp("site")
    (site / "assets").mkdir()
    (site / "book").mkdir()
    (site / "assets" / "plotly.min.js").write_text(get_plotlyjs(), encoding="utf-8")
    points, pictures, labels = garments()
    said = labels.copy()
    said[:5] = 2
    figure = explorer(points, pictures, labels, CLASSES, predicted=said).data
    ground = "body { margin: 0 40px } @media (prefers-color-scheme: dark) { body { background: #14181e; color: #ccc } }"
    head = f'<!DOCTYPE html><meta charset="utf-8"><meta name="viewport" content="width=device-width"><style>{ground}'
    (site / "book" / "page.html").write_text(
        f"{head}</style><p>A map</p>{figure}", encoding="utf-8"
    )

    def start(**options):
        page, told = open_browser(**options).new_page(), []
        page.on(
            "console",
            lambda message: told.append(message.text) if message.type == "error" else None,
        )
        page.on("pageerror", lambda error: told.append(str(error)))
        page.on(
            "request",
            lambda asked: (
                None if asked.url.startswith(("file:", "data:")) else told.append(asked.url)
            ),
        )
        page.goto((site / "book" / "page.html").as_uri(), wait_until="load")
        page.wait_for_selector(".garment", state="attached")
        return page, told

    return start


def middle_of(page, entry, number):
    """Where on the screen a point of a legend entry is."""
    box = (
        page.locator(".scatterlayer .trace").nth(entry).locator(".point").nth(number).bounding_box()
    )
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def wait_for_garment(page, number):
    """Until the picture shown is that of the numbered garment: plotly answers a pointer in its own time."""
    page.wait_for_selector(".garment", state="visible")
    page.wait_for_function(
        """shade => {
            const canvas = document.querySelector(".garment canvas");
            const grey = canvas.getContext("2d").getImageData(canvas.width / 2, canvas.height / 2, 1, 1).data[0];
            return Math.abs(grey - shade) <= 4;
        }""",
        arg=number * 8 + 10,
    )


def shown(page):
    """How many points there are, and the names in the legend."""
    return page.locator(".scatterlayer .point").count(), page.locator(
        ".legendtext"
    ).all_text_contents()


@pytest.mark.browser
@pytest.mark.parametrize("mode", ["light", "dark"])
def test_pointing_shows_the_picture_beside_the_point(opened, mode):
    page, told = opened(color_scheme=mode, viewport={"width": 900, "height": 760})
    for entry, number, caption in ((0, 2, "Coat, taken for Bag"), (1, 4, "Shirt"), (2, 9, "Bag")):
        x, y = middle_of(page, entry, number)
        page.mouse.move(x, y)
        wait_for_garment(page, entry * 10 + number)
        card = page.locator(".garment")
        assert card.inner_text().replace("\n", " ") == caption
        box = card.bounding_box()
        beside = min(abs(box["x"] - x), abs(box["x"] + box["width"] - x))
        assert 4 < beside < 30
        assert box["y"] < y < box["y"] + box["height"]
        assert box["x"] + box["width"] <= 900
    assert (
        page.evaluate("getComputedStyle(document.querySelector('.main-svg')).backgroundColor")
        == "rgb(255, 255, 255)"
    )
    page.mouse.move(5, 5)
    page.wait_for_selector(".garment", state="hidden")
    assert told == []


@pytest.mark.browser
def test_the_legend_hides_a_class_and_the_buttons_colour_by_error(opened):
    page, told = opened(viewport={"width": 900, "height": 760})
    assert shown(page) == (30, ["Coat", "Shirt", "Bag"])
    page.locator(".legendtoggle").nth(1).click()
    page.wait_for_function("document.querySelectorAll('.scatterlayer .point').length == 20")
    page.get_by_text("colour by error").click()
    page.wait_for_function("document.querySelectorAll('.scatterlayer .point').length == 30")
    assert shown(page)[1] == ["right (25)", "mistaken (5)"]
    page.mouse.move(*middle_of(page, 1, 3))
    wait_for_garment(page, 3)
    page.get_by_text("colour by class").click()
    page.wait_for_function("document.querySelectorAll('.legendtext').length == 3")
    assert shown(page) == (30, ["Coat", "Shirt", "Bag"])
    assert told == []


@pytest.mark.browser
def test_a_tap_on_a_phone_shows_the_picture_and_the_page_still_scrolls(opened):
    page, told = opened(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page.touchscreen.tap(*middle_of(page, 2, 1))
    wait_for_garment(page, 21)
    assert page.evaluate("document.querySelector('.js-plotly-plot').layout.dragmode") is False
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert told == []
