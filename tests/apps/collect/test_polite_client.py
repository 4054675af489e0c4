"""fashionnb.apps.collect.polite_client: what robots.txt allows, by the examples of RFC 9309.

How the client behaves on the web is tested in test_collect.py.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fashionnb.apps.collect.polite_client import ROBOT, parse_robots


def allows(text: str, path: str) -> bool:
    return parse_robots(text.encode()).can_fetch(f"http://a.example{path}", ROBOT)


@pytest.mark.parametrize(
    ("text", "path", "allowed"),
    [
        ("", "/x", True),
        ("<!DOCTYPE html><p>not found: sorry", "/x", True),
        ("User-agent: *\nDisallow: /", "/x", False),
        ("User-agent: *\nDisallow:", "/x", True),
        ("\ufeffuser-AGENT : *\r\nDISALLOW : /a # private\r\n", "/a/b", False),
        ("User-agent: *\rDisallow: /a", "/a", False),
        ("Disallow: /", "/x", True),  # before any user-agent
        # A group of our own stands in place of that for all; several of our own are one.
        ("User-agent: *\nDisallow: /\n\nUser-agent: FashionNB/2.0\nDisallow: /a", "/x", True),
        ("User-agent: fashionnb\nAllow: /a\nUser-agent: x\nAllow:\nUser-agent: fashionnb\nDisallow: /b", "/b", False),
        ("User-agent: fashionnb\n\nUser-agent: *\nDisallow: /", "/x", False),  # one group of two robots
        ("User-agent: fashionnb-images\nDisallow: /", "/x", True),
        ("User-agent: other\nSitemap: /s\nUser-agent: *\nDisallow: /", "/x", False),
        ("User-agent: *\nCrawl-delay: 5\nUser-agent: other\nDisallow: /", "/x", True),
        # The longest match counts, not the first; a tie allows.
        ("User-agent: *\nDisallow: /img\nAllow: /img/public", "/img/public/a.jpg", True),
        ("User-agent: *\nAllow: /img\nDisallow: /img/private", "/img/private/a.jpg", False),
        ("User-agent: *\nDisallow: /page\nAllow: /page", "/page", True),
        # RFC 9309, section 2.2.3
        ("User-agent: *\nDisallow: *.gif$", "/a/b.gif", False),
        ("User-agent: *\nDisallow: *.gif$", "/a/b.gif?x", True),
        ("User-agent: *\nDisallow: /example/\nAllow: /*.jpg$", "/example/a.jpg", False),  # 9 letters against 7
        ("User-agent: *\nDisallow: /exam\nAllow: /*.jpg$", "/example/a.jpg", True),
        ("User-agent: *\nDisallow: /path/file-with-a-%2A.html", "/path/file-with-a-*.html", False),
        ("User-agent: *\nDisallow: /a$b", "/a$b", False),  # only a "$" at the end is special
        ("User-agent: *\nDisallow: /foo/bar?baz=https://foo.bar", "/foo/bar?baz=https://foo.bar", False),
        ("User-agent: *\nDisallow: /foo/bar/ツ", "/foo/bar/%E3%83%84", False),
        ("User-agent: *\nDisallow: /foo/bar/%e3%83%84", "/foo/bar/%E3%83%84", False),
        ("User-agent: *\nDisallow: /foo/bar/%62%61%7A", "/foo/bar/baz", False),
        ("User-agent: *\nDisallow: /a%2Fb", "/a/b", True),
    ],
)  # fmt: skip
def test_what_a_site_allows(text, path, allowed):
    assert allows(text, path) is allowed


@given(st.text())
def test_nothing_that_a_site_may_write_is_an_error(text):
    allows(f"User-agent: *\n{text}", "/x")


def test_a_pattern_made_to_take_for_ever_takes_no_time():
    assert allows("User-agent: *\nDisallow: " + "*a" * 10_000 + "b", "/" + "a" * 20_000)


@pytest.mark.parametrize(
    ("value", "delay"),
    [("2.5", 2.5), ("0", 0), ("-3", None), ("nan", None), ("inf", None), ("soon", None)],
)
def test_crawl_delay(value, delay):
    ours, others = (
        parse_robots(f"User-agent: {name}\nCrawl-delay: {value}".encode()) for name in ("*", "x")
    )
    assert ours.crawl_delay(ROBOT) == delay
    assert others.crawl_delay(ROBOT) is None
