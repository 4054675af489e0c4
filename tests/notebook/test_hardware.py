"""Facts about the machine, against what else can be known of it."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

from platforms import linux_only

from fashionnb.notebook import hardware

BALLAST = "from fashionnb.notebook import hardware; before = hardware.peak_memory_mb(); x = bytearray(200 * 2**20); x[::4096] = b'1' * len(x[::4096]); print(hardware.peak_memory_mb() - before)"  # fmt: skip


def test_peak_memory_counts_megabytes():
    done = subprocess.run(
        [sys.executable, "-c", BALLAST], capture_output=True, text=True, check=True
    )
    assert 150 < float(done.stdout) < 260


def test_without_the_modules_of_unix_the_machine_is_described_all_the_same():
    """As on Windows: no `resource`, no `os.sysconf`, no /proc."""
    code = """
import os, pathlib, sys
from types import SimpleNamespace as space
process = space(memory_info=lambda: space(peak_wset=3 * 2**20))
psutil = space(virtual_memory=lambda: space(total=8 * 2**30), Process=lambda: process)
sys.modules.update(resource=None, fcntl=None, pwd=None, psutil=psutil)
from fashionnb.notebook import hardware
import fashionnb.publishing.run_chapter
for name in ("sysconf", "sched_getaffinity", "geteuid", "getuid", "uname"):
    vars(os).pop(name, None)
pathlib.Path.exists = lambda path: False
assert hardware.hardware().endswith(", 8 GB")
assert hardware.peak_memory_mb() == 3
assert hardware.peak_memory_mb(children=True) == 0
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@linux_only
def test_hardware_is_one_line_of_what_the_system_says(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 3, 5}, raising=False)
    listed = re.findall(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    processor, cores, memory = hardware.hardware().split(", ")
    assert processor == " ".join(listed[0].split()) if listed else processor
    assert cores == "3 cores"
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert memory == f"{round(total / 2**30)} GB"


def test_one_core_is_not_called_cores(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0}, raising=False)
    assert ", 1 core, " in hardware.hardware()


def test_another_device_is_named():
    assert hardware.hardware("mps").endswith(", mps device")


def test_versions():
    import numpy

    assert hardware.versions()["numpy"] == numpy.__version__
    assert hardware.versions()["python"] == ".".join(str(part) for part in sys.version_info[:3])


def test_latency_is_that_of_the_calls_after_the_warm_up():
    calls = []

    def run():
        time.sleep(0.01 * len(calls))
        calls.append(len(calls))

    seconds = hardware.latency(run, repeats=3, warm_up=2)
    assert calls == [0, 1, 2, 3, 4]
    assert len(seconds) == 3
    assert all(each >= slept for each, slept in zip(seconds, [0.02, 0.03, 0.04], strict=True))
    assert len(hardware.latency(lambda: None)) == 50
