"""`fashionnb analyse`: photos become a detector's files, whole or not at all."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from fashionnb import checkpoints, cli
from fashionnb.apps.analyse import analyse
from fashionnb.data import detector
from fashionnb.data.attribute_encoder import AttributeEncoder
from fashionnb.errors import DataError, DataNotFound, ModelMismatch
from fashionnb.models.fusion import AttributeHeads
from fashionnb.models.style2vec import Style2Vec
from fashionnb.synthetic import drawn_garments

TINY = {"dimensions": 8, "channels": 3, "stem": 4, "stages": [[8, 2]], "mean": 0.5, "std": 0.5}
TABLE = pd.DataFrame(
    {
        "category": ["Dress", "Shirt"],
        "season": ["Summer", "Winter"],
        "pattern": ["Solid", "Striped"],
    }
)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with photos, and one with a model that was never trained."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FASHIONNB_OFFLINE", "1")
    encoder = AttributeEncoder.fit(TABLE, ["category", "season", "pattern"])
    with torch.random.fork_rng():
        torch.manual_seed(0)
        checkpoints.save(AttributeHeads(encoder.sizes, TINY), "model", {"training": {"size": 32}})
    encoder.save("model/attributes.json")
    (tmp_path / "photos" / "below").mkdir(parents=True)
    for name, colour in (("red.png", (200, 20, 30)), ("below/blue.png", (20, 60, 200))):
        photo = np.full((200, 120, 3), 250, np.uint8)
        photo[60:150, 30:90] = colour
        Image.fromarray(photo).save(tmp_path / "photos" / name)
    (tmp_path / "photos" / "notes.txt").write_text("no photo")
    return tmp_path


def test_it_writes_what_the_detector_reads(here):
    files, skipped = analyse("photos", "found", model="model")
    assert skipped == {}
    assert sorted(file.relative_to("found").as_posix() for file in files) == [
        "below/fashion_analysis_blue.json", "fashion_analysis_red.json",
    ]  # fmt: skip
    found = detector.read("found")
    assert len(found) == 2
    red = found.table[found.table["source"] == "fashion_analysis_red.json"].iloc[0]
    assert red["colour"] == "Red"
    assert red["category"] in ("Dress", "Shirt")
    assert red["season"] in ("Summer", "Winter")
    assert red["pattern"] in ("Solid", "Striped")
    scores = found.table[
        ["category_score", "colour_score", "season_score", "pattern_score"]
    ].to_numpy()
    assert ((scores > 0) & (scores <= 1)).all()
    raw = json.loads((here / "found" / "fashion_analysis_red.json").read_text())
    assert raw["photo"] == "red.png"


def test_the_box_is_around_the_garment_and_the_crop_is_the_box(here):
    analyse("photos", "found", model="model")
    row = detector.read("found").table.set_index("source").loc["fashion_analysis_red.json"]
    box = row[list(detector.BOX)].to_numpy(float)
    assert np.abs(box - [30, 60, 90, 150]).max() <= 8
    assert (box[:2] <= [30, 60]).all()
    assert (box[2:] >= [90, 150]).all()
    crop = Image.open(here / "found" / row["crop_file"])
    assert crop.size == (box[2] - box[0], box[3] - box[1])


@pytest.mark.parametrize("size", [(40, 30), (900, 300)])
def test_photos_of_any_size(here, size):
    Image.fromarray(drawn_garments.draw("Dress", "Green", size=48)).resize(size).save(
        "photos/other.jpg"
    )
    analyse("photos", "found", model="model")
    row = detector.read("found").table.set_index("source").loc["fashion_analysis_other.json"]
    assert 0 <= row["x1"] < row["x2"] <= size[0]
    assert 0 <= row["y1"] < row["y2"] <= size[1]


def test_a_blank_photo_is_the_whole_photo(here):
    Image.new("L", (80, 100), 255).save("photos/blank.png")
    analyse("photos", "found", model="model")
    row = detector.read("found").table.set_index("source").loc["fashion_analysis_blank.json"]
    assert row[list(detector.BOX)].tolist() == [0, 0, 80, 100]
    assert row["colour"] in ("White", "Off White")


def test_a_blank_photo_is_named(here, caplog):
    Image.new("L", (80, 100), 255).save("photos/blank.png")
    analyse("photos", "found", model="model")
    assert "1 of 3 pictures are blank (one colour), the first is photos/blank.png" in caplog.text


def test_pale_cut_outs_are_told_apart(here):
    for name, place in (("a", (20, 20, 60, 100)), ("b", (20, 70, 100, 110))):
        cut = Image.new("RGBA", (120, 140), (0, 0, 0, 0))
        cut.paste((255, 255, 255, 255), place)
        cut.save(f"photos/{name}.png")
    analyse("photos", "found", model="model")
    rows = detector.read("found").table.set_index("source")
    boxes = [
        rows.loc[f"fashion_analysis_{name}.json", list(detector.BOX)].tolist() for name in "ab"
    ]
    assert np.abs(np.subtract(boxes[0], (20, 20, 60, 100))).max() <= 8
    assert np.abs(np.subtract(boxes[1], (20, 70, 100, 110))).max() <= 8
    assert rows.loc["fashion_analysis_a.json", "colour"] == "White"


def test_the_score_of_a_colour_knows_its_share(here):
    half = np.full((120, 100, 3), 250, np.uint8)
    half[20:60, 20:80], half[60:100, 20:80] = (200, 20, 30), (20, 60, 200)
    Image.fromarray(half).save("photos/half.png")
    analyse("photos", "found", model="model")
    rows = detector.read("found").table.set_index("source")
    assert rows.loc["fashion_analysis_half.json", "colour"] in ("Red", "Blue")
    assert rows.loc["fashion_analysis_half.json", "colour_score"] < 0.6
    assert rows.loc["fashion_analysis_red.json", "colour_score"] > 0.6


def test_photos_that_differ_in_their_ending_alone(here):
    Image.open("photos/red.png").save("photos/red.jpg")
    files, _ = analyse("photos", "found", model="model")
    assert len(set(files)) == 3
    assert len(detector.read("found")) == 3


@pytest.mark.parametrize(
    "names",
    [
        ["a.jpg", "a.png", "a-jpg.webp"],
        ["A.png", "a.jpg", "a.JPG", "A.webp"],
        ["a\tb.png", "a b.png", "a\nb.png", "a\\b.png", "a\x7f.png"],
        ["caf\u00e9.png", "cafe\u0301.png"],
        ["衬衫.png", "衬" * 80 + ".png", "a" * 240 + ".png", "a" * 239 + "b.png"],
        ["new\tones/x.png", "new ones/x.png", "dots./x.png", "dots/x.png"],
        [" .png", "-.png", "x .png", "con.png", 'q"<>|?*.png'],
        [b"not-utf-8-\xff.png".decode("utf-8", "surrogateescape"), "not-utf-8-.png"],
    ],
)
def test_names_of_photos_become_names_that_every_disk_and_the_reader_take(here, names):
    folder = here / "odd"
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        with (folder / name).open("wb") as file:
            Image.new("RGB", (20, 30), "red").save(file, "PNG")
    files, _ = analyse(folder, "found", model="model")
    assert len({str(file).casefold() for file in files}) == len(names)
    found = detector.read("found")
    assert len(found) == len(names)
    assert len(set(found.table["image"])) == len(names)
    for path in (here / "found").rglob("*"):
        assert path.name.isprintable()
        assert not set(path.name) & set('\\:"<>|?*')
        assert len(path.name.encode()) <= 200


def test_what_a_photo_that_is_gone_left_behind_is_removed_and_told(here, caplog):
    analyse("photos", "found", model="model")
    (here / "photos" / "red.png").unlink()
    analyse("photos", "found", model="model")
    assert detector.read("found").table["source"].tolist() == ["below/fashion_analysis_blue.json"]
    assert sorted(path.name for path in (here / "found").iterdir()) == ["below"]
    assert "Removed the files of 1 photo(s)" in caplog.text


def test_files_of_a_detector_and_of_other_photos_are_not_touched(here):
    analyse("photos", "found", model="model")
    before = {path: path.read_bytes() for path in (here / "found").rglob("*.*")}
    (here / "others").mkdir()
    Image.new("RGB", (30, 40), "red").save(here / "others" / "red.png")
    with pytest.raises(DataError, match=r"holds fashion_analysis_blue\.json of .*photos"):
        analyse("others", "found", model="model")
    (here / "own").mkdir()
    (here / "own" / "fashion_analysis_red.json").write_text('{"items": []}')
    with pytest.raises(DataError, match="of a detector"):
        analyse("photos", "own", model="model")
    assert {path: path.read_bytes() for path in (here / "found").rglob("*.*")} == before
    assert [path.name for path in (here / "own").iterdir()] == ["fashion_analysis_red.json"]


def test_twice_is_the_same(here):
    once, again = (
        {file: file.read_bytes() for file in analyse("photos", "found", model="model")[0]}
        for _ in range(2)
    )
    assert once == again


def test_an_unreadable_photo_is_one_error_and_nothing_is_written(here):
    (here / "photos" / "torn.jpg").write_bytes((here / "photos" / "red.png").read_bytes()[:200])
    with pytest.raises(DataError, match=r"torn\.jpg.*Nothing was written"):
        analyse("photos", "found", model="model")
    assert not (here / "found").exists()


def test_or_it_is_skipped_on_request_and_told(here, capsys):
    (here / "photos" / "torn.jpg").write_text("no picture")
    _, skipped = analyse("photos", "found", model="model", skip_unreadable=True)
    assert [*skipped] == ["torn.jpg"]
    assert len(detector.read("found")) == 2
    assert (
        cli.main(["analyse", "photos", "--out", "again", "--model", "model", "--skip-unreadable"])
        == 0
    )
    out = capsys.readouterr().out
    assert "2 photo(s) analysed" in out
    assert "skipped torn.jpg: " in out


def test_without_the_model_the_remedy_is_told(here, monkeypatch, capsys):
    def nowhere(name):
        raise DataNotFound(f"No model {name!r} came with fashionnb.")

    monkeypatch.setattr(checkpoints, "published", nowhere)
    assert cli.main(["analyse", "photos", "--out", "found"]) == 2
    err = capsys.readouterr().err
    assert "`fashionnb run 07` trains it" in err
    assert "Traceback" not in err
    assert not (here / "found").exists()


def test_what_does_not_fit_is_refused(here):
    with pytest.raises(DataNotFound, match="no such folder"):
        analyse("nowhere", "found", model="model")
    with pytest.raises(DataError, match="is within photos"):
        analyse("photos", "photos/found", model="model")
    (here / "empty").mkdir()
    with pytest.raises(DataError, match="no photo in it"):
        analyse("empty", "found", model="model")
    checkpoints.save(Style2Vec(**TINY), "other")
    (here / "other" / "attributes.json").write_bytes(
        (here / "model" / "attributes.json").read_bytes()
    )
    with pytest.raises(ModelMismatch, match="for the task 'embedding', not for 'attributes'"):
        analyse("photos", "found", model="other")
    AttributeEncoder.fit(TABLE, ["category"]).save("model/attributes.json")
    with pytest.raises(ModelMismatch, match="does not belong to the model"):
        analyse("photos", "found", model="model")
