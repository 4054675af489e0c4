"""The backend: alike, completed, judged; on drawn garments with a model that sees colours only."""

import numpy as np
import pytest
from PIL import Image

from fashionnb.apps.demo import backend as module
from fashionnb.apps.demo.backend import MAX_OUTFIT, DemoBackend, OutfitScore, open_backend
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
def backend():
    drawn = drawn_garments.catalogue(120, 48)
    vectors = np.stack([seen(drawn.image(item)) for item in drawn.table["id"]])
    return DemoBackend(Recommender(drawn, vectors, embed=seen, copies=-1))


def some(backend, role, n=1, colour=None):
    table = backend.catalogue.table
    return table.loc[
        (table["role"] == role) & (colour is None or table["colour"] == colour), "id"
    ].tolist()[:n]


def test_a_photo_of_a_garment_finds_it(backend):
    for item in backend.catalogue.table["id"][:5]:
        photo = backend.catalogue.image(item)
        found = backend.similar(photo, 4)
        assert found["id"].iloc[0] == item
        assert found["similarity"].iloc[0] == pytest.approx(1, abs=1e-4)
        assert item not in backend.similar(item, 4)["id"].tolist()


def test_similar_garments_of_a_photo_that_is_not_in_the_catalogue_have_its_colour(backend):
    photo = Image.fromarray(drawn_garments.draw("Coat", "Red", size=200, seed=9))
    colours = backend.catalogue.table.set_index("id")["colour"]
    assert colours[backend.similar(photo, 1)["id"].iloc[0]] == "Red"


@pytest.mark.parametrize("role", ["top", "bottom", "shoes", "bag"])
def test_what_completes_is_of_the_role_and_fits_share_below_most(backend, role):
    start = some(backend, "layer")
    found = backend.complete(start, role, 4)
    assert found["rank"].tolist() == [1, 2, 3, 4]
    assert set(found["id"]) <= set(some(backend, role, 999))
    every = backend.scorer([[*start, item] for item in some(backend, role, 999)])
    assert found["score"].min() >= np.median(every) > every.min()
    assert found["score"].iloc[0] == pytest.approx(every.max())
    assert found["reasons"].str.len().min() > 0


def test_of_a_large_catalogue_only_some_are_considered(backend, monkeypatch):
    monkeypatch.setattr(module, "MAX_CANDIDATES", 3)
    small, start = DemoBackend(backend.recommender), some(backend, "layer")
    found = small.complete(start, "shoes", 4)["id"].tolist()
    assert len(found) == 3
    assert set(found) <= set(some(backend, "shoes", 999))
    assert set(found) == set(DemoBackend(backend.recommender).complete(start, "shoes", 4)["id"])
    assert len(small.complete(start, "bag", 4)) == 3


def test_what_is_missing(backend):
    assert backend.roles == ("top", "bottom", "dress", "layer", "shoes", "bag")
    assert backend.missing([]) == backend.roles
    assert backend.missing(some(backend, "top")) == ("bottom", "layer", "shoes", "bag")
    assert backend.missing(some(backend, "dress")) == ("layer", "shoes", "bag")
    assert (
        backend.missing(
            [some(backend, role)[0] for role in ("top", "bottom", "layer", "shoes", "bag")]
        )
        == ()
    )


def test_a_good_outfit_is_said_to_be_one(backend):
    outfit = some(backend, "layer")
    for role in ("top", "bottom", "shoes"):
        outfit.append(backend.complete(outfit, role, 1)["id"].iloc[0])
    found = backend.score(outfit)
    assert found.share_below > 0.9
    assert isinstance(found, OutfitScore)
    assert (found.weakest, found.replacement) == (None, None)
    assert found.reasons
    assert found.score == pytest.approx(backend.scorer([outfit])[0])


def test_the_piece_that_breaks_an_outfit_is_named_and_a_better_one_found(backend):
    outfit = some(backend, "layer")
    for role in ("top", "bottom"):
        outfit.append(backend.complete(outfit, role, 1)["id"].iloc[0])
    worst = min(some(backend, "shoes", 999), key=lambda item: backend.scorer([[*outfit, item]])[0])
    found = backend.score([*outfit[:1], worst, *outfit[1:]])
    assert found.weakest == worst
    assert found.reasons
    assert found.replacement in some(backend, "shoes", 999)
    better = backend.score([*outfit, found.replacement])
    assert better.score > found.score
    assert better.share_below > found.share_below


def test_of_two_the_second_breaks(backend):
    one, other = some(backend, "shoes", 2)
    found = backend.score([one, other])
    assert found.weakest == other
    assert "two of one role (shoes)" in found.reasons


@pytest.mark.parametrize(
    ("outfit", "phrase"),
    [
        (["drawn-00000"], "has 2 to"),
        (["drawn-00000", "drawn-00000"], "different pieces"),
        ([f"drawn-{i:05d}" for i in range(MAX_OUTFIT + 1)], "has 2 to 8"),
        (["drawn-00000", "../../etc/passwd"], "no item"),
    ],
)
def test_what_is_no_outfit_is_refused(backend, outfit, phrase):
    with pytest.raises(DataError, match=phrase):
        backend.score(outfit)


def test_unknown_items_and_roles_are_refused(backend):
    for ask in (lambda: backend.similar("nobody"), lambda: backend.missing(["nobody"])):
        with pytest.raises(DataError, match="no item 'nobody'"):
            ask()
    with pytest.raises(DataError, match="No allowed item has the role 'hat'"):
        backend.complete(["drawn-00000"], "hat")


def test_captions_say_what_a_garment_is(backend):
    row = backend.catalogue.table.iloc[3]
    words = [row["colour"], row["pattern"] if row["pattern"] != "Solid" else "", row["category"]]
    assert backend.caption(row["id"]) == " ".join(filter(None, words))


def test_a_catalogue_without_roles_has_similar_garments_only(backend):
    plain = backend.catalogue
    table = plain.table[["id", "image"]].assign(category="thing")
    found = DemoBackend(
        Recommender(
            Catalogue("things", table, plain.images, ("thing",)), backend.recommender.vectors
        )
    )
    assert found.roles == ()
    assert found.without_role == {"thing": 120}
    assert len(found.similar("drawn-00001", 5)) == 5
    assert found.caption("drawn-00001") == "thing"
    with pytest.raises(DataError, match="garments of two roles or more"):
        found.score(["drawn-00001", "drawn-00002"])


def test_folders_of_ones_own_have_roles_by_any_usual_word(backend):
    plain = backend.catalogue
    names = ("shirts", "Hosen", "sneakers", "socks")
    table = plain.table[["id", "image"]].assign(category=[names[i % 4] for i in range(120)])
    found = DemoBackend(
        Recommender(Catalogue("mine", table, plain.images, names), backend.recommender.vectors)
    )
    assert found.roles == ("top", "bottom", "shoes")
    assert found.without_role == {"socks": 30}
    assert found.score(found.catalogue.ids[:2]).score <= 1


def test_open_backend_draws_and_keeps_the_vectors(monkeypatch, tmp_path):
    monkeypatch.setenv("FASHIONNB_CACHE", str(tmp_path))
    monkeypatch.setattr(module, "DRAWN_GARMENTS", 20)
    first, again = open_backend(), open_backend()
    assert len(first.catalogue) == 20
    assert np.array_equal(first.recommender.vectors, again.recommender.vectors)
    assert list((tmp_path / "vectors").iterdir())
    item = first.catalogue.table["id"].iloc[7]
    assert first.similar(first.catalogue.image(item), 1)["id"].iloc[0] == item


def test_a_catalogue_that_is_not_there_is_told(tmp_path):
    with pytest.raises(DataNotFound, match="no such file or folder"):
        open_backend(str(tmp_path / "nothing"))
