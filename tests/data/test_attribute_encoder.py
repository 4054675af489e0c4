"""fashionnb.data.attribute_encoder: numbers for words and for bands, and the JSON that keeps them."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fashionnb.data.attribute_encoder import AttributeEncoder, Bands, Vocabulary
from fashionnb.errors import DataError, DataNotFound
from fashionnb.synthetic import drawn_garments

words = st.lists(st.sampled_from(["", "Blue", "Red", "Navy Blue", "é", "NA", " Blue"]), max_size=12)


@pytest.fixture
def table():
    return pd.DataFrame(
        {
            "category": ["Bag", "Shirt", "Shirt", "Bag", "Hat"],
            "colour": ["red", "", "blue", "red", "blue"],
            "price": ["10", "20", "", "30", "40"],
        }
    )


@pytest.fixture
def encoder(table):
    return AttributeEncoder.fit(table, ["category", "colour"], bands={"price": 2})


@settings(deadline=None)
@given(words, words)
def test_a_word_has_its_place_among_the_known_ones_and_others_have_none(seen, asked):
    known = sorted(set(seen) - {""})
    if not known:
        with pytest.raises(DataError, match="colour: it has no value"):
            Vocabulary.fit(pd.Series(seen, name="colour"))
        return
    vocabulary = Vocabulary.fit(pd.Series(seen, name="colour"))
    numbers = vocabulary.encode(asked)
    assert numbers.dtype == np.int64
    assert numbers.tolist() == [known.index(word) + 1 if word in known else 0 for word in asked]
    assert vocabulary.decode(numbers) == [word if word in known else "" for word in asked]
    assert vocabulary.size == len(known) + 1


@settings(deadline=None)
@given(
    st.lists(st.integers(-5, 5), min_size=2, max_size=15),
    st.integers(2, 5),
    st.lists(st.integers(-7, 7), max_size=9),
)
def test_a_number_has_its_band_and_no_band_is_empty(seen, count, asked):
    column = pd.Series(seen, name="price")
    if len(set(seen)) == 1:
        with pytest.raises(DataError, match="two or more different numbers"):
            Bands.fit(column, count)
        return
    bands = Bands.fit(column, count)
    assert bands.encode(asked).tolist() == [
        1 + sum(edge <= number for edge in bands.edges) for number in asked
    ]
    assert set(bands.encode(seen)) == set(range(1, bands.size))
    assert 2 <= len(bands.names) <= count


def test_bands_hold_about_equally_many():
    prices = np.random.default_rng(0).lognormal(6, 1, 1000)
    bands = Bands.fit(pd.Series(prices, name="price"), 5)
    assert np.bincount(bands.encode(prices)).tolist() == [0, 200, 200, 200, 200, 200]


def test_what_is_no_number_is_in_no_band():
    bands = Bands(column="price", edges=(20, 50.5))
    assert bands.encode(["", "cheap", None, float("nan"), "19.9", 20, 60]).tolist() == [
        0,
        0,
        0,
        0,
        1,
        2,
        3,
    ]
    assert bands.decode([0, 1, 2, 3]) == ["", "below 20", "20 to 50.5", "50.5 or more"]


def test_a_table_becomes_numbers_and_comes_back(table, encoder):
    numbers = encoder.encode(table)
    assert numbers.tolist() == [[1, 2, 1], [3, 0, 1], [3, 1, 0], [1, 2, 2], [2, 1, 2]]
    assert encoder.columns == ("category", "colour", "price")
    assert encoder.sizes == (4, 3, 3)
    category, colour, price = (
        part.decode(column) for part, column in zip(encoder.parts, numbers.T, strict=True)
    )
    assert category == table["category"].tolist()
    assert colour == table["colour"].tolist()
    assert price == ["below 30", "below 30", "", "30 or more", "30 or more"]


def test_what_training_never_saw_is_unknown(encoder):
    strange = pd.DataFrame({"colour": ["green", None, "red"], "brand": ["x", "y", "z"]})
    assert encoder.encode(strange).tolist() == [[0, 0, 0], [0, 0, 0], [0, 2, 0]]
    assert encoder.encode(strange[:0]).shape == (0, 3)


def test_drawn_garments_lack_columns_that_others_have():
    drawn = drawn_garments.catalogue(20, size=16).table
    encoder = AttributeEncoder.fit(drawn, ["category", "season"])
    assert encoder.encode(drawn).min() >= 1
    with pytest.raises(
        DataError, match=r"lacks the column\(s\) gender, usage; it has id, category"
    ):
        AttributeEncoder.fit(drawn, ["category", "gender", "usage"])


def test_the_file_gives_the_same_encoder(encoder, table, tmp_path):
    encoder.save(tmp_path / "deep" / "attributes.json")
    back = AttributeEncoder.load(tmp_path / "deep" / "attributes.json")
    assert back == encoder
    np.testing.assert_array_equal(back.encode(table), encoder.encode(table))


@pytest.mark.parametrize(
    ("change", "phrase"),
    [
        (lambda d: d["parts"][1].update(values=["red", "red"]), r"parts\.1.*'red' stands twice"),
        (
            lambda d: d["parts"][0]["values"].append(""),
            r"parts\.0.*values\.3.*at least 1 character",
        ),
        (lambda d: d["parts"][0]["values"].append(7), r"parts\.0.*values\.3.*valid string"),
        (lambda d: d["parts"][2].update(edges=[3, 2]), r"parts\.2.*edges must ascend"),
        (lambda d: d["parts"][2].update(edges=[]), r"parts\.2.*edges.*at least 1 item"),
        (lambda d: d["parts"][0].pop("column"), r"parts\.0.*column.*required"),
        (lambda d: d["parts"][0].update(brand="x"), r"parts\.0.*brand.*not permitted"),
        (lambda d: d["parts"][0].update(kind="x"), r"parts\.0.*'words', 'bands'"),
        (
            lambda d: d["parts"].append(d["parts"][0]),
            "a column stands twice: category, colour, price, category",
        ),
        (lambda d: d.update(parts=[]), "parts.*at least 1 item"),
    ],
)
def test_a_file_that_was_changed_names_itself_and_the_field(encoder, tmp_path, change, phrase):
    data = json.loads(encoder.model_dump_json())
    change(data)
    path = tmp_path / "attributes.json"
    path.write_text(json.dumps(data))
    with pytest.raises(DataError, match=rf"attributes\.json: .*{phrase}"):
        AttributeEncoder.load(path)


@pytest.mark.parametrize("text", ["", "{", "\x80pickle", '["parts"]'])
def test_a_file_of_another_kind(tmp_path, text):
    path = tmp_path / "attributes.json"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(DataError, match=r"attributes\.json: the whole: "):
        AttributeEncoder.load(path)
    with pytest.raises(DataNotFound, match=r"other\.json: there is no such file"):
        AttributeEncoder.load(tmp_path / "other.json")


@pytest.mark.parametrize("number", [4, -1])
def test_numbers_that_stand_for_nothing(encoder, number):
    with pytest.raises(DataError, match=f"category: numbers go from 0 to 3, got {number}"):
        encoder.parts[0].decode([0, number])


@pytest.mark.parametrize("count", [0, 1])
def test_one_band_is_none(count):
    with pytest.raises(DataError, match="bands are 2 or more"):
        Bands.fit(pd.Series([1, 2, 3], name="price"), count)


def test_real_products(real_data):
    from fashionnb.datasets import load

    products = load("fashion-product-images-small", real_data, stand_in=False).table
    known = products[products["split"] == "train"]
    encoder = AttributeEncoder.fit(
        known, ["category", "colour", "season", "gender"], bands={"year": 3}
    )
    numbers = encoder.encode(products)
    assert (numbers == 0).mean(0).max() < 0.001
    assert encoder.sizes[2:4] == (5, 6)
