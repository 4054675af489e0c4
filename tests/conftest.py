"""Fixtures that several test files share."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real datasets; a test that asks for it is skipped where there is none (never in CI)."""
    folder = os.environ.get("FASHIONNB_DATA")
    if not folder:
        if os.environ.get("CI"):
            pytest.fail("In CI the real data must be there: set FASHIONNB_DATA.")
        pytest.skip("FASHIONNB_DATA is not set")
    return Path(folder)
