"""What changes a chapter's key, and every way in which code can get at a module of the package.

No chapter is run here.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
import tiny

from fashionnb.data import registry
from fashionnb.publishing import chapter_dependencies
from fashionnb.publishing.chapter_dependencies import import_graph, modules, reach, read_cell

USES_HELPER = tiny.chapter(
    "from tinypackage.helper import VALUE", parameters="seed = 0\nsource = 'x'"
)


@pytest.fixture
def book(tmp_path, monkeypatch):
    learn = tiny.chapter("import tinypackage")
    book = tiny.book(tmp_path, c01_look=USES_HELPER, c02_learn=learn)
    monkeypatch.syspath_prepend(book.package.parent)
    return book


def key(book, name="01-look", profile="standard", **parameters):
    return chapter_dependencies.key(book.chapters([name])[0], profile, parameters, book)


def append(path, text="\n# changed\n"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text((path.read_text() if path.exists() else "") + text)


@pytest.mark.parametrize(
    "file",
    [
        "book/01-look.md",
        "source/tinypackage/helper.py",
        "source/tinypackage/__init__.py",
        "source/tinypackage/templates/names.json",
        "book/local.py",
        "book/checkpoints/net.safetensors",
    ],
)
def test_files_that_change_the_key(book, file):
    before = key(book)
    append(book.root / file)
    assert key(book) != before


@pytest.mark.parametrize(
    "file",
    [
        "book/02-learn.md",
        "book/index.md",
        "book/01-look.ipynb",
        "book/results/standard/01-look.json",
        "source/tinypackage/other.py",
        "source/tinypackage/__pycache__/helper.cpython-311.pyc",
        "README.md",
    ],
)
def test_files_that_do_not_change_the_key(book, file):
    before = key(book)
    append(book.root / file)
    assert key(book) == before


def test_the_title_of_a_folded_cell_does_not_change_the_key_and_a_tag_does(book):
    chapter = book.root / "book" / "01-look.md"
    before = key(book)
    chapter.write_text(
        chapter.read_text().replace(
            "[parameters]", "[parameters]\n:mystnb: {code_prompt_show: Parameters}"
        )
    )
    assert key(book) == before
    chapter.write_text(chapter.read_text().replace("[parameters]", "[parameters, hide-input]"))
    assert key(book) != before


def test_the_full_run_that_a_page_shows_changes_its_key_but_not_that_of_the_full_run_itself(book):
    shows = USES_HELPER.replace(
        "import VALUE", "import VALUE\nfrom fashionnb.notebook.results import full_run"
    )
    (book.root / "book" / "03-shows.md").write_text(shows)
    profiles = ("quick", "standard", "full")
    before = {profile: key(book, "03-shows", profile) for profile in profiles}
    append(book.root / "book" / "results" / "full" / "03-shows.json")
    changed = [profile for profile in profiles if key(book, "03-shows", profile) != before[profile]]
    assert changed == ["quick", "standard"]


def test_profile_and_parameters_change_the_key(book):
    made = {
        key(book),
        key(book, profile="full"),
        key(book, seed=1),
        key(book, seed=2),
        key(book, source=1),
    }
    assert len(made) == 5


def test_device_and_precision_change_the_key(book, monkeypatch):
    made = {key(book)}  # tests compute on the CPU, see conftest.py
    for device in ("cuda", "auto"):
        monkeypatch.setenv("FASHIONNB_DEVICE", device)
        made.add(key(book))
    monkeypatch.delenv("FASHIONNB_DEVICE")
    assert key(book) in made, "auto is the default"
    monkeypatch.setenv("FASHIONNB_PRECISION", "no")
    made.add(key(book))
    assert len(made) == 4


def test_libraries_change_the_key(book, monkeypatch):
    before = key(book)
    monkeypatch.setattr(chapter_dependencies, "libraries", lambda: {"torch": "0.0"})
    assert key(book) != before


def test_what_a_helper_imports_counts(book):
    (book.package / "helper.py").write_text("def f():\n    from tinypackage import other\n")
    before = key(book)
    (book.package / "other.py").write_text("VALUE = 2\n")
    assert key(book) != before


def with_data(book, monkeypatch, **fingerprints):
    """Give the tiny package a reader of Fashion-MNIST, and datasets these fingerprints."""
    (book.package / "data").mkdir(exist_ok=True)
    (book.package / "data" / "__init__.py").write_text(
        "from tinypackage.data import fashion_mnist\n"
    )
    (book.package / "data" / "fashion_mnist.py").write_text("SOURCE = 'fashion-mnist'\n")
    monkeypatch.setattr(registry, "fingerprint", lambda name: fingerprints.get(name, "absent"))


def test_data_counts_where_its_reader_is_reached(book, monkeypatch):
    (book.folder / "02-learn.md").write_text(tiny.chapter("from tinypackage import data"))
    with_data(book, monkeypatch)
    reached, not_reached = key(book, "02-learn"), key(book)
    with_data(book, monkeypatch, **{"fashion-mnist": "abc"})
    assert key(book, "02-learn") != reached
    assert key(book) == not_reached


@pytest.mark.parametrize(
    ("cell", "parameters", "named"),
    [
        ("from tinypackage import data", {}, []),
        ("from tinypackage import data\ndata.load('fashion-mnist')", {}, ["fashion-mnist"]),
        ("datasets.load(source)", {"source": "fashion-mnist"}, ["fashion-mnist"]),
        ("from tinypackage.helper import load", {}, ["fashion-mnist"]),
        ("from tinypackage.data.registry import SOURCES\nlen(SOURCES)", {}, []),
        ("!fashionnb data fetch fashion-mnist", {}, ["fashion-mnist"]),  # reaches helper
    ],
)
def test_which_datasets_a_chapter_needs(book, monkeypatch, cell, parameters, named):
    with_data(book, monkeypatch)
    (book.package / "helper.py").write_text("def load():\n    return open('fashion-mnist')\n")
    (book.folder / "02-learn.md").write_text(tiny.chapter(cell))
    assert chapter_dependencies.datasets(book.chapters(["2"])[0], parameters, book) == named


def test_a_chapter_that_reads_another_depends_on_it(book):
    (book.folder / "02-learn.md").write_text(
        tiny.chapter("from fashionnb.notebook import results\nresults.load('01-look')")
    )
    assert [
        chapter.name
        for chapter in chapter_dependencies.chapters_read(book.chapters(["2"])[0], book)
    ] == ["01-look"]
    assert chapter_dependencies.chapters_read(book.chapters(["1"])[0], book) == []
    before = key(book, "02-learn")
    (book.package / "helper.py").write_text("VALUE = 2\n")
    after_helper = key(book, "02-learn")
    (book.folder / "results" / "standard").mkdir(parents=True)
    (book.folder / "results" / "standard" / "01-look.json").write_text("{}")
    assert len({before, after_helper, key(book, "02-learn")}) == 3


def test_a_chapter_that_reads_all_results_depends_on_all_before_it(book):
    (book.folder / "03-all.md").write_text(
        tiny.chapter("from fashionnb.notebook import results\nresults.load_all()")
    )
    assert [
        chapter.name
        for chapter in chapter_dependencies.chapters_read(book.chapters(["3"])[0], book)
    ] == [
        "01-look",
        "02-learn",
    ]


def test_libraries_are_those_that_matter():
    found = chapter_dependencies.libraries()
    assert {"torch", "numpy", "scipy", "papermill", "fashionnb"} <= set(
        found
    )  # scipy: only scikit-learn asks for it
    assert "ruff" not in found


FILES = {
    "__init__.py": "",
    "losses.py": "import torch",
    "late.py": "def f():\n    from sample import losses\n    return losses",
    "chain.py": "from sample.late import f",
    "one.py": "from . import two",
    "two.py": "import sample.one",  # a circle
    "lazy.py": "from importlib import import_module",
    "data/__init__.py": "from sample import losses",
    "data/read.py": "from .nouns import Noun",
    "data/nouns.py": "Noun = 1",
    "data/up.py": "from ..losses import x",
    "models/__init__.py": "import importlib\nget = lambda n: importlib.import_module(n)",
    "models/net.py": "x = 1",
    "models/deep/inner.py": "x = 1",
    "models/deep/__init__.py": "",
}
EVERYTHING = frozenset(
    {
        "sample",
        *(
            f"sample.{name}"
            for name in ("losses", "late", "chain", "one", "two", "lazy", "data", "data.read")
        ),
    }
    | {
        f"sample.{name}"
        for name in (
            "data.nouns",
            "data.up",
            "models",
            "models.net",
            "models.deep",
            "models.deep.inner",
        )
    }
)


@pytest.fixture(scope="module")
def package(tmp_path_factory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("reach") / "sample"
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder.parent)
        yield folder


def test_modules(package):
    assert set(modules(package)) == EVERYTHING


@pytest.mark.parametrize(
    ("cell", "reached"),
    [
        ("x = 1", ""),
        ("import numpy, samples", ""),
        ("import sample", "sample"),
        ("from sample.losses import triplet", "sample losses"),
        ("from sample import losses as l", "sample losses"),
        ("import sample.losses as l", "sample losses"),
        ("from sample import chain", "sample chain late losses"),
        ("def f():\n    import sample.late", "sample late losses"),
        ("import sample.one", "sample one two"),
        ("from sample.data import read", "sample data losses data.read data.nouns"),
        ("import sample.data.up", "sample data losses data.up"),
        (
            "from sample.models import get",
            "sample models models.net models.deep models.deep.inner",
        ),
        ("from sample.data import *", "sample data losses data.read data.nouns data.up"),
        ("if True:\n    %pip install sample\nimport sample.losses", "sample losses"),
        ("model.eval()", ""),
    ],
)
def test_what_a_cell_reaches(package, cell, reached):
    expected = {name if name == "sample" else f"sample.{name}" for name in reached.split()}
    assert reach([cell], package) == expected


@pytest.mark.parametrize(
    "cell",
    [
        "!sample run 02",
        "out = !sample run 02",
        "%run other.py",
        "%load other.py",
        "%time import sample.losses",
        "%matplotlib inline",
        "%%time\nimport sample.losses",
        "%%bash\ntiny run 02",
        "import subprocess as s\ns.run(['sample'])",
        "from os import system",
        "import os\nos.system('sample')",
        "from importlib import import_module as load\nload('sample.losses')",
        "__import__('sample.losses')",
        "exec('import sample.losses')",
        "get_ipython().run_line_magic('run', 'other.py')",
        "get_ipython().system('sample')",
        "import runpy",
        "this cell is broken (",
        "help?",
    ],
)
def test_a_cell_that_cannot_be_followed_reaches_everything(package, cell):
    assert reach(["x = 1", cell], package) == EVERYTHING


def test_importing_by_name_at_the_top_reaches_everything(package):
    assert reach(["import sample.lazy"], package) == EVERYTHING


def test_with_a_syntax_error_in_a_module_every_module_is_reached(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    package = tmp_path / "sample"
    package.mkdir()
    for name, text in {"__init__": "", "half": "def f(", "other": "", "more": ""}.items():
        (package / f"{name}.py").write_text(text)
    every = {"sample", "sample.half", "sample.other", "sample.more"}
    assert reach(["import sample.other"], package) == every


def test_the_strings_of_a_cell():
    assert (
        "fashion-mnist"
        in read_cell("%matplotlib inline\ncatalogue = load('fashion-mnist')").strings
    )


def test_the_readers_of_fashionnb_are_seen():
    """Holds the real package to the rules: whatever loads data depends on every reader."""
    import fashionnb

    package = Path(fashionnb.__file__).parent
    readers = import_graph(package).find_modules_directly_imported_by("fashionnb.data.registry")
    assert "fashionnb.data.fashion_mnist" in readers
    found = reach(["from fashionnb import datasets"], package)
    assert {
        "fashionnb.data.products",
        "fashionnb.data.catalogue",
        "fashionnb.errors",
    } <= found
    assert not any(name.startswith("fashionnb.models") for name in found)


def test_a_public_name_reaches_the_module_that_defines_it(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    package = tmp_path / "offering"
    package.mkdir()
    (package / "__init__.py").write_text(
        "import importlib\n_HOMES = {'embed': 'features'}\n"
        "def __getattr__(name):\n    return importlib.import_module(_HOMES[name])\n"
    )
    (package / "features.py").write_text("")
    (package / "other.py").write_text("")
    assert reach(["import offering as o\no.embed(1)"], package) == {"offering", "offering.features"}
    assert reach(["import offering as o\no.other"], package) == {"offering"}


def test_ones_own_data_change_the_key_and_take_the_place_of_the_default(
    book, monkeypatch, tmp_path
):
    monkeypatch.setattr(registry, "fingerprint", lambda name: Path(name, "a").read_text())
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "a").write_text("1")
    text = tiny.chapter("open(garments)", parameters="garments = 'fashion-mnist'\nseed = 0")
    (book.folder / "01-look.md").write_text(text)
    [chapter] = book.chapters(["1"])
    assert chapter_dependencies.datasets(chapter, {}, book) == ["fashion-mnist"]
    mine = str(tmp_path / "mine")
    assert chapter_dependencies.datasets(chapter, {"garments": mine}, book) == []
    before = key(book, garments=mine)
    assert key(book, garments=mine) == before
    (tmp_path / "mine" / "a").write_text("2")
    assert key(book, garments=mine) != before
