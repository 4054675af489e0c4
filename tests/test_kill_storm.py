"""Killed commands resume to what an unbroken run makes, and a full disk is one sentence: a small form of the benchmark."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "benchmarks" / "kill_storm.py"


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL and no fork")
def test_a_small_storm():
    command = [sys.executable, SCRIPT, "--kills", "1", "embed", "collect", "machine"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.stdout.endswith("All is well.\n"), done.stdout + done.stderr
    assert done.returncode == 0
