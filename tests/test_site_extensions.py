"""The site's own Sphinx extension."""

import sys
from pathlib import Path
from types import SimpleNamespace

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "book" / "_ext"))
from fashionnb_site import _Contents, _readable


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


def test_defaults_that_are_no_python_are_left_out_of_signatures():
    found = _readable(None, "class", "C", None, None, "(a: list = <factory>)", "None")
    assert found == ("(a: list = ...)", "None")
    assert _readable(None, "class", "C", None, None, None, None) == (None, None)
