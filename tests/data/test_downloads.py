import gzip
import io
import signal
import socket
import threading
import zipfile
from hashlib import sha256
from pathlib import Path

import pytest

from fashionnb.data import downloads
from fashionnb.data.downloads import download
from fashionnb.errors import DataError, DataNotFound
from fashionnb.files import WriteError

CONTENT = bytes(range(256)) * 1000
DIGEST = sha256(CONTENT).hexdigest()


@pytest.fixture
def target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("FASHIONNB_OFFLINE", raising=False)
    return tmp_path / "new" / "thing.bin"


def get(target: Path, *urls: str, sha256: str | None = DIGEST) -> None:
    download(urls, target, sha256=sha256, progress=False)


def left(target: Path) -> list[str]:
    """What lies in the folder of the target, hidden and half files included."""
    return sorted(path.name for path in target.parent.iterdir()) if target.parent.exists() else []


def closed_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}/x"


def test_a_good_address_gives_the_file(server, target):
    get(target, server.url("a", CONTENT))
    assert target.read_bytes() == CONTENT
    assert left(target) == ["thing.bin"]


def test_the_progress_bar_goes_to_stderr_and_can_be_silenced(server, target, capfd):
    url = server.url("a", ("pause", CONTENT))
    download([url], target, sha256=DIGEST)
    seen = capfd.readouterr()
    drawn = seen.err.replace("\r", "\n").split("\n")
    assert any("131k/256k" in line for line in drawn)
    assert "thing.bin: 100%" in drawn[-2]
    assert "256k/256k" in drawn[-2]
    assert seen.out == ""
    target.unlink()
    get(target, url)
    assert capfd.readouterr() == ("", "")


def test_an_address_that_does_not_answer_leaves_no_bar_behind(server, target, capfd):
    with pytest.raises(DataNotFound):
        download([closed_port(), server.url("a", 404)], target, sha256=DIGEST)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("bad", [404, 503, b"<html>log in here</html>", CONTENT[:-1]])
def test_the_mirror_is_asked_when_the_first_address_fails(server, target, bad):
    get(target, server.url("a", bad), server.url("b", CONTENT))
    assert target.read_bytes() == CONTENT
    assert server.asked == ["/a", "/b"]


def test_the_second_address_is_left_alone_when_the_first_is_good(server, target):
    get(target, server.url("a", CONTENT), server.url("b", CONTENT))
    assert server.asked == ["/a"]


@pytest.mark.parametrize("size", [100, len(CONTENT)])  # less than one chunk, and several
@pytest.mark.parametrize("how", ["cut", "stall"])
def test_a_transfer_that_breaks_off_goes_on_where_it_stopped(server, target, how, size):
    content = CONTENT[:size]
    get(target, server.url("a", (how, content), content), sha256=sha256(content).hexdigest())
    assert target.read_bytes() == content
    assert server.asked == ["/a", "/a"]
    assert (server.begun[1] > 0) == (size == len(CONTENT))
    assert left(target) == ["thing.bin"]


def test_the_bar_of_a_resumed_transfer_counts_what_was_there(server, target, capfd):
    download([server.url("a", ("cut", CONTENT), CONTENT)], target, sha256=DIGEST)
    last = capfd.readouterr().err.replace("\r", "\n").split("\n")[-2]
    assert "256k/256k" in last


def test_a_server_that_cannot_resume_sends_the_whole(server, target):
    server.ranges = False
    get(target, server.url("a", ("cut", CONTENT), CONTENT))
    assert target.read_bytes() == CONTENT
    assert server.begun[1] > 0


@pytest.mark.parametrize("how", ["cut", "stall"])
def test_a_transfer_that_always_breaks_off_is_given_up_and_its_part_kept(server, target, how):
    with pytest.raises(DataNotFound, match="broke off midway"):
        get(target, server.url("a", (how, CONTENT)))
    assert server.asked == ["/a"] * downloads.TRIES
    assert left(target) == [".thing.bin.part"]
    get(target, server.url("b", CONTENT))  # by a later call, from another place
    assert server.begun[-1] > len(CONTENT) / 3
    assert left(target) == ["thing.bin"]


@pytest.mark.parametrize("part", [b"x" * 1000, CONTENT + b"x", CONTENT])
def test_a_part_that_does_not_fit_is_thrown_away(server, target, part):
    target.parent.mkdir()
    target.with_name(".thing.bin.part").write_bytes(part)
    get(target, server.url("a", CONTENT))
    assert target.read_bytes() == CONTENT
    assert server.begun == [len(part), 0]
    assert left(target) == ["thing.bin"]


def test_a_part_outlives_an_address_that_is_dead(server, target):
    target.parent.mkdir()
    target.with_name(".thing.bin.part").write_bytes(CONTENT[:1000])
    get(target, closed_port(), server.url("a", 404), server.url("b", CONTENT))
    assert server.begun == [1000, 1000]


def test_ctrl_c_keeps_what_came(server, target, monkeypatch):
    def interrupted(url, aside, name, progress):
        aside.write_bytes(CONTENT[:5000])
        raise KeyboardInterrupt

    url = server.url("a", CONTENT)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(downloads, "_transfer", interrupted)
        get(target, url)
    get(target, url)
    assert server.begun == [5000]


# Hosts that do not answer


def test_a_host_that_does_not_answer_is_named_before_it_is_waited_for_and_asked_once(
    server, target, caplog
):
    dead = closed_port()
    for name in ("first.bin", "second.bin"):
        get(target.with_name(name), dead, server.url("a", CONTENT))
        assert (target.with_name(name)).read_bytes() == CONTENT
    host = dead.split("/")[2]
    said = [record.message for record in caplog.records]
    assert said[0] == f"Asking {host} for first.bin, for at most 5 seconds."
    assert len(said) == 2  # of the dead host and of the living one, once each
    with pytest.raises(
        DataNotFound, match=r"did not answer before \(nothing came \(Connection ref"
    ):
        get(target, dead)


def test_without_network_it_is_noticed_once(server, target, caplog):
    for _ in range(2):
        with pytest.raises(DataNotFound, match=r"Connection refused|did not answer before"):
            get(target, closed_port())
    with pytest.raises(DataNotFound, match="there seems to be no network") as caught:
        get(target, server.url("a", CONTENT))
    assert all(host in str(caught.value) for host in downloads._hosts)
    assert server.asked == []
    assert len(caplog.records) == 2


def test_one_host_that_answers_is_a_network(server, target):
    get(target, server.url("a", CONTENT))
    for _ in range(3):
        with pytest.raises(DataNotFound, match="Connection refused"):
            get(target.with_name("other"), closed_port())


def test_a_name_that_nobody_looks_up_is_not_waited_for(target, monkeypatch):
    over = threading.Event()

    def hang(*_, **__):
        over.wait(20)
        raise OSError

    monkeypatch.setattr(downloads, "TIMEOUT", (0.1, 0.1))
    monkeypatch.setattr(socket, "create_connection", hang)
    with pytest.raises(DataNotFound, match="no answer in time"):
        get(target, "http://somewhere.invalid/x")
    over.set()


def test_a_proxy_is_asked_in_place_of_the_host(target, monkeypatch):
    asked = []

    def refuse(place, **_):
        asked.append(place)
        raise OSError("refused")

    for name in ("no_proxy", "NO_PROXY", "https_proxy", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTPS_PROXY", "proxy.invalid:3128")
    monkeypatch.setattr(socket, "create_connection", refuse)
    with pytest.raises(DataNotFound, match="refused"):
        get(target, "https://somewhere.invalid/x")
    assert asked == [("proxy.invalid", 3128)]


def test_when_all_fail_the_message_has_a_reason_for_each(server, target):
    urls = (server.url("a", 404), server.url("b", 500), closed_port())
    with pytest.raises(DataNotFound) as caught:
        get(target, *urls)
    lines = str(caught.value).splitlines()
    assert "no address gave it" in lines[0]
    assert [line.split(": ")[0].strip() for line in lines[1:]] == list(urls)
    for line, reason in zip(
        lines[1:], ["404 Client Error", "500 Server Error", "Connection refused"], strict=True
    ):
        assert reason in line
    assert left(target) == []


def test_a_host_without_name_is_told_from_one_that_refuses(target):
    with pytest.raises(DataNotFound, match="nothing came"):
        get(target, "http://no-such-host.invalid/x")


def test_wrong_bytes_are_an_error_of_their_own_and_not_kept(server, target):
    with pytest.raises(DataError, match=f"sha256 is [0-9a-f]{{64}}, expected {DIGEST}") as caught:
        get(target, server.url("a", CONTENT[::-1]), server.url("b", 404))
    assert "404" in str(caught.value)
    assert left(target) == []


def test_what_was_there_before_stays_when_a_download_fails(server, target):
    target.parent.mkdir()
    target.write_bytes(b"older")
    with pytest.raises(DataError, match="not the expected file"):
        get(target, server.url("a", b"nonsense"))
    assert target.read_bytes() == b"older"


@pytest.mark.parametrize("level", [1, 9])
def test_gzip_is_checked_by_what_is_inside(server, target, level):
    packed = gzip.compress(CONTENT, level, mtime=level)
    get(target.with_suffix(".gz"), server.url("a", packed))
    assert gzip.decompress(target.with_suffix(".gz").read_bytes()) == CONTENT


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-9], lambda data: b"<!DOCTYPE html>", lambda data: data[:40] * 9]
)
def test_damaged_gzip_is_refused(server, target, damage):
    with pytest.raises(DataError, match="cannot be unpacked"):
        get(target.with_suffix(".gz"), server.url("a", damage(gzip.compress(CONTENT))))
    assert left(target) == []


def test_without_a_checksum_the_kind_of_file_is_looked_at(server, target):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.txt", "a" * 100)
    whole = buffer.getvalue()
    for name, good in {"a.zip": whole, "a.parquet": b"PAR1....PAR1"}.items():
        here = target.with_name(name)
        for bad in (b"<!DOCTYPE html>", good[:-3], b""):
            with pytest.raises(DataError, match=r"not a (zip|parquet) file, or is cut short"):
                get(here, server.url("bad", bad), sha256=None)
        get(here, server.url("good", good), sha256=None)
        assert here.read_bytes() == good


def test_offline_means_not_a_single_request(server, target, monkeypatch):
    url = server.url("a", CONTENT)
    monkeypatch.setenv("FASHIONNB_OFFLINE", "1")
    with pytest.raises(DataNotFound, match="FASHIONNB_OFFLINE is set"):
        get(target, url)
    assert server.asked == []
    monkeypatch.setenv("FASHIONNB_OFFLINE", "0")
    get(target, url)
    assert server.asked == ["/a"]


def test_a_folder_that_cannot_be_made_is_a_clear_error(server, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(WriteError, match="cannot be written"):
        get(tmp_path / "file" / "thing.bin", server.url("a", CONTENT))


def test_a_full_disk_is_a_clear_error_and_leaves_nothing(server, target):
    resource = pytest.importorskip("resource")  # Windows has none
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(
        resource.RLIMIT_FSIZE, (100_000, hard)
    )  # the nearest thing to a disk with 100 kB left
    try:
        with pytest.raises(WriteError, match="make room on the disk"):
            get(target, server.url("a", CONTENT))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, ignored)
    assert left(target) == []


def test_the_network_is_given_up_on_after_a_minute_of_silence_at_most():
    connect, silence = downloads.TIMEOUT
    assert connect <= 5
    assert silence <= 60
