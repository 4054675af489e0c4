"""The import graph: every way in which code can get at a module of the package."""

from pathlib import Path

import pytest

from fashionnb.publishing.import_graph import imported, modules, reach, read_cell

FILES = {
    "__init__.py": "",
    "losses.py": "import torch",
    "late.py": "def f():\n    from tiny import losses\n    return losses",
    "chain.py": "from tiny.late import f",
    "one.py": "from . import two",
    "two.py": "import tiny.one",  # a circle
    "lazy.py": "from importlib import import_module",
    "data/__init__.py": "from tiny import losses",
    "data/read.py": "from .nouns import Noun",
    "data/nouns.py": "Noun = 1",
    "data/up.py": "from ..losses import x",
    "models/__init__.py": "import importlib\nA = {'net': 'tiny.late:f'}\nget = lambda n: importlib.import_module(A[n])",
    "models/net.py": "x = 1",
    "models/deep/inner.py": "x = 1",
    "models/deep/__init__.py": "",
}
EVERYTHING = frozenset(
    {
        "tiny",
        *(
            f"tiny.{name}"
            for name in ("losses", "late", "chain", "one", "two", "lazy", "data", "data.read")
        ),
    }
    | {
        f"tiny.{name}"
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
def package(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("reach") / "tiny"
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def test_modules(package):
    assert set(modules(package)) == EVERYTHING


@pytest.mark.parametrize(
    ("cell", "reached"),
    [
        ("x = 1", ""),
        ("import numpy, tinybits", ""),
        ("import tiny", "tiny"),
        ("from tiny.losses import triplet", "tiny losses"),
        ("from tiny import losses as l", "tiny losses"),
        ("import tiny.losses as l", "tiny losses"),
        ("from tiny import chain", "tiny chain late losses"),
        ("def f():\n    import tiny.late", "tiny late losses"),
        ("import tiny.one", "tiny one two"),
        ("from tiny.data import read", "tiny data losses data.read data.nouns"),
        ("import tiny.data.up", "tiny data losses data.up"),
        (
            "from tiny.models import get",
            "tiny models models.net models.deep models.deep.inner late losses",
        ),
        ("from tiny.data import *", "tiny data losses data.read data.nouns data.up"),
        ("%matplotlib inline\nimport tiny.losses", "tiny losses"),
        ("%%time\nimport tiny.losses", "tiny losses"),
        ("if True:\n    %pip install tiny\nimport tiny.losses", "tiny losses"),
        ("get_ipython().run_line_magic('pip', 'install tiny')", ""),
        ("model.eval()", ""),
    ],
)
def test_what_a_cell_reaches(package, cell, reached):
    expected = {name if name == "tiny" else f"tiny.{name}" for name in reached.split()}
    found = reach([cell], package)
    assert set(found.modules) == expected
    assert not found.whole


@pytest.mark.parametrize(
    "cell",
    [
        "!tiny run 02",
        "out = !tiny run 02",
        "%run other.py",
        "%load other.py",
        "%time import tiny.losses",
        "%%bash\ntiny run 02",
        "import subprocess as s\ns.run(['tiny'])",
        "from os import system",
        "import os\nos.system('tiny')",
        "from importlib import import_module as load\nload('tiny.losses')",
        "__import__('tiny.losses')",
        "exec('import tiny.losses')",
        "get_ipython().run_line_magic('run', 'other.py')",
        "get_ipython().system('tiny')",
        "import runpy",
        "this cell is broken (",
        "help?",
    ],
)
def test_a_cell_that_cannot_be_followed_reaches_everything(package, cell):
    found = reach(["x = 1", cell], package)
    assert found.whole
    assert found.modules == EVERYTHING


def test_importing_by_name_at_the_top_reaches_everything(package):
    assert reach(["import tiny.lazy"], package).modules == EVERYTHING


def test_a_module_with_a_mistake_reaches_its_folder(tmp_path):
    package = tmp_path / "tiny"
    package.mkdir()
    for name, text in {"__init__": "", "half": "def f(", "other": ""}.items():
        (package / f"{name}.py").write_text(text)
    assert reach(["import tiny.half"], package).modules == {"tiny", "tiny.half", "tiny.other"}


def test_a_cell_says_its_strings():
    assert (
        "fashion-mnist"
        in read_cell("%matplotlib inline\ncatalogue = load('fashion-mnist')").strings
    )


def test_the_readers_of_fashionnb_are_seen():
    """Holds the real package to the rules: whatever loads data depends on every reader."""
    import fashionnb

    known = modules(Path(fashionnb.__file__).parent)
    assert "fashionnb.data.fashion_mnist" in imported("fashionnb.data.registry", known)
    found = reach(["from fashionnb import datasets"], Path(fashionnb.__file__).parent)
    assert {
        "fashionnb.data.products",
        "fashionnb.data.catalogue",
        "fashionnb.errors",
    } <= found.modules
    assert not any(name.startswith("fashionnb.models") for name in found.modules)
    assert not found.whole
