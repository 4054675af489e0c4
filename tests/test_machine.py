"""Facts about the machine, against what else can be known of it."""

import subprocess
import sys

from fashionnb import machine

BALLAST = "from fashionnb import machine; before = machine.peak_memory_mb(); x = bytearray(200 * 2**20); x[::4096] = b'1' * len(x[::4096]); print(machine.peak_memory_mb() - before)"  # fmt: skip  # noqa: E501


def test_peak_memory_counts_megabytes():
    done = subprocess.run([sys.executable, "-c", BALLAST], capture_output=True, text=True, check=True)
    assert 150 < float(done.stdout) < 260


def test_hardware_is_one_line():
    text = machine.hardware()
    assert "\n" not in text
    assert f"{machine.cores()} core" in text


def test_versions():
    import numpy

    assert machine.versions()["numpy"] == numpy.__version__
    assert machine.versions()["python"] == ".".join(str(part) for part in sys.version_info[:3])
