"""The published book: built in the quick profile without a warning, then read in a browser."""

import functools
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import pytest

from fashionnb.publishing import site as publishing
from fashionnb.publishing.chapters import Book

ROOT = Path(__file__).resolve().parents[1]
BOOK = Book.find(ROOT)

pytestmark = pytest.mark.book


@pytest.fixture(scope="session")
def site() -> Path:
    """The folder of the pages, built from chapters run in the quick profile."""
    own = {"FASHIONNB_OFFLINE": "1"}  # tests download nothing: without data the chapters draw it
    command = [sys.executable, "-m", "fashionnb", "run", "--profile", "quick"]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **own}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
    return publishing.publish("quick", ROOT / "_build" / "site-test", book=BOOK).index.parent


class Page(HTMLParser):
    """What a page offers to link to, and where it leads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = {"", "top"}
        self.links: list[str] = []
        self.sources: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.anchors |= {found[name] for name in ("id", "name") if found.get(name)}
        if tag == "a" and found.get("href"):
            self.links.append(found["href"])
        loads = tag in ("img", "script", "iframe", "source") or (
            tag == "link" and "canonical" not in found.get("rel", "")
        )
        self.sources += [found[name] for name in ("src", "href") if loads and found.get(name)]


@pytest.fixture(scope="session")
def pages(site) -> dict[str, Page]:
    """Every page of the site, by its address on it."""
    paths = [
        path
        for path in sorted(site.rglob("*.html"))
        if "_static" not in path.relative_to(site).parts
    ]
    return {
        path.relative_to(site).as_posix(): Page(path.read_text(encoding="utf-8")) for path in paths
    }


def test_every_chapter_is_published_with_what_the_site_adds(site, pages):
    for chapter in BOOK.chapters():
        address = f"book/{chapter.name}.html"
        assert address in pages
        text = (site / address).read_text()
        assert re.search(
            r"Measured:</strong> [\d.]+ (s|min), [\d.]+ [MG]B, on .+, profile quick, \d{4}-", text
        )
        assert re.search(r"build-stamp.>Built \d{4}-\d\d-\d\d from (commit \w{10}|a copy)", text)
        for start in (
            "https://colab.research.google.com/github/",
            "https://kaggle.com/kernels/welcome?src=https://github.com/",
        ):
            [badge] = [link for link in pages[address].links if link.startswith(start)]
            assert badge.endswith(f"/blob/main/book/{chapter.name}.ipynb")
        prompts = re.findall(r'class="(?:collapsed|expanded) admonition-title">([^<]*)', text)
        assert {"Install", "Set-up", "Code of this figure", "Solution"} <= set(prompts)
        assert "code cell" not in " ".join(prompts), "a folded cell says what it holds"
        assert "#@title" not in text
        assert "injected-parameters" not in text
        assert "# Parameters" not in text
        assert "|--" not in re.sub(r"<pre>.*?</pre>", "", text, flags=re.DOTALL), (
            "a table that is not rendered"
        )


def test_calls_in_cells_link_to_the_api_reference(pages):
    for chapter in BOOK.chapters():
        assert [
            link
            for link in pages[f"book/{chapter.name}.html"].links
            if re.match(r"\.\./api/\w+\.html#fashionnb", link)
        ]


def test_no_dead_internal_link_or_anchor(site, pages):
    dead = []
    for address, page in pages.items():
        for link in [*page.links, *page.sources]:
            parts = urlsplit(urljoin(f"http://site/{address}", link))
            if parts.netloc != "site" or parts.scheme != "http":
                continue
            target = unquote(parts.path).lstrip("/")
            if not (site / target).is_file():
                dead.append(f"{address}: {link}")
            elif target in pages and unquote(parts.fragment) not in pages[target].anchors:
                dead.append(f"{address}: {link} (no such anchor)")
    assert not dead, "\n".join(dead)


def test_nothing_is_loaded_from_elsewhere(pages):
    outside = [
        (address, link)
        for address, page in pages.items()
        for link in page.sources
        if urlsplit(link).netloc
    ]
    assert outside == []


def test_no_path_of_this_machine_is_published(site, pages):
    here = [str(ROOT), sys.prefix, str(Path.home()) + "/"]
    published = [
        (a, path)
        for a in pages
        for path in here
        if len(path) > 2 and path in (site / a).read_text(encoding="utf-8")
    ]
    assert published == []


@pytest.fixture(scope="session")
def address(site) -> Iterator[str]:
    """Where the site is served."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=site)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


# Resolves when the formulas are set and the figures drawn.
DRAWN = """async () => {
    if (window.MathJax?.startup?.promise) await MathJax.startup.promise;
    const figures = [...document.querySelectorAll(".plotly-graph-div")];
    for (let i = 0; i < 100 && !figures.every(f => f.querySelector(".main-svg")); i++)
        await new Promise(done => setTimeout(done, 100));
}"""

# What is wrong with the figures and formulas of a page. A figure of one colour shows nothing.
FIGURES = """async () => {
    const wrong = [];
    for (const image of document.querySelectorAll("article img")) {
        const name = image.getAttribute("src").slice(0, 80);
        const canvas = Object.assign(document.createElement("canvas"), {width: 64, height: 64});
        const pen = canvas.getContext("2d");
        await image.decode().catch(() => null);
        if (!image.naturalWidth) { wrong.push("no picture: " + name); continue; }
        pen.drawImage(image, 0, 0, 64, 64);
        const pixels = new Uint32Array(pen.getImageData(0, 0, 64, 64).data.buffer);
        if (pixels.every(pixel => pixel === pixels[0])) wrong.push("a picture of one colour: " + name);
    }
    for (const figure of document.querySelectorAll(".plotly-graph-div")) {
        const box = figure.querySelector(".main-svg")?.getBoundingClientRect();
        const marks = figure.querySelector(".plot path, path.point, .gl-canvas, .pielayer path, .main-svg image");
        if (!box || box.width < 100 || box.height < 100 || !marks) wrong.push("an empty plotly figure");
    }
    if (document.querySelector("mjx-merror, .MathJax_Error")) wrong.push("a formula that MathJax cannot read");
    if (document.querySelector(".math") && !document.querySelector("mjx-container")) wrong.push("formulas not set");
    return wrong;
}"""

# Texts whose contrast with the ground under them is below 3:1 (WCAG AA for large text).
UNREADABLE = """() => {
    const rgba = text => { const n = text.match(/[\\d.]+/g).map(Number); return n.length < 4 ? [...n, 1] : n; };
    const light = c => c.slice(0, 3).map(v => v / 255).map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
        .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
    const known = new Map([[null, [255, 255, 255, 1]]]);  // most elements share their parents
    const ground = element => {
        if (!known.has(element)) {
            const c = rgba(getComputedStyle(element).backgroundColor);
            known.set(element, c[3] > .5 ? c : ground(element.parentElement));
        }
        return known.get(element);
    };
    const wrong = new Set();
    for (const element of document.querySelectorAll("article *, .bd-sidebar *, footer *")) {
        const says = [...element.childNodes].some(n => n.nodeType === 3 && n.data.trim());
        if (!says || !element.checkVisibility({opacityProperty: true, visibilityProperty: true})) continue;
        if (element.closest("svg, .headerlink, mjx-assistive-mml, style, script")) continue;
        const [a, b] = [rgba(getComputedStyle(element).color), ground(element)].map(light);
        if ((Math.max(a, b) + .05) / (Math.min(a, b) + .05) < 3)
            wrong.add(`unreadable: ${element.tagName}.${element.className} ${element.textContent.trim().slice(0, 40)}`);
    }
    return [...wrong].slice(0, 5);
}"""

# Code that goes on beyond the right edge of its box.
CUT_OFF = """() => [...document.querySelectorAll("article pre")]
    .filter(box => box.checkVisibility() && box.scrollWidth > box.clientWidth + 1)
    .map(box => "code is cut off: " + box.textContent.slice(0, 60)).slice(0, 3)"""


# What the theme's own switch does. Buttons fade from one colour to the other, which takes longer on a
# busy machine than any fixed time: the transitions are brought to their end.
TO_DARK = """async () => {
    Object.assign(document.documentElement.dataset, {mode: "dark", theme: "dark"});
    await new Promise(done => requestAnimationFrame(() => setTimeout(done, 50)));
    for (const one of document.getAnimations()) if (one instanceof CSSTransition) one.finish();
}"""


@pytest.mark.browser
def test_every_page_in_a_browser(open_browser, address, pages):
    """No console error, no request to other hosts, figures with pixels, no sideways scrolling on
    a phone; and text that is readable, in light and in dark.
    """
    context, problems = open_browser("light"), []
    page = context.new_page()
    page.on(
        "console",
        lambda message: (
            problems.append(f"console: {message.text}") if message.type == "error" else None
        ),
    )
    page.on("pageerror", lambda error: problems.append(f"error: {error}"))
    page.on(
        "response",
        lambda reply: (
            problems.append(f"{reply.status}: {reply.url}") if reply.status >= 400 else None
        ),
    )
    page.on(
        "request",
        lambda asked: (
            None if is_local(asked.url, address) else problems.append(f"asks for {asked.url}")
        ),
    )
    wrong = {}
    # Most pages show source code and come from one template: the longest of these stand for all.
    source = sorted(
        (name for name in pages if name.startswith("_modules/")),
        key=lambda name: len(pages[name].anchors),
    )
    for name in [name for name in pages if name not in source[:-5]]:
        page.set_viewport_size({"width": 1280, "height": 900})
        page.goto(f"{address}/{name}", wait_until="load")
        if name == "index.html":  # leads on to the first page
            page.wait_for_url("**/book/**")
        page.evaluate(DRAWN)
        problems += page.evaluate(FIGURES) + page.evaluate(UNREADABLE) + page.evaluate(CUT_OFF)
        if (theme := page.evaluate("document.documentElement.dataset.theme")) != "light":
            problems.append(f"the theme is {theme}")
        page.evaluate(TO_DARK)
        problems += [f"in dark: {wrong}" for wrong in page.evaluate(UNREADABLE)]
        page.set_viewport_size({"width": 390, "height": 844})
        page.evaluate("new Promise(done => requestAnimationFrame(() => setTimeout(done, 50)))")
        if (width := page.evaluate("document.documentElement.scrollWidth")) > 390:
            problems.append(f"{width} px wide on a screen of 390 px")
        if problems:
            wrong[name], problems[:] = list(problems), []
    context.close()
    assert not wrong, "\n".join(
        f"{name}: {what}" for name, found in wrong.items() for what in found
    )


def is_local(url: str, address: str) -> bool:
    return url.startswith((f"{address}/", "data:", "blob:"))


@pytest.mark.browser
@pytest.mark.parametrize(("system", "other"), [("light", "dark"), ("dark", "light")])
def test_a_first_visit_is_as_the_system_says_and_the_switch_changes_it(
    open_browser, address, system, other
):
    context = open_browser(color_scheme=system)
    page = context.new_page()
    page.goto(f"{address}/book/index.html", wait_until="load")
    assert page.evaluate("document.documentElement.dataset.theme") == system
    for _ in range(3):  # the switch goes round light, dark and the system's choice
        page.locator(".theme-switch-button:visible").first.click()
        if page.evaluate("document.documentElement.dataset.mode") == other:
            break
    assert page.evaluate("document.documentElement.dataset.theme") == other
    page.reload(wait_until="load")
    assert page.evaluate("document.documentElement.dataset.theme") == other
    context.close()


@pytest.mark.browser
def test_search_finds_a_chapter(open_browser, address):
    context = open_browser()
    page = context.new_page()
    page.goto(f"{address}/search.html?q=triplet", wait_until="load")
    page.wait_for_selector("#search-results li a", timeout=20_000)
    found = page.eval_on_selector_all(
        "#search-results li a", "links => links.map(link => link.pathname)"
    )
    assert "/book/02-style2vec.html" in found
    context.close()
