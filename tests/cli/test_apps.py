"""`fashionnb collect` and `fashionnb demo`: what they print, what they refuse, and their exit status."""

from types import SimpleNamespace

import pandas as pd
import pytest
import web as support

from fashionnb import cli
from fashionnb.apps.demo import backend, server


@pytest.fixture
def web(monkeypatch, tmp_path):
    monkeypatch.delenv("FASHIONNB_OFFLINE", raising=False)
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.chdir(tmp_path)
    web = support.Web()
    yield web
    web.close()


def test_collect(web, tmp_path, capsys):
    good = web.url("a", support.page(support.picture()), host="127.0.0.1")
    (tmp_path / "list.csv").write_text(
        f"id,url,licence\n1,{good},CC0\n2,{web.url('b', host='127.0.0.1')},\n"
    )
    words = ["collect", "list.csv", "--out", "photos", "--pause", "0", "--megabytes", "1"]
    assert cli.main(words) == 0
    assert "0 of 2 pictures are here, 2 refused." in capsys.readouterr().out
    assert cli.main([*words, "--allow-private", "--again"]) == 0
    out, err = capsys.readouterr()
    assert out == (
        f"dead: 2: the server answered 404 Not Found: {web.url('b', host='127.0.0.1')}\n"
        "1 of 2 pictures are here, 1 dead link(s).\n"
    )
    assert "2/2" in err
    assert (tmp_path / "photos" / "images" / "1.png").read_bytes() == support.picture()
    assert "CC0" in (tmp_path / "photos" / "manifest.csv").read_text()


def test_help_and_mistakes_of_collect(web, capsys):
    assert cli.main(["collect", "--help"]) == 0
    assert "Example" in capsys.readouterr().out
    for words, phrase in [
        (["collect", "nowhere.csv", "--out", "photos"], "nowhere.csv: there is no such file."),
        (["collect", "nowhere.csv"], "Missing option '--out'"),
        (["collect"], "Missing argument"),
        (
            ["collect", "nowhere.csv", "--out", "photos", "--pause", "inf"],
            "pause is a number of seconds from 0 on",
        ),
        (
            ["collect", "nowhere.csv", "--out", "photos", "--megabytes", "0"],
            "Invalid value for '--megabytes'",
        ),
    ]:
        assert cli.main(words) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert phrase in err


class Pretended:
    """A server that only says where it would be."""

    def __init__(self, found, host="127.0.0.1", port=8000):
        self.address = f"http://{host}:{port}"

    def run(self):
        print("runs")


@pytest.fixture
def pretend(monkeypatch):
    monkeypatch.setattr(server, "Server", Pretended)
    monkeypatch.setattr(
        backend,
        "open_backend",
        lambda *_: SimpleNamespace(
            without_role={"sock": 12, "": 3}, catalogue=SimpleNamespace(table=pd.DataFrame())
        ),
    )


def test_help_of_demo(capsys):
    assert cli.main(["demo", "--help"]) == 0
    said = capsys.readouterr().out
    assert "Usage: fashionnb demo" in said
    assert "127.0.0.1" in said


def test_the_command_says_where_it_is(capsys, pretend):
    assert cli.main(["demo"]) == 0
    assert capsys.readouterr().out == (
        "In no outfit, since the name is no known garment: sock (12), no category (3).\n"
        "The demo is on http://127.0.0.1:8000 (Ctrl-C ends it).\nruns\n"
    )


def test_who_lets_everybody_in_is_told_so(capsys, pretend):
    assert cli.main(["demo", "--host", "0.0.0.0", "--port", "9000"]) == 0
    said = capsys.readouterr().out
    assert "http://0.0.0.0:9000" in said
    assert "Everybody who can reach this machine can use it; there is no password." in said


def test_the_demo_advises_no_option_that_it_lacks(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("FASHIONNB_CACHE", str(tmp_path / "cache"))
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "a.jpg").write_bytes(b"")
    assert cli.main(["demo", "--data", str(tmp_path / "shop"), "--port", "0"]) == 2
    err = capsys.readouterr().err
    assert "a.jpg" in err
    assert "skip" not in err


def test_data_that_are_not_there(capsys, tmp_path):
    assert cli.main(["demo", "--data", str(tmp_path / "nothing")]) == 2
    assert "there is no such file or folder" in capsys.readouterr().err
