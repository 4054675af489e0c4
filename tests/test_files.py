"""fashionnb.files: whole or not there."""

import errno
import hashlib
import subprocess
import sys

import pytest

from fashionnb.errors import WriteError
from fashionnb.files import check_target, only_writer, sha256, write_text, written_whole


def test_a_file_appears_whole_and_leaves_nothing_beside_it(tmp_path):
    write_text(tmp_path / "new" / "note.txt", "hello")
    assert (tmp_path / "new" / "note.txt").read_text() == "hello"
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["note.txt"]


def test_an_error_halfway_leaves_the_old_file_as_it_was(tmp_path):
    target = tmp_path / "note.txt"
    target.write_text("old")
    with pytest.raises(KeyboardInterrupt), written_whole(target) as aside:
        aside.write_text("half of the n")
        raise KeyboardInterrupt
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_full_disk_is_one_clear_error(tmp_path):
    with (
        pytest.raises(WriteError, match="make room on the disk"),
        written_whole(tmp_path / "note.txt"),
    ):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_folder_that_cannot_be_made_is_one_clear_error(tmp_path):
    (tmp_path / "file").write_text("I am no folder")
    with pytest.raises(WriteError, match="cannot be written"):
        write_text(tmp_path / "file" / "note.txt", "hello")


@pytest.mark.parametrize(
    "target", ["", "/", ".", "..", "folder", "folder/", "file/below/x", "file/x"]
)
def test_a_target_that_cannot_be_a_file_is_told_before_the_work(tmp_path, monkeypatch, target):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    for check in (check_target, lambda target: write_text(target, "hello")):
        with pytest.raises(WriteError, match=r"is a folder|is no folder that you may write to"):
            check(target)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "folder"]


def test_a_name_that_is_too_long_is_told_before_the_work(tmp_path):
    write_text(tmp_path / ("é" * 117), "the longest")
    with pytest.raises(WriteError, match="more than 235 bytes"):
        check_target(tmp_path / ("é" * 118))


@pytest.mark.parametrize("target", ["new", "file", "folder/new", "no/such/folder/new"])
def test_any_other_target_is_fine(tmp_path, monkeypatch, target):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    check_target(target)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "folder"]


def test_one_run_writes_into_a_folder_and_the_lock_ends_with_its_process(tmp_path):
    code = (
        "import os, sys; from fashionnb.files import only_writer\n"
        "with only_writer(sys.argv[1]):\n print('in', flush=True)\n sys.stdin.read()\n os._exit(1)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, tmp_path / "out"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as other:  # fmt: skip
        assert other.stdout.readline() == b"in\n"
        with (
            pytest.raises(
                WriteError, match=rf"another run is writing there \(process {other.pid}\)"
            ),
            only_writer(tmp_path / "out"),
        ):
            pytest.fail("two write")
        other.kill()
    (tmp_path / "out" / "note").touch()
    with only_writer(tmp_path / "out"):
        pass
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["note"]
    with only_writer(tmp_path / "new"):
        pass
    assert not (tmp_path / "new").exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(WriteError, match="cannot be written"), only_writer(tmp_path / "file"):
        pytest.fail("a file is no folder")


def test_an_error_about_something_else_passes_through(tmp_path):
    with pytest.raises(FileNotFoundError), written_whole(tmp_path / "note.txt"):
        (tmp_path / "elsewhere" / "missing.txt").read_text()


def test_sha256_is_the_standard_one(tmp_path):
    (tmp_path / "x").write_bytes(b"fashion")
    assert sha256(tmp_path / "x") == hashlib.sha256(b"fashion").hexdigest()
