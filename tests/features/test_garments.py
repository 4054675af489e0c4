"""Garments are cut out and looked at, whatever the wall behind them."""

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from fashionnb.data.catalogue import Catalogue
from fashionnb.data.images import FolderImages
from fashionnb.errors import DataError
from fashionnb.features import garments
from fashionnb.features.garments import CHUNK, garment_features
from fashionnb.features.store import PROBE
from fashionnb.models.multi_stage_encoder import MultiStageEncoder

RED, BLUE, GREEN = (200, 20, 20), (20, 20, 200), (20, 160, 20)
GREY, CREAM = (228, 228, 230), (245, 240, 225)


def shop(folder, looks) -> Catalogue:
    """One photo for each (garment's colour, wall's colour): a rectangle before a wall."""
    for i, (garment, wall) in enumerate(looks):
        photo = np.full((112, 80, 3), wall, np.uint8)
        photo[30:80, 20:60] = garment
        Image.fromarray(photo).save(folder / f"{i}.png")
    names = [f"{i}.png" for i in range(len(looks))]
    table = pd.DataFrame(
        {"id": [str(i) for i in range(len(looks))], "category": "Shirts", "image": names}
    )
    return Catalogue("shop", table, FolderImages(folder), ("Shirts",))


def test_walls_are_gone_and_garments_stay(tmp_path):
    found = garment_features(shop(tmp_path, [(RED, GREY), (RED, CREAM), (BLUE, GREY)]))
    assert len(found.catalogue) == 3
    assert found.mask[:, 32:78, 22:58].all()
    assert not found.mask[:, :20].any()
    assert (found.white[:, :20] == 255).all()
    assert (found.pixels[1, 0, 0] == CREAM).all()
    torch.testing.assert_close(found.colours[0], found.colours[1], atol=0.05, rtol=0)
    assert (found.colours[0] - found.colours[2]).abs().sum() > 2
    near = torch.cdist(found.seen, found.seen)
    assert near[0, 1] < 0.4 * near[0, 2], "the wall is seen"


def test_columns_speak_equally_loudly(tmp_path):
    seen = garment_features(shop(tmp_path, [(RED, GREY), (BLUE, GREY), (GREEN, CREAM)])).seen
    assert seen.shape == (3, MultiStageEncoder().width)
    torch.testing.assert_close(seen.mean(0), torch.zeros(seen.shape[1]), atol=1e-4, rtol=0)
    assert seen.std(0, correction=0).max() <= 1.001


def test_one_item_is_enough(tmp_path):
    assert torch.isfinite(garment_features(shop(tmp_path, [(RED, GREY)])).seen).all()


def test_chunks_do_not_show(tmp_path, monkeypatch):
    catalogue = shop(
        tmp_path, [(RED, GREY), (BLUE, GREY), (RED, CREAM), (BLUE, CREAM), ((90, 90, 10), GREY)]
    )
    whole = garment_features(catalogue)
    monkeypatch.setattr("fashionnb.features.garments.CHUNK", 2)
    assert len(whole.catalogue) < CHUNK
    parts = garment_features(catalogue)
    np.testing.assert_array_equal(whole.mask, parts.mask)
    torch.testing.assert_close(whole.seen, parts.seen, atol=1e-3, rtol=1e-3)


def test_what_was_found_is_kept(tmp_path, monkeypatch):
    looks = [(RED, GREY), (BLUE, CREAM), (GREEN, GREY), (RED, CREAM), (BLUE, GREY)]
    catalogue, cache = shop(tmp_path, looks), tmp_path / "cache"
    first = garment_features(catalogue, cache=cache)
    [file] = cache.iterdir()
    cut_out, photos = garments.foreground, []
    monkeypatch.setattr(garments, "foreground", lambda some: photos.extend(some) or cut_out(some))
    second = garment_features(catalogue, cache=cache)
    assert len(photos) == PROBE < len(catalogue)
    for name in ("pixels", "mask", "white", "seen", "colours"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
    monkeypatch.undo()
    other = shop(tmp_path, [(GREEN, CREAM), *looks[1:]])
    assert not torch.equal(garment_features(other, cache=cache).colours, first.colours)
    file.write_bytes(file.read_bytes()[:100])
    again = garment_features(shop(tmp_path, looks), cache=cache)
    np.testing.assert_array_equal(again.mask, first.mask)


def test_photos_are_opened_when_asked_for(tmp_path, monkeypatch):
    catalogue, cache = (
        shop(tmp_path, [(RED, GREY), (BLUE, CREAM), (GREEN, GREY)]),
        tmp_path / "cache",
    )
    first, opened = garment_features(catalogue, cache=cache), []
    white = first.white  # opens all
    monkeypatch.setattr(
        FolderImages, "image", lambda self, key: opened.append(key) or Image.open(tmp_path / key)
    )
    few = garment_features(catalogue, cache=cache).take([2, 0])
    assert len(opened) <= PROBE, "more than the probe"
    opened.clear()
    np.testing.assert_array_equal(few.white, white[[2, 0]])
    np.testing.assert_array_equal(few.mask, first.mask[[2, 0]])
    torch.testing.assert_close(few.seen, first.seen[[2, 0]])
    assert set(opened) == {"2.png", "0.png"}


def test_a_broken_photo_is_named(tmp_path):
    catalogue = shop(tmp_path, [(RED, GREY), (BLUE, GREY)])
    (tmp_path / "1.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"1\.png"):
        garment_features(catalogue)
