"""The demo from end to end: `fashionnb demo` in a process of its own, a real browser, and many visitors at once."""

import http.client
import io
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from PIL import Image, ImageStat
from platforms import linux_only
from visitor import FILES, HOSTILE, Visitor, bomb, is_refused, jpeg, refusal

from fashionnb.apps.demo import screenshots
from fashionnb.apps.demo.server import DemoError, Server, is_loopback
from fashionnb.errors import MissingExtra

pytestmark = linux_only
VISITORS, SECONDS = 50, 5
SLACK_MB = 150  # that a server may grow by while it is busy; one photo of 200 MB that is kept would be more
NASTY = "..%2f..%2f<img src=x onerror=alert(1)>.jpg"
PATIENCE_MS = 60_000  # machines in CI are slow; nothing here measures time


class Demo:
    """The command, while it runs."""

    def __init__(self, folder: Path) -> None:
        own = {
            "FASHIONNB_CACHE": str(folder / "cache"),
            "FASHIONNB_OFFLINE": "1",
            "TMPDIR": str(folder),
        }
        own |= {"OMP_NUM_THREADS": "1", "GRADIO_TEMP_DIR": str(folder / "gradio")}
        command = [sys.executable, "-m", "fashionnb", "demo", "--port", "0"]
        self.folder = folder
        self.process = subprocess.Popen(
            command,
            env={**os.environ, **own},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        said, found = "", None
        while not found and (line := self.process.stdout.readline()):  # first the bar of embedding
            said += line
            found = re.search(r"http://127\.0\.0\.1:\d+", line)
        assert found, said
        self.address = found[0]
        self.said: list[str] = []
        threading.Thread(target=lambda: self.said.extend(self.process.stdout), daemon=True).start()

    def memory_mb(self) -> float:
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", text)[1]) / 1e3

    def elsewhere(self) -> list[str]:
        """Connections of the process that leave this machine."""
        sockets = {
            path.readlink().name
            for path in Path(f"/proc/{self.process.pid}/fd").iterdir()
            if path.is_symlink()
        }
        rows = [
            line.split()
            for name in ("tcp", "udp")
            for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]
        ]
        mine = [row for row in rows if f"socket:[{row[9]}]" in sockets]
        return [row[2] for row in mine if not row[2].startswith(("0100007F", "00000000"))]


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    running = Demo(tmp_path_factory.mktemp("demo"))
    yield running
    # A page that is open holds a connection, on which the server would still like to say something.
    host, port = running.address.removeprefix("http://").split(":")
    page = socket.create_connection((host, int(port)))
    page.sendall(b"GET /gradio_api/heartbeat/abc HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    page.recv(100)
    running.process.send_signal(signal.SIGINT)  # Ctrl-C is no mistake
    assert running.process.wait(20) == 0
    assert running.said == []


def test_it_answers_and_leaves_nothing_on_disk(demo):
    visitor = Visitor(demo.address)
    shown = visitor.send(jpeg())
    assert "most similar garment represents it: Navy Blue" in shown[1]
    assert shown[2].count("data-item") == 12
    assert shown[3].count('class="role"') == 5  # all but a second layer
    files = [
        path
        for path in demo.folder.rglob("*")
        if path.is_file() and path.suffix not in (".lock", ".json")
    ]
    assert {path.parent.name for path in files} <= {"vectors"}, files
    assert demo.elsewhere() == []
    assert demo.said == []


@pytest.mark.parametrize("path", FILES)
def test_no_file_of_the_host_can_be_reached(demo, path):
    for method in ("GET", "POST"):
        said = refusal(
            demo.address, HOSTILE[f"GET {path[:40]}"].replace(b"GET", method.encode(), 1)
        )
        assert is_refused(said), said[-300:]


def test_hostile_requests_are_refused_and_leave_no_trace(demo):
    assert len(HOSTILE) >= 40
    answers = {name: refusal(demo.address, sent) for name, sent in HOSTILE.items()}
    assert {name: said[-300:] for name, said in answers.items() if not is_refused(said)} == {}
    assert demo.said == []


def test_names_from_elsewhere_get_no_answer(demo):
    assert Visitor(demo.address).ask("GET", "/", Host="evil.example")[0] == 400


@pytest.mark.parametrize("told", [True, False], ids=["length told", "in chunks"])
def test_200_megabytes_are_refused_and_not_kept(demo, told):
    before, place = demo.memory_mb(), urlsplit(demo.address)
    connection = http.client.HTTPConnection(place.hostname, place.port, timeout=60)
    million, sent = bytes(1_000_000), 0
    connection.putrequest("POST", "/photo")
    connection.putheader(
        *(("Content-Length", "200000000") if told else ("Transfer-Encoding", "chunked"))
    )
    connection.endheaders()
    try:
        for _ in range(200):
            connection.send(million if told else b"f4240\r\n" + million + b"\r\n")
            sent += 1
    except OSError:  # the demo has hung up
        pass
    assert sent < 200
    assert demo.memory_mb() - before < SLACK_MB


def test_the_refusal_of_200_megabytes_says_why(demo):
    place = urlsplit(demo.address)
    with socket.create_connection((place.hostname, place.port), timeout=60) as plain:
        plain.sendall(
            f"POST /photo HTTP/1.1\r\nHost: {place.netloc}\r\nContent-Length: 200000000\r\n\r\n".encode()
        )
        said = plain.makefile("rb").read().decode()
    assert said.startswith("HTTP/1.1 413")
    assert "Your file has 200 MB; at most 10 MB are accepted." in said


def test_anything_may_be_sent_as_a_click(demo):
    visitor = Visitor(demo.address)
    assert (
        "Your photo is not there any more" in visitor.click("upload", token="../../etc/passwd")[1]
    )
    assert "200 MB" in visitor.click("upload", bytes=200_000_000)[1]
    assert "&lt;script&gt;" in visitor.click("upload", refused="<script>")[1]
    assert (
        "no item &#39;../../etc/passwd&#39;"
        in visitor.click("pick", item="../../etc/passwd", act="ask")[1]
    )
    for act in ("add", "remove", "swap", "nonsense", None):
        assert "no item" in visitor.click("pick", item="<b>", act=act)[6]
    assert "2 to 8 different" in visitor.click("pick", item="drawn-00001", act="swap")[6]
    assert visitor.click("pick", item="drawn-00001", act="remove")[5].startswith(
        "<p>Your outfit is empty"
    )


def test_many_visitors_at_once_are_all_answered_and_memory_stays_flat(demo):
    """Good and hostile ones. The same for a minute is in benchmarks/bench_demo.py."""
    hostile = list(HOSTILE.values())

    def visit(number: int) -> int:
        visitor, done = Visitor(demo.address), 0
        while not done or time.monotonic() < end:
            shown = visitor.send(jpeg("Red", seed=number, size=96))
            item = re.findall(r'data-item="([^"]+)"', shown[3])[done % 8]
            assert shown[2].count("data-item") == 12
            assert "What would complete it" in visitor.click("complete", item=item, act="add")[7]
            assert visitor.ask("GET", f"/garments/{number}.webp")[0] == 200
            assert is_refused(refusal(demo.address, hostile[(number + 7 * done) % len(hostile)]))
            done += 1
        return done

    with ThreadPoolExecutor(VISITORS) as pool:
        end = (
            time.monotonic()
        )  # once each: what a crowd takes anyway, threads and sessions, is there before it counts
        assert sum(pool.map(visit, range(VISITORS))) == VISITORS
        before, end = demo.memory_mb(), time.monotonic() + SECONDS
        assert sum(pool.map(visit, range(VISITORS))) >= VISITORS
    assert demo.memory_mb() - before < SLACK_MB
    assert demo.said == []


# Buttons and fields that a screen reader could not name.
NAMELESS = """[...document.querySelectorAll("button, input")]
    .filter(e => e.checkVisibility() && !(e.innerText || e.labels?.length || e.ariaLabel))
    .map(e => e.outerHTML.slice(0, 80))"""


def files(folder: Path) -> dict[str, Path]:
    """What a person could choose, good and bad."""
    made = {
        "coat.jpg": jpeg(size=400), "notes.jpg": b"this is a text file\n" * 20, "bomb.png": bomb(),
        NASTY: jpeg("Green", 5),
    }  # fmt: skip
    for name, data in made.items():
        (folder / name).write_bytes(data)
    with (folder / "large.jpg").open("wb") as large:
        large.truncate(200_000_000)
    return {path.name: path for path in folder.iterdir()}


@pytest.mark.browser
def test_the_page_in_a_browser(demo, open_browser, tmp_path_factory):
    there, told = files(tmp_path_factory.mktemp("files")), []
    context = open_browser()
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.on(
        "console",
        lambda message: (
            told.append(f"console: {message.text}") if message.type == "error" else None
        ),
    )
    page.on("pageerror", lambda error: told.append(f"error: {error}"))
    page.on(
        "request",
        lambda asked: told.append(asked.url) if not is_local(asked.url, demo.address) else None,
    )
    page.emulate_media(color_scheme="dark")
    page.goto(demo.address)

    def send(name):
        page.set_input_files("#upload input", there[name])

    send("coat.jpg")
    page.wait_for_selector("#similar .garment")
    assert page.locator("#similar .garment").count() == 12
    assert "Navy Blue" in page.locator("#query").inner_text()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"

    # Complete the look with the keyboard alone: a tab, a garment, Enter.
    page.get_by_role("tab", name="Complete the look").focus()
    page.keyboard.press("Enter")
    page.locator("#complete .garment").first.focus()
    page.keyboard.press("Enter")
    page.get_by_role("tab", name="Your outfit").click()
    page.wait_for_selector(".score")
    assert page.locator("#outfit .garment").count() == 2
    assert "Nothing breaks it" in page.locator("#score").inner_text()

    # A second piece of the same role breaks it; the swap mends it. (The first to pick is in the outfit already.)
    page.locator("#add .garment").nth(1).click()
    page.wait_for_selector("#outfit .weakest")
    assert "What breaks it" in page.locator("#score").inner_text()
    assert "two of one role (top)" in page.locator("#score").inner_text()
    before = page.locator("#outfit .garment").count()
    page.locator("#outfit .weakest").click()
    page.wait_for_function(f"document.querySelectorAll('#outfit .garment').length == {before - 1}")
    assert not told, told

    # What cannot be used is refused with a sentence; the page goes on.
    for name, phrase in {
        "notes.jpg": "not a picture (JPEG, PNG", "bomb.png": "decompression bomb", "large.jpg": "Your file has 200 MB",
    }.items():  # fmt: skip
        send(name)
        page.wait_for_function(
            "text => document.querySelector('#query [role=alert]')?.innerText.includes(text)",
            arg=phrase,
        )
    told[:] = [
        said for said in told if "400 (Bad Request)" not in said
    ]  # Chromium tells of the two that were sent
    send(NASTY)
    page.wait_for_function("document.querySelector('#query')?.innerText.includes('Your photo.')")
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.evaluate(NAMELESS) == []
    context.close()
    assert not told, told
    assert demo.said == []


def is_local(url: str, address: str) -> bool:
    return url.startswith((f"{address}/", "data:", "blob:"))


@pytest.mark.browser
@pytest.mark.usefixtures("chromium")
def test_screenshots_are_small_and_as_light_and_dark_as_they_say(demo, tmp_path):
    light, dark = screenshots.take(demo.address, tmp_path)
    assert (light.name, dark.name) == ("demo-light.webp", "demo-dark.webp")
    brightness = [ImageStat.Stat(Image.open(path).convert("L")).median[0] for path in (light, dark)]
    assert brightness[0] > 230
    assert brightness[1] < 60
    assert max(path.stat().st_size for path in (light, dark)) < 200_000


def test_screenshots_need_a_browser(monkeypatch, tmp_path):
    monkeypatch.setattr(screenshots.shutil, "which", lambda _: None)
    with pytest.raises(DemoError, match=r"none of chromium, .* is installed"):
        screenshots.take("http://127.0.0.1:1", tmp_path)


def test_a_port_that_is_taken_is_told(demo):
    with pytest.raises(DemoError, match=r"cannot be used .* --port 8001"):
        Server(None, port=urlsplit(demo.address).port)


@pytest.mark.parametrize(
    ("host", "port"), [("no.such.host.invalid", 0), ("127.0.0.1", 70_000), ("203.0.113.7", 0)]
)
def test_an_address_that_is_none_is_told(host, port):
    with pytest.raises(DemoError, match="cannot be used"):
        Server(None, host, port)


def test_without_gradio_one_sentence_says_what_to_install(monkeypatch):
    monkeypatch.delitem(sys.modules, "fashionnb.apps.demo.web_app", raising=False)
    monkeypatch.setitem(sys.modules, "gradio", None)
    with pytest.raises(
        MissingExtra, match=r'needs the library gradio: `pip install "fashionnb\[demo\]"`'
    ):
        Server(None, port=0)


def test_pictures_of_garments_are_small_webp(demo):
    status, body = Visitor(demo.address).ask("GET", "/garments/3.webp")
    picture = Image.open(io.BytesIO(body))
    assert (status, picture.format, max(picture.size) <= 200) == (200, "WEBP", True)
    assert len(body) < 20_000


@pytest.mark.parametrize(
    ("host", "only_here"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True), ("0.0.0.0", False),
     ("192.168.1.2", False), ("::", False), ("my-machine", False)],
)  # fmt: skip
def test_is_loopback(host, only_here):
    assert is_loopback(host) is only_here
