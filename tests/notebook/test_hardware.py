"""Facts about the machine, against what else can be known of it."""

import itertools
import subprocess
import sys

import pytest

from fashionnb.notebook import hardware

BALLAST = "from fashionnb.notebook import hardware; before = hardware.peak_memory_mb(); x = bytearray(200 * 2**20); x[::4096] = b'1' * len(x[::4096]); print(hardware.peak_memory_mb() - before)"  # fmt: skip


def test_peak_memory_counts_megabytes():
    done = subprocess.run(
        [sys.executable, "-c", BALLAST], capture_output=True, text=True, check=True
    )
    assert 150 < float(done.stdout) < 260


def test_hardware_is_one_line():
    text = hardware.hardware()
    assert "\n" not in text
    assert f"{hardware.cores()} core" in text


def test_versions():
    import numpy

    assert hardware.versions()["numpy"] == numpy.__version__
    assert hardware.versions()["python"] == ".".join(str(part) for part in sys.version_info[:3])


def test_latency_counts_the_calls_after_the_warm_up(monkeypatch):
    clock, calls = itertools.count(), []
    monkeypatch.setattr(hardware.time, "perf_counter", lambda: next(clock) ** 2)
    seconds = hardware.latency(lambda: calls.append(len(calls)), repeats=3, warm_up=2)
    assert seconds == [
        1,
        5,
        9,
    ]  # 1² - 0², 3² - 2², 5² - 4²: the clock is read for the counted calls only
    assert calls == [0, 1, 2, 3, 4]
    assert len(hardware.latency(lambda: None)) == 50


@pytest.mark.parametrize("wrong", [{"repeats": 0}, {"warm_up": -1}])
def test_latency_of_nothing(wrong):
    with pytest.raises(ValueError, match="1 call or more"):
        hardware.latency(lambda: None, **wrong)
