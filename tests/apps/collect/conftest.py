"""A web of one server, where every name leads to it and 127.0.0.1 counts as public; and a clock."""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
import web as support

from fashionnb.apps.collect import collect, http_request, polite_client


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[support.Web]:
    monkeypatch.delenv("FASHIONNB_OFFLINE", raising=False)
    monkeypatch.setattr(http_request, "resolve", lambda *_: ["127.0.0.1"])
    monkeypatch.setattr(http_request, "is_public", lambda place: place == "127.0.0.1")
    web = support.Web()
    yield web
    web.close()


@pytest.fixture
def set_clock(monkeypatch: pytest.MonkeyPatch):
    """Lets the package tell the time, and sleep, by this clock."""

    def set_clock(clock):
        for module in (http_request, polite_client):
            monkeypatch.setattr(module, "time", clock)

    return set_clock


@pytest.fixture
def clock(set_clock) -> support.Clock:
    clock = support.Clock()
    set_clock(clock)
    return clock


@pytest.fixture
def run(tmp_path: Path, clock: support.Clock):
    """Collects these addresses, or a list, into `tmp_path/out`: ids a, b, c, …; gives the table."""

    def run(*urls: str, **options):
        rows = options.pop("rows", None)
        if rows is None:
            rows = pd.DataFrame({"id": [chr(97 + n) for n in range(len(urls))], "url": urls})
        if isinstance(rows, pd.DataFrame):
            rows.to_csv(tmp_path / "list.csv", index=False, lineterminator="\r\n")
            rows = tmp_path / "list.csv"
        return collect(rows, tmp_path / "out", **options)

    return run
