"""Recommender: the answers are those of the definition, with true reasons, in a stable order."""

import logging
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fashionnb.data import colour
from fashionnb.data.catalogue import Catalogue
from fashionnb.data.images import ArrayImages
from fashionnb.errors import DataError, DataNotFound, ModelMismatch
from fashionnb.features.vector_files import Vectors, load, save
from fashionnb.notebook import plots
from fashionnb.search.item_attributes import ATTRIBUTES
from fashionnb.search.recommend import COMPATIBLE, Recommender
from fashionnb.synthetic import drawn_garments

COLUMNS = ["rank", "id", *ATTRIBUTES, "score", "similarity", "agree", "known", "harmony", "reasons"]
VALUES = {
    "category": ["Shirt", "Trouser", "Bag"],
    "colour": ["Navy Blue", "White", "Red", "Green", "Multi", ""],
    "pattern": ["Striped", "Solid", ""],
    "season": ["Winter", "Fall", ""],
    "gender": ["Men", "Women", "Unisex", ""],
    "usage": ["Casual", "Formal", ""],
}


def thumbnails(pixels: np.ndarray) -> np.ndarray:
    """Vectors from pictures without any model: 8 × 8 pixels around their mean."""
    small = np.stack([np.asarray(Image.fromarray(picture).resize((8, 8))) for picture in pixels])
    flat = small.reshape(len(pixels), -1).astype(np.float32)
    flat -= 200
    return flat / np.linalg.norm(flat, axis=1, keepdims=True)


def embed(image: Image.Image) -> np.ndarray:
    return thumbnails(np.asarray(image.convert("RGB"))[None])[0]


def catalogue_of(rows: list[dict[str, str]]) -> Catalogue:
    """A catalogue of these rows; what a row does not say is not known."""
    table = pd.DataFrame(rows)
    table["image"] = range(len(rows))
    images = ArrayImages(np.full((len(rows), 4, 4, 3), 90, np.uint8))
    return Catalogue("a shop", table, images, tuple(dict.fromkeys(VALUES["category"])))


@pytest.fixture(scope="module")
def shop() -> Recommender:
    """Drawn garments with two further attributes, some values unknown."""
    catalogue = drawn_garments.catalogue(200, size=16, seed=1)
    rng = np.random.default_rng(0)
    for column in ("gender", "usage"):
        catalogue.table[column] = rng.choice(VALUES[column], 200)
    catalogue.table.loc[::9, "pattern"] = ""
    return Recommender(catalogue, thumbnails(catalogue.pixels()), embed=embed)


def one(shop: Recommender, **wanted: str) -> str:
    """The id of the first item with these attributes."""
    return shop.recommend_by_attributes(top_k=1, **wanted)["id"].iloc[0]


def test_similar_items_are_the_nearest_pictures_without_the_item_and_its_copies(shop):
    table, vectors = shop.catalogue.table, shop.vectors
    twice = pd.concat([table, table.iloc[:1].assign(id="copy")], ignore_index=True)
    catalogue = Catalogue("twice", twice, None, shop.catalogue.classes)
    found = Recommender(catalogue, np.concatenate([vectors, vectors[:1]])).find_similar_items(
        "drawn-00000", 8
    )
    cosine = [math.fsum(np.multiply(vectors[0], row, dtype=float)) for row in vectors]
    expected = sorted(range(1, len(table)), key=lambda row: -cosine[row])[:8]
    assert found["id"].tolist() == table["id"].iloc[expected].tolist()
    assert found["similarity"].tolist() == pytest.approx(
        [cosine[row] for row in expected], abs=1e-6
    )
    assert found["score"].tolist() == found["similarity"].tolist()
    assert found["rank"].tolist() == list(range(1, 9))


def test_how_near_a_copy_is_can_be_said(shop):
    nearest = shop.find_similar_items("drawn-00000", 2)
    strict = Recommender(
        shop.catalogue, shop.vectors, copies=1 - nearest["similarity"].iloc[0] + 1e-6
    )
    assert strict.find_similar_items("drawn-00000", 1)["id"].iloc[0] == nearest["id"].iloc[1]


def test_every_answer_has_the_same_columns_and_true_reasons(shop):
    item = one(shop, category="Trouser", gender="Men", usage="Casual")
    own = shop.catalogue.table.set_index("id").loc[item]
    answers = {
        "similar": shop.find_similar_items(item),
        "coordinated": shop.get_color_coordinated_items(item),
        "ensemble": shop.ensemble_recommend(item),
        "attributes": shop.recommend_by_attributes(colour="Grey"),
        "season": shop.get_seasonal_recommendations("Winter"),
    }
    for kind, table in answers.items():
        assert list(table) == COLUMNS, kind
        assert len(table)
        for row in table.itertuples():
            assert shop.catalogue.table.set_index("id").loc[
                row.id, list(ATTRIBUTES)
            ].tolist() == list(row[3:9])
            if kind in ("attributes", "season"):
                assert (row.agree, row.known, row.harmony) == ((), 0, "")
                assert math.isnan(row.similarity)
                assert "as asked: " in row.reasons
                continue
            both = [name for name in ATTRIBUTES if own[name] and getattr(row, name)]
            assert row.known == len(both)
            assert row.agree == tuple(name for name in both if own[name] == getattr(row, name))
            assert row.harmony == colour.harmony(own["colour"], row.colour).kind
            assert f"picture similarity {row.similarity:.2f}" in row.reasons
            assert f"({len(row.agree)} of {row.known} known attributes)" in row.reasons
            for name in row.agree:
                assert f"{name} {own[name]}" in row.reasons


def test_what_is_not_known_never_agrees():
    rows = [
        {"id": str(i), "category": "Shirt", "colour": "", "season": "Winter" if i else ""}
        for i in range(3)
    ]
    shop = Recommender(catalogue_of(rows), np.eye(3))
    found = shop.find_similar_items("0")
    assert found["agree"].tolist() == [("category",)] * 2
    assert found["known"].tolist() == [1, 1]
    signals = shop.signals("0")
    assert signals["season"].tolist() == signals["colour"].tolist() == [0, 0, 0]


def test_attributes_are_all_wanted_in_any_spelling_and_several_values_mean_any(shop):
    table = shop.catalogue.table
    found = shop.recommend_by_attributes(
        color="navy", season="FALL", category=["Shirt", "Bag"], top_k=200
    )
    mask = (
        (table["colour"] == "Navy Blue")
        & (table["season"] == "Autumn")
        & table["category"].isin(["Shirt", "Bag"])
    )
    assert found["id"].tolist() == table["id"][mask].tolist()
    assert len(found)
    assert (
        found["reasons"].iloc[0].startswith("as asked: colour Navy Blue, season Autumn, category ")
    )
    again = shop.get_seasonal_recommendations(
        "fall", 200, colour="Navy Blue", category=["Bag", "Shirt"]
    )
    assert again["id"].tolist() == found["id"].tolist()


def test_any_text_column_can_be_asked_for_and_every_way_takes_attributes(shop):
    item = one(shop, category="Shirt", colour="Blue")
    for ask in (shop.find_similar_items, shop.get_color_coordinated_items, shop.ensemble_recommend):
        found = ask(item, split="test", color=["White", "Grey"])
        assert len(found)
        assert set(found["colour"]) <= {"White", "Grey"}
        split = shop.catalogue.table.set_index("id").loc[found["id"], "split"]
        assert set(split) == {"test"}


def test_goes_with_is_another_kind_for_the_same_people_in_a_colour_that_goes(shop):
    item = one(shop, category="Shirt", gender="Women")
    own = shop.catalogue.table.set_index("id").loc[item]
    found = shop.get_color_coordinated_items(item, 200)
    expected = {}
    for row in shop.catalogue.table.itertuples():
        kind = colour.harmony(own["colour"], row.colour)
        if kind.kind not in COMPATIBLE or row.category == "Shirt" or row.gender == "Men":
            continue
        same = [
            getattr(row, name) == own[name] for name in ("season", "usage", "gender") if own[name]
        ]
        expected[row.id] = (2 * kind.score + sum(same) / len(same)) / 3
    assert dict(zip(found["id"], found["score"], strict=True)) == pytest.approx(expected)
    assert found["score"].is_monotonic_decreasing
    assert "Shirt" in set(shop.get_color_coordinated_items(item, 200, category="Shirt")["category"])
    assert "Men" in set(shop.get_color_coordinated_items(item, 200, gender="Men")["gender"])


def test_red_and_green_go_together_as_opposites_and_what_is_too_near_does_not(shop):
    red = shop.get_color_coordinated_items(one(shop, category="Shirt", colour="Red"), 200)
    assert set(red["harmony"][red["colour"] == "Green"]) == {"complementary"}
    navy = shop.get_color_coordinated_items(one(shop, colour="Navy Blue"), 200)
    assert set(navy["colour"]) >= {"White", "Navy Blue"}
    assert "Black" not in set(navy["colour"])
    reason = navy["reasons"][navy["colour"] == "White"].iloc[0]
    assert reason.startswith("White with Navy Blue is neutral: ")


def test_where_there_is_a_sub_category_goes_with_means_another_one():
    kinds = [("Shirt", "Top"), ("Bag", "Top"), ("Trouser", "Bottom"), ("Trouser", "")]
    rows = [
        {"id": str(i), "category": a, "sub_category": b, "colour": "White"}
        for i, (a, b) in enumerate(kinds)
    ]
    found = Recommender(catalogue_of(rows), np.eye(4)).get_color_coordinated_items("0")
    assert found["id"].tolist() == ["2", "3"]


@pytest.mark.parametrize("own", ["", "Multi", "Hausfarbe 7"])
def test_without_a_colour_of_its_own_nothing_goes_with_it(own, caplog):
    rows = [
        {"id": str(i), "category": VALUES["category"][i], "colour": name}
        for i, name in enumerate([own, "White"])
    ]
    found = Recommender(catalogue_of(rows), np.eye(2)).get_color_coordinated_items("0")
    assert len(found) == 0
    assert list(found) == ["rank", "id", "category", "colour", *COLUMNS[8:]]
    assert "no such item has a colour that goes with it" in caplog.text


def test_signals_lie_between_0_and_1_and_say_what_they_are(shop):
    item = one(shop, colour="Blue", pattern="Striped")
    own, signals = shop.catalogue.table.set_index("id").loc[item], shop.signals(item)
    assert list(signals) == ["image", *ATTRIBUTES]
    row = shop.catalogue.table.index[shop.catalogue.table["id"] == item][0]
    assert signals["image"] == pytest.approx((1 + shop.vectors @ shop.vectors[row]) / 2, abs=1e-6)
    assert (
        signals["pattern"].tolist()
        == (shop.catalogue.table["pattern"] == own["pattern"]).astype(float).tolist()
    )
    near = {
        name: signals["colour"][(shop.catalogue.table["colour"] == name).to_numpy()]
        for name in drawn_garments.COLOURS
    }
    assert near["Blue"] == pytest.approx(1)
    assert near["Navy Blue"] == pytest.approx(
        1 - 2 * colour.harmony("Blue", "Navy Blue").difference
    )
    assert near["Navy Blue"].max() > near["Yellow"].max()
    assert all(values.min() >= 0 and values.max() <= 1 for values in signals.values())


def test_an_ensemble_of_one_is_that_one(shop):
    item = "drawn-00003"
    alone = shop.ensemble_recommend(item, {"image": 2})
    assert alone["id"].tolist() == shop.find_similar_items(item)["id"].tolist()
    by_colour = shop.ensemble_recommend(item, {"colour": 1, "image": 0}, 200)
    assert by_colour["score"].is_monotonic_decreasing
    best = by_colour["score"] == by_colour["score"].max()
    assert set(by_colour["colour"][best]) == {shop.catalogue.table["colour"][3]}


def test_without_weights_the_picture_counts_as_much_as_all_attributes(shop):
    item, signals = "drawn-00003", shop.signals("drawn-00003")
    by_hand = (signals["image"] + np.mean([signals[name] for name in ATTRIBUTES], axis=0)) / 2
    found = shop.ensemble_recommend(item, top_k=200)
    rows = [int(name[-5:]) for name in found["id"]]
    assert found["score"].to_numpy() == pytest.approx(by_hand[rows], abs=1e-6)


def test_diversity_brings_other_garments(shop):
    item = "drawn-00005"
    plain, varied = (shop.find_similar_items(item, 6, diversity=d) for d in (0, 0.9))
    assert varied["id"].iloc[0] == plain["id"].iloc[0]

    def alike(table):
        rows = [int(name[-5:]) for name in table["id"]]
        return (shop.vectors[rows] @ shop.vectors[rows].T)[np.triu_indices(len(rows), 1)].mean()

    assert alike(varied) < alike(plain)
    assert varied["score"].mean() < plain["score"].mean()


def test_a_picture_is_asked_by_its_pixels_and_the_colour_that_is_seen(shop, tmp_path):
    drawn = drawn_garments.draw("Trouser", "Green", size=64, seed=5)
    Image.fromarray(drawn).save(tmp_path / "mine.png")
    tables = [shop.get_color_coordinated_items(picture, 200)
              for picture in (drawn, Image.fromarray(drawn), tmp_path / "mine.png")]  # fmt: skip
    opposed = tables[0]["harmony"] == "complementary"
    assert set(tables[0]["colour"][opposed]) == {"Red", "Pink", "Purple"}
    assert set(tables[0]["known"]) == {1}
    for other in tables[1:]:
        pd.testing.assert_frame_equal(other, tables[0])
    found = shop.find_similar_items(np.asarray(shop.catalogue.image("drawn-00007")), 3)
    pd.testing.assert_series_equal(found["id"], shop.find_similar_items("drawn-00007", 3)["id"])


def test_a_picture_where_no_colour_is_known_says_nothing_of_colours():
    found = Recommender(
        catalogue_of([{"id": "0", "category": "Bag"}]), np.ones((1, 192)), embed=embed
    )
    table = found.find_similar_items(np.zeros((20, 20, 3), np.uint8))
    assert table["known"].tolist() == [0]


def test_one_item_has_nobody_to_be_recommended_to(caplog):
    shop = Recommender(
        catalogue_of([{"id": "a", "category": "Bag", "colour": "Red"}]), np.ones((1, 3))
    )
    for ask in (shop.find_similar_items, shop.get_color_coordinated_items, shop.ensemble_recommend):
        caplog.clear()
        assert len(ask("a", diversity=0.5)) == 0
        assert "Nothing was found" in caplog.text
    assert shop.recommend_by_attributes(colour="Red")["id"].tolist() == ["a"]
    assert shop.clusters()["items"].tolist() == [("a",)]


def test_if_nothing_is_as_wanted_the_log_says_what_is_too_much(shop, caplog):
    garments = [("Red", "Winter"), ("Red", "Winter"), ("White", "Fall")]
    rows = [
        {"id": str(i), "category": "Bag", "colour": c, "season": s}
        for i, (c, s) in enumerate(garments)
    ]
    found = Recommender(catalogue_of(rows), np.eye(3)).recommend_by_attributes(
        color="red", season="fall"
    )
    assert len(found) == 0
    assert list(found) == ["rank", "id", "category", "colour", "season", *COLUMNS[8:]]
    assert "would be 1 without colour, 2 without season" in caplog.text
    assert [
        found[column].dtype.kind for column in ("rank", "score", "similarity", "known")
    ] == list("iffi")


def test_the_same_again_is_the_same(shop):
    again = Recommender(shop.catalogue, shop.vectors, seed=shop.seed)
    for name, arguments in [
        ("find_similar_items", ("drawn-00002", 9)),
        ("get_color_coordinated_items", ("drawn-00002", 9)),
        ("ensemble_recommend", ("drawn-00002",)),
        ("get_seasonal_recommendations", ("Winter",)),
        ("clusters", (3,)),
    ]:
        options = {} if name == "clusters" else {"diversity": 0.4}
        first, second = (getattr(each, name)(*arguments, **options) for each in (shop, again))
        pd.testing.assert_frame_equal(first, second)


@st.composite
def shops(draw, least: int = 2, most: int = 9):
    """Rows and vectors of a small shop with many equal items, and the row of one of them."""
    n = draw(st.integers(least, most))
    one = st.fixed_dictionaries({name: st.sampled_from(values) for name, values in VALUES.items()})
    rows = [draw(one) | {"id": f"item {i}"} for i in range(n)]
    vectors = draw(st.lists(st.tuples(*[st.integers(-1, 1)] * 3), min_size=n, max_size=n))
    new = draw(st.integers(1, n - 1))
    return rows, np.array(vectors) + np.array([0.1, 0.2, 0.4]), new


ASKED = {
    "similar": lambda shop, k: shop.find_similar_items("item 0", k),
    "attributes": lambda shop, k: shop.recommend_by_attributes(
        category=["Shirt", "Trouser", "Bag"], top_k=k
    ),
    "coordinated": lambda shop, k: shop.get_color_coordinated_items("item 0", k),
    "ensemble": lambda shop, k: shop.ensemble_recommend("item 0", None, k),
}


@pytest.mark.parametrize("asked", ASKED)
@settings(max_examples=25, deadline=None)
@given(shops(), st.integers(1, 9))
def test_one_item_more_takes_its_place_and_leaves_the_others_in_their_order(asked, drawn, k):
    rows, vectors, new = drawn
    logging.disable(logging.WARNING)
    values = {row["category"] for i, row in enumerate(rows) if i != new}
    if asked == "attributes" and len(values) < 3:
        return  # it would ask for what nobody has
    old = [i for i in range(len(rows)) if i != new]
    before = ASKED[asked](Recommender(catalogue_of([rows[i] for i in old]), vectors[old]), k)
    after = ASKED[asked](Recommender(catalogue_of(rows), vectors), k)
    logging.disable(logging.NOTSET)
    others = after[after["id"] != f"item {new}"]
    assert others["id"].tolist() == before["id"].tolist()[: len(others)]
    assert others["score"].tolist() == before["score"].tolist()[: len(others)]
    assert len(others) >= len(before) - 1


def test_with_diversity_an_item_that_is_not_chosen_changes_nothing(shop):
    keep = np.arange(200) != 150
    smaller = Recommender(shop.catalogue.take(keep), shop.vectors[keep])
    tried = 0
    for item in shop.catalogue.table["id"][:40]:
        with_it, without = (
            each.find_similar_items(item, 3, diversity=0.6)["id"].tolist()
            for each in (shop, smaller)
        )
        pool = shop.find_similar_items(item, 30)["id"].tolist()
        if "drawn-00150" not in pool:
            assert with_it == without
            tried += 1
    assert tried > 10


def test_clusters_of_the_shop_are_named_and_complete(shop):
    found = shop.clusters(4)
    assert list(found) == ["cluster", "name", "size", "stands_out", "items"]
    assert (
        sorted(item for items in found["items"] for item in items)
        == shop.catalogue.table["id"].tolist()
    )
    assert found["size"].is_monotonic_decreasing
    assert found["name"].is_unique
    assert any("category" in text for text in found["stands_out"])


def test_a_figure_shows_every_garment_with_its_caption(shop):
    table = shop.find_similar_items("drawn-00000", 7)
    figure = shop.show(table)
    shown = [ax for ax in figure.axes if ax.images]
    assert [ax.get_title() for ax in shown] == [
        f"{row.category}\n{row.colour}\n{row.score:.2f}" for row in table.itertuples()
    ]
    plots.plt.close(figure)
    with pytest.raises(DataError, match="There is nothing to show"):
        shop.show(table.iloc[:0])


def test_saved_and_loaded_it_recommends_the_same(shop, tmp_path):
    Recommender(shop.catalogue, shop.vectors, model="abc").save(tmp_path / "v.safetensors")
    loaded = Recommender.load(tmp_path / "v.safetensors", shop.catalogue, model="abc", seed=4)
    assert (loaded.model, loaded.seed) == ("abc", 4)
    pd.testing.assert_frame_equal(
        loaded.find_similar_items("drawn-00001"), shop.find_similar_items("drawn-00001")
    )
    part = shop.catalogue.take(np.arange(30)[::-1])
    smaller = Recommender.load(tmp_path / "v.safetensors", part)
    assert smaller.vectors.tolist() == loaded.vectors[:30][::-1].tolist()


def test_a_file_of_vectors_that_does_not_fit_is_refused(shop, tmp_path):
    path, vectors = tmp_path / "v.safetensors", np.eye(2, dtype=np.float32)
    save(path, Vectors(vectors, ["a", "b"], "a shop", "abc"))
    assert load(path).ids == ["a", "b"]
    with pytest.raises(
        DataError, match=r"200 of 200 items have no vector there, the first is 'drawn-00000'"
    ):
        Recommender.load(path, shop.catalogue)
    with pytest.raises(ModelMismatch, match="were made by the model abc, not by xyz"):
        load(path, model="xyz")
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(DataError, match="damaged"):
        load(path)
    save(path, Vectors(vectors, ["a"]))
    with pytest.raises(DataError, match=r"\(2, 2\) vectors for 1 ids"):
        load(path)
    with pytest.raises(DataNotFound, match="no such file"):
        load(tmp_path / "none")


def test_pictures_that_changed_are_noticed_by_their_content(shop, tmp_path):
    path = tmp_path / "v.safetensors"
    shop.save(path)
    pixels = shop.catalogue.pixels()
    same = replace(shop.catalogue, images=ArrayImages(pixels.copy()))
    assert len(Recommender.load(path, same).vectors) == 200
    pixels[7] = 255 - pixels[7]
    other = replace(shop.catalogue, images=ArrayImages(pixels))
    with pytest.raises(
        DataError, match=r"1 of 200 pictures have changed .* first is 'drawn-00007'.*--model"
    ):
        Recommender.load(path, other)
    assert len(Recommender.load(path, other.take([3, 4])).vectors) == 2


def test_another_safetensors_file_holds_no_vectors(tmp_path):
    from safetensors.numpy import save_file

    save_file({"weights": np.zeros(3)}, tmp_path / "model.safetensors")
    with pytest.raises(DataError, match="a safetensors file, but not of"):
        load(tmp_path / "model.safetensors")


@pytest.mark.parametrize(
    ("ask", "phrase"),
    [
        (
            lambda s: s.find_similar_items("drawn-0000"),
            "has no item 'drawn-0000'; did you mean drawn-0",
        ),
        (
            lambda s: s.find_similar_items("xyz"),
            "no item 'xyz'. There is: drawn-00000, drawn-00001",
        ),
        (lambda s: s.find_similar_items(7), "A picture is a path, the bytes of a file"),
        (lambda s: s.find_similar_items("drawn-00000", 0), "top_k is a whole number"),
        (lambda s: s.find_similar_items("drawn-00000", diversity=2), "diversity goes from 0"),
        (lambda s: s.recommend_by_attributes(), "Say what is wanted"),
        (
            lambda s: s.recommend_by_attributes(colour="Bleu"),
            "no item has the colour 'Bleu'; did you mean Blue",
        ),
        (
            lambda s: s.recommend_by_attributes(colour="Teal"),
            "no item has the colour 'Teal'. There is: ",
        ),
        (lambda s: s.recommend_by_attributes(season="Monsoon"), "There is: Winter, "),
        (lambda s: s.recommend_by_attributes(season=""), "no item has the season ''"),
        (
            lambda s: s.recommend_by_attributes(colours="Blue"),
            "no attribute 'colours'; did you mean colour",
        ),
        (lambda s: s.recommend_by_attributes(id="drawn-00000"), "no attribute 'id'"),
        (
            lambda s: s.ensemble_recommend("drawn-00000", {"price": 1}),
            "no signal 'price'; there is: image",
        ),
        (
            lambda s: s.ensemble_recommend("drawn-00000", {"image": 0}),
            "Weights are 0 or more, and not all 0",
        ),
        (
            lambda s: s.ensemble_recommend("drawn-00000", {"image": -1, "colour": 2}),
            "Weights are 0 or more",
        ),
        (lambda s: s.clusters(1000), "a whole number from 1 to 200"),
    ],
)
def test_mistakes(shop, ask, phrase):
    with pytest.raises(DataError) as raised:
        ask(shop)
    assert phrase in str(raised.value)


def test_a_catalogue_without_colours_has_nothing_to_coordinate():
    with pytest.raises(DataError, match="has no attribute 'colour'"):
        Recommender(
            catalogue_of([{"id": "a", "category": "Bag"}]), np.ones((1, 2))
        ).get_color_coordinated_items("a")


def test_an_id_is_found_in_either_way_to_write_its_letters():
    shop = Recommender(catalogue_of([{"id": i, "category": "Bag"} for i in "éo"]), np.eye(2))
    assert shop.find_similar_items("e\u0301")["id"].tolist() == ["o"]
    assert len(shop.recommend_by_attributes(category="BAG")) == 2


def test_a_picture_needs_a_model_that_fits(shop, tmp_path):
    with pytest.raises(DataError, match="needs the model that made the vectors"):
        Recommender(shop.catalogue, shop.vectors).find_similar_items(tmp_path / "a.png")
    with pytest.raises(DataNotFound, match="no such picture"):
        shop.find_similar_items(tmp_path / "a.png")
    other = Recommender(shop.catalogue, shop.vectors, embed=lambda image: np.ones(5))
    with pytest.raises(DataError, match="vector has 5 numbers"):
        other.find_similar_items(np.zeros((20, 20, 3), np.uint8))


@pytest.mark.parametrize(
    ("vectors", "phrase"),
    [
        (np.ones((3, 4)), "one vector for each of 2 items"),
        (np.ones(2), "(n, d)"),
        (np.array([[1.0, 0], [0, 0]]), "row 1 has length 0"),
        (np.array([[np.nan, 0], [0, 1]]), "row 0 holds NaN"),
    ],
)
def test_vectors_that_are_none(vectors, phrase):
    with pytest.raises(DataError) as raised:
        Recommender(catalogue_of([{"id": i, "category": "Bag"} for i in "ab"]), vectors)
    assert phrase in str(raised.value)


def test_the_real_catalogue_has_reasons_too(real_data):
    from fashionnb import datasets

    catalogue = datasets.load("fashion-product-images-small", real_data)
    vectors = np.random.default_rng(0).standard_normal((len(catalogue), 16))
    shop = Recommender(catalogue, vectors)
    item = one(shop, category="Shirts", colour="Navy Blue", gender="Men")
    found = shop.get_color_coordinated_items(item, 20, master_category=["Apparel", "Footwear"])
    assert len(found) == 20
    assert set(found["gender"]) <= {"Men", "Unisex", ""}
    assert set(found["harmony"]) <= set(COMPATIBLE)
    assert set(catalogue.table.set_index("id").loc[found["id"], "sub_category"]).isdisjoint(
        {"Topwear"}
    )
    unknown = set(catalogue.table["colour"]) - set(colour.COLOURS) - {""}
    assert unknown == set(), "the shop has colours without a reference"
