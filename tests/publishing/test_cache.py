"""What changes a chapter's key, and what does not. No chapter is run here."""

import pytest
import tiny

from fashionnb.data import registry
from fashionnb.publishing import cache

USES_HELPER = tiny.chapter(
    "from tinypackage.helper import VALUE", parameters="seed = 0\nsource = 'x'"
)


@pytest.fixture
def book(tmp_path, monkeypatch):
    learn = tiny.chapter("import tinypackage")
    book = tiny.book(tmp_path, c01_look=USES_HELPER, c02_learn=learn)
    monkeypatch.syspath_prepend(book.package.parent)
    return book


def key(book, name="01-look", profile="cpu", **parameters):
    return cache.key(book.chapters([name])[0], profile, parameters, book)


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
        "book/results/cpu/01-look.json",
        "source/tinypackage/other.py",
        "source/tinypackage/__pycache__/helper.cpython-311.pyc",
        "README.md",
    ],
)
def test_files_that_do_not_change_the_key(book, file):
    before = key(book)
    append(book.root / file)
    assert key(book) == before


def test_the_full_run_that_a_page_shows_changes_its_key_but_not_that_of_the_full_run_itself(book):
    shows = USES_HELPER.replace(
        "import VALUE", "import VALUE\nfrom fashionnb.notebook.full_run import full_run"
    )
    (book.root / "book" / "03-shows.md").write_text(shows)
    profiles = ("quick", "cpu", "full")
    before = {profile: key(book, "03-shows", profile) for profile in profiles}
    append(book.root / "book" / "results" / "full" / "03-shows.json")
    changed = [profile for profile in profiles if key(book, "03-shows", profile) != before[profile]]
    assert changed == ["quick", "cpu"]


def test_profile_and_parameters_change_the_key(book):
    made = {
        key(book),
        key(book, profile="full"),
        key(book, seed=1),
        key(book, seed=2),
        key(book, source=1),
    }
    assert len(made) == 5


def test_libraries_change_the_key(book, monkeypatch):
    before = key(book)
    monkeypatch.setattr(cache, "libraries", lambda: {"torch": "0.0"})
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
        ("from tinypackage.data import fashion_mnist", {}, ["fashion-mnist"]),
        ("from tinypackage.helper import load", {}, ["fashion-mnist"]),
        ("from tinypackage.data.registry import SOURCES\nlen(SOURCES)", {}, []),
        ("!fashionnb data fetch fashion-mnist", {}, ["fashion-mnist"]),  # reaches helper
    ],
)
def test_which_datasets_a_chapter_needs(book, monkeypatch, cell, parameters, named):
    with_data(book, monkeypatch)
    (book.package / "helper.py").write_text("def load():\n    return open('fashion-mnist')\n")
    (book.folder / "02-learn.md").write_text(tiny.chapter(cell))
    assert cache.datasets(book.chapters(["2"])[0], parameters, book) == named


def test_a_chapter_that_reads_another_depends_on_it(book):
    (book.folder / "02-learn.md").write_text(
        tiny.chapter("from fashionnb.notebook import results\nresults.load('01-look')")
    )
    assert [chapter.name for chapter in cache.chapters_read(book.chapters(["2"])[0], book)] == [
        "01-look"
    ]
    assert cache.chapters_read(book.chapters(["1"])[0], book) == []
    before = key(book, "02-learn")
    (book.package / "helper.py").write_text("VALUE = 2\n")
    after_helper = key(book, "02-learn")
    (book.folder / "results" / "cpu").mkdir(parents=True)
    (book.folder / "results" / "cpu" / "01-look.json").write_text("{}")
    assert len({before, after_helper, key(book, "02-learn")}) == 3


def test_a_chapter_that_reads_all_results_depends_on_all_before_it(book):
    (book.folder / "03-all.md").write_text(
        tiny.chapter("from fashionnb.notebook import results\nresults.load_all()")
    )
    assert [chapter.name for chapter in cache.chapters_read(book.chapters(["3"])[0], book)] == [
        "01-look",
        "02-learn",
    ]


def test_libraries_are_those_that_matter():
    found = cache.libraries()
    assert {"torch", "numpy", "scipy", "papermill", "fashionnb"} <= set(
        found
    )  # scipy: only scikit-learn asks for it
    assert "ruff" not in found
