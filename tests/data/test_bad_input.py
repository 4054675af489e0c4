"""Every kind of bad input that the data layer knows, met as a user meets it: through `load` and the pictures.

One line of `KINDS` each. The readers' own tests have the variants; this file is the index, and it holds that nothing
stands in for a mistake: a damaged dataset is an error, never silently replaced by drawn garments.
"""

import gzip
import io
import struct
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from fashionnb import datasets
from fashionnb.data import products, registry
from fashionnb.errors import DataError, FashionNBError
from fashionnb.files import WriteError

LABELS = bytes(range(10))


def idx(content: bytes, magic: int = 2051, shape: tuple[int, ...] = (10, 28, 28)) -> bytes:
    return struct.pack(f">{1 + len(shape)}I", magic, *shape) + content


def fashion_mnist(root: Path, **files: bytes) -> None:
    """A small Fashion-MNIST in good order, but for the files given."""
    folder = root / "fashion-mnist"
    folder.mkdir()
    for part in ("train", "t10k"):
        (folder / f"{part}-images-idx3-ubyte").write_bytes(files.get("images", idx(bytes(7840))))
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(
            files.get("labels", idx(LABELS, 2049, (10,)))
        )
    datasets.load("fashion-mnist")


def jpeg(size: tuple[int, int] = (60, 80)) -> bytes:
    buffer = io.BytesIO()
    Image.linear_gradient("L").resize(size).convert("RGB").save(buffer, "JPEG")
    return buffer.getvalue()


def huge_png() -> bytes:
    """A few kilobytes that unpack to 20,000 x 20,000 pixels."""
    buffer = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(buffer, "PNG")
    return buffer.getvalue()


def clothing(
    root: Path, photo: bytes = b"", name: str = "train/dress/bad.jpg", spoil: bytes = b""
) -> None:
    """A small clothing-dataset-small whose second photo is the one given; `spoil` is damaged after zipping."""
    path = root / "clothing-dataset-small.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("train/dress/good.jpg", jpeg())
        archive.writestr(name, photo or jpeg((50, 50)))
    if spoil:
        path.write_bytes(path.read_bytes().replace(spoil, bytes(len(spoil))))
    datasets.load("clothing-dataset-small").pixels(size=32)


def products_without(root: Path, column: str) -> None:
    folder = root / "fashion-product-images-small"
    (folder / "images").mkdir(parents=True)
    (folder / "images" / "1.jpg").write_bytes(jpeg())
    header = [name for name in products.COLUMNS if name != column]
    (folder / "styles.csv").write_text(
        ",".join(header) + "\n" + ",".join("1" for _ in header) + "\n"
    )
    datasets.load("fashion-product-images-small")


def from_the_network(server, monkeypatch, content: bytes, name: str = "fashion-mnist") -> None:
    """Fetch from a server that gives this content for every file."""
    source = registry.get(name)
    urls = {file: (server.url("bad", content),) for file in source.urls}
    monkeypatch.setitem(registry.SOURCES, name, replace(source, urls=urls))
    monkeypatch.delenv("FASHIONNB_DATA")
    datasets.load(name, stand_in=False)


def unwritable_cache(root: Path, monkeypatch) -> None:
    (root / "file").write_text("a file where the cache should be")
    monkeypatch.setenv("FASHIONNB_CACHE", str(root / "file" / "cache"))
    monkeypatch.delenv("FASHIONNB_DATA")
    datasets.load("fashion-mnist", stand_in=False)


# What is wrong: how a user comes to it, the error, and words of the message that one would search for.
KINDS: dict[str, tuple[Callable, type[FashionNBError], str]] = {
    "truncated IDX": (
        lambda root, *_: fashion_mnist(root, images=idx(bytes(7000))),
        DataError,
        "images-idx3-ubyte: .* looks cut short",
    ),
    "truncated gzip": (
        lambda root, *_: fashion_mnist(root, images=gzip.compress(idx(bytes(7840)))[:-12]),
        DataError,
        "gzip data is damaged or cut short",
    ),
    "wrong magic number": (
        lambda root, *_: fashion_mnist(root, images=idx(bytes(7840), magic=2052)),
        DataError,
        r"magic number 2052.*expected 2051",
    ),
    "fewer labels than images": (
        lambda root, *_: fashion_mnist(root, labels=idx(LABELS[:9], 2049, (9,))),
        DataError,
        r"found images of shape \(10, 28, 28\) and labels of shape \(9,\)",
    ),
    "zip with a corrupt member": (
        lambda root, *_: clothing(root, spoil=jpeg((50, 50))[200:400]),
        DataError,
        r"clothing-dataset-small\.zip, member train/dress/bad\.jpg: corrupt",
    ),
    "zip that is cut short": (
        lambda root, *_: (
            (root / "clothing-dataset-small.zip").write_bytes(b"PK\3\4 and so on")
            and datasets.load("clothing-dataset-small")
        ),
        DataError,
        "not a zip file",
    ),
    "path traversal in a zip": (
        lambda root, *_: clothing(root, name="../../etc/dress/bad.jpg"),
        DataError,
        "path traversal",
    ),
    "CSV without a column": (
        lambda root, *_: products_without(root, "baseColour"),
        DataError,
        r"styles\.csv: the table lacks the column\(s\) baseColour",
    ),
    "JPEG that is none": (
        lambda root, *_: clothing(root, photo=b"<html>not found</html>"),
        DataError,
        r"train/dress/bad\.jpg: not a picture",
    ),
    "JPEG that is cut short": (
        lambda root, *_: clothing(root, photo=jpeg()[:-200]),
        DataError,
        r"train/dress/bad\.jpg: the picture cannot be decoded",
    ),
    "decompression bomb": (
        lambda root, *_: clothing(root, photo=huge_png()),
        DataError,
        r"train/dress/bad\.jpg: .*decompression bomb",
    ),
    "unwritable cache": (
        lambda root, monkeypatch, _: unwritable_cache(root, monkeypatch),
        WriteError,
        "cannot be put into the cache.*FASHIONNB_CACHE",
    ),
    "checksum mismatch": (
        lambda root, monkeypatch, server: from_the_network(
            server, monkeypatch, gzip.compress(b"other bytes")
        ),
        DataError,
        r"its sha256 is [0-9a-f]{64}, expected",
    ),
    "a log-in page instead of the file": (
        lambda root, monkeypatch, server: from_the_network(
            server, monkeypatch, b"<!DOCTYPE html>", "clothing-dataset-small"
        ),
        DataError,
        r"not a zip file, or is cut short \(it begins b'<!DOCTYPE html>'\)",
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_bad_input_has_its_one_clear_error(kind, cache, server, tmp_path, monkeypatch):
    monkeypatch.setenv("FASHIONNB_DATA", str(tmp_path))
    meet, error, phrase = KINDS[kind]
    with pytest.raises(error, match=f"(?s){phrase}") as caught:
        meet(tmp_path, monkeypatch, server)
    assert type(caught.value) is error


def test_the_same_small_datasets_are_read_when_nothing_is_wrong(cache, tmp_path, monkeypatch):
    monkeypatch.setenv("FASHIONNB_DATA", str(tmp_path))
    fashion_mnist(tmp_path)
    clothing(tmp_path)
    products_without(tmp_path, column="")
    garments = datasets.load("fashion-mnist", stand_in=False)
    photos = datasets.load("clothing-dataset-small", stand_in=False)
    products_table = datasets.load("fashion-product-images-small", stand_in=False).table
    assert garments.table["split"].value_counts().to_dict() == {"train": 10, "test": 10}
    assert photos.pixels(size=32).shape == (2, 32, 32, 3)
    assert len(products_table) == 1
