"""Every notebook runs as a reader has it, top to bottom, in the quick profile; and says what its Markdown says."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fashionnb import pairs

BOOK = Path(__file__).resolve().parents[1] / "book"
NOTEBOOKS = sorted(BOOK.glob("[0-9][0-9]-*.ipynb"))


def test_no_pair_is_stale():
    assert pairs.stale(BOOK) == []


@pytest.fixture(scope="session")
def outputs(tmp_path_factory):
    """Where all chapters leave results and models: a later chapter may read those of an earlier one."""
    return tmp_path_factory.mktemp("outputs")


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(notebook, outputs):
    own = {
        "FASHIONNB_PROFILE": "quick",
        "FASHIONNB_RESULTS": str(outputs / "results"),
        "FASHIONNB_MODELS": str(outputs / "models"),
        "FASHIONNB_OFFLINE": "1",  # tests download nothing: without data the chapters draw it
    }
    # A pytest of its own, since the notebook's environment must not reach the other tests.
    words = ["--nbval-lax", "--nbval-current-env", "--nbval-cell-timeout", "600", "-p", "no:cacheprovider", "-x"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words, str(notebook)],
        env={**os.environ, **own},
        cwd=BOOK.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:]
