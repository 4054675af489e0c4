"""`fashionnb recommend`: a shop from a folder, a detector or drawn garments; a table, JSON or a page with the reasons."""

import json

import pytest
import torch
from PIL import Image

from fashionnb import checkpoints, cli, datasets
from fashionnb.data import detector
from fashionnb.data.catalogue import Catalogue
from fashionnb.models.style2vec import Style2Vec
from fashionnb.search import recommend
from fashionnb.synthetic import drawn_garments


@pytest.fixture
def call(capsys, monkeypatch, tmp_path):
    """Runs the command in a folder with a model and a detector's findings; gives exit status, output and messages."""
    for name in ("DATA", "MODELS", "PROFILE"):
        monkeypatch.delenv(f"FASHIONNB_{name}", raising=False)
    monkeypatch.setenv("FASHIONNB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("FASHIONNB_OFFLINE", "1")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    model = Style2Vec(dimensions=8, channels=3, stem=4, stages=[(8, 2), (8, 2)], mean=0.5, std=0.3)
    checkpoints.save(model, "model", {"training": {"size": 16}})
    drawn = drawn_garments.catalogue(24, size=48)
    detector.write(found(drawn), "found")
    Image.fromarray(drawn_garments.draw("Dress", "Green", size=48)).save("dress.png")

    def call(*words):
        status = cli.main(words)
        out, err = capsys.readouterr()
        return status, out, err

    return call


def found(drawn: Catalogue) -> Catalogue:
    """Drawn garments as a detector would have found them."""
    table = drawn.table[["id", "category", "colour", "pattern", "season", "image"]].copy()
    table["category"] = table["category"] + " <b>"
    for name in ("category", "colour", "pattern", "season"):
        table[f"{name}_score"] = 0.9
    for side, value in zip(detector.BOX, (0, 0, 48, 48), strict=True):
        table[side] = float(value)
    table["source"], table["crop_file"] = "fashion_analysis_a.json", table["id"] + ".png"
    return Catalogue("found", table, drawn.images, tuple(dict.fromkeys(table["category"])))


SHOP = ("--data", "found", "--model", "model")
FIRST = "fashion_analysis_a/drawn-00000"


def test_help(call):
    status, out, err = call("recommend", "--help")
    assert (status, err) == (0, "")
    assert "Usage: fashionnb recommend" in out
    assert "Examples: fashionnb recommend --data drawn" in out


def test_as_wanted_needs_no_model(call):
    status, out, err = call(
        "recommend",
        "--data",
        "found",
        "--season",
        "fall",
        "--color",
        "navy",
        "--color",
        "Red",
        "--json",
    )
    assert (status, err) == (0, "")
    answer = json.loads(out)
    assert answer
    assert {row["season"] for row in answer} == {"Autumn"}
    assert {row["colour"] for row in answer} <= {"Navy Blue", "Red"}
    assert answer[0]["similarity"] is None
    assert answer[0]["reasons"].startswith("as asked: colour ")


def test_three_questions_about_an_item(call):
    catalogue = datasets.open_catalogue("found")
    recommender = recommend.open_recommender(catalogue, model="model", progress=False)
    asked = {
        (): recommender.find_similar_items,
        ("--like",): recommender.find_similar_items,
        ("--overall",): recommender.ensemble_recommend,
        ("--goes-with",): recommender.get_color_coordinated_items,
    }
    for words, method in asked.items():
        status, out, _ = call(
            "recommend", FIRST, *SHOP, *words, "-k", "4", "--diversity", "0.3", "--json"
        )
        assert status == 0
        answer, expected = json.loads(out), method(FIRST, top_k=4, diversity=0.3)
        assert [row["id"] for row in answer] == expected["id"].tolist()
        assert [row["agree"] for row in answer] == [list(names) for names in expected["agree"]]


def test_a_table_for_people(call):
    status, out, _ = call("recommend", FIRST, *SHOP, "-k", "3")
    assert status == 0
    assert f"Looks like {FIRST}" in out
    assert all(word in out for word in ("rank", "score", "why", "picture similarity", "<b>"))


def test_vectors_are_made_once_and_kept(call, monkeypatch):
    first = call("recommend", FIRST, *SHOP, "--vectors", "shop.vectors", "--json")
    assert first[0] == 0
    monkeypatch.setattr(
        "fashionnb.search.engine.VisualSearchEngine.embed_dataset", None
    )  # it would fail
    assert call("recommend", FIRST, *SHOP, "--vectors", "shop.vectors", "--json") == (
        0,
        first[1],
        "",
    )
    assert call("recommend", FIRST, "--data", "found", "--vectors", "shop.vectors", "--json") == (
        0,
        first[1],
        "",
    )


def test_a_page_shows_garments_reasons_and_what_was_asked_by(call, tmp_path):
    status, out, _ = call(
        "recommend", "dress.png", *SHOP, "--goes-with", "--html", "out.html", "--json"
    )
    assert status == 0
    answer, page = json.loads(out), (tmp_path / "out.html").read_text()
    assert answer
    assert page.count("data:image/jpeg;base64,") == len(answer) + 1
    assert "Goes with dress.png" in page
    assert "Green is " in page
    assert "<b>" not in page
    assert "&lt;b&gt;" in page
    assert "http" not in page


def test_a_garment_without_its_picture_is_on_the_page_nevertheless(call, tmp_path, caplog):
    call("recommend", FIRST, *SHOP, "--vectors", "shop.vectors", "--json")
    (tmp_path / "found" / "drawn-00005.png").write_bytes(b"broken")
    words = (
        "--data",
        "found",
        "--vectors",
        "shop.vectors",
        "--html",
        "out.html",
        "-k",
        "24",
        "--diversity",
        "0.1",
    )
    category = drawn_garments.catalogue(24, size=48).table["category"][5]
    status, out, _ = call("recommend", *words, "--category", f"{category} <b>", "--json")
    assert status == 0
    assert (tmp_path / "out.html").read_text().count("no picture") == 1
    assert "without its picture" in caplog.text
    assert "fashion_analysis_a/drawn-00005" in [row["id"] for row in json.loads(out)]


def test_nothing_found_is_no_mistake(call, caplog):
    table = drawn_garments.catalogue(24, size=48).table
    with_it = set(table["category"][table["colour"] == "Black"])
    without = next(category for category in table["category"] if category not in with_it)
    status, out, _ = call(
        "recommend", "--data", "found", "--colour", "black", "--category", f"{without} <b>"
    )
    assert (status, out) == (0, "Nothing was found.\n")
    assert "without category" in caplog.text


def test_a_folder_of_pictures_is_a_shop_and_an_id_comes_before_a_file(call, tmp_path):
    for category, height in (("tops", 40), ("skirts", 60)):
        (tmp_path / "photos" / category).mkdir(parents=True)
        for shade in (20, 120, 220):
            Image.new("RGB", (48, height), (shade, 90, 40)).save(
                tmp_path / "photos" / category / f"{shade}.png"
            )
    (tmp_path / "tops").mkdir()
    (tmp_path / "tops" / "20.png").write_bytes(b"not even a picture")
    words = ("--data", "photos", "--model", "model", "--category", "skirts", "--json")
    status, out, _ = call("recommend", "tops/20.png", *words)
    assert status == 0
    answer = json.loads(out)
    assert {row["category"] for row in answer} == {"skirts"}
    assert {row["known"] for row in answer} == {
        1
    }  # the item's category is known, that of a picture is not


@pytest.mark.parametrize(
    ("words", "phrase"),
    [
        (["--data", "found"], "Name an item or a picture, or say what is wanted"),
        (["--data", "found", "--goes-with", "--colour", "Red"], "Name an item or a picture"),
        ([FIRST, *SHOP, "--like", "--goes-with"], "ask one of them"),
        ([FIRST, "--data", "found"], "name a file of them (--vectors FILE), a model"),
        ([FIRST, "--data", "found", "--vectors", "none"], "none: there is no such file"),
        ([FIRST[:-1], *SHOP], "drawn-0000'. Did you mean fashion_analysis_a/drawn-000"),
        (["mine.jpg", *SHOP], "mine.jpg: there is no such picture, and no item of that id"),
        (["--data", "found", "--colour", "Bleu"], "no item has the colour 'Bleu'"),
        (["--data", "nowhere", "--colour", "Red"], "nowhere: there is no such file or folder"),
        (["--data", "fashion-product-images-small", "--colour", "Red"], "fashion-product-images-small"),
        ([FIRST, *SHOP, "-k", "0"], "top_k is a whole number"),
        (["--colour", "Red"], "Missing option '--data'"),
    ],
)  # fmt: skip
def test_mistakes_give_one_message_and_exit_2(call, words, phrase):
    status, out, err = call("recommend", *words)
    assert (status, out) == (2, "")
    assert phrase in err
    assert "Traceback" not in err


def test_a_picture_is_asked_by_with_the_model_that_made_the_vectors(call):
    assert call("recommend", FIRST, *SHOP, "--vectors", "shop.vectors", "--json")[0] == 0
    status, _, err = call("recommend", "dress.png", "--data", "found", "--vectors", "shop.vectors")
    assert status == 2
    assert "needs the model that made the vectors" in err
    torch.manual_seed(1)
    other = Style2Vec(dimensions=8, channels=3, stem=4, stages=[(8, 2), (8, 2)], mean=0.5, std=0.3)
    checkpoints.save(other, "other", {"training": {"size": 16}})
    status, _, err = call(
        "recommend", FIRST, "--data", "found", "--model", "other", "--vectors", "shop.vectors"
    )
    assert status == 2
    assert "were made by the model" in err
