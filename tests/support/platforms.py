"""Marks for tests of what not every system has."""

import os
import sys

import pytest

unix_only = pytest.mark.skipif(
    os.name == "nt", reason="Windows has no such signals, pipes and links"
)
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="reads what Linux tells in /proc")
