"""`fashionnb index build`, `search` and `recommend`: tables, JSON, and pages that show what was found."""

import json
import os
import re
import subprocess
import sys

import pytest
import torch
from PIL import Image
from platforms import unix_only

from fashionnb import checkpoints, cli, datasets
from fashionnb.data import detector
from fashionnb.data.catalogue import Catalogue
from fashionnb.models.style2vec import Style2Vec
from fashionnb.search import recommend
from fashionnb.search.engine import VisualSearchEngine
from fashionnb.synthetic import drawn_garments

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
    "words",
    [
        [*BUILD, "photos", "--model", "model", "--out", ""],
        [*BUILD, "photos", "--model", "model", "--out", "/"],
        [*BUILD, "photos", "--model", "model", "--out", "photos"],
        [*BUILD, "photos", "--model", "model", "--out="],
        [*BUILD, "", "--model", "model", "--out", "x"],
        [*BUILD, " ", "--model", "model", "--out", "x"],
        ["search", "query.png", "--index", "photos.index", "--html", ""],
        ["search", "query.png", "--index", "photos.index", "--html", "photos"],
        ["recommend", "query.png", "--data", "photos", "--model", "model", "--html", "photos"],
        [
            "recommend",
            "query.png",
            "--data",
            "photos",
            "--model",
            "model",
            "--vectors",
            "query.png/x",
        ],
        ["recommend", "query.png", "--data", "", "--model", "model"],
        ["embed", "", "--model", "model", "--out", "x"],
        ["embed", "photos", "--model", "model", "--out", ""],
        ["export", "model", ""],
        ["export", "model", "photos"],
        ["analyse", "photos", "--out", ""],
        ["analyse", "", "--out", "found"],
        ["collect", "", "--out", "found"],
        ["evaluate", "search", "model", "--data", ""],
        ["demo", "--data", ""],
        ["run", "", "--profile", "quick"],
    ],
)
def test_an_empty_word_or_a_folder_for_a_file_is_refused_before_any_work(
    call, built, tmp_path, monkeypatch, words
):
    monkeypatch.setattr(
        VisualSearchEngine,
        "embed_dataset",
        lambda *_, **__: pytest.fail("it works before it looks"),
    )
    before = sorted(tmp_path.rglob("*"))
    status, out, err = call(*words)
    assert (status, out) == (2, "")
    assert re.search("is empty|is a folder|is no folder that you may write to", err)
    assert sorted(path for path in tmp_path.rglob("*") if "cache" not in path.parts) == [
        path for path in before if "cache" not in path.parts
    ]


@pytest.mark.parametrize(
    "words",
    [
        [*BUILD, "photos", "--model", "model", "--out", "x.index"],
        ["embed", "photos", "--model", "model", "--out", "x.safetensors"],
        [
            "recommend",
            "query.png",
            "--data",
            "photos",
            "--model",
            "model",
            "--vectors",
            "x.vectors",
        ],
    ],
)
def test_who_is_advised_to_skip_what_cannot_be_read_can_do_so(call, tmp_path, words):
    (tmp_path / "photos" / "tops" / "zero.png").write_bytes(b"")
    status, _, err = call(*words)
    assert status == 2
    assert "1 of 7 pictures cannot be read" in err
    assert "--skip-unreadable" in err
    for _ in range(2):  # once with what the first time left behind
        status, out, _ = call(*words, "--skip-unreadable")
        assert status == 0
    assert words[0] == "recommend" or "zero.png" in out


def test_a_cache_that_cannot_be_used_is_told_with_what_sets_it(call, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FASHIONNB_CACHE", str(tmp_path / "file"))
    status, _, err = call("recommend", "query.png", "--data", "photos", "--model", "model")
    assert status == 2
    assert "FASHIONNB_CACHE" in err


@pytest.mark.parametrize("name", ["photos.tar.gz", "photos.rar"])
def test_nobody_is_told_to_delete_a_file_of_their_own(call, tmp_path, name):
    (tmp_path / name).write_bytes(b"\x1f\x8b" + b"0" * 60)
    status, _, err = call(*BUILD, name, "--model", "model", "--out", "x")
    assert status == 2
    assert "elete it" not in err
    assert "Name a folder or a zip file" in err


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
def test_a_name_that_the_terminal_cannot_show_is_shown_in_escapes(call, built, tmp_path, encoding):
    (tmp_path / "photos" / "tops" / "衬衫 \U0001f457.png").write_bytes(
        (tmp_path / "query.png").read_bytes()
    )
    assert call(*BUILD, "photos", "--model", "model", "--out", "x.index")[0] == 0
    for more in ([], ["--json"]):
        done = subprocess.run(
            [sys.executable, "-m", "fashionnb", "search", "query.png", "--index", "x.index", *more],
            env={**os.environ, "PYTHONIOENCODING": encoding, "OMP_NUM_THREADS": "1"},
            capture_output=True, check=True,
        )  # fmt: skip
        assert done.stderr == b""
        if more:
            assert "衬衫 \U0001f457.png" in json.dumps(json.loads(done.stdout), ensure_ascii=False)
        else:
            name = (
                "衬衫 \U0001f457.png" if encoding == "utf-8" else "\\u886c\\u886b \\U0001f457.png"
            )
            assert name in done.stdout.decode(encoding)


@unix_only
@pytest.mark.parametrize("lines", [1, 0])
def test_a_reader_that_has_read_enough_is_no_mistake(call, lines):
    command = f"'{sys.executable}' -m fashionnb data list | head -n {lines}"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert done.stderr == ""


def test_long_names_are_never_cut(call, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    name = "linen-shirt-with-long-sleeves-and-a-very-long-name-that-no-terminal-has-room-for-" * 2
    (tmp_path / "query.png").rename(tmp_path / "photos" / "tops" / f"{name}.png")
    status, out, _ = call("recommend", f"tops/{name}.png", "--data", "photos", "--model", "model")
    assert status == 0
    assert "…" not in out
    assert "tops/[blue] & <b>.png" in out
    assert call(*BUILD, "photos", "--model", "model", "--out", "x.index")[0] == 0
    assert f"{name}.png" in call("search", f"photos/tops/{name}.png", "--index", "x.index")[1]


def table_of(tmp_path):
    """A shop's own table of the photos, in German, with one picture that is not there."""
    rows = ["Artikelnummer;Foto;Kategorie;Farbe", "9;tops/gone.png;tops;Rot"]
    for place, path in enumerate(sorted((tmp_path / "photos").rglob("*.png"))):
        rows.append(f"{place};{path.relative_to(tmp_path / 'photos')};{path.parent.name};Rot")
    (tmp_path / "photos" / "shop.csv").write_text("\n".join(rows))
    return "photos/shop.csv"


def test_a_shops_own_table_is_a_catalogue_of_every_command(call, tmp_path):
    table = table_of(tmp_path)
    for words in (
        [*BUILD, table, "--model", "model", "--out", "x.index"],
        ["embed", table, "--model", "model", "--out", "x.safetensors"],
        ["recommend", "2", "--data", table, "--model", "model"],
        ["evaluate", "search", "model", "--data", table, "--json"],
    ):
        status, out, err = call(*words)
        assert status == 0, err
        assert "understood: id = 'Artikelnummer', image = 'Foto', category = 'Kategorie'" in err
        assert "1 of 7 rows: 9 (tops/gone.png)" in err
        assert "understood" not in out
    assert "photos/tops/[red] & <b>.png" in call("search", "query.png", "--index", "x.index")[1]
    status, _, err = call(
        "recommend", "2", "--data", table, "--model", "model", "--columns", "image=Bild"
    )
    assert (status, "there is no column 'Bild'" in err) == (2, True)
    for wrong in ("image", "image=", "=Foto"):
        status, _, err = call(*BUILD, table, "--model", "model", "--out", "y", "--columns", wrong)
        assert (status, "takes pairs such as" in err) == (2, True)
    status, _, err = call(
        *BUILD, "photos", "--model", "model", "--out", "y", "--columns", "image=Foto"
    )
    assert (status, "columns are for a table" in err) == (2, True)


def test_a_search_is_measured_against_a_shops_own_judgements(call, tmp_path):
    table = table_of(tmp_path)
    (tmp_path / "clicks.csv").write_text("query,relevant,grade\n0,1,2\n0,3,1\n1,1,1\n2,99,1\n")
    words = ["evaluate", "search", "model", "--data", table, "--judgements", "clicks.csv"]
    status, out, _ = call(*words, "--json")
    assert status == 0
    found = json.loads(out)
    assert found["n"] == 1
    assert [*found["metrics"]] == [
        "recall@1", "recall@5", "recall@10", "mrr", "ndcg@1", "ndcg@5", "ndcg@10",
    ]  # fmt: skip
    assert "2 judged pairs, 2 are left out" in found["intervals"]
    assert found["metrics"]["recall@10"]["value"] == 1
    assert "judgements clicks.csv" in call(*words)[1]
    for text, phrase in (
        ("query,relevant\n", "table is empty"),
        ("a,b\n1,2\n", "no column query and no relevant"),
        ("query,relevant,grade\n0,1,good\n", "item 1: expected"),
        ("query,relevant,grade\n0,1,-1\n", "item 1: expected"),
        ("query,relevant,grade\n0,1,0\n", "every grade is 0"),
        ("query,relevant\n77,78\n", "none of the 1 pairs"),
    ):
        (tmp_path / "clicks.csv").write_text(text)
        status, _, err = call(*words)
        assert (status, phrase in err) == (2, True), err
    assert call(*words, "--gallery", "test")[0] == 2


def test_a_network_for_another_task_is_refused_with_what_it_is_for(call):
    status, _, err = call(*BUILD, "photos", "--model", "classifier", "--out", "x.index")
    assert status == 2
    assert "for the task 'classification', not for 'embedding'" in err
    assert "`fashionnb evaluate classifier` measures it" in err


@pytest.mark.parametrize(
    ("words", "phrase"),
    [
        ([*BUILD, "photos", "--out", "x"], "Missing option '--model'"),
        ([*BUILD, "photos", "--model", "model"], "Missing option '--out'"),
        ([*BUILD, "--model", "model", "--out", "x"], "Missing argument 'FOLDER|ZIP|TABLE|DATASET'"),
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
def test_mistakes_in_building_give_one_message_and_exit_2(call, words, phrase):
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


@pytest.fixture
def shop(capsys, monkeypatch, tmp_path):
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

    def shop(*words):
        status = cli.main(words)
        out, err = capsys.readouterr()
        return status, out, err

    return shop


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


def test_help_of_recommend(shop):
    status, out, err = shop("recommend", "--help")
    assert (status, err) == (0, "")
    assert "Usage: fashionnb recommend" in out
    assert "Examples: fashionnb recommend --data drawn" in out


def test_as_wanted_needs_no_model(shop):
    status, out, err = shop(
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


def test_three_questions_about_an_item(shop):
    catalogue = datasets.open_catalogue("found")
    recommender = recommend.open_recommender(catalogue, model="model")
    asked = {
        (): recommender.find_similar_items,
        ("--like",): recommender.find_similar_items,
        ("--overall",): recommender.ensemble_recommend,
        ("--goes-with",): recommender.get_color_coordinated_items,
    }
    for words, method in asked.items():
        status, out, _ = shop(
            "recommend", FIRST, *SHOP, *words, "-k", "4", "--diversity", "0.3", "--json"
        )
        assert status == 0
        answer, expected = json.loads(out), method(FIRST, top_k=4, diversity=0.3)
        assert [row["id"] for row in answer] == expected["id"].tolist()
        assert [row["agree"] for row in answer] == [list(names) for names in expected["agree"]]


def test_a_table_for_people(shop):
    status, out, _ = shop("recommend", FIRST, *SHOP, "-k", "3")
    assert status == 0
    assert f"Looks like {FIRST}" in out
    assert all(word in out for word in ("rank", "score", "why", "picture similarity", "<b>"))


def test_vectors_are_made_once_and_kept(shop, monkeypatch):
    first = shop("recommend", FIRST, *SHOP, "--vectors", "shop.vectors", "--json")
    assert first[0] == 0
    monkeypatch.setattr(
        "fashionnb.search.engine.VisualSearchEngine.embed_dataset", None
    )  # it would fail
    assert shop("recommend", FIRST, *SHOP, "--vectors", "shop.vectors", "--json") == (
        0,
        first[1],
        "",
    )
    assert shop("recommend", FIRST, "--data", "found", "--vectors", "shop.vectors", "--json") == (
        0,
        first[1],
        "",
    )


def test_a_page_shows_garments_reasons_and_what_was_asked_by(shop, tmp_path):
    status, out, _ = shop(
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


def test_a_garment_without_its_picture_is_on_the_page_nevertheless(shop, tmp_path, caplog):
    shop("recommend", FIRST, *SHOP, "--vectors", "shop.vectors", "--json")
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
    status, out, _ = shop("recommend", *words, "--category", f"{category} <b>", "--json")
    assert status == 0
    assert (tmp_path / "out.html").read_text().count("no picture") == 1
    assert "cannot be shown" in caplog.text
    assert "fashion_analysis_a/drawn-00005" in [row["id"] for row in json.loads(out)]


def test_nothing_found_is_no_mistake(shop, caplog):
    table = drawn_garments.catalogue(24, size=48).table
    with_it = set(table["category"][table["colour"] == "Black"])
    without = next(category for category in table["category"] if category not in with_it)
    status, out, _ = shop(
        "recommend", "--data", "found", "--colour", "black", "--category", f"{without} <b>"
    )
    assert (status, out) == (0, "Nothing was found.\n")
    assert "without category" in caplog.text


def test_a_folder_of_pictures_is_a_shop_and_an_id_comes_before_a_file(shop, tmp_path):
    for category, height in (("tops", 40), ("skirts", 60)):
        (tmp_path / "photos" / category).mkdir(parents=True)
        for shade in (20, 120, 220):
            Image.new("RGB", (48, height), (shade, 90, 40)).save(
                tmp_path / "photos" / category / f"{shade}.png"
            )
    (tmp_path / "tops").mkdir()
    (tmp_path / "tops" / "20.png").write_bytes(b"not even a picture")
    words = ("--data", "photos", "--model", "model", "--category", "skirts", "--json")
    status, out, _ = shop("recommend", "tops/20.png", *words)
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
        ([FIRST[:-1], *SHOP], "drawn-0000'; did you mean fashion_analysis_a/drawn-000"),
        (["mine.jpg", *SHOP], "mine.jpg: there is no such picture"),
        (["--data", "found", "--colour", "Bleu"], "no item has the colour 'Bleu'"),
        (["--data", "nowhere", "--colour", "Red"], "nowhere: there is no such file or folder"),
        (["--data", "fashion-product-images-small", "--colour", "Red"], "fashion-product-images-small"),
        ([FIRST, *SHOP, "-k", "0"], "top_k is a whole number"),
        (["--colour", "Red"], "Missing option '--data'"),
    ],
)  # fmt: skip
def test_mistakes_in_recommending_give_one_message_and_exit_2(shop, words, phrase):
    status, out, err = shop("recommend", *words)
    assert (status, out) == (2, "")
    assert phrase in err
    assert "Traceback" not in err


def test_a_picture_is_asked_by_with_the_model_that_made_the_vectors(shop):
    assert shop("recommend", FIRST, *SHOP, "--vectors", "shop.vectors", "--json")[0] == 0
    status, _, err = shop("recommend", "dress.png", "--data", "found", "--vectors", "shop.vectors")
    assert status == 2
    assert "needs the model that made the vectors" in err
    torch.manual_seed(1)
    other = Style2Vec(dimensions=8, channels=3, stem=4, stages=[(8, 2), (8, 2)], mean=0.5, std=0.3)
    checkpoints.save(other, "other", {"training": {"size": 16}})
    status, _, err = shop(
        "recommend", FIRST, "--data", "found", "--model", "other", "--vectors", "shop.vectors"
    )
    assert status == 2
    assert "were made by the model" in err


def test_vectors_of_pictures_that_changed_or_of_another_size_are_made_again(call, tmp_path, caplog):
    for name, colour in (("a", "Red"), ("b", "Blue"), ("c", "White")):
        (tmp_path / "shop").mkdir(exist_ok=True)
        picture = drawn_garments.draw("Shirt", colour, size=32)
        Image.fromarray(picture).save(tmp_path / "shop" / f"{name}.png")
    ask = ("recommend", "a.png", "--data", "shop", "--model", "model", "--json")
    call(*ask, "--vectors", "v")
    (tmp_path / "shop" / "b.png").rename(tmp_path / "shop" / "d.png")
    (tmp_path / "shop" / "c.png").rename(tmp_path / "shop" / "b.png")
    (tmp_path / "shop" / "d.png").rename(tmp_path / "shop" / "c.png")
    status, out, _ = call(*ask, "--vectors", "v")
    assert "v: 2 of 3 pictures have changed since" in caplog.text
    assert len(json.loads(out)) == 2
    assert (status, out) == call(*ask)[:2]
    caplog.clear()
    assert call(*ask, "--vectors", "v")[:2] == (0, out)
    assert caplog.text == ""
    larger = (*ask, "--size", "32")
    status, out, _ = call(*larger, "--vectors", "v")
    assert out == call(*larger)[1]
    assert "v: 3 of 3 pictures have changed since, or had another size" in caplog.text


def test_duplicates_are_listed(call, tmp_path):
    photos = tmp_path / "mine"
    photos.mkdir()
    for number, colour in enumerate(("Blue", "Red", "White", "Green")):
        picture = drawn_garments.draw("Shirt", colour, size=32)
        Image.fromarray(picture).save(photos / f"{number}.png")
    (photos / "copy.png").write_bytes((photos / "2.png").read_bytes())
    words = ("duplicates", "mine", "--model", "model", "--score", "0.99999")
    status, out, _ = call(*words, "--html", "found.html")
    assert status == 0
    assert "1 group(s) of duplicates, 2 of 5 pictures; 2 byte for byte" in out
    assert [line.split()[-1] for line in out.splitlines() if "the same file" in line] == [
        "2.png", "copy.png",
    ]  # fmt: skip
    assert (tmp_path / "found.html").read_text().count("<img ") == 2
    found = json.loads(call(*words, "--json")[1])
    assert [row["id"] for row in found] == ["2.png", "copy.png"]
    status, out, _ = call(*words, "--against", "photos")
    assert out.startswith("0 group(s) of duplicates")
    assert call("duplicates", "mine", "--model", "model", "--score", "7")[0] == 2


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_a_name_that_is_no_utf8_goes_through_every_command(call, tmp_path):
    shop = tmp_path / "sh\udce9p"
    shop.mkdir()
    for colour, name in (("Red", "ok.png"), ("Blue", "robe_d\udce9t\udce9.png")):
        picture = drawn_garments.draw("Shirt", colour, size=32)
        Image.fromarray(picture).save(shop / name)
    model = ("--model", "model")
    assert call("index", "build", str(shop), *model, "--out", "s.index")[0] == 0
    status, out, err = call("search", "query.png", "--index", "s.index", "--html", "found.html")
    assert (status, err) == (0, "")
    assert "sh\\xe9p/robe_d\\xe9t\\xe9.png" in out
    assert (tmp_path / "found.html").read_text().count("<img ") == 3
    assert call("embed", str(shop), *model, "--out", "s.safetensors")[0] == 0
    status, out, _ = call("recommend", "ok.png", "--data", str(shop), *model, "--vectors", "v")
    assert status == 0
    assert "robe_d\\xe9t\\xe9.png" in out
    assert call("recommend", "robe_d\\xe9t\\xe9.png", "--data", str(shop), *model)[0] == 0
