"""The table of bad inputs: for each command and each reader of files, kinds of mistakes, and for each kind some inputs.

`TABLE` has subject -> kind -> inputs. An input is written down as a person would type it; what the message must name
stands in « ». In it {good} is the folder that `lay_good` makes, in which all is well.
"""

import gzip
import io
import json
import pickle
import re
import shlex
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from fashionnb import checkpoints
from fashionnb.data import products
from fashionnb.features import vector_files
from fashionnb.models.style2vec import Style2Vec

Files = dict[str, bytes | None]
"""Name -> content; None is a folder. A name such as a.zip@b.jpg is a file in a zip."""

HTML = b"<!DOCTYPE html><title>Please log in</title>"
NOISE = bytes(np.random.default_rng(0).integers(0, 256, 3_000, np.uint8))
LATIN = "Größe;Farbe\r\nL;weiß\r\n".encode("latin-1")


REMEDY = re.compile(
    r"\b(name|use|choose|move|delete|fetch|install|unset|write|save|make|correct|take|try|leave|run|give|put|call"
    r"|set|copy|build|train|check|get|ask|rename|add|wait|unpack)\b|there is: |it has: |categories: |goes from |or more\b|from 0 on"
    r"|\(default |must stand|`fashionnb [a-z -]+`",
    re.IGNORECASE,
)
"""Words by which a message says what to do, or what there is to choose from."""


@dataclass(frozen=True)
class Input:
    """A command line, and the files and variables of the environment that it meets."""

    line: str
    files: Files = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)

    def words(self, good: Path) -> list[str]:
        line = self.line.partition(" # ")[0].replace("«", "").replace("»", "")
        return shlex.split(line.format(good=good))

    def named(self) -> list[str]:
        """What the message must name."""
        named = re.findall("«(.+?)»", self.line.replace("'", "").replace("{good}", ""))
        return [name if name.startswith("..") else Path(name).name or name for name in named]


def picture(shade: int = 0, kind: str = "JPEG", size: tuple[int, int] = (60, 80)) -> bytes:
    buffer = io.BytesIO()
    ramp = np.linspace(shade, 255, size[0] * size[1]).reshape(size[1], size[0])
    Image.fromarray(ramp.astype(np.uint8)).convert("RGB").save(buffer, kind)
    return buffer.getvalue()


@cache
def bomb() -> bytes:
    """A few kilobytes that unpack to 20,000 x 20,000 pixels."""
    buffer = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(buffer, "PNG")
    return buffer.getvalue()


def zipped(files: Files) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def as_json(content: object) -> bytes:
    return json.dumps(content).encode()


def lay(folder: Path, files: Files) -> None:
    """Write files into a folder."""
    zips: dict[str, Files] = {}
    for name, data in files.items():
        path, _, member = name.partition("@")
        if member:
            zips.setdefault(path, {})[member] = data
        elif data is None:
            (folder / path).mkdir(parents=True)
        else:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(data)
    for path, members in zips.items():
        lay(folder, {path: zipped(members)})


PHOTOS = {f"{kind}/{n}.jpg": picture(80 * n) for kind in ("dress", "shirt") for n in range(3)}


def lay_good(folder: Path) -> Path:
    """A model, photos and lists with which the commands work, as long as nothing else is wrong."""
    torch.manual_seed(0)
    model = Style2Vec(dimensions=8, channels=3, stem=4, stages=[(8, 2), (8, 2)], mean=0.5, std=0.3)
    checkpoints.save(model, folder / "model", {"training": {"size": 16}})
    lay(folder / "photos", PHOTOS)
    lay(folder / "splits", {f"{split}/{name}": data for split in ("train", "test") for name, data in PHOTOS.items()})  # fmt: skip
    ids = sorted(PHOTOS)
    values = np.eye(8, dtype=np.float32)[: len(ids)]
    vector_files.save(folder / "photos.vectors", vector_files.Vectors(values, ids, "photos", ""))
    lay(folder, DETECTOR)
    lay(folder, {"links.csv": b"url\nhttp://127.0.0.1:9/a.jpg\n", "query.jpg": picture()})
    return folder


# The datasets and other files in good order; each reader's inputs are damaged copies of these.


def idx(content: bytes, magic: int, *shape: int) -> bytes:
    return struct.pack(f">{1 + len(shape)}I", magic, *shape) + content


FASHION_MNIST = {
    f"fashion-mnist/{part}-{what}-ubyte": data
    for part in ("train", "t10k")
    for what, data in {
        "images-idx3": idx(bytes(7840), 2051, 10, 28, 28),
        "labels-idx1": idx(bytes(range(10)), 2049, 10),
    }.items()
}
CLOTHING = {
    f"clothing-dataset-small.zip@train/{name.replace('/', '/' + name[0])}": data
    for name, data in PHOTOS.items()
}
PRODUCTS_ROW = "10,Men,Apparel,Topwear,Shirts,Navy Blue,Fall,2011,Casual,A Shirt"
PRODUCTS = {
    "fashion-product-images-small/styles.csv": f"{','.join(products.COLUMNS)}\n{PRODUCTS_ROW}\n".encode(),
    "fashion-product-images-small/images/10.jpg": picture(),
}
MANGO_HEADER = (
    "cod_modelo_color,cod_color_code,des_color_specification_esp,des_agrup_color_eng,des_sex,des_age,des_line,"
    "des_fabric,des_product_category,des_product_aggregated_family,des_product_family,des_product_type,des_filename"
)
MANGO_ROW = "10-99,99,NEGRO,GREY,Female,Adult,SHE,P-PLANA,Tops,Shirts,Shirt,Blouse,datathon/images/2019_10_99.jpg"
MANGO = {
    "mango-outfits/datathon/dataset/product_data.csv": f"{MANGO_HEADER}\n{MANGO_ROW}\n".encode(),
    "mango-outfits/datathon/dataset/outfit_data.csv": b"cod_outfit,cod_modelo_color\n1,10-99\n",
    "mango-outfits/datathon/images/2019_10_99.jpg": picture(),
}


def _polyvore() -> Files:
    item = {"url_name": "a name", "description": "", "catgeories": ["x"], "title": "", "related": ["y"]}  # fmt: skip
    items = {f"d{n}": item | {"category_id": "3", "semantic_category": "all-body"} for n in range(3)}  # fmt: skip
    items |= {f"s{n}": item | {"category_id": "43", "semantic_category": "shoes"} for n in range(3)}
    made = {"polyvore_item_metadata.json": as_json(items), "categories.csv": b"3,dress,all-body\n43,pump,shoes\n"}  # fmt: skip
    for edition in ("disjoint", "nondisjoint"):
        for n, split in enumerate(("train", "valid", "test")):
            pair = [{"item_id": f"d{n}", "index": 1}, {"item_id": f"s{n}", "index": 2}]
            made[f"{edition}/{split}.json"] = as_json([{"set_id": f"{n}0", "items": pair}])
        made[f"{edition}/compatibility_test.txt"] = b"1 20_1 20_2\n"
        made[f"{edition}/fill_in_blank_test.json"] = b"[]"
        made[f"{edition}/typespaces.p"] = pickle.dumps([("all-body", "shoes")])
    made |= {f"images/{name}.jpg": picture() for name in items}
    return {f"polyvore_outfits/{name}": data for name, data in made.items()}


def _maryland() -> Files:
    made = {"category_id.txt": b"3 Dresses\n43 Pumps\n", "fill_in_the_blank_test.json": b"[]"}
    made["fashion-compatibility-prediction.txt"] = b"1 20_1 20_2\n"
    about = {"name": "A name", "views": 8, "image": "http://a", "likes": 2, "date": "One day ago", "set_url": "http://b", "desc": ""}  # fmt: skip
    for n, split in enumerate(("train", "valid", "test")):
        items = [
            {"index": i, "name": "pumps", "price": 12.5, "likes": 3, "image": "http://c", "categoryid": category}
            for i, category in ((1, 3), (2, 43))
        ]  # fmt: skip
        made[f"{split}_no_dup.json"] = as_json([about | {"set_id": f"{n}0", "items": items}])
        made |= {f"images/{n}0/{i}.jpg": picture() for i in (1, 2)}
    return {f"maryland-polyvore/polyvore/{name}": data for name, data in made.items()}


POLYVORE, MARYLAND = _polyvore(), _maryland()
PRODUCT, SCENE = f"{1:032x}", f"{2:032x}"
STL_ROW = {"product": PRODUCT, "scene": SCENE, "bbox": [0.25, 0.5, 0.75, 1.0]}
SHOP_THE_LOOK = {
    "shop-the-look/fashion.json": as_json(STL_ROW) + b"\n",
    "shop-the-look/fashion-cat.json": as_json({PRODUCT: "A|Shoes"}),
    f"shop-the-look/images/{PRODUCT}.jpg": picture(),
    f"shop-the-look/images/{SCENE}.jpg": picture(),
}
DETECTOR_ITEM = {
    "crop_file": "a.jpg", "det_label": "trousers", "det_score": 0.9, "box": [10, 20, 50, 70],
    "color": {"label": "Blue", "score": 0.85}, "season": {"label": "Spring", "score": 0.8},
}  # fmt: skip
DETECTOR = {"found/fashion_analysis_a.json": as_json({"items": [DETECTOR_ITEM]}), "found/a.jpg": picture()}  # fmt: skip
FOLDER = {f"mine/{name}": data for name, data in PHOTOS.items()}


# How a good file becomes a bad one.

Damage = Callable[[bytes], bytes]


def cut(data: bytes) -> bytes:
    return data[: len(data) * 2 // 3]


def nothing(_: bytes) -> bytes:
    return b""


def become(content: bytes) -> Damage:
    return lambda _: content


def replace(old: bytes, new: bytes) -> Damage:
    def damage(data: bytes) -> bytes:
        assert old in data, (old, data[:200])
        return data.replace(old, new)

    return damage


def change(file: str, damage: Damage | None) -> Callable[[Files], Files]:
    """One file (the end of its name) becomes another, or is taken away."""

    def changed(files: Files) -> Files:
        names = [name for name in files if name.endswith(file)]
        assert names, file
        rest = {name: data for name, data in files.items() if name not in names}
        return rest | ({name: damage(files[name]) for name in names} if damage else {})

    return changed


def reader(name: str, good: Files, kinds: dict[str, list]) -> dict[str, list[Input]]:
    """Inputs of a reader: what is to be named -> how the good files are changed, by kind."""
    line = "index build {name} --model {{good}}/model --out my.index"
    return {
        kind: [
            Input(
                line.format(name=name) + f" # «{names}»",
                changed(dict(good)) if callable(changed) else changed,
            )
            for names, changed in inputs
        ]
        for kind, inputs in kinds.items()
    }


def text_kinds(file: str, row: bytes) -> dict[str, list]:
    """What can be wrong with any table or JSON file of a dataset."""
    name = file.rsplit("/", 1)[-1].rsplit("@", 1)[-1]
    return {
        "a file that is missing": [(name, change(file, None))],
        "an empty file": [(name, change(file, nothing)), (name, change(file, become(b"\n \n")))],
        "a file cut short": [(name, change(file, lambda data: data[: data.index(row) + len(row) // 2]))],
        "a log-in page in its place": [(name, change(file, become(HTML)))],
        "bytes that are no text": [(name, change(file, become(NOISE))), (name, change(file, lambda data: data.replace(row[:2], b"\xff\xfe")))],
        "another table in its place": [(name, change(file, become(b"a,b\n1,2\n"))), (name, change(file, become(b'["a"]')))],
    }  # fmt: skip


def picture_kinds(file: str) -> dict[str, list]:
    """What can be wrong with any picture of a dataset."""
    name = file.rsplit("/", 1)[-1]
    return {
        "a picture that is none": [(name, change(file, become(data))) for data in (HTML, NOISE, b"", b"\x89PNG\r\n\x1a\n")],
        "a picture cut short": [(name, change(file, lambda data: data[:300]))],
        "a decompression bomb": [(name, change(file, become(bomb())))],
    }  # fmt: skip


READERS: dict[str, dict[str, list[Input]]] = {
    "Fashion-MNIST": reader("fashion-mnist", FASHION_MNIST, {
        "a file that is missing": [("fashion-mnist", change("t10k-labels-idx1-ubyte", None)), ("fashion-mnist", change("train-images-idx3-ubyte", None))],
        "an empty file": [(f"train-{what}-ubyte", change(f"train-{what}-ubyte", nothing)) for what in ("images-idx3", "labels-idx1")],
        "a file cut short": [("train-images", change("train-images-idx3-ubyte", cut)), ("t10k-labels", change("t10k-labels-idx1-ubyte", cut))],
        "a file with more than it says": [("train-images", change("train-images-idx3-ubyte", lambda data: data + b"more"))],
        "a wrong magic number": [("train-images", change("train-images-idx3-ubyte", become(idx(bytes(7840), 2052, 10, 28, 28)))), ("t10k-labels", change("t10k-labels-idx1-ubyte", become(NOISE)))],
        "fewer labels than images": [("train", change("train-labels-idx1-ubyte", become(idx(bytes(9), 2049, 9))))],
        "a label that there is not": [("train-labels", change("train-labels-idx1-ubyte", become(idx(bytes([250] * 10), 2049, 10))))],
        "images of another size": [("train", change("train-images-idx3-ubyte", become(idx(bytes(10 * 32 * 32), 2051, 10, 32, 32))))],
        "a log-in page in its place": [("train-images", change("train-images-idx3-ubyte", become(HTML)))],
        "a packed file that is none": [("train-images", {**{k: v for k, v in FASHION_MNIST.items() if "train-images" not in k}, "fashion-mnist/train-images-idx3-ubyte.gz": data}) for data in (NOISE, gzip.compress(bytes(7840))[:-12], b"")],
    }),
    "Clothing dataset": reader("clothing-dataset-small", CLOTHING, {
        **picture_kinds("dress/d1.jpg"),
        "a zip that is none": [("clothing-dataset-small.zip", {"clothing-dataset-small.zip": data}) for data in (HTML, NOISE, b"", b"PK\3\4 and so on")],
        "a zip cut short": [("clothing-dataset-small.zip", {"clothing-dataset-small.zip": zipped({k.partition("@")[2]: v for k, v in CLOTHING.items()})[:-40]})],
        "a corrupt member": [("clothing-dataset-small.zip", {"clothing-dataset-small.zip": zipped({k.partition("@")[2]: v for k, v in CLOTHING.items()}).replace(PHOTOS["dress/1.jpg"][200:400], bytes(200))})],
        "a path out of the zip": [(name.rsplit("/")[-1], {**CLOTHING, f"clothing-dataset-small.zip@{name}": picture()}) for name in ("../../etc/dress/bad.jpg", "/etc/dress/bad.jpg")],
        "no picture at all": [("clothing-dataset-small.zip", {"clothing-dataset-small.zip": zipped(files)}) for files in ({}, {"readme.txt": b"hello"})],
        "a split that there is not": [("clothing-dataset-small", {"clothing-dataset-small.zip@holdout/dress/1.jpg": picture()})],
    }),
    "Fashion Product Images": reader("fashion-product-images-small", PRODUCTS, {
        **text_kinds("styles.csv", PRODUCTS_ROW.encode()), **picture_kinds("10.jpg"),
        "a column that is missing": [("styles.csv", change("styles.csv", replace(b"baseColour", b"colour"))), ("styles.csv", change("styles.csv", replace(b"id,", b"number,")))],
        "fields that are missing": [("styles.csv", change("styles.csv", replace(b",Fall,2011,Casual,A Shirt", b"")))],
        "no row": [("fashion-product-images-small", change("styles.csv", replace(PRODUCTS_ROW.encode(), b"")))],
        "an id twice": [("fashion-product-images-small", change("styles.csv", lambda data: data + PRODUCTS_ROW.encode()))],
    }),
    "MANGO outfits": reader("mango-outfits", MANGO, {
        **text_kinds("product_data.csv", MANGO_ROW.encode()), **picture_kinds("2019_10_99.jpg"),
        "a column that is missing": [("product_data.csv", change("product_data.csv", replace(b"des_sex", b"sex")))],
        "fields that are missing": [("product_data.csv", change("product_data.csv", replace(b",Tops,Shirts,Shirt", b"")))],
        "a picture that is missing": [("2019_10_99.jpg", change("2019_10_99.jpg", None))],
        "an id twice": [("mango-outfits", change("product_data.csv", lambda data: data + MANGO_ROW.encode()))],
    }),
    "Polyvore Outfits": reader("polyvore-outfits", POLYVORE, {
        **text_kinds("polyvore_item_metadata.json", b'"category_id": "3"'), **picture_kinds("images/s1.jpg"),
        "a picture that is missing": [("s1.jpg", change("images/s1.jpg", None))],
    }),
    "Maryland Polyvore": reader("maryland-polyvore", MARYLAND, {
        **text_kinds("train_no_dup.json", b'"categoryid": 43'), **picture_kinds("images/00/1.jpg"),
        "an entry that is missing": [("train_no_dup.json", change("train_no_dup.json", replace(old, new))) for old, new in ((b'"index"', b'"place"'), (b'"items"', b'"things"'))],
        "a value of another type": [("train_no_dup.json", change("train_no_dup.json", replace(b'"index": 1', b'"index": "one"')))],
        "categories that are none": [("category_id.txt", change("category_id.txt", become(data))) for data in (b"", HTML, b"Dresses 3\n", NOISE)],
    }),
    "Shop-the-Look": reader("shop-the-look", SHOP_THE_LOOK, {
        **text_kinds("fashion.json", b'"scene"'), **picture_kinds(f"{PRODUCT}.jpg"),
        "a box that is none": [("fashion.json", change("fashion.json", become(as_json(STL_ROW | {"bbox": box})))) for box in ([0.5, 0.5, 0.2, 1.0], [0, 0, 1], "all", [0, 0, 9, 9], [0, 0, None, 1])],
        "a field that is missing": [("fashion.json", change("fashion.json", become(as_json({"scene": SCENE}))))],
        "a name that is no hash": [("fashion.json", change("fashion.json", become(as_json(STL_ROW | {"product": name})))) for name in ("../../etc/passwd", "", 7)],
        "categories that are none": [("shop-the-look", change("fashion-cat.json", become(data))) for data in (b"", HTML, b"[]", b"{}", NOISE)],
    }),
}  # fmt: skip


def _detector(kind_inputs: dict[str, list[tuple[str, Files]]]) -> dict[str, list[Input]]:
    line = "recommend --data found --colour Blue -k 1 --diversity 0.1 --model {{good}}/model # «{}»"
    return {kind: [Input(line.format(name), files) for name, files in inputs] for kind, inputs in kind_inputs.items()}  # fmt: skip


def detected(**changed: object) -> Files:
    item = {name: value for name, value in (DETECTOR_ITEM | changed).items() if value is not ...}
    return DETECTOR | {"found/fashion_analysis_a.json": json.dumps({"items": [item]}).encode()}


def detector_text(content: bytes) -> Files:
    return DETECTOR | {"found/fashion_analysis_a.json": content}


READERS["Detector's files"] = _detector({
    "a file that is no JSON": [("fashion_analysis_a.json", detector_text(data)) for data in (b"", HTML, NOISE, b'{"items": [', LATIN)],
    "another JSON in its place": [("fashion_analysis_a.json", detector_text(data)) for data in (b"[]", b"{}", b'"items"', b'{"items": 3}', b'{"items": [3]}')],
    "nesting without end": [("fashion_analysis_a.json", detector_text(b"[" * 100_000))],
    "a field that is missing": [("fashion_analysis_a.json", detected(**{name: ...})) for name in ("crop_file", "det_label", "box")],
    "a score that is none": [("fashion_analysis_a.json", detected(det_score=score)) for score in (1.5, -1, "high", None, float("nan"), True)],
    "a box that is none": [("fashion_analysis_a.json", detected(box=box)) for box in ([1, 2, 3], [50, 20, 10, 70], "all", [0, 0, float("inf"), 1])],
    "a path out of the folder": [("fashion_analysis_a.json", detected(crop_file=name)) for name in ("../secret.jpg", "/etc/passwd", "", "..\\a.jpg")],
    "a crop that is missing": [("b.jpg", detected(crop_file="b.jpg"))],
    "a crop that is no picture": [("a.jpg", DETECTOR | {"found/a.jpg": data}) for data in (HTML, NOISE, b"", picture()[:300])],
    "a crop named twice": [("fashion_analysis_a.json", detector_text(as_json({"items": [DETECTOR_ITEM, DETECTOR_ITEM]})))],
})  # fmt: skip

_MINE = "index build {} --model {{good}}/model --out my.index # «{}»"
READERS["Folder or zip of pictures"] = {
    "nothing there": [Input(_MINE.format(name, name)) for name in ("nowhere", "no/where.zip")],
    "no picture": [Input(_MINE.format("mine", "mine"), {"mine/readme.txt": b"hello"}), Input(_MINE.format("mine.zip", "mine.zip"), {"mine.zip": zipped({})})],
    "a picture that is none": [Input(_MINE.format("mine", "bad.jpg"), FOLDER | {"mine/dress/bad.jpg": data}) for data in (HTML, NOISE, b"\xff\xd8\xff\xe0")],
    "a picture cut short": [Input(_MINE.format("mine", "bad.jpg"), FOLDER | {"mine/dress/bad.jpg": picture()[:300]}), Input(_MINE.format("mine", "bad.png"), FOLDER | {"mine/dress/bad.png": picture(9, "PNG")[:300]})],
    "a decompression bomb": [Input(_MINE.format("mine", "bad.png"), FOLDER | {"mine/dress/bad.png": bomb()})],
    "an empty picture": [Input(_MINE.format("mine", "bad.jpg"), FOLDER | {"mine/dress/bad.jpg": b""})],
    "a zip that is none": [Input(_MINE.format("mine.zip", "mine.zip"), {"mine.zip": data}) for data in (HTML, NOISE, b"", zipped(PHOTOS)[:-30])],
    "a path out of the zip": [Input(_MINE.format("mine.zip", "bad.jpg"), {"mine.zip": zipped(PHOTOS | {name: picture()})}) for name in ("../bad.jpg", "/bad.jpg", "a/../../bad.jpg")],
    "a corrupt member": [Input(_MINE.format("mine.zip", "mine.zip"), {"mine.zip": zipped(PHOTOS).replace(PHOTOS["dress/1.jpg"][200:300], bytes(100))})],
    "splits and others side by side": [Input(_MINE.format("mine", "mine"), {"mine/train/dress/1.jpg": picture(), "mine/dress/2.jpg": picture()})],
    "a single picture": [Input(_MINE.format("{good}/query.jpg", "query.jpg"))],
}  # fmt: skip

READERS["A picture to search by"] = {
    kind: [Input(f"recommend «{name}» --data {{good}}/photos --model {{good}}/model", {name: data} if data is not None else {}) for name, data in inputs]
    for kind, inputs in {
        "a file that is not there": [("nowhere.jpg", None), ("no/where.png", None)],
        "an empty file": [("empty.jpg", b""), ("empty.png", b"")],
        "text": [("text.jpg", b"hello"), ("page.png", HTML)],
        "bytes that are none": [("noise.webp", NOISE), ("noise.jpg", NOISE)],
        "a picture cut short": [(f"short.{kind.lower()}", picture(0, kind)[:n]) for kind, n in (("JPEG", 400), ("PNG", 100), ("WEBP", 60), ("GIF", 200), ("TIFF", 200), ("BMP", 60))],
        "a decompression bomb": [("bomb.png", bomb()), ("bomb.jpg", bomb())],
        "a format that is not read": [("drawing.png", b"<svg xmlns='http://www.w3.org/2000/svg'/>"), ("page.jpg", b"%PDF-1.7\n"), ("icon.png", picture(0, "PPM"))],
        "a folder": [("folder.jpg", None)],
        "an archive": [("photos.jpg", zipped(PHOTOS)), ("photos.png", gzip.compress(picture()))],
    }.items()
}  # fmt: skip
READERS["A picture to search by"]["a folder"] = [
    Input("recommend «{good}/photos» --data {good}/photos --model {good}/model")
]

_SEARCH = "search {good}/query.jpg --index «my.index»"
READERS["Index"] = {
    kind: [Input(_SEARCH, {"my.index": data}) for data in inputs]
    for kind, inputs in {
        "an empty file": [b""],
        "text": [b"hello", HTML],
        "bytes that are none": [NOISE],
        "a picture": [picture()],
        "a zip": [zipped(PHOTOS)],
        "a name and nothing else": [b"fashionnb index"],
        "a pickle": [pickle.dumps({"vectors": [1, 2]})],
        "safetensors": [struct.pack("<Q", 2) + b"{}"],
        "a folder in its place": [None],
    }.items()
}
_VECTORS = "recommend dress/1.jpg --data {good}/photos --vectors «my.vectors»"
READERS["Vectors"] = {
    kind: [Input(_VECTORS, {"my.vectors": data}) for data in inputs]
    for kind, inputs in {
        "an empty file": [b""],
        "text": [b"hello", HTML],
        "bytes that are none": [NOISE],
        "a picture": [picture()],
        "a pickle": [pickle.dumps([1.0])],
        "a header without end": [struct.pack("<Q", 10**15), struct.pack("<Q", 100) + b"{"],
        "other safetensors": [struct.pack("<Q", 2) + b"{}"],
    }.items()
} | {
    "no such file": [Input(_VECTORS)],
    "vectors of another catalogue": [Input("recommend fashion_analysis_a/a --data {good}/found --vectors «{good}/photos.vectors»")],
    "a folder": [Input("recommend dress/1.jpg --data {good}/photos --vectors «{good}/photos»")],
}  # fmt: skip

_MODEL = "export mine mine.onnx # «{}»"


def model_files(card: dict | bytes, weights: bytes = b"") -> Files:
    text = card if isinstance(card, bytes) else as_json(card)
    return {"mine/card.json": text, "mine/model.safetensors": weights}


_CARD = {"architecture": "style2vec", "arguments": {}, "task": "embedding", "parameters": 1, "sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}  # fmt: skip
READERS["Model"] = {
    kind: [Input(_MODEL.format(name), files) for name, files in inputs]
    for kind, inputs in {
        "a card that is missing": [("card.json", {"mine/model.safetensors": b""})],
        "weights that are missing": [("model.safetensors", {"mine/card.json": as_json(_CARD)})],
        "a card that is no JSON": [("card.json", model_files(data)) for data in (b"", HTML, NOISE, b"{", LATIN)],
        "a card with a wrong field": [("card.json", model_files(_CARD | extra)) for extra in ({"colour": 1}, {"parameters": "many"}, {"arguments": []}, {"size": "large"})],
        "a field that is missing": [("card.json", model_files({name: value for name, value in _CARD.items() if name != missing})) for missing in ("architecture", "task", "arguments")],
        "an architecture that there is not": [("mine", model_files(_CARD | {"architecture": name})) for name in ("resnet9000", "", "os.system")],
        "a task that there is not": [("card.json", model_files(_CARD | {"task": "world peace"}))],
        "weights of another model": [("model.safetensors", model_files(_CARD | {"sha256": "0" * 64}))],
        "weights that are none": [("model.safetensors", model_files(_CARD))],
        "arguments that do not fit": [("card.json", model_files(_CARD | {"arguments": arguments})) for arguments in ({"dimensions": "many"}, {"colour": 3}, {"dimensions": -1})],
    }.items()
}  # fmt: skip

_COLLECT = "collect links.csv --out photos --allow-private # «{}»"
READERS["List of links"] = {
    kind: [Input(_COLLECT.format("links.csv"), {"links.csv": data}) for data in inputs]
    for kind, inputs in {
        "an empty file": [b"", b"\n\n"],
        "bytes that are no text": [NOISE, LATIN, picture()],
        "no column url": [b"link\nhttp://a/b.jpg\n", b"a;b;url\n1;2;3\n", HTML],
        "a column twice": [b"url,url\nhttp://a/b.jpg,http://a/c.jpg\n"],
        "a column of the manifest": [b"url,status\nhttp://a/b.jpg,ok\n", b"url,sha256\nhttp://a/b.jpg,0\n"],
        "too few fields": [b"url,id\nhttp://a/b.jpg\n"],
        "too many fields": [b"url\nhttp://a/b.jpg?x=1,2\n"],
        "an id twice": [b"url,id\nhttp://a/b.jpg,1\nhttp://a/c.jpg,1\n"],
        "a quotation mark that is not closed": [b'url,id\n"http://a/b.jpg,1\nhttp://a/c.jpg,2\n'],
    }.items()
}  # fmt: skip
READERS["Manifest"] = {
    kind: [Input(f"collect {{good}}/links.csv --out photos --allow-private # «{name}»", {f"photos/{name}": data}) for name, data in inputs]
    for kind, inputs in {
        "an empty file": [("manifest.csv", b"")],
        "bytes that are no text": [("manifest.csv", NOISE), ("manifest.csv", picture())],
        "another table": [("manifest.csv", b"a,b\n1,2\n"), ("manifest.csv", b"id,url\n1,2\n"), ("manifest.csv", HTML)],
        "a file cut short": [("manifest.csv", b"id,url,source,licence,final_url,file,sha256,bytes,width,height,status,error,date\n1,http://a\n")],
        "too many fields": [("manifest.csv", b"id,url,source,licence,final_url,file,sha256,bytes,width,height,status,error,date\n" + b"1," * 20)],
        "a journal that is none": [(".manifest.jsonl", data) for data in (b"hello\n", HTML + b"\n", b"{\n}\n")],
        "a journal of other rows": [(".manifest.jsonl", data) for data in (b"[1]\n", b"3\n", b"{}\n", b'{"id": 3}\n')],
        "a folder in its place": [("manifest.csv", None), (".manifest.jsonl", None)],
    }.items()
}  # fmt: skip

_RESULT = "book/results/standard/02-style2vec.json"
READERS["Results"] = {
    kind: [Input("results # «02-style2vec.json»", {_RESULT: data}, {"FASHIONNB_RESULTS": "book/results"}) for data in inputs]
    for kind, inputs in {
        "an empty file": [b""],
        "text": [b"hello", HTML],
        "bytes that are none": [NOISE, picture()],
        "a file cut short": [b'{"rows": ['],
        "another JSON in its place": [b"[]", b"3", b'"rows"'],
        "fields that are missing": [b"{}", b'{"rows": []}'],
        "a row of another form": [b'{"results": [{"method": 3}], "run": {}}', b'{"results": [3], "run": {}}'],
        "nesting without end": [b"[" * 100_000],
    }.items()
}  # fmt: skip

_CHAPTER = "---\nkernelspec:\n  display_name: Python 3\n  language: python\n  name: python3\n---\n\n# A chapter\n\n```{code-cell} ipython3\n1 + 1\n```\n"  # fmt: skip
READERS["Chapter"] = {
    kind: [Input("sync --check # «01-look»", {"_toc.yml": b"", "fashionnb/__init__.py": b"", "book/01-look.md": data, **extra}) for data, extra in inputs]
    for kind, inputs in {
        "no notebook": [(_CHAPTER.encode(), {})],
        "a notebook that is none": [(_CHAPTER.encode(), {"book/01-look.ipynb": data}) for data in (b"", HTML, NOISE, b"{}", b"[]")],
        "a notebook of another text": [(_CHAPTER.encode(), {"book/01-look.ipynb": b'{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}'})],
        "an empty file": [(b"", {})],
        "bytes that are no text": [(NOISE, {}), (LATIN, {})],
        "no header": [(b"# A chapter\n", {})],
        "a header that is no YAML": [(b"---\n{[\n---\n# A chapter\n", {}), (b"---\nkernelspec: [\n", {})],
        "a folder in its place": [(None, {})],
    }.items()
}  # fmt: skip


# The commands.

BLOCKED = {"file": b"a file where a folder should be"}
_IN_FILE = "«file»/below"
_DATASETS = ("imagenet", "Fashion-MNIST", "fashion_mnist", "../fashion-mnist", "drawn ")
_ENVIRONMENT = {
    "a data folder that is none": [{"FASHIONNB_DATA": "nowhere"}, {"FASHIONNB_DATA": "file"}],
}


def commands(kinds: dict[str, list[str]], files: Files | None = None) -> dict[str, list[Input]]:
    return {kind: [Input(line, BLOCKED | (files or {})) for line in lines] for kind, lines in kinds.items()}  # fmt: skip


def environment(line: str, **values: tuple[str, ...]) -> dict[str, list[Input]]:
    """The same command under variables that are no good."""
    return {
        f"{name} that is no good": [
            Input(f"{line} # «{name}»", BLOCKED, {name: value}) for value in several
        ]
        for name, several in values.items()
    }


NO_FOLDER = ("nowhere", "file")
NO_PROFILE = ("huge", "CPU ", "0")

COMMANDS: dict[str, dict[str, list[Input]]] = {
    "run": commands({
        "a chapter that there is not": ["run «99»", "run «02-style3vec»", "run 02 «nowhere»"],
        "a profile that there is not": [f"run 02 --profile «{name}»" for name in ("huge", "QUICK", "1")],
        "a parameter without a value": ["run 02 «-p» epochs", "run 02 «-p» =5", "run 02 «-p»"],
        "a parameter that there is not": ["run 02 --profile quick -p «epoch» 5", "run 02 -p «__class__» x"],
        "a value of another type": ["run 02 --profile quick -p «batch_size» ten", "run 02 --profile quick -p «seed» 1.5", "run 02 --profile quick -p «margin» wide"],
        "a number out of range": ["run 02 «--jobs» 0", "run 02 «--jobs» -3", "run 02 «--minutes» -1", "run 02 «--minutes» nan"],
        "a number that is none": ["run 02 «--jobs» two", "run 02 «--jobs» 1.5", "run 02 «--minutes» long"],
        "a folder to write to that is a file": ["run 02 --profile quick --out «file»", f"run 02 --profile quick --out {_IN_FILE}"],
    }) | environment("run 02 --profile quick", FASHIONNB_DATA=NO_FOLDER) | environment("run 02", FASHIONNB_PROFILE=NO_PROFILE),
    "results": commands({
        "a profile that there is not": [f"results --profile «{name}»" for name in ("huge", "QUICK", "../quick")],
        "a profile without results": ["results --profile «quick»"],
        "an argument too many": ["results «02»"],
    }) | environment("results", FASHIONNB_PROFILE=NO_PROFILE)
    | {"results that are nowhere": [Input("results # «standard»", BLOCKED, {"FASHIONNB_RESULTS": place}) for place in NO_FOLDER]},
    "publish": commands({
        "a profile that there is not": [f"publish --profile «{name}»" for name in ("huge", "QUICK", "../quick")],
        "a folder to write to that is a file": ["publish --profile quick --out «file»", f"publish --profile quick --out {_IN_FILE}"],
        "an argument too many": ["publish «02»"],
    }) | environment("publish", FASHIONNB_PROFILE=NO_PROFILE),
    "sync": commands({"an argument too many": ["sync «02»", "sync --check «all»"]}),
    "doctor": commands({"an argument too many": ["doctor «02»"]}),
    "data list": commands({"an argument too many": ["data list «fashion-mnist»"]}) ,
    "data where": commands({
        "a dataset that there is not": [f"data where «'{name}'»" for name in _DATASETS],
        "a dataset that is not here": ["data where «mango-outfits»", "data where «fashion-mnist»"],
        "an argument too many": ["data where fashion-mnist «extra»"],
    }) | environment("data where fashion-mnist", FASHIONNB_DATA=NO_FOLDER),
    "data fetch": commands({
        "a dataset that there is not": [f"data fetch «'{name}'»" for name in _DATASETS],
        "a dataset that is fetched by hand": ["data fetch «mango-outfits»", "data fetch «polyvore-outfits»"],
        "no network": ["data fetch fashion-mnist # «FASHIONNB_OFFLINE»"],
        "an argument too many": ["data fetch fashion-mnist «extra»"],
    }) | environment("data fetch fashion-mnist", FASHIONNB_DATA=NO_FOLDER)
    | {"a cache that is a file": [Input("data fetch fashion-mnist # «FASHIONNB_CACHE»", BLOCKED, {"FASHIONNB_CACHE": place, "FASHIONNB_OFFLINE": "0"}) for place in ("file", "file/below")]},
    "data check": commands({
        "a dataset that there is not": [f"data check «'{name}'»" for name in _DATASETS],
        "a dataset that is not here": ["data check «mango-outfits»"],
        "a path that is not there": ["data check fashion-mnist «nowhere»", "data check mango-outfits «no/where.zip»"],
        "a file that is no zip": ["data check mango-outfits «file»", "data check clothing-dataset-small «file»"],
        "an empty folder": [f"data check {name} «{{good}}/model»" for name in ("fashion-mnist", "shop-the-look", "polyvore-outfits")],
        "another dataset": ["data check mango-outfits «{good}/photos»", "data check clothing-dataset-small «{good}/photos»"],
        "an argument too many": ["data check fashion-mnist {good}/photos «extra»"],
    }) | environment("data check fashion-mnist", FASHIONNB_DATA=NO_FOLDER),
    "export": commands({
        "a model that there is not": ["export «nowhere» a.onnx", "export «style3vec» a.onnx"],
        "a folder that is no model": ["export {good}/«photos» a.onnx"],
        "a file that is no model": ["export «file» a.onnx"],
        "a place to write to that is a folder": ["export {good}/model «{good}/photos»"],
        "a place to write to in a file": [f"export {{good}}/model {_IN_FILE}"],
        "a size out of range": ["export {good}/model a.onnx «--size» 0", "export {good}/model a.onnx «--size» -5"],
        "a size that is none": ["export {good}/model a.onnx «--size» large", "export {good}/model a.onnx «--size» 1.5"],
        "photos that are nowhere": ["export {good}/model a.onnx --int8 «nowhere»", "export {good}/model a.onnx --int8 «file»"],
    }),
    "evaluate classifier": commands({
        "a model that there is not": ["evaluate classifier «nowhere» --data {good}/photos"],
        "a folder that is no model": ["evaluate classifier {good}/«photos» --data {good}/photos"],
        "a model of another task": ["evaluate classifier {good}/«model» --data {good}/photos", "evaluate classifier «style2vec» --data {good}/photos"],
        "data that are nowhere": ["evaluate classifier classifier --data «nowhere»", "evaluate classifier {good}/model --data «no/where.zip»"],
        "data that are none": ["evaluate classifier {good}/model --data «file»"],
        "a split that there is not": ["evaluate classifier classifier --data {good}/splits --split «holdout»"],
        "a size out of range": ["evaluate classifier {good}/model --data {good}/photos «--size» 0"],
        "no data named": ["evaluate classifier {good}/model # «--data»"],
        "a size that is none": ["evaluate classifier {good}/model --data {good}/photos «--size» large"],
    }),
    "evaluate search": commands({
        "a model that there is not": ["evaluate search «nowhere» --data {good}/photos"],
        "a folder that is no model": ["evaluate search {good}/«photos» --data {good}/photos"],
        "data that are nowhere": ["evaluate search {good}/model --data «nowhere»", "evaluate search {good}/model --data «no/where.zip»"],
        "data that are none": ["evaluate search {good}/model --data «file»"],
        "a split that there is not": ["evaluate search {good}/model --data {good}/splits --gallery «holdout»", "evaluate search {good}/model --data {good}/splits --queries «holdout»"],
        "a size out of range": ["evaluate search {good}/model --data {good}/photos «--size» 0"],
        "a size that is none": ["evaluate search {good}/model --data {good}/photos «--size» large"],
        "no data named": ["evaluate search {good}/model # «--data»"],
        "a model of another task": ["evaluate search «multitask» --data {good}/photos"],
    }),
    "collect": commands({
        "a list that is nowhere": ["collect «nowhere.csv» --out photos"],
        "a folder in place of the list": ["collect «{good}/photos» --out photos"],
        "a folder to write to that is a file": ["collect {good}/links.csv --out «file»", f"collect {{good}}/links.csv --out {_IN_FILE}"],
        "a pause that is none": [f"collect {{good}}/links.csv --out photos «--pause» {pause}" for pause in ("long", "-1", "-inf")],
        "a pause without end": [f"collect {{good}}/links.csv --out photos --pause {pause} # «pause»" for pause in ("nan", "inf")],
        "a size out of range": [f"collect {{good}}/links.csv --out photos «--megabytes» {size}" for size in ("0", "-1", "100000", "big")],
        "no network": ["collect {good}/links.csv --out photos # «FASHIONNB_OFFLINE»"],
        "no folder named": ["collect {good}/links.csv # «--out»"],
        "a picture in place of the list": ["collect «{good}/query.jpg» --out photos"],
    }),
    "analyse": commands({
        "a folder that is nowhere": ["analyse «nowhere» --out found"],
        "a file in place of the folder": ["analyse «file» --out found", "analyse «{good}/query.jpg» --out found"],
        "a folder without a photo": ["analyse «{good}/model» --out found"],
        "a folder to write to within the photos": ["analyse «.» --out found", "analyse {good}/photos --out «{good}/photos»"],
        "a folder to write to that is a file": ["analyse {good}/photos --out «file»", f"analyse {{good}}/photos --out {_IN_FILE}"],
        "a model that is nowhere": ["analyse {good}/photos --out found --model «nowhere»"],
        "a model of another task": ["analyse {good}/photos --out found --model «{good}/model»"],
        "no folder named": ["analyse {good}/photos # «--out»"],
    }, {"a.jpg": picture()}) | {
        "a photo that is none": [Input("analyse mine --out found # «bad.jpg»", FOLDER | {"mine/dress/bad.jpg": data}) for data in (HTML, NOISE, b"", picture()[:300])],
    },
    "demo": commands({
        "data that are nowhere": ["demo --data «nowhere»", "demo --data «no/where.zip»"],
        "data that are none": ["demo --data «file»", "demo --data «{good}/model»"],
        "a port that is none": ["demo --data {good}/photos «--port» web", "demo --data {good}/photos «--port» 80.5"],
        "a port out of range": ["demo --data {good}/photos --port «70000»", "demo --data {good}/photos --port «-1»"],
        "a host that there is not": ["demo --data {good}/photos --port 0 --host «no.such.host.invalid»", "demo --data {good}/photos --port 0 --host «203.0.113.7»"],
        "a single picture": ["demo --data «{good}/query.jpg»"],
        "an argument too many": ["demo «photos»"],
    }),
    "index build": commands({
        "pictures that are nowhere": ["index build «nowhere» --model {good}/model --out my.index"],
        "pictures that are none": ["index build «file» --model {good}/model --out my.index"],
        "a model that there is not": ["index build {good}/photos --model «nowhere» --out my.index"],
        "a model of another task": ["index build {good}/photos --model «multitask» --out my.index"],
        "a place to write to that is a folder": ["index build {good}/photos --model {good}/model --out «{good}/photos»"],
        "a place to write to in a file": [f"index build {{good}}/photos --model {{good}}/model --out {_IN_FILE}"],
        "a type of index that there is not": [f"index build {{good}}/photos --model {{good}}/model --out my.index --kind «{kind}»" for kind in ("best", "HNSW!", "exact2")],
        "too few pictures for the type": ["index build {good}/photos --model {good}/model --out my.index --kind «ivf-pq»"],
        "a size out of range": [f"index build {{good}}/photos --model {{good}}/model --out my.index «--size» {size}" for size in ("0", "-3", "big")],
        "a cache that is a file": [f"index build {{good}}/photos --model {{good}}/model --out my.index --cache {place}" for place in ("«file»", _IN_FILE)],
    }),
    "search": commands({
        "an index that is nowhere": ["search {good}/query.jpg --index «nowhere»"],
        "an index that is none": ["search {good}/query.jpg --index «file»", "search {good}/query.jpg --index «{good}/photos.vectors»"],
        "a picture that is nowhere": ["search «nowhere.jpg» --index {good}/photos.index"],
        "a picture that is none": ["search «file» --index {good}/photos.index", "search «{good}/photos» --index {good}/photos.index"],
        "a number out of range": ["search {good}/query.jpg --index {good}/photos.index -k 0 # «0»", "search {good}/query.jpg --index {good}/photos.index -k -2 # «-2»"],
        "a number that is none": ["search {good}/query.jpg --index {good}/photos.index «-k» many"],
        "a category that there is not": ["search {good}/query.jpg --index {good}/photos.index --category «hats»"],
        "another model": ["search {good}/query.jpg --index {good}/photos.index --model «style2vec»", "search {good}/query.jpg --index {good}/photos.index --model «nowhere»"],
        "a page that cannot be written": [f"search {{good}}/query.jpg --index {{good}}/photos.index --html {_IN_FILE}", "search {good}/query.jpg --index {good}/photos.index --html «{good}/photos»"],
    }),
    "recommend": commands({
        "data that are nowhere": ["recommend --data «nowhere» --colour Blue"],
        "an item that there is not": ["recommend «12345» --data {good}/photos --model {good}/model"],
        "nothing wanted": ["recommend --data {good}/photos # «item»"],
        "two questions at once": ["recommend dress/1.jpg --data {good}/photos --like «--overall»"],
        "a value that there is not": ["recommend --data {good}/found --colour «Bleu»", "recommend --data {good}/found --season «Monsoon»", "recommend --data {good}/photos --category «hats»"],
        "an attribute that the data lack": ["recommend --data {good}/photos --«colour» Blue", "recommend --data {good}/photos --«gender» Men"],
        "a number out of range": ["recommend --data {good}/found --colour Blue -k 0 # «0»", "recommend --data {good}/found --colour Blue -k -1 # «-1»"],
        "a diversity out of range": [f"recommend --data {{good}}/photos --category dress --vectors {{good}}/photos.vectors --diversity {value} # «diversity»" for value in ("2", "-1", "nan")],
        "neither vectors nor a model": ["recommend dress/1.jpg --data {good}/photos # «--model»"],
        "a page that cannot be written": [f"recommend dress/1.jpg --data {{good}}/photos --vectors {{good}}/photos.vectors --html {_IN_FILE}"],
    }),
    "duplicates": commands({
        "pictures that are nowhere": ["duplicates «nowhere»", "duplicates «no/where.zip»"],
        "pictures that are none": ["duplicates «file»", "duplicates «{good}/query.jpg»"],
        "a folder without a picture": ["duplicates «{good}/model»"],
        "nothing to compare with": ["duplicates {good}/photos --against «nowhere»", "duplicates {good}/photos --against «file»"],
        "a page that cannot be written": [f"duplicates {{good}}/photos --html {_IN_FILE}"],
        "no pictures named": ["duplicates # «Missing argument»"],
    }),
    "embed": commands({
        "pictures that are nowhere": ["embed «nowhere» --model {good}/model --out my.vectors"],
        "pictures that are none": ["embed «file» --model {good}/model --out my.vectors", "embed «{good}/query.jpg» --model {good}/model --out my.vectors"],
        "a model that there is not": ["embed {good}/photos --model «nowhere» --out my.vectors"],
        "a model of another task": ["embed {good}/photos --model «multitask» --out my.vectors"],
        "a place to write to that is a folder": ["embed {good}/photos --model {good}/model --out «{good}/photos»"],
        "a place to write to in a file": [f"embed {{good}}/photos --model {{good}}/model --out {_IN_FILE}"],
        "a number out of range": ["embed {good}/photos --model {good}/model --out my.vectors --processes 0 # «process»", "embed {good}/photos --model {good}/model --out my.vectors --batch-size -1 # «batch»"],
        "a number that is none": ["embed {good}/photos --model {good}/model --out my.vectors «--processes» many"],
        "a device that there is not": ["embed {good}/photos --model {good}/model --out my.vectors --device «abacus»", "embed {good}/photos --model {good}/model --out my.vectors --device «cuda»"],
        "a size out of range": ["embed {good}/photos --model {good}/model --out my.vectors «--size» 0"],
    }),
}  # fmt: skip

FLAGS = {
    "run": "--strict",
    "results": "--json",
    "publish": "--strict",
    "sync": "--check",
    "doctor": "--offline",
}
for name, kinds in COMMANDS.items():
    first, _, last = name.rpartition(" ")
    kinds |= {
        "an option that there is not": [f"{name} «--no-such-option»", f"{name} «-Z»"],
        "an option spelt wrongly": [f"{name} «--hlep»", f"{name} «--verison»"],
        "an option of another command": [f"{name} «--goes-wth»", f"{name} «--embed»"],
        "a command spelt wrongly": [f"{first} «{last}s»", f"{first} «{last.title()}»"],
        "a long option with one dash": [f"{name} «-h»elp", f"{name} «-v»ersion"],
        "an empty word": [f"{name} '' # «empty»", f"{name} ' ' # «empty»"],
        "a value for an option that takes none": [f"{name} «{FLAGS.get(name, '--help')}»=yes"],
    }
    for kind, inputs in kinds.items():
        kinds[kind] = [one if isinstance(one, Input) else Input(one) for one in inputs]

TABLE = COMMANDS | {f"reader: {name}": kinds for name, kinds in READERS.items()}
