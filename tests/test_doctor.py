"""What `fashionnb doctor` finds: on a sound installation, on broken ones, and of links that do not answer."""

import dataclasses
import importlib.metadata
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fashionnb import doctor
from fashionnb.data import registry
from fashionnb.models import pretrained


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch, cache):
    """An empty working folder and an empty cache."""
    for name in ("PROFILE", "DEVICE", "PRECISION", "RESULTS", "MODELS"):
        monkeypatch.delenv(f"FASHIONNB_{name}", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def wrong(findings):
    return {finding.label: finding.text for finding in findings if finding.wrong}


def text_of(label):
    return "\n".join(one.text for one in doctor.examine(offline=True) if one.label == label)


def test_a_sound_installation():
    findings = doctor.examine(offline=True)
    assert wrong(findings) == {}
    page = doctor.report(findings)
    for phrase in ("fashionnb", "numpy", "torch", "threads", "precision", "GB of it free", "cache"):
        assert phrase in page, phrase
    assert "fashion-mnist: not here" in page
    assert "link         not asked" in page
    assert page.endswith("\n\nWell enough to run.")
    assert max(map(len, page.splitlines())) <= 200, "one path may be long, a list is wrapped"


def test_datasets_are_found(cache):
    (cache / "clothing-dataset-small.zip").parent.mkdir()
    (cache / "clothing-dataset-small.zip").touch()
    assert f"clothing-dataset-small: {doctor._impersonal(str(cache))}/" in text_of("dataset")


def no_torch(monkeypatch, here):
    monkeypatch.setitem(sys.modules, "torch", None)
    return {"device", "weights"}, "torch"


def data_folder_is_a_file(monkeypatch, here):
    (here / "data").touch()
    monkeypatch.setenv("FASHIONNB_DATA", str(here / "data"))
    return {"data"}, "which is not a folder"


def cache_is_a_file(monkeypatch, here):
    (here / "cache").touch()
    return {"cache"}, "cannot be written (Not a directory). FASHIONNB_CACHE can name another folder"


def cache_cannot_be_read(monkeypatch, here):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(registry, "find", refuse)
    return {"dataset"}, "Permission denied"


def working_folder_is_gone(monkeypatch, here):
    (here / "gone").mkdir()
    monkeypatch.chdir(here / "gone")
    (here / "gone").rmdir()
    return {"results", "models"}, "FileNotFoundError"


def unknown_profile(monkeypatch, here):
    monkeypatch.setenv("FASHIONNB_PROFILE", "fast")
    return {"device"}, "There is no profile 'fast'"


def readers_cannot_be_imported(monkeypatch, here):
    def broken():
        raise ValueError("numpy.dtype size changed")

    monkeypatch.setattr(registry, "_sources", broken)
    return {"dataset", "link"}, "ValueError: numpy.dtype size changed"


def libraries_are_missing_or_old(monkeypatch, here):
    needed = ["numpy>=99", "no-such-library>=1", "no-such-extra>=1; extra == 'demo'"]
    monkeypatch.setattr(importlib.metadata, "requires", lambda _: needed)
    return {"libraries"}, "numpy>=99 is needed; no-such-library>=1 is not installed. Install"


def no_home(monkeypatch, here):
    def homeless():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    return set(), ""


def no_user_name(monkeypatch, here):
    def nameless():
        raise KeyError("getpwuid(): uid not found: 1000")

    monkeypatch.setattr("getpass.getuser", nameless)
    return set(), ""


@pytest.mark.parametrize(
    "broken",
    [
        no_torch,
        data_folder_is_a_file,
        cache_is_a_file,
        cache_cannot_be_read,
        working_folder_is_gone,
        unknown_profile,
        readers_cannot_be_imported,
        libraries_are_missing_or_old,
        no_home,
        no_user_name,
    ],
)
def test_what_is_broken_is_a_line_and_stops_no_other(monkeypatch, here, broken):
    labels, phrase = broken(monkeypatch, here)
    findings = doctor.examine(offline=broken is not readers_cannot_be_imported)
    found = wrong(findings)
    assert found.keys() == labels
    assert phrase in " ".join(found.values())
    assert {"python", "libraries", "cache", "checkpoints", "link"} <= {
        one.label for one in findings
    }
    page = doctor.report(findings)
    for label in labels:
        assert f"\n! {label}" in page
    assert page.splitlines()[-1].startswith("Wrong, see above: " if labels else "Well enough")


BROKEN = """
import sys
sys.modules["torch"] = sys.modules["pandas"] = None
from fashionnb.cli import main
sys.exit(main(["doctor", "--offline"]))
"""


def test_the_command_works_where_nothing_else_does(here, monkeypatch):
    (here / "file").touch()
    for name in ("FASHIONNB_DATA", "FASHIONNB_CACHE", "FASHIONNB_RESULTS"):
        monkeypatch.setenv(name, str(here / "file"))
    monkeypatch.delenv("HOME", raising=False)
    done = subprocess.run(
        [sys.executable, "-c", BROKEN], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (1, "")
    verdict = done.stdout.splitlines()[-1]
    assert verdict.startswith("Wrong, see above: device, data, cache, results, ")
    assert "checkpoints" in verdict


def test_no_personal_paths(here, monkeypatch):
    home = here / "home" / "ann-smith"
    home.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("LOGNAME", "annsmith")
    monkeypatch.setenv("FASHIONNB_CACHE", str(home / "cache"))
    monkeypatch.setenv("FASHIONNB_MODELS", str(here / "scratch" / "annsmith" / "models"))
    monkeypatch.setenv("HTTPS_PROXY", "http://ann:secret@proxy.example")
    page = doctor.report(doctor.examine(offline=True))
    assert "~/cache can be written" in page
    assert "/scratch/USER/models" in page
    assert "HTTPS_PROXY is set" in page
    assert not any(word in page for word in ("ann-smith", "annsmith", "secret"))


def test_links_are_asked_all_at_once_and_a_dead_one_is_not_wrong(server, monkeypatch):
    silent = socket.create_server(("127.0.0.1", 0))  # takes connections and never answers
    closed = socket.create_server(("127.0.0.1", 0))
    closed_port = closed.getsockname()[1]
    closed.close()
    urls = {
        "good": server.url("good", b"data"),
        "moved away": server.url("moved", 404),
        "silent": f"http://127.0.0.1:{silent.getsockname()[1]}/",
        "also silent": f"http://127.0.0.1:{silent.getsockname()[1]}/",
        "closed": f"http://127.0.0.1:{closed_port}/",
    }
    known = registry.get("fashion-mnist")
    sources = {
        name: dataclasses.replace(known, name=name, urls={"file": (url,), "other": (url,)})
        for name, url in urls.items()
    }
    monkeypatch.setattr(registry, "_sources", lambda: sources)
    monkeypatch.setattr(pretrained, "URLS", {"net": server.url("net", b"weights")})
    monkeypatch.setattr(doctor, "SECONDS", 0.6)
    begun = time.monotonic()
    links = doctor._links(offline=False)
    assert time.monotonic() - begun < 1.1
    silent.close()
    assert not any(link.wrong for link in links)
    said = [link.text for link in links]
    assert said[0].startswith("good: 127.0.0.1 answers in 0.")
    assert said[1] == "moved away: 127.0.0.1 refuses: 404"
    assert all("fails: ReadTimeout" in one or "no answer in time" in one for one in said[2:4])
    assert said[4] == "closed: 127.0.0.1 fails: ConnectionError"
    assert said[5].startswith("net: 127.0.0.1 answers")
    assert server.asked.count("/good") == 1, "of each host one file is asked for"


def test_the_network_is_not_touched_when_it_is_forbidden(monkeypatch):
    monkeypatch.setenv("FASHIONNB_OFFLINE", "1")
    [link] = doctor._links(offline=False)
    assert link.text == "not asked"
