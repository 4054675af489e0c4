"""A web of one server, where every name leads to it and 127.0.0.1 counts as public; and a clock."""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
import web as support

from fashionnb.apps.collect import Limits, collect, safe_urls


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[support.Web]:
    monkeypatch.delenv("FASHIONNB_OFFLINE", raising=False)
    monkeypatch.setattr(safe_urls, "resolve", lambda *_: ["127.0.0.1"])
    monkeypatch.setattr(safe_urls, "is_public", lambda place: place == "127.0.0.1")
    web = support.Web()
    yield web
    web.close()


@pytest.fixture
def clock() -> support.Clock:
    return support.Clock()


@pytest.fixture
def run(tmp_path: Path, clock: support.Clock):
    """Collects these addresses into `tmp_path/out`: ids a, b, c, …; gives the table."""

    def run(*urls: str, **options):
        rows = options.pop("rows", None)
        if rows is None:
            rows = pd.DataFrame({"id": [chr(97 + n) for n in range(len(urls))], "url": urls})
        limits = Limits(**{"read_timeout": 10.0, **options.pop("limits", {})})
        options = {"clock": clock, "sleep": clock.sleep, "progress": False, **options}
        return collect(rows, tmp_path / "out", limits=limits, **options)

    return run
