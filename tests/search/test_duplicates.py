"""Near duplicates: the groups are those of the definition, found pair by pair in plain Python."""

import math
import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fashionnb.data.images import prepared
from fashionnb.datasets import open_catalogue
from fashionnb.errors import DataError
from fashionnb.features.embedding import Embedded
from fashionnb.search.duplicates import find_duplicates, near_duplicates, threshold_from

GRID = st.lists(st.tuples(st.integers(1, 4), st.integers(0, 4)), min_size=1, max_size=14)


def distance(a, b):
    return 1 - sum(x * y for x, y in zip(a, b, strict=True)) / (math.hypot(*a) * math.hypot(*b))


def directions(angles):
    """Vectors at these angles, in degrees; to the angle a belongs the distance 1 - cos a."""
    return np.stack([np.cos(np.radians(angles)), np.sin(np.radians(angles))], axis=1)


def groups_by_definition(points, threshold):
    """Grow each group item by item until nothing that is near enough is left outside."""
    left, groups = list(range(len(points))), []
    while left:
        group = [left.pop(0)]
        for item in group:
            near = [
                other for other in left if distance(points[item], points[other]) <= threshold + 1e-9
            ]
            group += near
            left = [other for other in left if other not in near]
        groups.append(sorted(group))
    groups = [group for group in groups if len(group) > 1]
    return sorted(groups, key=lambda group: (-len(group), group[0]))


@settings(max_examples=60, deadline=None)
@given(GRID, st.sampled_from([0, 0.02, 0.1, 1, 1.5]))
def test_groups_are_those_of_the_definition(points, threshold):
    table = near_duplicates(
        np.array(points, float), [f"i{n}" for n in range(len(points))], threshold
    )
    assert list(table.columns) == ["group", "id", "distance"]
    found = [[int(name[1:]) for name in group["id"]] for _, group in table.groupby("group")]
    assert found == groups_by_definition(points, threshold + 1e-9)
    for item, nearest in zip(table["id"], table["distance"], strict=True):
        mine = points[int(item[1:])]
        others = [distance(mine, other) for n, other in enumerate(points) if f"i{n}" != item]
        assert nearest == pytest.approx(min(others), abs=3e-7)


def test_what_differs_by_rounding_only_is_at_distance_0():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(50, 8))
    twice = np.concatenate([x, x * (1 + 1e-7 * rng.normal(size=x.shape))])
    table = near_duplicates(twice, range(100), 0)
    assert table["id"].tolist() == [row for i in range(50) for row in (i, i + 50)]
    assert set(table["distance"]) == {0}


def test_a_chain_is_one_group_and_equal_vectors_are_at_distance_0():
    line = directions([0, 10, 20, 90, 90])
    step = 1 - math.cos(math.radians(10))
    table = near_duplicates(line, list("abcde"), 1.01 * step)
    assert table["group"].tolist() == [0, 0, 0, 1, 1]
    assert table["id"].tolist() == list("abcde")
    assert table["distance"].tolist() == pytest.approx([step, step, step, 0, 0], abs=1e-7)
    assert near_duplicates(line, list("abcde"), 0)["id"].tolist() == ["d", "e"]


def test_the_largest_group_is_the_first():
    table = near_duplicates(directions([0, 0, 50, 90, 90, 90]), range(6), 1e-3)
    assert table["group"].tolist() == [0, 0, 0, 1, 1]
    assert table["id"].tolist() == [3, 4, 5, 0, 1]


@pytest.mark.parametrize("n", [1, 2])
def test_nothing_is_near(n):
    table = near_duplicates(np.eye(3)[:n], list("abc")[:n], 0.5)
    assert list(table.columns) == ["group", "id", "distance"]
    assert table.empty


@settings(max_examples=60, deadline=None)
@given(GRID.filter(lambda points: len(points) > 1), st.randoms(use_true_random=False))
def test_no_other_threshold_makes_fewer_mistakes(points, random):
    # Moved by odd amounts: where a copy is as far as another item, rounding would decide.
    copies = [(x + random.choice([0, 9 / 64, 2 + 3 / 64]), y) for x, y in points]
    found = threshold_from(np.array(points, float), np.array(copies, float))

    copied = [distance(a, b) for a, b in zip(points, copies, strict=True)]
    nearest = [
        min(distance(a, b) for j, b in enumerate(points) if i != j) for i, a in enumerate(points)
    ]

    def mistakes(threshold):
        return sum(d > threshold for d in copied), sum(d <= threshold for d in nearest)

    # Rounding may put a distance on either side of a threshold that is as good as equal to it.
    fewest = min(sum(mistakes(d + shift)) for d in [*copied, *nearest] for shift in (-1e-6, 1e-6))
    assert round((found.missed + found.mistaken) * len(points)) <= fewest
    shares = [count / len(points) for count in mistakes(found.distance + 1e-6)]
    assert shares == pytest.approx([found.missed, found.mistaken])


def test_the_threshold_lies_between_copies_and_others():
    found = threshold_from(directions([0, 60, 120]), directions([5, 66, 128]))
    copy, other = (1 - math.cos(math.radians(angle)) for angle in (8, 60))
    assert found.distance == pytest.approx((copy + other) / 2)
    assert (found.missed, found.mistaken) == (0, 0)


@pytest.mark.parametrize(
    ("call", "phrase"),
    [
        (
            lambda x: near_duplicates(x, ["a"], 0.1),
            "one id for each of 3 embeddings, at least one; got 1",
        ),
        (
            lambda x: near_duplicates(x, list("abc"), -0.1),
            "The threshold is a distance, 0 or more; got -0.1",
        ),
        (lambda x: near_duplicates(x, list("abc"), float("nan")), "The threshold is a distance"),
        (lambda x: near_duplicates(x * float("nan"), list("abc"), 0.1), "row 0 holds NaN"),
        (lambda x: near_duplicates(x[0], list("abc"), 0.1), "expected numbers"),
        (lambda x: near_duplicates(x[:0], [], 0.1), "each of 0 embeddings, at least one"),
        (lambda x: threshold_from(x, x[:2]), "got 3 items and 2 copies"),
        (lambda x: threshold_from(x[:2], x[:2, :2]), "of 3 and 2 dimensions"),
        (lambda x: threshold_from(x[:1], x[:1]), "two items or more"),
    ],
)
def test_bad_input(call, phrase):
    with pytest.raises(DataError, match=phrase):
        call(np.eye(3))


class Thumbnails:
    """An engine without a network: a picture's vector is its pixels around their mean."""

    def embed_image(self, picture):
        pixels = prepared(picture, 12, 3).astype(np.float32).ravel()
        return (pixels - pixels.mean()) / np.linalg.norm(pixels - pixels.mean())

    def embed_dataset(self, source, *, cache=None, skip_unreadable=False):
        gallery = open_catalogue(source)
        vectors = np.stack([self.embed_image(gallery.image(item)) for item in gallery.ids])
        return Embedded(vectors, gallery, None, len(vectors), [])


@pytest.fixture
def photos(tmp_path):
    """Ten different photos; two more are the same file, another is a smaller JPEG of the first."""
    for number in range(10):
        rng = np.random.default_rng(number)
        photo = Image.fromarray(rng.integers(0, 256, (6, 5, 3), np.uint8)).resize((50, 60))
        (tmp_path / "photos").mkdir(exist_ok=True)
        photo.save(tmp_path / "photos" / f"{number}.png")
    first = tmp_path / "photos" / "0.png"
    shutil.copy(tmp_path / "photos" / "5.png", tmp_path / "photos" / "copy.png")
    Image.open(first).resize((35, 42)).save(tmp_path / "photos" / "small.jpg", quality=50)
    return tmp_path / "photos"


def test_files_and_smaller_copies_are_found_without_a_threshold(photos):
    found = find_duplicates(Thumbnails(), photos)
    groups = found.table.groupby("group")["id"].apply(sorted).tolist()
    assert groups == [["0.png", "small.jpg"], ["5.png", "copy.png"]]
    assert found.table.set_index("id")["exact"].to_dict() == {
        "0.png": False, "small.jpg": False, "5.png": True, "copy.png": True,
    }  # fmt: skip
    assert found.table.set_index("id")["score"]["5.png"] == 1
    assert 0.9 < found.table.set_index("id")["score"]["0.png"] < 1
    assert "2 group(s) of duplicates, 4 of 12 pictures; 2 byte for byte" in found.as_text()
    page = found.as_page()
    assert page.count("<img ") == 4
    assert "the same file" in page


def test_only_those_between_two_sources(photos, tmp_path):
    (tmp_path / "new").mkdir()
    shutil.copy(photos / "3.png", tmp_path / "new" / "again.png")
    found = find_duplicates(Thumbnails(), tmp_path / "new", photos, least_score=0.99)
    assert found.table[["from", "id", "exact"]].to_numpy().tolist() == [
        ["new", "again.png", True],
        ["photos", "3.png", True],
    ]


def test_one_picture_has_no_duplicate_and_a_score_is_a_similarity(photos, tmp_path):
    (tmp_path / "one").mkdir()
    shutil.copy(photos / "3.png", tmp_path / "one")
    assert len(find_duplicates(Thumbnails(), tmp_path / "one").table) == 0
    with pytest.raises(DataError, match=r"-1 to 1; got 7"):
        find_duplicates(Thumbnails(), photos, least_score=7)
