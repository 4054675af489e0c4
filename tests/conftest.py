"""Fixtures that several test files share."""

import os
import sys
from pathlib import Path

import pytest

STATUS = pytest.StashKey[int]()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    session.config.stash[STATUS] = int(exitstatus)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """End with the tests' own status, without the destructors of native libraries.

    oneDNN, as torch 2.15 brings it, may free a pointer that it never set while it empties its cache of convolutions at
    the very end (`dnnl_primitive_attr::~dnnl_primitive_attr` after a backward pass on AVX-512). The tests are over by
    then, but the process would report a segmentation fault instead of what they found.
    """
    if "torch" in sys.modules and STATUS in config.stash:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(config.stash[STATUS])


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real datasets; a test that asks for it is skipped where there is none (never in CI)."""
    folder = os.environ.get("FASHIONNB_DATA")
    if not folder:
        if os.environ.get("CI"):
            pytest.fail("In CI the real data must be there: set FASHIONNB_DATA.")
        pytest.skip("FASHIONNB_DATA is not set")
    return Path(folder)
