"""`fashionnb index build` and `fashionnb search`: from a folder of pictures to a page that shows what was found."""

import json

import pytest
import torch
from PIL import Image

from fashionnb import checkpoints, cli
from fashionnb.models.style2vec import Style2Vec

COLOURS = {"red": (220, 20, 20), "blue": (20, 20, 220), "white": (250, 250, 250)}


@pytest.fixture
def call(capsys, monkeypatch, tmp_path):
    """Runs the command in a folder with a model and six pictures; gives exit status, output and messages."""
    for name in ("DATA", "MODELS", "PROFILE"):
        monkeypatch.delenv(f"FASHIONNB_{name}", raising=False)
    monkeypatch.setenv("FASHIONNB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("FASHIONNB_OFFLINE", "1")
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    model = Style2Vec(dimensions=8, channels=3, stem=4, stages=[(8, 2), (8, 2)], mean=0.5, std=0.3)
    checkpoints.save(model, "model", {"training": {"size": 16}})
    for category, height in (("tops", 20), ("long things", 40)):
        for name, colour in COLOURS.items():
            path = tmp_path / "photos" / category / f"[{name}] & <b>.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (20, height), colour).save(path)
    Image.new("RGB", (20, 20), (220, 20, 20)).save("query.png")

    def call(*words):
        status = cli.main(words)
        out, err = capsys.readouterr()
        return status, out, err

    return call


@pytest.fixture
def built(call):
    status, out, _ = call("index", "build", "photos", "--model", "model", "--out", "photos.index")
    assert status == 0
    assert (
        out
        == "photos.index: 6 pictures. `fashionnb search PICTURE --index photos.index` finds among them.\n"
    )
    return "photos.index"


@pytest.mark.parametrize("words", [["index"], ["index", "build"], ["search"]])
def test_help(call, words):
    status, out, err = call(*words, "--help")
    assert (status, err) == (0, "")
    assert f"Usage: fashionnb {' '.join(words)}" in out
    assert words == ["index"] or "Examples: fashionnb" in out


def test_search_prints_a_table(call, built):
    status, out, err = call("search", "query.png", "--index", built, "-k", "2")
    assert (status, err) == (0, "")
    first, second = [line for line in out.splitlines() if "photos/" in line]
    assert "1.000" in first
    assert "photos/tops/[red] & <b>.png" in first
    assert "2" in second


def test_search_for_programs(call, built, tmp_path):
    status, out, _ = call(
        "search", "query.png", "--index", built, "--json", "--category", "long things"
    )
    found = json.loads(out)
    assert status == 0
    assert [item["rank"] for item in found] == [1, 2, 3]
    assert {item["category"] for item in found} == {"long things"}
    assert found[0].keys() == {"rank", "id", "category", "score", "path"}
    assert all((tmp_path / "photos" / item["id"]).samefile(item["path"]) for item in found)


def test_search_writes_a_page(call, built, tmp_path):
    status, _, _ = call(
        "search", "query.png", "--index", built, "-k", "3", "--html", "there/found.html"
    )
    page = (tmp_path / "there" / "found.html").read_text()
    assert status == 0
    assert page.count("<img ") == page.count("data:image/jpeg;base64,") == 4
    assert "[red] &amp; &lt;b&gt;.png" in page
    assert "<b>" not in page


@pytest.mark.browser
def test_the_page_can_be_read_by_day_and_by_night(call, built, tmp_path, open_browser):
    call("search", "query.png", "--index", built, "-k", "3", "--html", "found.html")
    page = open_browser(viewport={"width": 400, "height": 800}).new_page()
    page.goto((tmp_path / "found.html").as_uri())
    assert page.evaluate(
        "Array.from(document.images).every(image => image.complete && image.naturalWidth > 0)"
    )
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    brightness = {}
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        ink = page.evaluate("getComputedStyle(document.querySelector('figcaption')).color")
        brightness[scheme] = sum(
            int(part) for part in ink.removeprefix("rgb(").removesuffix(")").split(",")[:3]
        )
    assert brightness["light"] < 100
    assert brightness["dark"] > 600


def test_a_second_build_embeds_only_what_is_new(call, built, tmp_path, monkeypatch):
    shown = []
    forward = Style2Vec.forward
    monkeypatch.setattr(
        Style2Vec,
        "forward",
        lambda self, images: shown.append(len(images)) or forward(self, images),
    )
    Image.new("RGB", (20, 20), (1, 99, 1)).save("photos/new.png")
    assert call("index", "build", "photos", "--model", "model", "--out", "more.index")[0] == 0
    assert sorted(shown) == [
        1,
        1,
        4,
    ]  # the blank picture, the new one, and four that are looked at again
    assert len(list((tmp_path / "cache" / "vectors").iterdir())) == 1


def test_unreadable_pictures(call, tmp_path):
    (tmp_path / "photos" / "broken.jpg").write_bytes(b"x")
    words = ["index", "build", "photos", "--model", "model", "--out", "photos.index"]
    status, out, err = call(*words)
    assert (status, out) == (2, "")
    assert "1 of 7 pictures cannot be read. The first:" in err
    assert "--skip-unreadable" in err
    assert not (tmp_path / "photos.index").exists()
    status, out, _ = call(*words, "--skip-unreadable")
    assert status == 0
    assert "left out: " in out
    assert "broken.jpg: not a picture" in out
    assert "photos.index: 6 pictures." in out


def test_a_model_that_changed_is_refused_and_one_that_moved_is_named(call, built, tmp_path):
    (tmp_path / "model").rename(tmp_path / "moved")
    status, _, err = call("search", "query.png", "--index", built)
    assert status == 2
    assert "model" in err
    assert call("search", "query.png", "--index", built, "--model", "moved")[0] == 0
    torch.manual_seed(1)
    checkpoints.save(
        Style2Vec(dimensions=8, channels=3, stem=4, stages=[(8, 2), (8, 2)]),
        "model",
        {"training": {"size": 16}},
    )
    status, out, err = call("search", "query.png", "--index", built)
    assert (status, out) == (2, "")
    assert "was made by the model" in err


BUILD = ["index", "build"]


@pytest.mark.parametrize(
    ("words", "phrase"),
    [
        ([*BUILD, "photos", "--out", "x"], "Missing option '--model'"),
        ([*BUILD, "photos", "--model", "model"], "Missing option '--out'"),
        ([*BUILD, "--model", "model", "--out", "x"], "Missing argument 'FOLDER|ZIP|DATASET'"),
        (
            [*BUILD, "nowhere", "--model", "model", "--out", "x"],
            "nowhere: there is no such file or folder",
        ),
        ([*BUILD, "query.png", "--model", "model", "--out", "x"], "query.png is a single image"),
        (
            [*BUILD, "cache", "--model", "model", "--out", "x"],
            "cache: there is no such file or folder",
        ),
        ([*BUILD, "model", "--model", "model", "--out", "x"], "model: no pictures"),
        (
            [*BUILD, "photos", "--model", "modell", "--out", "x"],
            "No model 'modell' came with fashionnb",
        ),
        (
            [*BUILD, "photos", "--model", "model", "--out", "x", "--size", "huge"],
            "Invalid value for '--size'",
        ),
        ([*BUILD, "photos", "--model", "model", "--out", "x", "--kind", "magic"], "magic"),
        (
            [*BUILD, "fashion-mnist", "--model", "model", "--out", "x"],
            "put it as fashion-mnist/ into a folder",
        ),
        (["search", "query.png"], "Missing option '--index'"),
        (["search", "query.png", "--index", "nowhere.index"], "nowhere.index"),
        (["search", "query.png", "--index", "query.png"], "query.png"),
    ],
)
def test_mistakes_give_one_message_and_exit_2(call, words, phrase):
    status, out, err = call(*words)
    assert (status, out) == (2, "")
    assert phrase in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("words", "phrase"),
    [
        (["nowhere.png"], "nowhere.png: there is no such picture"),
        (["model/card.json"], "model/card.json: not a picture"),
        (["query.png", "-k", "0"], "k"),
        (["query.png", "-k", "many"], "Invalid value for '-k'"),
        (
            ["query.png", "--category", "hats"],
            "No picture is in category 'hats'; the categories: long things, tops",
        ),
        (["query.png", "--html", "query.png/found.html"], "cannot be written"),
    ],
)
def test_mistakes_in_searching(call, built, words, phrase):
    status, out, err = call("search", *words, "--index", built)
    assert (status, out) == (2, "")
    assert phrase in err
