"""Chapters run as in Colab and in Kaggle: with their libraries, by the first cell's install, without git, data or network.

Both have one environment here: the libraries of `support/colab.txt` with the torch of the tests, which is not copied.
In Colab everything can be written. In Kaggle, as here, only the working folder can: packages and HOME are read-only, so
that pip installs for the user, into the working folder. Reaches the package index, and nothing else.
"""

import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import nbformat
import pytest
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpecManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
LIST = Path(__file__).parent / "support" / "colab.txt"
ADDED = {"fashionnb", "faiss-cpu", "protego"}  # what the first cell installs there, and no more
PASSED_ON = re.compile("(PIP|UV|SSL|REQUESTS|CURL)_.*|.*_(proxy|PROXY)|LANG|LC_.*|OMP_NUM_THREADS")
REFUSED = "http://127.0.0.1:9"  # where nobody answers: connections are refused at once

# All rights of root but to write what is read-only, and to read what is not for it.
NOT_ROOT = ["/usr/bin/setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all"]


def versions(folder: Path) -> dict[str, str]:
    """Name -> version of what is installed in a folder of packages."""
    found = importlib.metadata.distributions(path=[str(folder)])
    return {canonicalize_name(one.name): one.version for one in found}


def lend_torch(folder: Path) -> None:
    """Link torch, torchvision and what else they need from the environment of the tests into a folder of packages."""
    there = set(versions(folder))
    waiting = [Requirement("torch"), Requirement("torchvision")]
    seen = set()
    for requirement in waiting:  # which grows
        name = canonicalize_name(requirement.name)
        if name in there or str(requirement) in seen:
            continue
        seen.add(str(requirement))
        lent = importlib.metadata.distribution(name)
        for top in {file.parts[0] for file in lent.files or ()} - {"..", "__pycache__"}:
            if not (folder / top).exists():
                (folder / top).symlink_to(lent.locate_file(top))
        for other in map(Requirement, lent.requires or ()):
            extras = ("", *requirement.extras)
            if other.marker is None or any(other.marker.evaluate({"extra": one}) for one in extras):
                waiting.append(other)


def set_writable(folder: Path, writable: bool) -> None:
    """Let nothing be created or removed below a folder any more, or allow it again; links are not followed."""
    for path, _, _ in os.walk(folder):
        Path(path).chmod(0o755 if writable else 0o555)


class Host:
    """A place like Colab: an environment, a home, a working folder, and chapters that are run there.

    `install` is what the first cells name instead of the repository.
    """

    def __init__(self, folder: Path, install: str) -> None:
        self.folder, self.install = folder, install
        self.home, self.working, self.kernels = (
            folder / name for name in ("home", "content", "kernels")
        )
        self.python = folder / "env" / "bin" / "python"
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        self.packages = folder / "env" / "lib" / version / "site-packages"
        self.user_base: Path | None = None

    def uv(self, *words: str | Path) -> None:
        uv = shutil.which(
            "uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        )
        if uv is None:
            if os.environ.get("CI"):
                pytest.fail("In CI these places must be tried out: install uv.")
            pytest.skip("uv is not installed")
        done = subprocess.run([uv, *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    def environment(self) -> dict[str, str]:
        """No git is on the PATH, no data are named, and the profile is quick."""
        passed_on = {name: text for name, text in os.environ.items() if PASSED_ON.fullmatch(name)}
        own = {
            "HOME": str(self.home),
            "PATH": str(self.python.parent),
            "SHELL": "/bin/sh",
            "TMPDIR": str(self.folder / "tmp"),
            "FASHIONNB_PROFILE": "quick",
            "PIP_CONSTRAINT": str(self.folder / "lent.txt"),
        }
        if self.user_base:
            own["PYTHONUSERBASE"] = str(self.user_base)
        return passed_on | own

    def run(self, chapter: str) -> tuple[nbformat.NotebookNode, float]:
        """Run a chapter from top to bottom; after its first cell the network is gone. Also the seconds of that cell."""
        notebook = nbformat.read(ROOT / "book" / f"{chapter}.ipynb", as_version=4)
        first, code = next(
            (place, cell) for place, cell in enumerate(notebook.cells) if cell.cell_type == "code"
        )
        code.source, replaced = re.subn(r"@ git\+[^\"]+", f"@ {self.install}", code.source)
        assert replaced == 1, f"{chapter}: the first cell installs nothing:\n{code.source}"
        gone = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), REFUSED)
        lost = f"import os\nos.environ.update({gone!r}, NO_PROXY='', no_proxy='')"
        notebook.cells.insert(first + 1, nbformat.v4.new_code_cell(lost))
        specs = KernelSpecManager(kernel_dirs=[str(self.kernels)])
        manager = AsyncKernelManager(kernel_name="here", kernel_spec_manager=specs)
        client = NotebookClient(notebook, km=manager, timeout=300)
        try:
            client.execute(env=self.environment(), cwd=str(self.working), cleanup_kc=True)
        except CellExecutionError as error:
            installing = "".join(out.get("text", "") for out in code.outputs)
            pytest.fail(f"{chapter}: {error}\nThe first cell printed:\n{installing}")
        times = code.metadata.execution
        began, ended = (
            datetime.fromisoformat(times[name])
            for name in ("iopub.status.busy", "iopub.status.idle")
        )
        seconds = (ended - began).total_seconds()
        print(f"{chapter}: the first cell took {seconds:.1f} s")
        return notebook, seconds


@pytest.fixture(scope="module")
def host(tmp_path_factory, wheel):
    """A place like Colab, all of it writable, in which fashionnb is not installed."""
    if sys.version_info >= (3, 13):
        pytest.skip(
            "Colab's list is one for Python 3.12; some of its libraries have no later wheels"
        )
    there = Host(tmp_path_factory.mktemp("host"), wheel.as_uri())
    # With the packages of Python itself, for only then pip can install for the user, too.
    there.uv("venv", "--python", sys.executable, "--system-site-packages", there.folder / "env")
    there.uv("pip", "install", "--no-deps", "--python", there.python, "-r", LIST)
    lend_torch(there.packages)
    for folder in (there.home, there.working, there.kernels / "here", there.folder / "tmp"):
        folder.mkdir(parents=True)
    # Should an install want another torch, it fails, rather than writing through the links.
    lent = (f"{name}=={importlib.metadata.version(name)}\n" for name in ("torch", "torchvision"))
    (there.folder / "lent.txt").write_text("".join(lent))
    start = [str(there.python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    if os.geteuid() == 0:
        start = NOT_ROOT + start
    spec = {"argv": start, "display_name": "here", "language": "python"}
    (there.kernels / "here" / "kernel.json").write_text(json.dumps(spec))
    yield there
    set_writable(there.folder, True)


def text_of(notebook: nbformat.NotebookNode) -> str:
    outputs = [out for cell in notebook.cells for out in cell.get("outputs", ())]
    return "\n".join(
        out.get("text") or out.get("data", {}).get("text/markdown", "") for out in outputs
    )


def test_colab(host):
    before = versions(host.packages)
    notebook, seconds = host.run("02-style2vec")
    after = versions(host.packages)
    assert {name: after.get(name) for name in before} == before, "the install changed a library"
    assert set(after) - set(before) == ADDED
    assert seconds < 60, f"the first cell took {seconds:.0f} s"
    assert "Drawn garments stand in for the real ones" in text_of(notebook)
    host.run("04-reading-a-space")


def test_kaggle(host):
    host.uv("pip", "uninstall", "--python", host.python, "fashionnb")  # if it is there
    host.user_base = host.working / ".local"
    # Python looks into this folder only if it was there when it started.
    (host.user_base / "lib" / host.packages.parent.name / "site-packages").mkdir(parents=True)
    host.home = host.folder / "another-home"
    host.home.mkdir(0o555)
    set_writable(host.folder / "env", False)
    before = versions(host.packages)
    notebook, _ = host.run("08-from-alike-to-compatible")
    assert versions(host.packages) == before
    assert list(host.home.iterdir()) == []
    assert list(host.user_base.rglob("fashionnb/__init__.py"))
    assert "Drawn garments stand in for the real ones" in text_of(notebook)
