"""Fixtures that several test files share."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from web_server import Server

from fashionnb.data import downloads

CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
FLAGS += ["--disable-component-update", "--disable-sync"]


# The tests compare numbers to the last bit, so they compute on the CPU also where there is a GPU.
os.environ.setdefault("FASHIONNB_DEVICE", "cpu")

LONGEST = ("test_book.py", "test_notebooks.py", "test_colab_and_kaggle.py")


def pytest_collection_modifyitems(items):
    """The files that run every chapter come first, so that of several processes none is left with one at the end."""
    items.sort(key=lambda item: item.path.name not in LONGEST)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real datasets; a test that asks for it is skipped where there is none (never in CI)."""
    folder = os.environ.get("FASHIONNB_DATA")
    if not folder:
        if os.environ.get("CI"):
            pytest.fail("In CI the real data must be there: set FASHIONNB_DATA.")
        pytest.skip("FASHIONNB_DATA is not set")
    return Path(folder)


@pytest.fixture(scope="session")
def wheel(tmp_path_factory) -> Path:
    """The wheel of the package, built from the working tree; beside it lies the source distribution."""
    folder = tmp_path_factory.mktemp("dist")
    words = [sys.executable, "-m", "hatchling", "build", "-d", str(folder)]
    root = Path(__file__).resolve().parents[1]
    done = subprocess.run(words, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    [built] = folder.glob("*.whl")
    return built


@pytest.fixture
def chromium() -> str:
    """The path of Chromium. Without one the test is skipped, but for CI."""
    program = next((found for name in CHROMIUM if (found := shutil.which(name))), None)
    if program is None:
        if os.environ.get("CI"):
            pytest.fail("In CI the pages must be opened in a browser: install Chromium.")
        pytest.skip("Chromium is not installed")
    return program


@pytest.fixture
def open_browser(chromium, tmp_path):
    """A function that opens Chromium with the theme that a reader chose; without one, as on a first visit.

    Its `options` are those of Playwright's browser contexts, for instance has_touch.
    """
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:

        def start(mode: str | None = None, **options):
            context = playwright.chromium.launch_persistent_context(
                tmp_path,
                executable_path=chromium,
                headless=True,
                chromium_sandbox=False,
                args=FLAGS,
                **options,
            )
            if mode:
                context.add_init_script(f"localStorage.mode = localStorage.theme = {mode!r}")
            return context

        yield start


@pytest.fixture(autouse=True)
def nobody_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """No host has been found silent yet, as at the start of a process."""
    monkeypatch.setattr(downloads, "_hosts", {})


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, no `FASHIONNB_DATA`, and the network allowed."""
    for name in ("FASHIONNB_DATA", "FASHIONNB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("FASHIONNB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(downloads, "TIMEOUT", (5, 0.5))
    server = Server()
    yield server
    server.over.set()
    server.http.shutdown()
    server.http.server_close()
