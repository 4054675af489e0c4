"""fashionnb.files: whole or not there."""

import errno
import hashlib

import pytest

from fashionnb.errors import WriteError
from fashionnb.files import sha256, write_text, written_whole


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


def test_an_error_about_something_else_passes_through(tmp_path):
    with pytest.raises(FileNotFoundError), written_whole(tmp_path / "note.txt"):
        (tmp_path / "elsewhere" / "missing.txt").read_text()


def test_sha256_is_the_standard_one(tmp_path):
    (tmp_path / "x").write_bytes(b"fashion")
    assert sha256(tmp_path / "x") == hashlib.sha256(b"fashion").hexdigest()
