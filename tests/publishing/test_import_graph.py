"""The import graph: every way in which code can get at a module of the package."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from fashionnb.publishing.import_graph import import_graph, modules, reach, read_cell

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
    "models/__init__.py": "import importlib\nA = {'net': 'sample.late:f'}\nget = lambda n: importlib.import_module(A[n])",
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
            "sample models models.net models.deep models.deep.inner late losses",
        ),
        ("from sample.data import *", "sample data losses data.read data.nouns data.up"),
        ("%matplotlib inline\nimport sample.losses", "sample losses"),
        ("%%time\nimport sample.losses", "sample losses"),
        ("if True:\n    %pip install sample\nimport sample.losses", "sample losses"),
        ("get_ipython().run_line_magic('pip', 'install sample')", ""),
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
