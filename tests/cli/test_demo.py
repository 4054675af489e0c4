"""The command and the notebook's way in, without a server: what they say, and what they refuse."""

import IPython.display
import pytest

from fashionnb import cli
from fashionnb.apps import demo
from fashionnb.apps.demo import backend, server


class Pretended:
    """A server that only says where it would be."""

    def __init__(self, found, host="127.0.0.1", port=8000):
        self.found, self.port, self.ran = found, port, None
        self.address = f"http://{host}:{port}"

    def start(self):
        self.ran = "in the background"
        return self

    def run(self):
        print("runs")


@pytest.fixture
def pretend(monkeypatch):
    monkeypatch.setattr(server, "Server", Pretended)
    monkeypatch.setattr(backend, "open_backend", lambda data, **_: f"the backend of {data}")


def test_help(capsys):
    assert cli.main(["demo", "--help"]) == 0
    said = capsys.readouterr().out
    assert "Usage: fashionnb demo" in said
    assert "127.0.0.1" in said


def test_the_command_says_where_it_is(capsys, pretend):
    assert cli.main(["demo"]) == 0
    assert (
        capsys.readouterr().out == "The demo is on http://127.0.0.1:8000 (Ctrl-C ends it).\nruns\n"
    )


def test_who_lets_everybody_in_is_told_so(capsys, pretend):
    assert cli.main(["demo", "--host", "0.0.0.0", "--port", "9000"]) == 0
    said = capsys.readouterr().out
    assert "http://0.0.0.0:9000" in said
    assert "Everybody who can reach this machine can use it; there is no password." in said


def test_data_that_are_not_there(capsys, tmp_path):
    assert cli.main(["demo", "--data", str(tmp_path / "nothing")]) == 2
    assert "there is no such file or folder" in capsys.readouterr().err


def test_in_a_notebook_the_page_is_shown_below_the_cell(monkeypatch, pretend):
    shown = []
    monkeypatch.setattr(IPython.display, "display", shown.append)
    running = demo.show("drawn", height=700)
    assert (running.found, running.port, running.ran) == (
        "the backend of drawn",
        0,
        "in the background",
    )
    assert (shown[0].src, shown[0].height) == (running.address, 700)
