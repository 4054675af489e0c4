"""Which chapters there are, and which parameters they have."""

import datetime

import pytest
import tiny

from fashionnb.errors import RunError
from fashionnb.publishing.chapters import Book

PARAMETERS = """
profile = None
epochs = 3  # how long
learning_rate: float = 3e-4
margin = 0.2
device = None
precision = "no"
sizes = (1, 2)
steps = 10 * 5
shuffle = True
"""


@pytest.fixture
def book(tmp_path):
    text = tiny.chapter("x = epochs", parameters=PARAMETERS)
    return tiny.book(
        tmp_path, c01_look=text, c02_style2vec=text, c02_style=text, c11_end=tiny.chapter("1 + 1")
    )


def test_a_chapter_holds_its_code_and_parameters(book):
    one = book.chapters()[0]
    assert one.name == "01-look"
    assert one.code[1] == "x = epochs"
    assert one.parameters["epochs"] == "3"
    assert one.parameters["learning_rate"] == "0.0003"
    assert next(iter(one.parameters)) == "profile"


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ([], "01-look 02-style 02-style2vec 11-end"),
        (["2"], "02-style 02-style2vec"),
        (["02"], "02-style 02-style2vec"),
        (["02-style"], "02-style"),
        (["02-style2"], "02-style2vec"),
        (["book/02-style2vec.md", "1"], "01-look 02-style2vec"),
        (["11-end.ipynb", "11"], "11-end"),
        (["le2"], "02-style2vec"),
        (["look", "end"], "01-look 11-end"),
    ],
)
def test_selection(book, wanted, found):
    assert [chapter.name for chapter in book.chapters(wanted)] == found.split()


@pytest.mark.parametrize("wanted", ["02-s", "style", "02-"])
def test_a_part_of_several_names(book, wanted):
    with pytest.raises(RunError, match="is a part of several chapters: 02-style, 02-style2vec"):
        book.chapters([wanted])


@pytest.mark.parametrize("wanted", ["3", "styles", "", "0"])
def test_unknown_chapter(book, wanted):
    with pytest.raises(RunError, match="There are: 01-look, 02-style, 02-style2vec, 11-end"):
        book.chapters([wanted])


def test_a_book_without_chapters(tmp_path):
    with pytest.raises(RunError, match="there are no chapters"):
        tiny.book(tmp_path).chapters()


def test_book_is_found_from_inside_it(book, monkeypatch):
    monkeypatch.chdir(book.folder)
    assert Book.find().root == book.root
    assert Book.find().package.name == "fashionnb"


def test_no_book(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "fashionnb.__file__", str(tmp_path / "site-packages" / "fashionnb" / "__init__.py")
    )
    with pytest.raises(RunError, match=r"No book here.*Clone the repository"):
        Book.find(tmp_path)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("epochs", "50", 50),
        ("epochs", "50.0", 50),
        ("learning_rate", "1e-3", 0.001),
        ("learning_rate", "1", 1.0),
        ("margin", ".5", 0.5),
        ("device", "cuda", "cuda"),
        ("device", "null", None),
        ("device", "None", None),
        ("device", "false", False),
        ("device", "true", True),
        ("device", "2020-01-01", "2020-01-01"),
        ("precision", "no", "no"),
        ("precision", "3", "3"),
        ("sizes", "[3, 4]", (3, 4)),
        ("shuffle", "1", True),
        ("steps", "7", 7),
        ("shuffle", "false", False),
    ],
)
def test_values_get_the_type_of_the_default(book, name, text, value):
    typed = book.chapters()[0].typed({name: text})[name]
    assert typed == value
    assert type(typed) is type(value)


def test_dates_stay_text(book):
    assert not isinstance(
        book.chapters()[0].typed({"device": "2020-01-01"})["device"], datetime.date
    )


@pytest.mark.parametrize(
    ("given", "phrase"),
    [
        (
            {"epoch": "5"},
            "01-look has no parameter 'epoch'. It has: profile (None), epochs (3), learning_rate (0.0003)",
        ),
        ({"epochs": "many"}, "parameter epochs is int (default 3), got 'many'"),
        ({"epochs": "1.5"}, "parameter epochs is int"),
        ({"epochs": "true"}, "parameter epochs is int"),
        ({"shuffle": "maybe"}, "parameter shuffle is bool"),
        ({"sizes": "3"}, "parameter sizes is tuple"),
        ({"margin": "[1"}, "parameter margin is float (default 0.2), got '[1'"),
        ({"profile": "quick"}, "Use --profile"),
    ],
)
def test_bad_parameters(book, given, phrase):
    with pytest.raises(RunError) as error:
        book.chapters()[0].typed(given)
    assert phrase in str(error.value)


def test_a_chapter_without_parameters(book):
    with pytest.raises(RunError, match=r"11-end has no parameter 'x'\. It has: none"):
        book.chapters(["11"])[0].typed({"x": "1"})


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ("# No header\n", "needs a kernelspec with name python3 and language python"),
        ("---\nkernelspec: [\n---\n", "cannot be read as a MyST notebook"),
        (tiny.HEADER.replace("language: python", "language: R"), "language python"),
    ],
)
def test_bad_chapters(book, text, phrase):
    path = book.folder / "01-look.md"
    path.write_text(text)
    with pytest.raises(RunError) as error:
        _ = book.chapters(["1"])[0].notebook
    assert phrase in str(error.value)
    assert str(path) in str(error.value)


def test_parameters_that_are_not_python(book):
    (book.folder / "01-look.md").write_text(tiny.chapter("1", parameters="epochs ="))
    with pytest.raises(RunError, match="the parameters cell is not plain Python"):
        _ = book.chapters(["1"])[0].parameters
