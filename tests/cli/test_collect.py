"""`fashionnb collect`: what it prints, and its exit status."""

import pytest
import web as support

from fashionnb import cli


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


def test_help_and_mistakes(web, capsys):
    assert cli.main(["collect", "--help"]) == 0
    assert "Example" in capsys.readouterr().out
    for words, phrase in [
        (["collect", "nowhere.csv", "--out", "photos"], "nowhere.csv: there is no such file."),
        (["collect", "nowhere.csv"], "Missing option '--out'"),
        (["collect"], "Missing argument"),
        (
            ["collect", "nowhere.csv", "--out", "photos", "--pause", "inf"],
            "Limits: pause is a number from 0 on",
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
