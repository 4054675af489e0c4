"""fashionnb.apps.collect: a list of links becomes pictures and a manifest, whatever the servers do."""

import csv
import gzip
import inspect
import itertools
import os
import signal
import socket
import subprocess
import sys
import time
from email.utils import formatdate
from hashlib import sha256
from pathlib import Path

import pandas as pd
import pytest
from platforms import unix_only
from web import Clock, moved, page, picture, raw, reset, stream

from fashionnb.apps import collect as package
from fashionnb.apps.collect import collect, http_request, report
from fashionnb.apps.collect import manifest as manifests
from fashionnb.errors import DataError, DataNotFound
from fashionnb.files import WriteError

OK = page(picture())
BROKE_OFF = "the connection broke off midway"


def found(table: pd.DataFrame, *columns: str) -> list:
    """What the table says in these columns, row by row."""
    return [
        row if len(columns) > 1 else row[0]
        for row in table[list(columns)].itertuples(index=False, name=None)
    ]


def read(folder: Path) -> pd.DataFrame:
    """The manifest, with numbers as `collect` gives them."""
    table = pd.read_csv(folder / "manifest.csv", dtype=str, keep_default_na=False, engine="python")
    numbers = table[["bytes", "width", "height"]].replace("", "0").astype(int)
    return table.assign(**numbers)


def left(folder: Path) -> list[str]:
    """Every file in the folder, hidden ones and halves included."""
    return sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    )


# what it is for


def test_pictures_and_a_manifest(web, run, tmp_path):
    content = picture(7, (6, 4))
    rows = pd.DataFrame([
        {"id": "Dress 1", "url": web.url("a", page(content)), "source": "shop", "licence": "CC0", "category": "dress"},
        {"id": "hat", "url": web.url("b", moved("/c")), "source": "", "licence": None, "category": "hat"},
    ])  # fmt: skip
    web.url("c", page(picture(8, (3, 5), "JPEG"), "image/jpeg; charset=x"))
    table = run(rows=rows)
    assert list(table.columns) == [
        "id",
        "url",
        "source",
        "licence",
        "category",
        *manifests.FINDINGS,
    ]
    first, second = table.to_dict("records")
    assert first["date"] == pd.Timestamp(first["date"]).isoformat()
    assert first == {
        "id": "Dress 1",
        "url": web.url("a"),
        "source": "shop",
        "licence": "CC0",
        "category": "dress",
        "final_url": web.url("a"),
        "file": f"images/dress-1-{sha256(b'Dress 1').hexdigest()[:16]}.png",
        "sha256": sha256(content).hexdigest(),
        "bytes": len(content),
        "width": 6,
        "height": 4,
        "status": "ok",
        "error": "",
        "date": first["date"],
    }
    assert (second["file"], second["final_url"], second["licence"]) == (
        "images/hat.jpg",
        web.url("c"),
        "",
    )
    assert (tmp_path / "out" / first["file"]).read_bytes() == content
    assert left(tmp_path / "out") == [first["file"], "images/hat.jpg", "manifest.csv"]
    pd.testing.assert_frame_equal(read(tmp_path / "out"), table)
    assert report(table) == ["2 of 2 pictures are here."]


def test_a_list_of_addresses_is_enough(web, run, tmp_path):
    (tmp_path / "list.csv").write_text(f"\ufeffurl\n{web.url('a', OK)}\n\n{web.url('a')}\n")
    table = run(rows=tmp_path / "list.csv")
    made = f"url-{sha256(web.url('a').encode()).hexdigest()[:16]}"
    assert found(table, "id", "status", "file") == [
        (made, "ok", f"images/{made}.png"),
        (f"{made}-2", "duplicate", f"images/{made}.png"),
    ]
    assert web.paths() == ["/a"]


@pytest.mark.parametrize(
    ("kind", "ending"),
    [
        ("PNG", "png"),
        ("JPEG", "jpg"),
        ("WEBP", "webp"),
        ("GIF", "gif"),
        ("BMP", "bmp"),
        ("TIFF", "tif"),
    ],
)
@pytest.mark.parametrize("said", ["image/anything", None, "jpg", "text/plain"])
def test_the_name_tells_what_a_picture_is_and_not_what_the_server_says(
    web, run, kind, ending, said
):
    table = run(web.url("x.exe", page(picture(kind=kind), said)))
    assert found(table, "file", "status") == [(f"images/a.{ending}", "ok")]


def test_the_same_bytes_are_kept_once(web, run, tmp_path):
    table = run(web.url("a", OK), web.url("b", page(picture(9))), web.url("c", OK), web.url("a"))
    assert found(table, "status", "file") == [
        ("ok", "images/a.png"),
        ("ok", "images/b.png"),
        ("duplicate", "images/a.png"),
        ("duplicate", "images/a.png"),
    ]
    assert left(tmp_path / "out" / "images") == ["a.png", "b.png"]
    assert web.paths() == ["/a", "/b", "/c"]
    assert report(table) == ["4 of 4 pictures are here (2 the same as another)."]


# servers that do not give a picture


ENDLESS = b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n\r\n"
CHUNKED = ENDLESS[:-2] + b"Transfer-Encoding: chunked\r\n\r\n"
BOMB = gzip.compress(bytes(30_000_000))
BEGINS = b"HTTP/1.1 200 OK\r\n"
NONE = "not a picture (JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF or HEIC); it"
NO_HTTP = "the answer is no HTTP"


def chunks():
    return itertools.repeat(b"2710\r\n" + bytes(10_000) + b"\r\n")


NO_PICTURE = {
    "not found": (page(status=404), "dead", "the server answered 404 Not Found"),
    "gone": (page(status=410), "dead", "the server answered 410 Gone"),
    "forbidden": (page(status=403), "refused", "the server answered 403 Forbidden"),
    "no content": (page(status=204), "refused", "the server answered 204 No Content"),
    "moved nowhere": (page(status=302), "refused", "the server answered 302 Found"),
    "strange status": (page(status=499), "refused", "the server answered 499"),
    "a web page": (page(b"<html>", "text/html"), "unusable", f"{NONE} begins with b'<html>'"),
    "a web page in disguise": (page(b"<html>", "image/jpeg"), "unusable", f"{NONE} begins with b'<html>'"),
    "nothing at all": (page(b""), "unusable", f"{NONE} is empty"),
    "half a picture": (page(picture(size=(90, 90))[:60]), "unusable", "the picture cannot be decoded"),
    "a vector picture": (page(b"<svg/>", "image/svg+xml"), "unusable", "not a picture (JPEG"),
    "large and says so": (page(b"", Content_Length="1000001"), "unusable", "more than 1 MB"),
    "large and does not say so": (stream(ENDLESS, lambda: itertools.repeat(bytes(9999))), "unusable", "more than 1 MB"),
    "large in chunks": (stream(CHUNKED, chunks), "unusable", "more than 1 MB"),
    "a packed bomb": (page(BOMB, Content_Encoding="gzip"), "unusable", "more than 1 MB"),
    "damaged packing": (page(b"none", Content_Encoding="gzip"), "unusable", "its gzip packing is damaged"),
    "packing of its own": (page(b"", Content_Encoding="br"), "unusable", "packed as 'br', which was not asked for"),
    "packed twice": (page(b"", Content_Encoding="gzip, gzip"), "unusable", "packed as 'gzip, gzip'"),
    "redirects for ever": (moved("/x"), "unusable", "more than 5 redirects"),
    "redirect to a file": (moved("file:///etc/passwd"), "refused", "only http and https are asked, not 'file'"),
    "redirect to nowhere": (moved("http://[::"), "unusable", "a redirect to a broken address"),
    "redirect with a password": (moved("http://a:b@shop.example/"), "refused", "the address holds a user name or"),
    "no HTTP": (raw(b"SSH-2.0-OpenSSH\r\n"), "failed", f"{NO_HTTP} (BadStatusLine)"),
    "endless headers": (raw(BEGINS + b"a: b\r\n" * 200), "failed", f"{NO_HTTP} (HTTPException)"),
    "an endless header": (raw(BEGINS + b"a: " + b"b" * 70_000), "failed", f"{NO_HTTP} (LineTooLong)"),
}  # fmt: skip


@pytest.mark.parametrize("case", NO_PICTURE)
def test_what_is_no_picture_is_asked_for_once_and_told_in_one_line(web, run, tmp_path, case):
    answer, status, reason = NO_PICTURE[case]
    table = run(web.url("x", answer), max_bytes=1_000_000)
    assert found(table, "status") == [status]
    assert table["error"][0].startswith(reason)
    assert len(set(web.paths())) == 1
    assert len(web.paths()) == (6 if "for ever" in case else 1)
    assert left(tmp_path / "out") == ["manifest.csv"]
    line, count = report(table)
    assert line == f"{status}: a: {table['error'][0]}: {web.url('x')}"
    words = {"dead": "dead link(s)", "refused": "refused", "unusable": "without a usable picture"}
    assert (
        count
        == f"0 of 1 pictures are here, 1 {words.get(status, 'failed (run it again for those)')}."
    )


NOT_NOW = {
    "server error": (page(status=500), "the server answered 500 Internal Server Error"),
    "busy": (page(status=503), "the server answered 503 Service Unavailable"),
    "timeout over there": (page(status=408), "the server answered 408 Request Timeout"),
    "hangs up": (raw(b""), BROKE_OFF),
    "reset": (reset, BROKE_OFF),
    "content cut short": (page(picture(), Content_Length="5000"), BROKE_OFF),
    "chunks cut short": (raw(CHUNKED + b"20\r\nab"), BROKE_OFF),
    "broken chunks": (raw(CHUNKED + b"zz\r\nab"), BROKE_OFF),
    "packing cut short": (page(gzip.compress(picture())[:-9], Content_Encoding="gzip"), BROKE_OFF),
}


@pytest.mark.parametrize("case", NOT_NOW)
def test_what_may_pass_is_tried_again_with_longer_and_longer_waits(web, run, clock, case):
    answer, reason = NOT_NOW[case]
    table = run(web.url("x", answer))
    assert found(table, "status", "error") == [("failed", reason)]
    assert web.paths() == ["/x"] * 4
    assert clock.slept == [1, 2, 4, 8]  # after robots.txt, then after each try


@pytest.mark.parametrize("case", NOT_NOW)
def test_what_passes_is_no_failure(web, run, case):
    assert found(run(web.url("x", NOT_NOW[case][0], OK)), "status") == ["ok"]
    assert web.paths() == ["/x", "/x"]


def test_packed_pictures_are_unpacked(web, run):
    web.answers["/a"] = [page(gzip.compress(picture()), Content_Encoding="GZIP")]
    assert found(run(web.url("a")), "status", "bytes") == [("ok", len(picture()))]


def test_a_server_that_falls_silent_is_given_up(web, run, clock, monkeypatch):
    def silent(handler):
        web.over.wait(10)

    monkeypatch.setattr(http_request, "READ_TIMEOUT", 0.4)
    table = run(web.url("x", silent, OK))
    assert found(table, "status") == ["ok"]
    table = run(web.url("y", silent))
    assert found(table, "status", "error") == [("failed", "no answer for 0.4 s")]


@pytest.mark.parametrize("beginning", [b"", b"HTTP/1.1 200 OK\r\na: ", ENDLESS])
def test_a_server_that_drips_is_cut_off_after_a_time_in_all(web, run, set_clock, beginning):
    set_clock(Clock(step=1.0))
    table = run(web.url("x", stream(beginning, lambda: itertools.repeat(b"a"))))
    assert found(table, "status", "error") == [("failed", "not done after 60 s")]
    assert web.paths() == ["/x"]


def test_a_time_in_all_that_is_shorter_than_the_silence_allowed(web, run, set_clock, monkeypatch):
    set_clock(time)
    monkeypatch.setattr(http_request, "TOTAL_TIMEOUT", 0.5)
    table = run(web.url("x", lambda _: web.over.wait(10)), pause=0)
    assert found(table, "status", "error") == [("failed", "not done after 0.5 s")]


# manners


@pytest.mark.parametrize("status", [429, 503])
def test_a_server_that_says_how_long_to_wait_is_obeyed(web, run, clock, status):
    web.url("robots.txt", page(b"", "text/plain"))
    url = web.url(
        "x",
        page(status=status, Retry_After="30"),
        page(status=status, Retry_After=formatdate(time.time() + 50, usegmt=True)),
        page(status=status, Retry_After="soon"),
        OK,
    )
    assert found(run(url), "status") == ["ok"]
    assert clock.slept == [1, 30, pytest.approx(50, abs=20), 8]


@pytest.mark.parametrize("after", ["3600", "9" * 400, formatdate(4_000_000_000, usegmt=True)])
def test_a_server_that_wants_to_be_left_alone_for_long_is_left_alone(web, run, clock, after):
    table = run(
        web.url("x", page(status=429, Retry_After=after)),
        web.url("y", OK),
        web.url("z", OK, host="b.example"),
    )
    assert found(table, "status") == ["failed", "failed", "ok"]
    assert (
        "429 Too Many Requests and asks to be left alone for more than 120 s" in table["error"][1]
    )
    assert sorted(web.paths()) == ["/x", "/z"]
    assert max(clock.slept) <= 1


@pytest.mark.parametrize(
    "after", ["-5", "0", "1.5", formatdate(0, usegmt=True), "Mon, 01 Jan 2024 00:00:00", "²"]
)
def test_a_wait_that_makes_no_sense_is_passed_over(web, run, clock, after):
    url = web.url("x", page(status=429), OK)
    web.answers["/x"][0] = raw(
        f"HTTP/1.1 429 No\r\nRetry-After: {after}\r\nContent-Length: 0\r\n\r\n".encode("latin-1")
    )
    assert found(run(url), "status") == ["ok"]
    assert clock.slept == [1, 2]


def test_each_host_is_asked_once_a_second_and_nobody_waits_for_another(web, run, clock):
    urls = [
        web.url(f"{host}{n}", page(picture(n)), host=f"{host}.example")
        for n in range(3)
        for host in "pq"
    ]
    table = run(*urls)
    assert set(table["status"]) == {"ok", "duplicate"}
    # robots.txt and three pictures each: three pauses in all, since the two hosts take turns.
    assert clock.slept == [1, 1, 1]
    assert [host[0] for host, path in web.asked if path != "/robots.txt"] == ["p", "q"] * 3


def test_a_pause_of_ones_own_and_one_that_the_site_asks_for(web, run, clock):
    run(web.url("a", OK), web.url("b", OK), pause=3)
    assert clock.slept == [3, 3]
    clock.slept.clear()
    web.url("robots.txt", page(b"User-agent: *\nCrawl-delay: 7", "text/plain"))
    run(web.url("c", OK, host="other.example"), web.url("d", OK, host="other.example"))
    assert clock.slept == [7, 7]


def test_while_one_host_rests_the_others_are_asked(web, run, clock):
    slow = web.url("slow", page(status=503, Retry_After="100"), OK, host="slow.example")
    run(slow, *(web.url(f"{n}", page(picture(n))) for n in range(5)))
    assert web.paths() == ["/slow", "/0", "/1", "/2", "/3", "/4", "/slow"]
    assert sum(clock.slept) == 101


def test_we_say_who_we_are_and_ask_for_nothing_but_a_picture(web, run):
    run(web.url("Größe?x=ä", OK))
    run(web.url("x", OK))
    assert web.headers == {
        "Host": f"shop.example:{web.port}",
        "User-Agent": http_request.AGENT,
        "Accept": "image/jpeg, image/png, image/webp, image/gif, image/bmp, image/tiff",
        "Accept-Encoding": "identity",
        "Connection": "close",
    }
    assert http_request.AGENT.startswith("fashionnb/")
    assert "/Gr%C3%B6%C3%9Fe?x=%C3%A4" in web.paths()


def test_robots_txt_is_read_once_a_host_and_obeyed(web, run):
    web.url("robots.txt", page(b"User-agent: *\nDisallow: /private", "text/html"))
    table = run(web.url("private/a", OK), web.url("b", OK), web.url("c", OK))
    reason = "robots.txt of shop.example asks robots to leave this address alone"
    assert found(table, "status", "error")[0] == ("refused", reason)
    assert [path for _, path in web.asked] == ["/robots.txt", "/b", "/c"]


def test_a_redirect_obeys_the_robots_txt_of_where_it_leads(web, run):
    web.answers["/robots.txt"] = [
        page(status=404),
        page(b"User-agent: fashionnb\nDisallow: /b", "text/plain"),
    ]
    web.url("b", OK)
    table = run(web.url("a", moved(web.url("b", host="other.example"))))
    assert found(table, "status", "error")[0][1].startswith("robots.txt of other.example")
    assert [host.partition(".")[0] + path for host, path in web.asked] == [
        "shop/robots.txt",
        "shop/a",
        "other/robots.txt",
    ]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_without_a_robots_txt_everything_may_be_asked(web, run, status):
    web.url("robots.txt", page(status=status))
    assert found(run(web.url("a", OK)), "status") == ["ok"]


@pytest.mark.parametrize(
    ("answer", "reason", "times"),
    [
        (page(status=500), "the server answered 500 Internal Server Error", 4),
        (page(status=429), "the server answered 429 Too Many Requests", 4),
        (reset, BROKE_OFF, 4),
        (moved("/robots.txt"), "more than 5 redirects", 6),
        (moved("http://10.0.0.1/"), "10.0.0.1 is no address of the public internet", 1),
        (page(b"", Content_Encoding="br"), "packed as 'br'", 1),
    ],
)
def test_a_site_that_cannot_give_its_robots_txt_is_left_alone(
    web, run, monkeypatch, answer, reason, times
):
    monkeypatch.setattr(
        http_request, "resolve", lambda host, _: [host if host[0].isdigit() else "127.0.0.1"]
    )
    web.url("robots.txt", answer)
    table = run(web.url("a", OK), web.url("b", OK))
    assert found(table, "status") == ["failed", "failed"]
    assert table["error"][1].startswith(
        f"its robots.txt cannot be had, so it is left alone: {reason}"
    )
    assert [path for _, path in web.asked] == ["/robots.txt"] * times


def test_a_robots_txt_that_recovers_or_moves_is_read(web, run):
    web.url("robots.txt", page(status=500), moved("/there"))
    web.url("there", page(b"User-agent: *\nDisallow: /a", "text/plain"))
    assert found(run(web.url("a", OK), web.url("b", OK)), "status") == ["refused", "ok"]


def test_of_a_huge_robots_txt_the_beginning_counts(web, run):
    rules = b"User-agent: *\nDisallow: /a\n"
    web.url(
        "robots.txt",
        stream(
            ENDLESS, lambda: itertools.chain([rules], itertools.repeat(b"# " + bytes(9000) + b"\n"))
        ),
    )
    assert found(run(web.url("a", OK), web.url("b", OK)), "status") == ["refused", "ok"]


# safety


def test_this_machine_and_its_network_are_not_asked(web, run, monkeypatch):
    monkeypatch.undo()
    monkeypatch.delenv("FASHIONNB_OFFLINE", raising=False)
    url = web.url("a", OK, host="127.0.0.1")
    table = run(
        url,
        "http://169.254.169.254/latest/meta-data",
        "http://[::1]/",
        "http://0/",
        "ftp://a.example/",
    )
    assert set(table["status"]) == {"refused"}
    assert (
        table["error"][0]
        == "127.0.0.1 is no address of the public internet (private, local or reserved)"
    )
    assert web.asked == []
    assert found(run(url, allow_private=True, again=True), "status") == ["ok"]


def test_a_redirect_into_the_own_network_is_refused(web, run, monkeypatch):
    monkeypatch.setattr(
        http_request,
        "resolve",
        lambda host, _: ["10.0.0.1" if host == "inside.example" else "127.0.0.1"],
    )
    table = run(web.url("a", moved(web.url("b", OK, host="inside.example"))))
    reason = "inside.example is 10.0.0.1, which is no address of the public internet (private, local or reserved)"
    assert found(table, "status", "error") == [("refused", reason)]
    assert web.paths() == ["/a"]


def test_a_name_that_changes_its_mind_gains_nothing(web, run, monkeypatch):
    """DNS rebinding: looked up once a connection, and the connection goes to what was looked up and checked."""
    answers = itertools.chain([["127.0.0.1"], ["127.0.0.1"]], itertools.repeat(["192.168.0.1"]))
    asked, connected = [], []
    real = socket.create_connection
    monkeypatch.setattr(
        http_request, "resolve", lambda host, port: asked.append((host, port)) or next(answers)
    )
    monkeypatch.setattr(
        socket, "create_connection", lambda to, **rest: connected.append(to[0]) or real(to, **rest)
    )
    table = run(web.url("a", OK), web.url("b", OK))
    assert found(table, "status") == ["ok", "refused"]
    assert asked == [("shop.example", web.port)] * 3  # robots.txt, a, b
    assert connected == ["127.0.0.1"] * 2


def test_a_host_with_several_addresses_is_asked_at_the_first_that_answers(web, run, monkeypatch):
    monkeypatch.setattr(http_request, "resolve", lambda *_: ["127.0.0.2", "127.0.0.1"])
    assert found(run(web.url("a", OK), allow_private=True), "status") == ["ok"]


def test_a_host_that_cannot_be_reached_is_not_asked_for_each_of_its_pictures(
    run, clock, monkeypatch, web
):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    urls = [f"http://down.example:{port}/{n}" for n in range(50)]
    table = run(*urls, web.url("a", OK))
    assert (
        found(table, "status", "error")[:50]
        == [("failed", "no connection (Connection refused)")] * 50
    )
    assert table["status"][50] == "ok"
    assert sum(clock.slept) <= 1 + 2 + 4 + 8


def openssl(folder: Path, name: str) -> tuple[Path, Path]:
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    words = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -batch -subj /CN=test"
    command = [
        *words.split(),
        "-addext",
        f"subjectAltName=DNS:{name}",
        "-keyout",
        key,
        "-out",
        certificate,
    ]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no openssl that makes certificates")
    return key, certificate


def test_https_goes_to_the_address_that_was_checked_and_trusts_the_name_alone(
    web, run, tmp_path, monkeypatch
):
    import ssl

    key, certificate = openssl(tmp_path, "shop.example")
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(certificate, key)
    web.http.socket = served.wrap_socket(web.http.socket, server_side=True)
    urls = [
        web.url("a", OK).replace("http", "https"),
        web.url("a", host="other.example").replace("http", "https"),
    ]
    table = run(*urls)
    assert set(table["error"]) == {"its certificate is not valid (self-signed certificate)"}
    monkeypatch.setattr(
        http_request, "_tls", lambda: ssl.create_default_context(cafile=certificate)
    )
    table = run(*urls)
    assert found(table, "status") == ["ok", "failed"]
    assert "certificate is not valid (Hostname mismatch" in table["error"][1]
    assert web.headers["Host"] == f"shop.example:{web.port}"


def test_no_name_on_the_disk_comes_from_a_link_or_leaves_the_folder(web, run, tmp_path):
    ids = [
        "../../x",
        "/etc/x",
        "a/b",
        "con",
        "A",
        "a",
        ".x",
        "x" * 300,
        "ключ",
        "a\\b",
        "a\0b",
        "-",
        "a.png",
    ]
    rows = pd.DataFrame(
        {"id": ids, "url": [web.url(f"..%2F{n}.exe", page(picture(n))) for n in range(len(ids))]}
    )
    table = run(rows=rows)
    assert set(table["status"]) == {"ok"}
    assert left(tmp_path) == sorted(
        ["list.csv", "out/manifest.csv", *(f"out/{file}" for file in table["file"])]
    )
    assert len({file.lower() for file in table["file"]}) == len(ids)
    assert table["file"].str.fullmatch(r"images/[a-z0-9][a-z0-9_-]{0,99}\.png").all()
    assert table["file"][5] == "images/a.png"


def test_a_report_cannot_steer_a_terminal(run, web):
    table = run("http://shop.example/\x1b[2J\n", "\x1b]0;title\x07")
    assert all(line.isprintable() for line in report(table))


# going on


class Killed(BaseException):
    pass


class Killing(Clock):
    """A clock that ends the run when somebody sleeps for the so-manieth time."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self.after = after

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        if len(self.slept) == self.after:
            raise Killed


def test_a_run_that_broke_off_goes_on_and_asks_for_nothing_twice(web, run, set_clock, tmp_path):
    urls = [web.url(f"{n}", page(picture(n)) if n != 1 else page(status=404)) for n in range(5)]
    set_clock(Killing(4))
    with pytest.raises(Killed):
        run(*urls)
    assert web.paths() == ["/0", "/1", "/2"]
    assert found(read(tmp_path / "out"), "id", "status") == [
        ("a", "ok"),
        ("b", "dead"),
        ("c", "ok"),
    ]
    table = run(*urls)
    assert web.paths() == ["/0", "/1", "/2", "/3", "/4"]
    assert found(table, "status") == ["ok", "dead", "ok", "ok", "ok"]
    asked = len(web.asked)
    pd.testing.assert_frame_equal(run(*urls), table)
    assert len(web.asked) == asked


@unix_only
def test_a_process_that_is_killed_outright_loses_no_row(web, tmp_path):
    """Not even `finally` runs: what is left is the journal, and its last line may be torn."""
    urls = [web.url(f"{n}", page(picture(n)), host="127.0.0.1") for n in range(3)]
    web.url("3", lambda handler: os.kill(child.pid, signal.SIGKILL), host="127.0.0.1")
    (tmp_path / "list.csv").write_text("\n".join(["url", *urls, web.url("3", host="127.0.0.1")]))
    code = (
        "from fashionnb.apps.collect import collect\n"
        "collect('list.csv', 'out', pause=0, allow_private=True)"
    )
    child = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path)
    assert child.wait(180) == -signal.SIGKILL
    journal = tmp_path / "out" / manifests.JOURNAL
    assert len(journal.read_text().splitlines()) == 3
    with journal.open("a") as file:
        file.write('{"id": "torn')
    web.url("3", page(picture(3)))
    table = collect(tmp_path / "list.csv", tmp_path / "out", pause=0, allow_private=True)
    assert found(table, "status") == ["ok"] * 4
    assert web.paths() == ["/0", "/1", "/2", "/3", "/3"]
    assert not journal.exists()


def test_a_second_run_into_the_folder_of_one_that_goes_on_is_refused(web, run, tmp_path):
    """Each would write its own rows over the other's manifest."""

    def second(handler):
        (tmp_path / "other.csv").write_text("id,url\nx,http://shop.example/x\n")
        with pytest.raises(WriteError, match="another run is writing there"):
            collect(tmp_path / "other.csv", tmp_path / "out")
        OK(handler)

    table = run(web.url("a", second), web.url("b", OK))
    assert found(table, "status") == ["ok", "duplicate"]
    assert found(read(tmp_path / "out"), "id") == ["a", "b"]
    assert ".writing.lock" not in " ".join(left(tmp_path))


def test_numbers_that_somebody_typed_into_the_manifest_are_no_reason_to_fail():
    row = dict.fromkeys(["id", "url", "source", "licence", *manifests.FINDINGS], "")
    table = manifests.as_table([row | {"bytes": "²", "width": "٣", "height": "4"}])
    assert table[["bytes", "width", "height"]].to_numpy().tolist() == [[0, 3, 4]]


def test_what_failed_is_asked_for_in_the_next_run_what_is_dead_only_on_demand(web, run):
    urls = [
        web.url("a", page(status=404), OK),
        web.url("b", *[page(status=500)] * 4, page(picture(5))),
    ]
    assert found(run(*urls), "status") == ["dead", "failed"]
    assert found(run(*urls), "status") == ["dead", "ok"]
    assert found(run(*urls, again=True), "status") == ["ok", "ok"]
    assert web.paths().count("/b") == 5


@pytest.mark.parametrize("damage", ["unlink", "truncate"])
def test_a_picture_that_is_lost_or_damaged_is_fetched_again(web, run, tmp_path, damage):
    url = web.url("a", OK)
    run(url)
    file = tmp_path / "out" / "images" / "a.png"
    file.unlink() if damage == "unlink" else file.write_bytes(b"half")
    table = run(url)
    assert found(table, "status") == ["ok"]
    assert (tmp_path / "out" / table["file"][0]).read_bytes() == picture()


def test_another_list_into_the_same_folder_adds_to_it(web, run, tmp_path):
    first = run(web.url("a", OK), web.url("b", page(status=410)))
    again = pd.DataFrame({
        "id": ["b", "new", "a"],
        "url": [web.url("c", page(picture(3))), web.url("a"), web.url("a")],
        "licence": ["CC-BY", "CC0", "CC0"],
    })  # fmt: skip
    table = run(rows=again)
    assert found(table, "id", "status", "file", "licence") == [
        ("b", "ok", "images/b.png", "CC-BY"),  # its link is another now
        ("new", "duplicate", "images/a.png", "CC0"),
        ("a", "ok", "images/a.png", "CC0"),
    ]
    assert table["date"][2] == first["date"][0]
    assert web.paths() == ["/a", "/b", "/c"]
    run(web.url("a"))
    assert found(read(tmp_path / "out"), "id") == ["a", "b", "new"]


def test_no_picture_is_written_over_another(web, run, tmp_path):
    """Not over one that a former link of the same id gave, which others may share; nor over one that is not ours."""
    run(web.url("a", OK), web.url("b", OK))
    (tmp_path / "out" / "images" / "c.png").write_bytes(b"mine")
    table = run(web.url("x", page(picture(4))), web.url("b"), web.url("c", page(picture(6))))
    digests = [sha256(picture(shade)).hexdigest()[:8] for shade in (4, 6)]
    assert found(table, "file") == [
        f"images/a-{digests[0]}.png",
        "images/a.png",
        f"images/c-{digests[1]}.png",
    ]
    assert (tmp_path / "out" / "images" / "a.png").read_bytes() == picture()
    assert (tmp_path / "out" / "images" / "c.png").read_bytes() == b"mine"


def test_a_manifest_may_hold_anything_that_a_list_holds(web, run, tmp_path):
    odd = [
        'a "quoted", text',
        "two\r\nlines",
        "one\rtwo",
        "\n",
        "",
        " blank ",
        "=1+1",
        "ключ\u2028",
        "a\0b",
    ]
    rows = pd.DataFrame({"url": [web.url(f"{n}") for n in range(len(odd))], "note": odd})
    table = run(rows=rows)
    assert table["note"].tolist() == odd
    pd.testing.assert_frame_equal(read(tmp_path / "out"), table)
    pd.testing.assert_frame_equal(run(rows=rows), table)


# mistakes of ours


@pytest.mark.parametrize(
    ("content", "phrase"),
    [
        (b"", r"there is no column url; the columns are none"),
        (b"link\nhttp://a.example", r"there is no column url; the columns are link"),
        (b"url,url\na,b", r"the column\(s\) url stand twice"),
        (b"url,status\na,b", r"the column\(s\) status are what the manifest writes; rename"),
        (b"id,url\n1,a\n1,b", r"the id '1' stands twice"),
        (b"url,name\na,b,c", r"line 2: 3 fields, expected 2"),
        (b"url\n\xff", r"not UTF-8 text \(byte 4\)"),
        (b'url\n"a', r"line 2: not CSV"),
    ],
)
def test_a_list_that_is_none(tmp_path, web, run, content, phrase):
    (tmp_path / "list.csv").write_bytes(content)
    with pytest.raises(DataError, match=rf"list\.csv.*{phrase}"):
        run(rows=tmp_path / "list.csv")
    assert not (tmp_path / "out").exists()


def test_other_mistakes(tmp_path, run, web, monkeypatch):
    with pytest.raises(DataNotFound, match="there is no such file"):
        run(rows=tmp_path / "nowhere.csv")
    with pytest.raises(DataError, match="cannot be read"):
        run(rows=tmp_path)
    for wrong in (-1, float("nan"), float("inf")):
        with pytest.raises(DataError, match="pause is a number of seconds from 0 on"):
            run(web.url("a", OK), pause=wrong)
    monkeypatch.setenv("FASHIONNB_OFFLINE", "1")
    with pytest.raises(DataNotFound, match="FASHIONNB_OFFLINE is set"):
        run(web.url("a", OK))
    assert web.asked == []
    assert run().empty


def test_what_is_no_manifest_is_not_written_over(tmp_path, run, web):
    (tmp_path / "out").mkdir()
    for name, content, phrase in [
        (
            "manifest.csv",
            "id,url\n1,2\n",
            r"no manifest of `fashionnb collect`, it lacks the column\(s\) source",
        ),
        (manifests.JOURNAL, '{"id"\n', "a line is damaged"),
    ]:
        (tmp_path / "out" / name).write_text(content)
        with pytest.raises(DataError, match=phrase):
            run(web.url("a", OK))
        assert (tmp_path / "out" / name).read_text() == content
        (tmp_path / "out" / name).unlink()
    assert web.asked == []


def test_a_manifest_from_elsewhere_opens_no_file_outside(web, run, tmp_path):
    run(web.url("a", OK))
    manifest = tmp_path / "out" / "manifest.csv"
    (tmp_path / "secret.png").write_bytes(picture())
    manifest.write_text(manifest.read_text().replace("images/a.png", "../secret.png"))
    (tmp_path / "out" / "images" / "a.png").unlink()
    assert found(run(web.url("a")), "file", "status") == [("images/a.png", "ok")]


def test_a_folder_that_cannot_be_written_is_found_before_anything_is_asked(tmp_path, run, web):
    (tmp_path / "out").write_text("in the way")
    with pytest.raises(WriteError, match="cannot be written"):
        run(web.url("a", OK))
    assert web.asked == []


def test_a_full_disk_ends_the_run_and_keeps_what_came(tmp_path, run, web, monkeypatch):
    run(web.url("a", OK))
    (tmp_path / "out" / "images").rename(tmp_path / "out" / "kept")
    (tmp_path / "out" / "images").write_text("in the way")
    with pytest.raises(WriteError, match="cannot be written"):
        run(web.url("b", page(picture(3))), web.url("c", page(status=404)))
    rows = list(csv.DictReader((tmp_path / "out" / "manifest.csv").open(newline="")))
    assert [row["url"] for row in rows] == [web.url("a")]


def test_the_bar_goes_to_stderr_while_there_is_something_to_do(web, run, capfd):
    run(web.url("a", OK), web.url("b", OK))
    out, err = capfd.readouterr()
    assert out == ""
    assert "2/2" in err
    run(web.url("a"))
    assert capfd.readouterr() == ("", "")


def test_the_usual_limits_are_polite():
    usual = inspect.signature(collect).parameters
    assert usual["pause"].default >= 1
    assert usual["max_bytes"].default <= 50_000_000
    assert package.TRIES <= 5
