"""The chapters about outfits and scenes, run on small folders of exactly Polyvore's and Shop-the-Look's formats."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from fashionnb.data.splits import SHARES
from fashionnb.synthetic import composed_outfits, drawn_garments

SEMANTIC = {
    "top": "tops", "bottom": "bottoms", "dress": "all-body", "layer": "outerwear", "shoes": "shoes",
    "bag": "bags", "accessory": "accessories",
}  # fmt: skip
LEAVES = {
    "top": "Clothing|Shirts & Tops", "bottom": "Clothing|Pants", "dress": "Clothing|Dresses",
    "layer": "Clothing|Outerwear|Coats & Jackets", "shoes": "Shoes",
    "bag": "Handbags, Wallets & Cases|Handbags",
}  # fmt: skip


def polyvore(folder: Path, catalogue, n: int) -> None:
    """Both editions, with the semantic categories of the published files."""
    editions = {
        name: composed_outfits.compose(catalogue, n, name) for name in ("disjoint", "nondisjoint")
    }
    composed_outfits.write_polyvore(folder, editions, "any")
    metadata = json.loads((folder / "polyvore_item_metadata.json").read_text())
    for item in metadata.values():
        item["semantic_category"] = SEMANTIC[item["semantic_category"]]
    (folder / "polyvore_item_metadata.json").write_text(json.dumps(metadata))
    lines = [line.split(",") for line in (folder / "categories.csv").read_text().splitlines()]
    names = [f"{number},{fine},{SEMANTIC[role]}\n" for number, fine, role in lines]
    (folder / "categories.csv").write_text("".join(names))


def shop_the_look(folder: Path, catalogue, n: int) -> None:
    """No split and the leaves of the published files; pictures of several sizes, one box that leaves nothing."""
    composed_outfits.write_scenes(
        composed_outfits.compose(catalogue, n, "nondisjoint"), folder, size=96
    )
    categories = json.loads((folder / "fashion-cat.json").read_text())
    leaves = {item: LEAVES[path.split("|")[1]] for item, path in categories.items()}
    leaves = {item: f"Apparel & Accessories|{leaf}" for item, leaf in leaves.items()}
    (folder / "fashion-cat.json").write_text(json.dumps(leaves))
    pairs = [json.loads(line) for line in (folder / "fashion.json").read_text().splitlines()]
    pairs[0]["bbox"] = [0.0, 0.0, 1.0, 1.0]
    kept = ("product", "scene", "bbox")
    lines = [json.dumps({name: pair[name] for name in kept}) + "\n" for pair in pairs]
    (folder / "fashion.json").write_text("".join(lines))
    for number, scene in enumerate(sorted({pair["scene"] for pair in pairs})):
        path = folder / "images" / f"{scene}.jpg"
        if number % 2:
            Image.open(path).resize((90, 90)).convert("L").save(path)


@pytest.fixture(scope="module")
def desk(tmp_path_factory) -> Path:
    """A working folder with data in it, far from the book."""
    desk = tmp_path_factory.mktemp("desk")
    catalogue = drawn_garments.catalogue(300, size=64, splits=SHARES)
    polyvore(desk / "my polyvore", catalogue, 90)
    shop_the_look(desk / "scenes", catalogue, 60)
    return desk


def run(desk: Path, *words: str) -> subprocess.CompletedProcess:
    """`fashionnb run` as a reader without any other data types it."""
    own = {"FASHIONNB_OFFLINE": "1", "FASHIONNB_CACHE": str(desk / "cache")}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FASHIONNB_")}
    command = [sys.executable, "-m", "fashionnb", "run", *words, "--profile", "quick"]
    return subprocess.run(
        [*command, "--out", "out"],
        cwd=desk,
        env=kept | own,
        capture_output=True,
        text=True,
        check=False,
    )


def page(desk: Path, chapter: str) -> str:
    return (desk / "out" / "run" / "quick" / f"{chapter}.ipynb").read_text()


def test_outfits_of_ones_own(desk):
    given = ["-p", "outfits", "my polyvore", "-p", "split", "nondisjoint"]
    given += ["-p", "train_outfits", "40", "-p", "validation_outfits", "1000"]
    done = run(desk, "alike-to", "polanianet", "outfit", *given)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    for chapter in ("08-from-alike-to-compatible", "09-polanianet", "10-an-outfit-is-a-set"):
        recorded = json.loads((desk / "out" / "results" / "quick" / f"{chapter}.json").read_text())
        assert {row["data"] for row in recorded["results"]} == {"my polyvore"}
        text = page(desk, chapter)
        assert "This page ran on my polyvore" in text
        assert "1,000 outfits for validation were asked for; my polyvore has" in text
        assert "full run, whose results came with the book" not in text
    assert "No outfits are composed here" in page(desk, "09-polanianet")


def test_scenes_of_ones_own(desk):
    done = run(desk, "complete", "-p", "scenes", "scenes", "-p", "composed_scenes", "60")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    path = desk / "out" / "results" / "quick" / "11-complete-the-look.json"
    recorded = json.loads(path.read_text())
    data = {row["data"] for row in recorded["results"]}
    assert data == {"scenes", "lookbook of atelier"}
    text = page(desk, "11-complete-the-look")
    assert "1 of " in text
    assert "the product fills the whole scene" in text


@pytest.mark.parametrize(
    ("words", "phrase"),
    [
        (["08", "-p", "outfits", "nowhere"], "nowhere: there is no such file or folder, and no dataset of that name"),
        (["11", "-p", "scene", "x"], "11-complete-the-look has no parameter 'scene'. It has: profile"),
        (["look"], "'look' is a part of several chapters: 07-more-than-looks, 11-complete-the-look"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_one_sentence_before_anything_runs(desk, words, phrase):
    done = run(desk, *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(phrase)
    assert "Traceback" not in done.stderr
