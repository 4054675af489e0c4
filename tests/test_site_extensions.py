"""The docstrings of the house, as the site's own Sphinx extension renders them."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "book" / "_ext"))
from fashionnb_docstrings import as_rst
from fashionnb_site import _Contents


def rst(text: str) -> list[str]:
    """Lines that are not empty: where RST wants empty ones, the build of the book would complain."""
    return [line for line in as_rst(text.splitlines()) if line]


def test_sections_and_fields():
    text = "Do it.\n\nParameters\n----------\na, b : (n, d) float.\n    More of it.\nc : int | None.\n\nThe end."
    assert rst(text) == [
        "Do it.",
        ".. rubric:: Parameters",
        "- **a, b** : (n, d) float.",
        "  More of it.",
        "- **c** : int \\| None.",
        "The end.",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "see `embed` and `fashionnb.datasets.load`",
            "see `embed` and `fashionnb.datasets.load`",
        ),  # may become links
        (
            "run `fashionnb run 02` in `_build/<profile>`",
            "run ``fashionnb run 02`` in ``_build/<profile>``",
        ),
        ("``kept`` and :func:`kept`", "``kept`` and :func:`kept`"),
        ("class_ and `class_`", "class\\_ and `class_`"),
        ("|x| and 2 * 3, *all* of **them**", "\\|x\\| and 2 \\* 3, *all* of **them**"),
    ],
)
def test_inline(text, expected):
    assert rst(text) == [expected]


def test_lists_in_fields_and_code_stay():
    text = "x : one of\n\n    - a;\n      b;\n    - c.\ny : d.\n\nFor instance::\n\n    f(*args) | 1\n\nThat is_ all."
    assert rst(text) == [
        "- **x** : one of",
        "  - a;",
        "    b;",
        "  - c.",
        "- **y** : d.",
        "For instance::",
        "    f(*args) | 1",
        "That is\\_ all.",
    ]


def test_a_sentence_may_go_on_indented():
    assert rst("The catalogue with\n    all its columns.\n- a list\n  that goes on\n  and on") == [
        "The catalogue with",
        "all its columns.",
        "- a list",
        "  that goes on",
        "  and on",
    ]


def test_pages_of_one_folder_that_no_table_of_contents_lists_share_it():
    share, made = _Contents(), []
    app = SimpleNamespace(env=SimpleNamespace(all_docs={"book/index", "book/01-one"}))

    def contents(page):
        def toctree(**words):
            made.append(page)
            return f"of {page}, {words}"

        context = {"toctree": toctree}
        share(app, page, "page.html", context, None)
        return context["toctree"]

    assert (
        contents("_modules/a")(depth=1)
        == contents("_modules/b")(depth=1)
        == "of _modules/a, {'depth': 1}"
    )
    assert contents("_modules/b")(depth=2) == "of _modules/a, {'depth': 2}"
    assert contents("_modules/a/c")(depth=1) == "of _modules/a/c, {'depth': 1}"
    for page in ("book/index", "book/01-one"):
        assert contents(page)(depth=1) == f"of {page}, {{'depth': 1}}"
    assert made == ["_modules/a", "_modules/a", "_modules/a/c", "book/index", "book/01-one"]
