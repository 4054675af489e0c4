"""The stylist: alike, completed, judged; on drawn garments with a model that sees colours only."""

import numpy as np
import pytest
from PIL import Image

from fashionnb.apps.demo import stylist as module
from fashionnb.apps.demo.outfit_rules import Rules
from fashionnb.apps.demo.stylist import LARGEST_OUTFIT, Stylist, Verdict, open_stylist
from fashionnb.data.catalogue import Catalogue
from fashionnb.errors import DataError, DataNotFound
from fashionnb.search.recommend import Recommender
from fashionnb.synthetic import drawn_garments


def seen(photo):
    """A photo, two pixels wide and high: what a very near-sighted model sees."""
    return (
        1
        - np.asarray(photo.convert("RGB").resize((2, 2), Image.Resampling.BOX), np.float32).ravel()
        / 256
    )


@pytest.fixture(scope="module")
def stylist():
    drawn = drawn_garments.catalogue(120, 48)
    vectors = np.stack([seen(drawn.image(item)) for item in drawn.table["id"]])
    return Stylist(Recommender(drawn, vectors, embed=seen, copies=-1))


def some(stylist, role, n=1, colour=None):
    table = stylist.catalogue.table
    return table.loc[
        (table["role"] == role) & (colour is None or table["colour"] == colour), "id"
    ].tolist()[:n]


def test_a_photo_of_a_garment_finds_it_and_stands_for_it(stylist):
    for item in stylist.catalogue.table["id"][:5]:
        photo = stylist.catalogue.image(item)
        found = stylist.similar(photo, 4)
        assert found["id"].iloc[0] == item == stylist.stand_in(photo)
        assert found["similarity"].iloc[0] == pytest.approx(1, abs=1e-4)
        assert item not in stylist.similar(item, 4)["id"].tolist()


def test_similar_garments_of_a_photo_that_is_not_in_the_catalogue_have_its_colour(stylist):
    photo = Image.fromarray(drawn_garments.draw("Coat", "Red", size=200, seed=9))
    colours = stylist.catalogue.table.set_index("id")["colour"]
    assert colours[stylist.stand_in(photo)] == "Red"


@pytest.mark.parametrize("role", ["top", "bottom", "shoes", "bag"])
def test_what_completes_is_of_the_role_and_fits_better_than_most(stylist, role):
    start = some(stylist, "layer")
    found = stylist.complete(start, role, 4)
    assert found["rank"].tolist() == [1, 2, 3, 4]
    assert set(found["id"]) <= set(some(stylist, role, 999))
    every = stylist.judge([[*start, item] for item in some(stylist, role, 999)])
    assert found["score"].min() >= np.median(every) > every.min()
    assert found["score"].iloc[0] == pytest.approx(every.max())
    assert found["reasons"].str.len().min() > 0


def test_of_a_large_catalogue_only_some_are_considered(stylist, monkeypatch):
    monkeypatch.setattr(module, "CONSIDERED", 3)
    small, start = Stylist(stylist.recommender), some(stylist, "layer")
    found = small.complete(start, "shoes", 4)["id"].tolist()
    assert len(found) == 3
    assert set(found) <= set(some(stylist, "shoes", 999))
    assert set(found) == set(Stylist(stylist.recommender).complete(start, "shoes", 4)["id"])
    assert len(small.complete(start, "bag", 4)) == 3


def test_a_photo_is_completed_through_its_stand_in(stylist):
    item = some(stylist, "layer")
    photo = stylist.catalogue.image(item[0])
    assert stylist.complete(photo, "shoes").equals(stylist.complete(item, "shoes"))


def test_what_is_missing(stylist):
    assert stylist.roles == ("top", "bottom", "dress", "layer", "shoes", "bag")
    assert stylist.missing([]) == stylist.roles
    assert stylist.missing(some(stylist, "top")) == ("bottom", "layer", "shoes", "bag")
    assert stylist.missing(some(stylist, "dress")) == ("layer", "shoes", "bag")
    assert (
        stylist.missing(
            [some(stylist, role)[0] for role in ("top", "bottom", "layer", "shoes", "bag")]
        )
        == ()
    )


def test_a_good_outfit_is_said_to_be_one(stylist):
    outfit = some(stylist, "layer")
    for role in ("top", "bottom", "shoes"):
        outfit.append(stylist.complete(outfit, role, 1)["id"].iloc[0])
    found = stylist.score(outfit)
    assert found.better_than > 0.9
    assert (found.breaks, found.swap) == (None, None)
    assert found.reasons
    assert found.score == pytest.approx(stylist.judge([outfit])[0])


def test_the_piece_that_breaks_an_outfit_is_named_and_a_better_one_found(stylist):
    outfit = some(stylist, "layer")
    for role in ("top", "bottom"):
        outfit.append(stylist.complete(outfit, role, 1)["id"].iloc[0])
    worst = min(some(stylist, "shoes", 999), key=lambda item: stylist.judge([[*outfit, item]])[0])
    found = stylist.score([*outfit[:1], worst, *outfit[1:]])
    assert found.breaks == worst
    assert found.reasons
    assert found.swap in some(stylist, "shoes", 999)
    better = stylist.score([*outfit, found.swap])
    assert better.score > found.score
    assert better.better_than > found.better_than


def test_of_two_the_second_breaks(stylist):
    one, other = some(stylist, "shoes", 2)
    found = stylist.score([one, other])
    assert found.breaks == other
    assert "two of one role (shoes)" in found.reasons


def test_any_judge_will_do(stylist):
    class Fewer:
        about = "fewer is better"

        def __call__(self, outfits):
            return -np.array([len(outfit) for outfit in outfits], float)

        def why(self, one, other):
            return [], [f"{other} is too much"]

    found = Stylist(stylist.recommender, Fewer()).score(some(stylist, "shoes", 3))
    assert isinstance(found, Verdict)
    assert (found.score, found.breaks, found.swap) == (-3, some(stylist, "shoes", 3)[0], None)


@pytest.mark.parametrize(
    ("outfit", "phrase"),
    [
        (["drawn-00000"], "has 2 to"),
        (["drawn-00000", "drawn-00000"], "different pieces"),
        ([f"drawn-{i:05d}" for i in range(LARGEST_OUTFIT + 1)], "has 2 to 8"),
        (["drawn-00000", "../../etc/passwd"], "no item"),
    ],
)
def test_what_is_no_outfit_is_refused(stylist, outfit, phrase):
    with pytest.raises(DataError, match=phrase):
        stylist.score(outfit)


def test_unknown_items_and_roles_are_refused(stylist):
    for ask in (lambda: stylist.similar("nobody"), lambda: stylist.missing(["nobody"])):
        with pytest.raises(DataError, match="no item 'nobody'"):
            ask()
    with pytest.raises(DataError, match="Nothing that is allowed has the role 'hat'"):
        stylist.complete(["drawn-00000"], "hat")


def test_captions_say_what_a_garment_is(stylist):
    row = stylist.catalogue.table.iloc[3]
    words = [row["colour"], row["pattern"] if row["pattern"] != "Solid" else "", row["category"]]
    assert stylist.caption(row["id"]) == " ".join(filter(None, words))


def test_a_catalogue_without_roles_has_similar_garments_only(stylist):
    plain = stylist.catalogue
    table = plain.table[["id", "image"]].assign(category="thing")
    found = Stylist(
        Recommender(
            Catalogue("things", table, plain.images, ("thing",)), stylist.recommender.vectors
        )
    )
    assert found.roles == ()
    assert len(found.similar("drawn-00001", 5)) == 5
    assert found.caption("drawn-00001") == "thing"


def test_open_stylist_draws_and_keeps_the_vectors(monkeypatch, tmp_path):
    monkeypatch.setenv("FASHIONNB_CACHE", str(tmp_path))
    monkeypatch.setattr(module, "DRAWN", 20)
    first, again = open_stylist(), open_stylist()
    assert len(first.catalogue) == 20
    assert np.array_equal(first.recommender.vectors, again.recommender.vectors)
    assert list((tmp_path / "vectors").iterdir())
    assert isinstance(first.judge, Rules)
    item = first.catalogue.table["id"].iloc[7]
    assert first.stand_in(first.catalogue.image(item)) == item


def test_a_catalogue_that_is_not_there_is_told(tmp_path):
    with pytest.raises(DataNotFound, match="no such file or folder"):
        open_stylist(str(tmp_path / "nothing"))
