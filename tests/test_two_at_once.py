"""Two of everything at once on the same outputs: one waits or says who holds them, and nothing is lost."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import tiny
from bad_inputs import lay_good

from fashionnb import cli, files
from fashionnb.data import registry
from fashionnb.errors import WriteError
from fashionnb.publishing import run_book

SECONDS = 60  # machines in CI are slow


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> Path:
    return lay_good(tmp_path_factory.mktemp("good"))


def start(line: str, folder: Path) -> subprocess.Popen:
    own = {"FASHIONNB_CACHE": str(folder / "cache"), "FASHIONNB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}  # fmt: skip
    return subprocess.Popen(
        [sys.executable, "-m", "fashionnb", *line.split()],
        cwd=folder, env=os.environ | own, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.mark.parametrize(
    "line",
    ["embed {good}/photos --model {good}/model --out out/my.vectors", "index build {good}/photos --model {good}/model --out out/my.index"],
)  # fmt: skip
def test_two_commands_leave_what_one_leaves(line, good, tmp_path, monkeypatch):
    alone, both = tmp_path / "alone", tmp_path / "both"
    for folder in (alone, both):
        folder.mkdir()
    pair = [start(line.format(good=good), both) for _ in range(2)]
    said = [one.communicate(timeout=SECONDS)[1] for one in pair]
    monkeypatch.chdir(alone)
    monkeypatch.setenv("FASHIONNB_CACHE", "cache")
    assert cli.main(line.format(good=good).split()) == 0
    for one, message in zip(pair, said, strict=True):
        assert one.returncode == 0 or "another run is writing there" in message, message
    assert 0 in [one.returncode for one in pair]
    left = {path.name: path.read_bytes() for path in (both / "out").iterdir()}
    assert left == {path.name: path.read_bytes() for path in (alone / "out").iterdir()}


@pytest.mark.parametrize(
    ("line", "held"),
    [("embed {good}/photos --model {good}/model --out my.vectors", (".", "my.vectors")),
     ("collect {good}/links.csv --out photos", ("photos", "")),
     ("analyse {good}/photos --out found", ("found", ""))],
)  # fmt: skip
def test_the_second_says_who_holds_the_output(line, held, good, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FASHIONNB_CACHE", "cache")
    other = subprocess.Popen(
        [sys.executable, "-c", "import sys; from fashionnb.files import only_writer\n"
         "with only_writer(*sys.argv[1:]):\n print(flush=True)\n sys.stdin.read()", *held],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    other.stdout.readline()
    before = sorted(tmp_path.rglob("*"))
    assert cli.main(line.format(good=good).split()) == 2
    said = capsys.readouterr().err
    assert f"another run is writing there (process {other.pid})" in said
    assert sorted(tmp_path.rglob("*")) == before
    other.kill()  # a lock whose process is dead holds nobody
    other.communicate()
    with files.only_writer(*held):
        pass


def test_a_chapter_is_run_by_one_at_a_time(tmp_path, monkeypatch):
    book = tiny.book(tmp_path, c01_a=tiny.chapter("1"), c02_b=tiny.chapter("1"))
    monkeypatch.syspath_prepend(book.package.parent)
    with files.only_writer(book.build / "run" / "quick", "01-a"):
        with pytest.raises(WriteError, match=rf"01-a: another run .*process {os.getpid()}"):
            run_book.run(profile="quick", book=book)
        assert [one.error for one in run_book.run(["02"], "quick", book=book)] == [""]


def test_of_two_that_fetch_one_waits_and_finds_what_the_other_brought(cache, server, monkeypatch):
    known = registry.get("fashion-mnist")
    name = "train-labels-idx1-ubyte.gz"
    source = replace(
        known, urls={name: (server.url("a", ("pause", b"content")),)}, sha256={}, check=lambda _: []
    )
    monkeypatch.setitem(registry.SOURCES, "fashion-mnist", source)
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda _: registry.fetch("fashion-mnist", progress=False), range(2)))
    assert found == [cache / "fashion-mnist"] * 2
    assert server.asked == ["/a"]
    assert [path.name for path in cache.rglob("*")] == ["fashion-mnist", name]
