"""Installing fashionnb: what the distributions hold, what works without extras, and what make does with TORCH=cpu."""

import email
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import jupytext
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import fashionnb
from fashionnb.errors import MissingExtra, needs_extra

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CHAPTERS = sorted((ROOT / "book").glob("[0-9][0-9]-*.md"))
MODULES = {str(path.relative_to(ROOT)) for path in (ROOT / "fashionnb").rglob("*.py")}


def published() -> set[str]:
    """The files of the book that the wheel takes along, by the names that they have in it."""
    found = set()
    for folder, name in (("checkpoints", "published"), ("results/full", "published_results/full")):
        there = ROOT / "book" / folder
        found |= {
            f"fashionnb/{name}/{path.relative_to(there)}"
            for path in there.rglob("*")
            if path.is_file()
        }
    return found


def test_the_wheel_holds_the_package_with_checkpoints_and_results_and_no_tests(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        [about] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        metadata = email.message_from_bytes(archive.read(about))
    code = {name for name in names if name.endswith(".py")}
    assert code == MODULES
    assert {"fashionnb/published/style2vec/card.json"} < published() <= names
    assert all(name.startswith("fashionnb/") for name in names)
    assert not any(name.endswith((".pyc", ".ipynb")) for name in names)
    assert wheel.stat().st_size < 20e6
    assert metadata["Name"] == "fashionnb"
    assert metadata["Version"] == fashionnb.__version__
    assert metadata.get_all("Provides-Extra") == sorted(PROJECT["optional-dependencies"])
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert metadata["License-Expression"] == "MIT"


def test_the_source_distribution_holds_what_the_wheel_is_built_from(wheel):
    name = f"fashionnb-{fashionnb.__version__}"
    with tarfile.open(wheel.parent / f"{name}.tar.gz") as archive:
        names = {found.name.removeprefix(f"{name}/") for found in archive.getmembers()}
    assert names >= MODULES | {"pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md"}
    assert {name.replace("fashionnb/published/", "book/checkpoints/") for name in published()} >= {
        name for name in names if name.startswith("book/checkpoints/")
    }
    folders = {name.partition("/")[0] for name in names if "/" in name}
    assert folders == {"fashionnb", "book"}


def test_one_version():
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == fashionnb.__version__
    newest = re.search(r"^## ([\d.]+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)[1]
    assert newest == fashionnb.__version__
    assert "version" not in PROJECT


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_the_first_cell_installs_what_the_chapter_needs(chapter):
    cells = [cell.source for cell in jupytext.read(chapter).cells if cell.cell_type == "code"]
    extras = (
        "notebook,onnx" if any("fashionnb.export" in source for source in cells) else "notebook"
    )
    assert cells[0].endswith(
        f'%pip install -q "fashionnb[{extras}] @ git+{PROJECT["urls"]["Repository"]}"'
    )


def libraries(extras: set[str]) -> set[str]:
    """Names of what `pip install fashionnb[extras]` brings into an environment, of what is installed in this one."""
    installed = {canonicalize_name(one.name): one for one in importlib.metadata.distributions()}
    waiting = [*PROJECT["dependencies"]]
    waiting += [text for extra in extras for text in PROJECT["optional-dependencies"][extra]]
    found = set()
    while waiting:
        requirement = Requirement(waiting.pop())
        name = canonicalize_name(requirement.name)
        if name in found or (requirement.marker and not requirement.marker.evaluate({"extra": ""})):
            continue
        found.add(name)
        waiting += (
            (installed[name].requires or []) if name in installed and name != "fashionnb" else []
        )
    return found


def test_without_extras_there_is_no_jupyter_and_nothing_that_draws_or_trains():
    heavy = {"jupyterlab", "ipykernel", "ipython", "matplotlib", "seaborn", "umap-learn", "numba"}
    heavy |= {"plotly", "accelerate", "papermill", "sphinx"}
    assert libraries(set()) & heavy == set()
    assert libraries({"notebook"}) & heavy == {
        "matplotlib", "seaborn", "umap-learn", "numba", "plotly", "accelerate"
    }  # fmt: skip


# Takes the names that are to be absent, and runs the code that comes on standard input as if they were not installed.
WITHOUT = """
import sys
from importlib.machinery import PathFinder
absent = set(sys.argv.pop().split())
class Installed(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name in absent else super().find_spec(name, path, target)
sys.meta_path = [Installed if finder is PathFinder else finder for finder in sys.meta_path]
exec(sys.stdin.read())
"""


def without_extras(code: str, **environment: str) -> subprocess.CompletedProcess:
    """Run code where only the dependencies of fashionnb without extras can be imported."""
    present = libraries(set()) | {"fashionnb"}
    absent = [
        name
        for name, owners in importlib.metadata.packages_distributions().items()
        if not present & set(map(canonicalize_name, owners))
    ]
    return subprocess.run(
        [sys.executable, "-c", WITHOUT, " ".join(absent)],
        input=code,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )


NEEDS_EXTRA = ("publishing", "notebook", "training", "scenes.training", "apps.demo")


def test_without_extras_all_else_can_be_imported():
    names = [path.removesuffix(".py").replace("/", ".") for path in sorted(MODULES)]
    names = [name.removesuffix(".__init__") for name in names if not name.endswith("__main__")]
    code = f"""
from importlib import import_module
for name in {names}:
    try:
        import_module(name)
    except ModuleNotFoundError:
        print(name, "plain")
    except ImportError as error:
        print(name, error)
"""
    done = without_extras(code)
    assert done.returncode == 0, done.stderr
    failed = dict(line.split(" ", 1) for line in done.stdout.splitlines())
    wrong = {
        name: told
        for name, told in failed.items()
        if not name.removeprefix("fashionnb.").startswith(NEEDS_EXTRA)
    }
    assert wrong == {}
    used = {"notebook.results", "notebook.hardware", "notebook.comparisons", "apps.demo.backend"}
    assert {f"fashionnb.{name}" for name in used} & failed.keys() == set()  # by the commands
    told = 'Training needs the library accelerate: `pip install "fashionnb[notebook]"`.'
    assert failed["fashionnb.training"] == failed["fashionnb.scenes.training"] == told
    assert failed["fashionnb.notebook.plots"].startswith("A figure needs the library matplotlib: ")


SEARCH = """
import numpy as np, fashionnb as fn
from fashionnb.cli import main
images = np.random.default_rng(0).integers(0, 256, (8, 28, 28, 1), dtype=np.uint8)
vectors = fn.embed(fn.load_model("style2vec"), images)
index = fn.Index.build(vectors, [str(i) for i in range(8)])
assert [row[0] for row in index.search(vectors, k=2)[0]] == [str(i) for i in range(8)]
print(main(["run", "02"]), main(["sync"]), main(["data", "list"]))
"""


def test_without_extras_pictures_are_embedded_and_searched_and_the_book_asks_for_its_extra(
    tmp_path,
):
    done = without_extras(SEARCH, FASHIONNB_CACHE=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "2 2 0"
    needs = re.findall(r'needs the library (\w+): `pip install "fashionnb\[book\]"`\.', done.stderr)
    assert needs == ["grimp", "jupytext"]
    assert "Traceback" not in done.stderr


def test_a_library_that_is_there_and_fails_is_not_reported_as_missing(tmp_path, monkeypatch):
    (tmp_path / "broken_library.py").write_text("raise ImportError('wrong CUDA')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ImportError, match="wrong CUDA") as caught, needs_extra("demo", "It"):
        import broken_library  # noqa: F401
    assert not isinstance(caught.value, MissingExtra)


def test_python_m_fashionnb_is_the_command():
    command = [sys.executable, "-m", "fashionnb"]
    done = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"fashionnb {fashionnb.__version__}\n"
    done = subprocess.run([*command, "lost"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "No such command 'lost'" in done.stderr


FAKE_UV = """#!/bin/sh
echo "$@" >>uv.log
case "$*" in
    venv*) mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
    *--torch-backend*) echo "error: no route to the index" >&2; exit {status} ;;
esac
"""


@pytest.fixture
def make_env(tmp_path):
    """A function that lets make set up an environment with a uv that only writes down what it is asked."""
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "fashionnb").mkdir()
    (tmp_path / "fashionnb" / "__init__.py").touch()
    (tmp_path / "bin").mkdir()

    def make(*words: str, status: int = 0):
        uv = tmp_path / "bin" / "uv"
        uv.write_text(FAKE_UV.format(status=status))
        uv.chmod(0o755)
        (tmp_path / "uv.log").unlink(missing_ok=True)
        environment = {
            name: text for name, text in os.environ.items() if name not in ("TORCH", "MAKEFLAGS")
        }
        environment["PATH"] = f"{uv.parent}{os.pathsep}{environment['PATH']}"
        command = ["make", f"PYTHON={sys.executable}", *words, ".venv/.ready"]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        log = tmp_path / "uv.log"
        asked = log.read_text().splitlines() if log.exists() else []
        return done, [line for line in asked if line.startswith("pip")]

    return make


INSTALL = "pip install --python .venv/bin/python"
EDITABLE = f"{INSTALL} --no-deps --no-build-isolation -e ."


def test_make_installs_by_the_lock(make_env):
    done, asked = make_env()
    assert (done.returncode, done.stderr) == (0, "")
    assert asked == [
        f"{INSTALL} --compile-bytecode --require-hashes -r requirements.lock",
        EDITABLE,
    ]


def test_make_torch_cpu_takes_only_torch_from_the_index_of_cpu_builds(make_env, tmp_path):
    done, asked = make_env("TORCH=cpu")
    assert (done.returncode, done.stderr) == (0, "")
    pins = re.findall(
        r"^((?:torch|torchvision)==\S+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE
    )
    assert asked == [
        f"{INSTALL} --no-deps --torch-backend cpu {' '.join(pins)}",
        f"{INSTALL} --compile-bytecode --require-hashes --no-deps -r .venv/cpu.lock",
        EDITABLE,
    ]
    left = set(
        re.findall(r"^[a-z][^=\[ ]*", (tmp_path / ".venv" / "cpu.lock").read_text(), re.MULTILINE)
    )
    every = set(
        re.findall(r"^[a-z][^=\[ ]*", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    )
    assert every - left >= {"torch", "torchvision", "triton", "nvidia-cudnn-cu13", "cuda-toolkit"}
    assert all(re.match("torch(vision)?$|triton$|nvidia-|cuda-", name) for name in every - left)
    # Later it stays so without being said again.
    (tmp_path / "requirements.lock").touch()
    assert make_env()[1] == asked


def test_make_torch_cpu_says_so_where_that_index_cannot_be_reached(make_env, tmp_path):
    done, asked = make_env("TORCH=cpu", status=2)
    assert done.returncode == 0
    assert done.stderr.splitlines() == [
        "PyTorch's CPU builds cannot be had here (.venv/torch.log says why): "
        "the usual wheels are installed, with the CUDA libraries."
    ]
    assert "no route" in (tmp_path / ".venv" / "torch.log").read_text()
    assert asked[1:] == [
        f"{INSTALL} --compile-bytecode --require-hashes -r requirements.lock",
        EDITABLE,
    ]


def test_make_knows_no_other_torch(make_env):
    done, asked = make_env("TORCH=cuda")
    assert done.returncode == 2
    assert "TORCH is 'cuda'; the one choice is TORCH=cpu" in done.stderr
    assert asked == []
