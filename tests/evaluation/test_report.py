"""Measuring saved models: on colours, where what comes out is known, and on what must be refused."""

import json
import shutil

import colours
import numpy as np
import pytest
import torch

from fashionnb import checkpoints, models
from fashionnb.errors import DataError, DataNotFound, ModelMismatch
from fashionnb.evaluation.classification import classification
from fashionnb.evaluation.report import (
    evaluate_classifier,
    evaluate_search,
    score_classifier,
    score_search,
)
from fashionnb.evaluation.retrieval import retrieval
from fashionnb.synthetic import drawn_garments

CLASSES = list(colours.COLOURS)


@pytest.fixture
def saved(tmp_path, monkeypatch):
    """A function that saves one of the two models of colour; its words change the card."""
    for name, one in colours.ARCHITECTURES.items():
        monkeypatch.setitem(models.ARCHITECTURES, name, one)

    def saved(name, **card):
        model = colours.ARCHITECTURES[name]()
        card = {"classes": CLASSES, "training": {"size": 8}, **card}
        return checkpoints.save(model, tmp_path / name, card)

    return saved


def test_a_classifier_that_is_right(saved, tmp_path):
    found = evaluate_classifier(saved("colour-classifier"), colours.shop(tmp_path / "shop"))
    assert found.metrics.index.tolist() == [
        "accuracy",
        "macro_precision",
        "macro_recall",
        "macro_f1",
    ]
    assert (found.metrics == 1).all(axis=None)
    assert found.confusion.to_numpy().tolist() == [[4, 0, 0], [0, 4, 0], [0, 0, 4]]
    assert found.about == {
        "model": str(tmp_path / "colour-classifier"),
        "data": "shop",
        "split": "test",
    }
    assert found.n == 12


def test_a_classifier_that_takes_one_in_four_for_the_next_class(saved, tmp_path):
    found = evaluate_classifier(
        saved("colour-classifier"), colours.shop(tmp_path / "shop", wrong=1), "train"
    )
    assert found.confusion.index.tolist() == found.confusion.columns.tolist() == CLASSES
    assert found.confusion.to_numpy().tolist() == [[3, 1, 0], [0, 3, 1], [1, 0, 3]]
    assert found.metrics["value"].tolist() == [0.75] * 4
    assert ((found.metrics["low"] < 0.75) & (found.metrics["high"] > 0.75)).all()
    assert (
        found.per_class[["precision", "recall", "f1", "support"]].to_numpy().tolist()
        == [[0.75, 0.75, 0.75, 4]] * 3
    )
    assert found.about["split"] == "train"


def test_the_order_of_the_classes_is_that_of_the_card(saved, tmp_path):
    """The model says blue, green, red; a card in another order makes it wrong about two of them."""
    folder = saved("colour-classifier", classes=["red", "green", "blue"])
    found = evaluate_classifier(folder, colours.shop(tmp_path / "shop"))
    assert found.per_class.index.tolist() == ["red", "green", "blue"]
    assert found.confusion.to_numpy().tolist() == [[0, 0, 4], [0, 4, 0], [4, 0, 0]]


def test_a_folder_without_splits_is_taken_whole(saved, tmp_path):
    shop = colours.shop(tmp_path / "shop", splits=("",))
    found = evaluate_classifier(saved("colour-classifier"), shop)
    assert (found.n, found.about["split"]) == (12, "all")
    found = evaluate_search(saved("colour-encoder"), shop)
    assert (found.about["gallery"], found.about["queries"]) == ("all", "all")
    assert found.metrics["value"].tolist() == [1] * 5  # each among the eleven others


def test_a_class_that_the_data_lack_is_left_out_of_the_averages(saved, tmp_path):
    shop = colours.shop(tmp_path / "shop")
    for file in (shop / "test" / "green").iterdir():
        file.unlink()
    found = evaluate_classifier(saved("colour-classifier"), shop)
    assert (found.metrics == 1).all(axis=None)
    assert found.per_class.loc["green", "support"] == 0
    assert np.isnan(found.per_class.loc["green", "recall"])
    assert found.as_dict()["per_class"]["green"]["low"] is None


def test_a_search_finds_the_same_colour(saved, tmp_path):
    found = evaluate_search(saved("colour-encoder"), colours.shop(tmp_path / "shop"))
    assert found.metrics.index.tolist() == ["recall@1", "recall@5", "recall@10", "mrr", "map@r"]
    assert (found.metrics == 1).all(axis=None)
    assert found.per_class["queries"].tolist() == [4, 4, 4]
    assert found.confusion is None
    assert found.about["gallery"] == "train"
    assert found.about["queries"] == "test"


def test_one_split_in_itself_leaves_each_query_out(saved, tmp_path):
    encoder, shop = saved("colour-encoder"), colours.shop(tmp_path / "shop", wrong=1, n=2)
    found = evaluate_search(encoder, shop, "test", "test")
    # Of each category, one garment is of the next colour: the nearest of each is a garment of another category.
    assert found.metrics.loc["recall@1", "value"] == 0


def test_a_catalogue_is_taken_as_it_is(saved):
    catalogue = drawn_garments.catalogue(40, size=16, categories=["Coat", "Bag"])
    found = evaluate_search(saved("colour-encoder"), catalogue)
    assert found.n == (catalogue.table["split"] == "test").sum()
    assert found.about["data"] == "atelier"


def test_scores_are_those_of_the_metrics():
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(60, 3)), rng.integers(0, 3, 60)
    found = score_classifier(torch.from_numpy(logits), torch.from_numpy(labels), CLASSES)
    expected = classification(labels, logits.argmax(1), CLASSES)
    assert found.metrics["value"].to_dict() == expected.overall
    np.testing.assert_array_equal(found.per_class["f1"], expected.per_class["f1"])
    assert found.per_class["recall"].between(found.per_class["low"], found.per_class["high"]).all()
    assert found.how == "bootstrap over 60 test items, 1,000 resamples"

    x = rng.normal(size=(60, 4))
    found = score_search(x[:20], labels[:20], x[20:], labels[20:], classes=CLASSES)
    expected = retrieval(x[:20], labels[:20], x[20:], labels[20:], metric="cosine")
    assert found.metrics["value"].to_dict() == pytest.approx(
        {name: expected.mean()[name] for name in found.metrics.index}
    )
    mine = labels[:20] == 1
    assert found.per_class.loc["green", "map@r"] == pytest.approx(
        expected.per_query["map@r"][mine].mean()
    )
    assert found.per_class["queries"].tolist() == np.bincount(labels[:20], minlength=3).tolist()


def test_queries_without_a_positive_are_counted():
    x = np.eye(4)
    found = score_search(x, np.array([0, 0, 1, 2]), classes=[*CLASSES, "white"])
    assert found.n == 2
    assert "2 without a positive are left out" in found.how
    assert found.per_class["queries"].tolist() == [2, 0, 0, 0]
    assert found.as_dict()["per_class"]["white"] == {"recall@1": None, "map@r": None, "queries": 0}


def test_text_and_json_say_the_same(saved, tmp_path):
    found = evaluate_classifier(
        saved("colour-classifier"), colours.shop(tmp_path / "shop", wrong=1)
    )
    text, plain = found.as_text(), json.loads(json.dumps(found.as_dict(), allow_nan=False))
    accuracy = plain["metrics"]["accuracy"]
    assert f"{accuracy['value']:.3f} [{accuracy['low']:.3f}, {accuracy['high']:.3f}]" in text
    assert plain["confusion"] == [[3, 1, 0], [0, 3, 1], [1, 0, 3]]
    assert plain["per_class"]["red"]["support"] == 4
    assert (plain["n"], plain["intervals"]) == (12, "bootstrap over 12 test items, 1,000 resamples")
    assert "data shop, split test" in text.splitlines()[0]
    rows = [line.split() for line in text.splitlines()]
    assert ["red", "1", "0", "3"] in rows
    assert [
        "red",
        "0.750",
        "0.750",
        f"{plain['per_class']['red']['low']:.3f}",
        "1.000",
        "0.750",
        "4",
    ] in rows


@pytest.mark.parametrize(
    ("name", "card", "call", "phrase"),
    [
        (
            "colour-encoder",
            {},
            evaluate_classifier,
            "for the task 'embedding', not for 'classification'.*evaluate search",
        ),
        (
            "colour-classifier",
            {"classes": []},
            evaluate_classifier,
            "3 numbers for an image, but its card lists 0 classes",
        ),
        (
            "colour-classifier",
            {"classes": ["red"]},
            evaluate_classifier,
            "3 numbers for an image, but its card lists 1 classes",
        ),
        (
            "colour-classifier",
            {},
            evaluate_search,
            "for the task 'classification', not for 'embedding'.*evaluate classifier",
        ),
        (
            "colour-encoder",
            {"training": {}},
            evaluate_search,
            r"does not say how large .*\(--size 64\)",
        ),
    ],
)
def test_models_of_the_wrong_kind(saved, tmp_path, name, card, call, phrase):
    with pytest.raises(ModelMismatch, match=phrase):
        call(saved(name, **card), colours.shop(tmp_path / "shop", n=1))


def test_a_size_stands_in_for_one_that_the_card_lacks(saved, tmp_path):
    found = evaluate_search(
        saved("colour-encoder", training={}), colours.shop(tmp_path / "shop"), size=8
    )
    assert (found.metrics == 1).all(axis=None)


def test_a_model_that_takes_no_pictures(saved, tmp_path, monkeypatch):
    monkeypatch.delattr(colours.ColourClassifier, "channels")
    with pytest.raises(ModelMismatch, match="colour-encoder is no model of pictures"):
        evaluate_search(saved("colour-encoder"), colours.shop(tmp_path / "shop", n=1))


def test_classes_that_do_not_agree_are_listed(saved, tmp_path):
    shop = colours.shop(tmp_path / "shop")
    for split in ("train", "test"):
        (shop / split / "red").rename(shop / split / "scarlet")
    with pytest.raises(
        DataError, match=r"shop has classes that .* does not know: 'scarlet'\..* data lack: 'red'\."
    ):
        evaluate_classifier(saved("colour-classifier"), shop)
    assert (
        evaluate_search(saved("colour-encoder"), shop).metrics.loc["recall@1", "value"] == 1
    )  # names do not matter


def test_pictures_without_a_class_are_refused(saved, tmp_path):
    shop = colours.shop(tmp_path / "shop")
    (shop / "test" / "red" / "0.png").rename(shop / "test" / "0.png")
    with pytest.raises(DataError, match="1 pictures have no class"):
        evaluate_search(saved("colour-encoder"), shop)
    with pytest.raises(DataError, match="does not know: ''"):
        evaluate_classifier(saved("colour-classifier"), shop)


def test_a_gallery_of_one_class_is_refused(saved, tmp_path):
    shop = colours.shop(tmp_path / "shop")
    for name in ("red", "green"):
        shutil.rmtree(shop / "train" / name)
    with pytest.raises(DataError, match="all 4 pictures of the gallery are of one class, 'blue'"):
        evaluate_search(saved("colour-encoder"), shop)
    with pytest.raises(DataError, match="of one class, 'blue'"):
        evaluate_search(saved("colour-encoder"), shop / "train")


def test_copies_of_training_pictures_are_counted_and_told(saved, tmp_path):
    shop = colours.shop(tmp_path / "shop")
    assert evaluate_classifier(saved("colour-classifier"), shop).notes == ()
    for name in ("0.png", "1.png"):
        shutil.copy(shop / "train" / "red" / name, shop / "test" / "red" / name)
    for found, where in (
        (evaluate_classifier(saved("colour-classifier"), shop), "train"),
        (evaluate_search(saved("colour-encoder"), shop), "the gallery"),
    ):
        (note,) = found.notes
        assert note.startswith(f"2 of 12 pictures are also in {where}, byte for byte")
        assert note in found.as_text()
        assert found.as_dict()["notes"] == [note]
    shutil.copytree(shop / "train" / "red", shop / "flat" / "red")
    shutil.copytree(shop / "train" / "blue", shop / "flat" / "blue")
    shutil.copy(shop / "flat" / "red" / "0.png", shop / "flat" / "red" / "again.png")
    (note,) = evaluate_search(saved("colour-encoder"), shop / "flat").notes
    assert note.startswith("2 of 9 pictures")


def test_query_and_gallery_are_searched_where_they_are(saved, tmp_path):
    shop = colours.shop(tmp_path / "shop", splits=("train", "query", "gallery"))
    about = evaluate_search(saved("colour-encoder"), shop).about
    assert (about["gallery"], about["queries"]) == ("gallery", "query")


def test_a_picture_without_a_class_counts_once(saved, tmp_path):
    shop = colours.shop(tmp_path / "shop", splits=("all",)) / "all"
    (shop / "red" / "0.png").rename(shop / "0.png")
    with pytest.raises(DataError, match="all: 1 pictures have no class"):
        evaluate_search(saved("colour-encoder"), shop)


@pytest.mark.parametrize(
    ("call", "kind", "phrase"),
    [
        (
            lambda model, shop: evaluate_classifier(model, shop, "exam"),
            DataError,
            "no split 'exam'; it has test, train",
        ),
        (
            lambda model, shop: evaluate_classifier(model, shop / "train", "test"),
            DataError,
            "no split 'test'",
        ),
        (
            lambda model, shop: evaluate_classifier(model, "shoop"),
            DataNotFound,
            "no such file or folder.* fashion-mnist",
        ),
        (
            lambda model, shop: evaluate_classifier("mine", shop),
            DataNotFound,
            "No model 'mine' came with fashionnb",
        ),
        (
            lambda model, shop: evaluate_classifier(shop, shop),
            DataNotFound,
            "Name a folder that holds model.safetensors and card.json",
        ),
    ],
)
def test_things_that_are_not_there(saved, tmp_path, call, kind, phrase):
    model, shop = saved("colour-classifier"), colours.shop(tmp_path / "shop", n=1)
    with pytest.raises(kind, match=phrase):
        call(model, shop)


def test_logits_that_are_no_numbers():
    with pytest.raises(DataError, match="NaN or infinity"):
        score_classifier(np.array([[np.nan, 1]]), np.array([0]), ["a", "b"])
