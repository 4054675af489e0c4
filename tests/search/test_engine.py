"""The search engine from end to end: real files in, the right picture out, and one clear error for each mistake."""

import io
import shutil
import struct
import zipfile
import zlib

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn

from fashionnb import checkpoints, models
from fashionnb.data.catalogue import Catalogue
from fashionnb.data.images import ArrayImages, FolderImages
from fashionnb.errors import (
    DataError,
    DataNotFound,
    FashionNBError,
    ModelMismatch,
    ProfileError,
    WriteError,
)
from fashionnb.export import to_onnx
from fashionnb.models.mobilenet import MobileNetClassifier
from fashionnb.models.style2vec import Style2Vec
from fashionnb.notebook import plots
from fashionnb.search.engine import VisualSearchEngine, _paths, _source
from fashionnb.search.index import Index
from fashionnb.synthetic import drawn_garments


def save_model(folder, channels=3, seed=0, **card):
    """A small network, untrained, which is enough to tell pictures apart."""
    torch.manual_seed(seed)
    model = Style2Vec(
        dimensions=8, channels=channels, stem=4, stages=[(8, 2), (16, 2)], mean=0.5, std=0.3
    )
    return checkpoints.save(model, folder, {"training": {"size": 32}, **card})


def encoded(image, kind="PNG", **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return save_model(tmp_path_factory.mktemp("models") / "small")


@pytest.fixture(scope="module")
def drawn():
    return drawn_garments.catalogue(24, size=40, categories=("Bag", "Dress", "Sneaker"))


@pytest.fixture(scope="module")
def kept_shop(tmp_path_factory, drawn):
    folder = tmp_path_factory.mktemp("shop")
    for item, category in zip(drawn.table["id"], drawn.table["category"], strict=True):
        (folder / category).mkdir(exist_ok=True)
        drawn.image(item).save(folder / category / f"{item}.png")
    return folder


@pytest.fixture
def shop(tmp_path, kept_shop):
    """24 drawn garments, each in the folder of its category; yours to change."""
    return shutil.copytree(kept_shop, tmp_path / "shop")


@pytest.fixture
def engine(checkpoint):
    return VisualSearchEngine(checkpoint, device="cpu")


@pytest.fixture
def ready(engine, shop):
    engine.index(shop, progress=False)
    return engine


@pytest.fixture
def shown(engine, monkeypatch):
    """How many pictures the model was shown, in each call."""
    counts = []
    engine.model.register_forward_pre_hook(lambda _, inputs: counts.append(len(inputs[0])))
    return counts


# One picture


def test_a_vector_is_what_the_model_makes_of_the_letterboxed_picture(engine, drawn):
    picture = drawn.image("drawn-00000").resize((20, 40))
    ground = Image.new("RGB", (32, 32), "white")
    ground.paste(picture.resize((16, 32), Image.Resampling.BICUBIC), (8, 0))
    pixels = torch.from_numpy(np.array(ground)).permute(2, 0, 1)[None].float() / 255
    vector = engine.embed_image(picture)
    assert (vector.shape, vector.dtype) == ((8,), np.float32)
    np.testing.assert_allclose(vector, engine.model(pixels)[0].detach().numpy(), atol=1e-6)
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-6)


ODD = {
    "CMYK": (
        Image.new("CMYK", (40, 40), (0, 255, 255, 0)),
        "JPEG",
        {"quality": 100},
        Image.new("RGB", (40, 40), "red"),
    ),
    "16 bits": (Image.new("I;16", (40, 40), 257 * 90), "PNG", {}, Image.new("L", (40, 40), 90)),
    "palette": (
        Image.new("RGB", (40, 40), (9, 99, 200)).quantize(),
        "GIF",
        {},
        Image.new("RGB", (40, 40), (9, 99, 200)),
    ),
    "transparent": (
        Image.new("RGBA", (40, 40), (9, 9, 9, 0)),
        "PNG",
        {},
        Image.new("RGB", (40, 40), "white"),
    ),
    "1 x 1": (
        Image.new("RGB", (1, 1), (7, 8, 9)),
        "PNG",
        {},
        Image.new("RGB", (32, 32), (7, 8, 9)),
    ),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_pictures_are_what_they_look_like(engine, name):
    odd, kind, options, plain = ODD[name]
    assert engine.embed_image(encoded(odd, kind, **options)) @ engine.embed_image(plain) > 0.9999


def test_an_animation_counts_by_its_first_frame_and_a_lying_photo_is_turned(engine, drawn):
    first, second = drawn.image("drawn-00000"), drawn.image("drawn-00001")
    moving = encoded(first, "GIF", save_all=True, append_images=[second])
    assert engine.embed_image(moving) @ engine.embed_image(encoded(first, "GIF")) > 0.9999
    exif = Image.Exif()
    exif[0x0112] = 6  # stored turned by 90 degrees against the clock
    lying = encoded(first.rotate(90, expand=True), exif=exif)
    assert engine.embed_image(lying) @ engine.embed_image(first) > 0.9999


def bomb():
    """A PNG of a few bytes that claims a hundred megapixels."""

    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", 10_000, 10_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b""))
        + chunk(b"IEND", b"")
    )


BROKEN = {
    "text": b"no picture",
    "empty": b"",
    "cut short": encoded(Image.effect_noise((90, 90), 50))[:3000],
    "bomb": bomb(),
}
SAYS = {
    "text": "not a picture",
    "empty": "is empty",
    "cut short": "cut short or damaged",
    "bomb": "decompression bomb",
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_picture(engine, name, tmp_path):
    (tmp_path / "query.png").write_bytes(BROKEN[name])
    with pytest.raises(DataError, match=rf"query.png.*{SAYS[name]}"):
        engine.embed_image(tmp_path / "query.png")


# The model, and the size of its pictures


def test_the_size_is_the_argument_or_the_cards_or_the_datasets(tmp_path, checkpoint):
    assert VisualSearchEngine(checkpoint).size == 32
    assert VisualSearchEngine(checkpoint, size=48).size == 48
    assert VisualSearchEngine("style2vec").size == 28
    tall = VisualSearchEngine(save_model(tmp_path / "tall", training={"size": [48, 32]}))
    assert tall.embed_image(np.zeros((9, 9), np.uint8)).shape == (8,)
    silent = save_model(tmp_path / "silent", training={})
    with pytest.raises(ModelMismatch, match=r"does not say how large the pictures were.*size=64"):
        VisualSearchEngine(silent)
    assert VisualSearchEngine(silent, size=64).size == 64


def test_the_published_model_finds_grey_garments():
    garments = drawn_garments.catalogue(40, size=28, channels=1, background="black")
    engine = VisualSearchEngine("style2vec", device="cpu")
    engine.index(garments, progress=False)
    for item in garments.table["id"][::8]:
        best = engine.search(garments.image(item), 1).iloc[0]
        assert best["id"] == item
        assert best["score"] == pytest.approx(1, abs=1e-5)


class Blind(nn.Module):
    """Takes no pictures."""

    arguments, task = {}, "outfit"


class Zero(nn.Module):
    """Gives every picture the vector 0."""

    arguments, channels, task = {}, 3, "embedding"

    def forward(self, images):
        return torch.zeros(len(images), 4)


@pytest.mark.parametrize(
    ("make", "error", "phrase"),
    [
        (lambda _: "style3vec", DataNotFound, "style3vec"),
        (lambda folder: folder, DataNotFound, "card.json is not there"),
        (
            lambda folder: checkpoints.save(Blind(), folder, {"task": "embedding", "size": 8}),
            ModelMismatch,
            "no model of pictures",
        ),
        (
            lambda folder: save_model(folder, training={"size": 8}),
            DataError,
            "at least 16 x 16 pixels",
        ),
        (lambda folder: save_model(folder, training={"size": "large"}), ModelMismatch, "size.int"),
    ],
)
def test_what_is_no_model_for_it(tmp_path, monkeypatch, make, error, phrase):
    monkeypatch.setitem(models.ARCHITECTURES, "blind", Blind)
    with pytest.raises(error, match=phrase):
        VisualSearchEngine(make(tmp_path))


def test_a_device_that_is_not_there(checkpoint):
    with pytest.raises(ProfileError, match="There is no device 'abacus'"):
        VisualSearchEngine(checkpoint, device="abacus")


def test_vectors_without_direction_are_refused(tmp_path, monkeypatch):
    monkeypatch.setitem(models.ARCHITECTURES, "zero", Zero)
    engine = VisualSearchEngine(
        checkpoints.save(Zero(), tmp_path, {"task": "embedding", "size": 8})
    )
    with pytest.raises(ModelMismatch, match="a vector of length 0, which has no direction"):
        engine.embed_image(np.zeros((8, 8), np.uint8))


# Many pictures


def test_folder_zip_and_catalogue_give_the_same_vectors_as_each_picture_alone(engine, shop, drawn):
    with zipfile.ZipFile(shop.with_suffix(".zip"), "w") as archive:
        for path in sorted(shop.rglob("*.png")):
            archive.write(path, path.relative_to(shop))
    folder = engine.embed_dataset(shop, progress=False, batch_size=5)
    assert folder.gallery.ids == sorted(
        path.relative_to(shop).as_posix() for path in shop.rglob("*.png")
    )
    assert folder.unreadable.empty
    assert list(folder.unreadable.columns) == ["id", "why"]
    for item, vector in zip(folder.gallery.ids, folder.vectors, strict=True):
        np.testing.assert_allclose(vector, engine.embed_image(shop / item), atol=1e-5)
    packed = engine.embed_dataset(str(shop.with_suffix(".zip")), progress=False)
    assert packed.gallery.ids == folder.gallery.ids
    np.testing.assert_allclose(packed.vectors, folder.vectors, atol=1e-5)
    catalogue = engine.embed_dataset(drawn, progress=False)
    assert catalogue.gallery.ids == drawn.table["id"].tolist()
    place = {
        f"{c}/{i}.png": row
        for row, (i, c) in enumerate(zip(drawn.table["id"], drawn.table["category"], strict=True))
    }
    np.testing.assert_allclose(
        catalogue.vectors[[place[item] for item in folder.gallery.ids]], folder.vectors, atol=1e-5
    )


def test_no_more_than_a_batch_is_shown_at_once(engine, shop, shown):
    engine.embed_dataset(shop, progress=False, batch_size=7)
    assert shown == [7, 7, 7, 3]


def test_a_folder_that_grew_costs_only_what_is_new(engine, shop, shown, tmp_path, caplog):
    first = engine.embed_dataset(shop, cache=tmp_path / "cache", progress=False)
    shown.clear()
    Image.new("RGB", (30, 30), (1, 200, 3)).save(shop / "new.png")
    second = engine.embed_dataset(shop, cache=tmp_path / "cache", progress=False)
    assert sorted(shown) == [
        1,
        4,
    ]  # four are looked at again, so that a change of the code is noticed
    np.testing.assert_array_equal(second.vectors[:-1], first.vectors)
    (file,) = (tmp_path / "cache").iterdir()
    file.write_bytes(b"broken")
    third = engine.embed_dataset(shop, cache=tmp_path / "cache", progress=False)
    np.testing.assert_allclose(third.vectors, second.vectors, atol=1e-5)
    assert f"{file} is broken" in caplog.text


def test_other_sizes_and_models_keep_their_vectors_apart(checkpoint, shop, tmp_path):
    other = save_model(tmp_path / "other", seed=1)
    made = [
        VisualSearchEngine(checkpoint),
        VisualSearchEngine(checkpoint, size=(48, 32)),
        VisualSearchEngine(other),
    ]
    for engine in made * 2:
        found = engine.embed_dataset(shop, cache=tmp_path / "cache", progress=False).vectors
        np.testing.assert_array_equal(found, engine.embed_dataset(shop, progress=False).vectors)
    assert len(list((tmp_path / "cache").iterdir())) == 3


def spoil(shop):
    for name, content in BROKEN.items():
        (shop / "Bag" / f"{name}.jpg").write_bytes(content)


def test_unreadable_pictures_stop_it_and_are_counted(engine, shop):
    spoil(shop)
    with pytest.raises(
        DataError,
        match=r"4 of 28 pictures cannot be read. The first: .*Bag/bomb.jpg.*run the same again",
    ):
        engine.embed_dataset(shop, progress=False)


def test_unreadable_pictures_are_left_out_if_asked_and_listed(engine, shop, caplog):
    whole = engine.embed_dataset(shop, progress=False)
    spoil(shop)
    found = engine.embed_dataset(shop, skip_unreadable=True, progress=False, batch_size=4)
    assert found.gallery.ids == whole.gallery.ids
    np.testing.assert_allclose(found.vectors, whole.vectors, atol=1e-5)
    assert found.unreadable["id"].tolist() == [f"Bag/{name}.jpg" for name in sorted(BROKEN)]
    assert all(
        SAYS[name] in why for name, why in zip(sorted(BROKEN), found.unreadable["why"], strict=True)
    )
    assert "4 of 28 pictures cannot be read and are left out" in caplog.text


def test_nothing_that_can_be_read(engine, tmp_path):
    (tmp_path / "a.png").write_bytes(b"x")
    with pytest.raises(DataError, match="1 of 1 pictures cannot be read"):
        engine.embed_dataset(tmp_path, skip_unreadable=True, progress=False)


def test_a_catalogue_whose_picture_is_missing(engine, shop):
    table = pd.DataFrame(
        {"id": ["a", "b"], "category": "Bag", "image": ["Bag/nowhere.png", "Bag/gone.png"]}
    )
    table.loc[1, "image"] = next(
        path.relative_to(shop).as_posix() for path in shop.glob("Bag/*.png")
    )
    catalogue = Catalogue("mine", table, FolderImages(shop), ("Bag",))
    with pytest.raises(
        DataError,
        match=r"1 of 2 pictures cannot be read.*Bag/nowhere.png: cannot be read \(No such file",
    ):
        engine.embed_dataset(catalogue, progress=False)
    engine.index(catalogue, skip_unreadable=True, progress=False)
    assert engine.search(shop / table.loc[1, "image"])["id"].tolist() == ["b"]


# Searching


def by_hand(engine, query, shop, category=None):
    """Every picture's cosine similarity to the query, the greatest first, one after the other."""
    asked, scores = engine.embed_image(query), []
    for path in shop.rglob("*.png"):
        if category in (None, path.parent.name):
            scores.append(
                (float(engine.embed_image(path) @ asked), path.relative_to(shop).as_posix())
            )
    return sorted(scores, reverse=True)


@pytest.mark.parametrize("category", [None, "Dress"])
def test_the_nearest_are_those_of_the_definition(ready, shop, category):
    query = Image.new("RGB", (50, 30), (200, 30, 90))
    results = ready.search(query, 6, category=category)
    expected = by_hand(ready, query, shop, category)[:6]
    assert list(results.columns) == ["rank", "id", "category", "score", "path"]
    assert results["rank"].tolist() == [1, 2, 3, 4, 5, 6]
    assert results["id"].tolist() == [item for _, item in expected]
    np.testing.assert_allclose(results["score"], [score for score, _ in expected], atol=1e-5)
    assert results["category"].tolist() == [item.split("/")[0] for _, item in expected]
    assert results["path"].tolist() == [str(shop / item) for _, item in expected]


def test_a_picture_of_the_gallery_finds_itself_first(ready, shop):
    for path in shop.rglob("*.png"):
        best = ready.search(path, 1).iloc[0]
        assert best["path"] == str(path)
        assert best["score"] == pytest.approx(1, abs=1e-5)
        assert best["score"] <= 1


@pytest.mark.parametrize(("category", "n"), [(None, 24), ("Bag", 8)])
def test_more_than_there_are_gives_all(ready, shop, category, n):
    results = ready.search(next(shop.rglob("*.png")), 1000, category=category)
    assert results["id"].nunique() == len(results) == n
    assert results["score"].is_monotonic_decreasing


def test_a_gallery_of_one(engine, tmp_path):
    Image.new("RGB", (9, 9), "red").save(tmp_path / "only.png")
    engine.index(tmp_path, progress=False)
    assert engine.search(Image.new("RGB", (9, 9), "blue"))["id"].tolist() == ["only.png"]
    assert engine.search(tmp_path / "only.png")["category"].tolist() == [""]
    with pytest.raises(DataError, match="No picture is in category 'Bag'; the categories: none"):
        engine.search(tmp_path / "only.png", category="Bag")


@pytest.mark.parametrize("k", [0, -1])
def test_k_below_1(ready, shop, k):
    with pytest.raises(DataError, match="k"):
        ready.search(next(shop.rglob("*.png")), k)


def test_mistakes_in_searching(engine, shop, tmp_path):
    for call in (engine.search, engine.save):
        with pytest.raises(DataError, match="nothing to search yet"):
            call(tmp_path / "any")
    engine.index(shop, progress=False)
    with pytest.raises(
        DataError, match="No picture is in category 'bag'; the categories: Bag, Dress, Sneaker"
    ):
        engine.search(next(shop.rglob("*.png")), category="bag")
    with pytest.raises(DataNotFound, match="there is no such picture"):
        engine.search(tmp_path / "nowhere.png")


# On disk


def test_what_was_saved_finds_the_same(ready, shop, tmp_path):
    query = next(shop.rglob("*.png"))
    ready.save(tmp_path / "deep" / "shop.index")
    again = VisualSearchEngine.load(tmp_path / "deep" / "shop.index")
    for category in (None, "Bag"):
        expected = ready.search(query, 7, category=category)
        pd.testing.assert_frame_equal(again.search(query, 7, category=category), expected)
    assert [picture.size for picture in again.pictures(again.search(query, 3))] == [(40, 40)] * 3


def test_a_catalogue_in_memory_can_be_searched_again_but_not_shown(engine, drawn, tmp_path):
    engine.index(drawn, progress=False)
    results = engine.search(drawn.image("drawn-00003"), 3)
    assert len(engine.pictures(results)) == 3
    engine.save(tmp_path / "drawn.index")
    again = VisualSearchEngine.load(tmp_path / "drawn.index")
    pd.testing.assert_frame_equal(again.search(drawn.image("drawn-00003"), 3), results)
    with pytest.raises(DataError, match="only in memory"):
        again.pictures(results)


def test_the_size_is_remembered(checkpoint, shop, tmp_path):
    engine = VisualSearchEngine(checkpoint, size=(48, 40))
    engine.index(shop, progress=False)
    engine.save(tmp_path / "shop.index")
    again = VisualSearchEngine.load(tmp_path / "shop.index")
    assert tuple(again.size) == (48, 40)
    assert again.search(next(shop.rglob("*.png")), 1)["score"].iloc[0] == pytest.approx(1, abs=1e-5)


def test_a_published_model_is_remembered_by_its_name(tmp_path):
    engine = VisualSearchEngine("style2vec")
    engine.index(
        drawn_garments.catalogue(3, size=28, channels=1, background="black"), progress=False
    )
    engine.save(tmp_path / "grey.index")
    assert VisualSearchEngine.load(tmp_path / "grey.index").checkpoint == "style2vec"


def test_a_model_that_moved_changed_or_is_gone(shop, tmp_path):
    engine = VisualSearchEngine(save_model(tmp_path / "model"))
    engine.index(shop, progress=False)
    engine.save(tmp_path / "shop.index")
    shutil.move(tmp_path / "model", tmp_path / "moved")
    with pytest.raises(DataNotFound, match="model"):
        VisualSearchEngine.load(tmp_path / "shop.index")
    assert len(
        VisualSearchEngine.load(tmp_path / "shop.index", tmp_path / "moved").search(
            next(shop.rglob("*.png"))
        )
    )
    save_model(tmp_path / "model", seed=1)
    with pytest.raises(
        ModelMismatch, match=r"shop.index was made by the model .* now holds .*--model"
    ):
        VisualSearchEngine.load(tmp_path / "shop.index")


def test_an_index_that_no_engine_wrote(engine, tmp_path):
    Index.build(np.eye(8, dtype=np.float32), list("abcdefgh"), model=engine.fingerprint).save(
        tmp_path / "plain.index"
    )
    with pytest.raises(
        DataError,
        match=r"plain.index: an index, but no search engine wrote it.*fashionnb index build",
    ):
        VisualSearchEngine.load(tmp_path / "plain.index")


def test_files_that_are_no_index(ready, tmp_path):
    with pytest.raises(DataNotFound):
        VisualSearchEngine.load(tmp_path / "nowhere.index")
    ready.save(tmp_path / "shop.index")
    whole = (tmp_path / "shop.index").read_bytes()
    for content in (b"", b"no index", whole[:100], whole[:-10], whole[: len(whole) // 2]):
        (tmp_path / "shop.index").write_bytes(content)
        with pytest.raises(FashionNBError, match=r"shop\.index"):
            VisualSearchEngine.load(tmp_path / "shop.index")


def test_an_index_that_cannot_be_written(ready, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(WriteError):
        ready.save(tmp_path / "file" / "shop.index")


# What a person sees


def titles(figure):
    return [ax.get_title() for ax in figure.axes if ax.images]


def test_the_figure_shows_query_and_results(ready, shop):
    query = next(shop.rglob("*.png"))
    results = ready.search(query, 3)
    figure = ready.display_results(results, query)
    assert titles(figure) == [
        "query",
        *(f"{r.rank} · {r.score:.2f}\n{r.category}" for r in results.itertuples()),
    ]
    assert len(titles(ready.display_results(results))) == 3
    plots.plt.close("all")


def test_a_picture_that_is_gone_is_said_to_be_missing(ready, shop, caplog):
    query = next(shop.rglob("*.png")).read_bytes()
    results = ready.search(query, 3)
    (shop / results["id"][0]).unlink()
    assert titles(ready.display_results(results))[0] == "1 · 1.00\nnot readable"
    assert "cannot be shown" in caplog.text
    assert "no picture" in ready.as_page(results, query)
    plots.plt.close("all")


def test_pictures_that_moved(ready, shop, tmp_path):
    query = next(shop.rglob("*.png")).read_bytes()
    ready.save(tmp_path / "shop.index")
    shutil.move(shop, tmp_path / "elsewhere")
    again = VisualSearchEngine.load(tmp_path / "shop.index")
    results = again.search(query, 2)
    with pytest.raises(DataNotFound, match="shop: there is no such file or folder"):
        again.as_page(results, query)


def test_the_page_names_each_result(ready, shop):
    query = next(shop.rglob("*.png"))
    results = ready.search(query, 4)
    text = ready.as_page(results, query)
    assert text.count("data:image/jpeg;base64,") == 5
    assert all(item in text for item in results["id"])
    assert "The 4 nearest of 24 pictures" in text


# Where the images are


def test_a_dataset_is_found_again_by_its_name_and_a_drawn_one_is_not_taken_for_it():
    table = pd.DataFrame({"id": ["0"], "category": ["Bag"], "image": [0]})
    images = ArrayImages(np.zeros((1, 28, 28), np.uint8))
    real = Catalogue("fashion-mnist", table, images, ("Bag",))
    drawn = Catalogue("fashion-mnist", table, images, ("Bag",), "fashion-mnist")
    assert [_source(real), _source(drawn)] == ["fashion-mnist", ""]
    assert [_paths(real, np.array([0])), _paths(drawn, np.array([0]))] == [
        ["fashion-mnist/0"],
        ["0"],
    ]


def test_a_relative_folder_is_found_from_elsewhere_too(
    ready, shop, tmp_path, monkeypatch, checkpoint
):
    monkeypatch.chdir(shop.parent)
    engine = VisualSearchEngine(checkpoint)
    engine.index(shop.name, progress=False)
    engine.save(tmp_path / "index")
    monkeypatch.chdir("/")
    again = VisualSearchEngine.load(tmp_path / "index")
    found = again.search(next(shop.rglob("*.png")), k=2)
    assert all(image is not None for image in again.pictures(found))
    assert found["path"].str.startswith(str(shop)).all()


def test_blank_pictures_are_named_each_time_and_a_pale_cut_out_is_none(engine, tmp_path, caplog):
    for name, place in (("shirt", (4, 4, 20, 28)), ("bag", (10, 20, 28, 30))):
        cut = Image.new("RGBA", (32, 32), (0, 0, 0, 0))
        cut.paste((255, 255, 255, 255), place)
        (tmp_path / "cut").mkdir(exist_ok=True)
        cut.save(tmp_path / "cut" / f"{name}.png")
    found = engine.embed_dataset(tmp_path / "cut", progress=False)
    assert found.blank == []
    assert np.abs(found.vectors[0] - found.vectors[1]).max() > 1e-3
    Image.new("RGB", (32, 40), (250, 250, 250)).save(tmp_path / "cut" / "nothing.jpg")
    for _ in range(2):
        caplog.clear()
        found = engine.embed_dataset(tmp_path / "cut", cache=tmp_path / "cache", progress=False)
        assert found.blank == ["nothing.jpg"]
        assert "1 of 3 pictures are blank (one colour), the first is nothing.jpg" in caplog.text


def test_an_exported_model_searches_too(tmp_path):
    model = checkpoints.load_model(save_model(tmp_path / "model"))
    file = to_onnx(model, tmp_path / "model.onnx", size=32).path
    garments = drawn_garments.catalogue(12)
    torch_engine, engine = VisualSearchEngine(tmp_path / "model"), VisualSearchEngine(file)
    wanted = torch_engine.embed_dataset(garments, progress=False).vectors
    found = engine.embed_dataset(garments, progress=False)
    np.testing.assert_allclose(found.vectors, wanted, atol=1e-4)
    assert engine.fingerprint != torch_engine.fingerprint
    engine.index(found)
    engine.save(tmp_path / "an.index")
    again = VisualSearchEngine.load(tmp_path / "an.index")
    picture = garments.image(garments.ids[3])
    assert again.search(picture, k=1)["id"].item() == garments.ids[3]
    with pytest.raises(ModelMismatch, match=r"takes pictures of 32 x 32 pixels and no others, got"):
        VisualSearchEngine(file, size=64)
    classifier = MobileNetClassifier(classes=3)
    to_onnx(classifier, tmp_path / "classifier.onnx", size=32)
    with pytest.raises(ModelMismatch, match="network for the task 'classification'"):
        VisualSearchEngine(tmp_path / "classifier.onnx")
    with pytest.raises(DataNotFound, match=r"none.onnx: there is no such file.*fashionnb export"):
        VisualSearchEngine(tmp_path / "none.onnx")
