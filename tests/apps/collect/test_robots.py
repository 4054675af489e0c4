"""fashionnb.apps.collect.robots: RFC 9309, by its own examples and by an oracle that tries everything."""

from functools import cache
from urllib.robotparser import RobotFileParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fashionnb.apps.collect.robots import Rules, parse


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
        ("User-agent: *\nDisallow: /a$b", "/a$b", True),  # only a "$" at the end is special; "%24" would be the letter
        ("User-agent: *\nDisallow: /foo/bar?baz=https://foo.bar", "/foo/bar?baz=https://foo.bar", False),
        ("User-agent: *\nDisallow: /foo/bar/ツ", "/foo/bar/%E3%83%84", False),
        ("User-agent: *\nDisallow: /foo/bar/%e3%83%84", "/foo/bar/%E3%83%84", False),
        ("User-agent: *\nDisallow: /foo/bar/%62%61%7A", "/foo/bar/baz", False),
        ("User-agent: *\nDisallow: /a%2Fb", "/a/b", True),
    ],
)  # fmt: skip
def test_what_a_site_allows(text, path, allowed):
    assert parse(text).allow(path) is allowed


@given(st.text(alphabet="/ab*$", max_size=7), st.text(alphabet="/ab", max_size=7))
def test_patterns_fit_as_trying_everything_says(pattern, path):
    letters = pattern.removesuffix("$")
    if "$" in letters:
        return

    @cache
    def fits(i: int, j: int) -> bool:
        if i == len(letters):
            return j == len(path) or not pattern.endswith("$")
        if letters[i] == "*":
            return fits(i + 1, j) or (j < len(path) and fits(i, j + 1))
        return j < len(path) and letters[i] == path[j] and fits(i + 1, j + 1)

    assert Rules(((pattern, False),)).allow(path) is not fits(0, 0)


@given(
    st.lists(st.sampled_from(["/a", "/b/", "/a/b", "/c?d"]), max_size=3),
    st.sampled_from(["/a", "/a/b/c", "/b", "/c?d=1"]),
)
def test_plain_prefixes_are_read_as_python_reads_them(prefixes, path):
    lines = ["User-agent: *", *(f"Disallow: {prefix}" for prefix in prefixes)]
    theirs = RobotFileParser()
    theirs.parse(lines)
    assert parse("\n".join(lines)).allow(path) == theirs.can_fetch(
        "fashionnb", f"http://a.example{path}"
    )


@given(st.text())
def test_nothing_that_a_site_may_write_is_an_error(text):
    parse(f"User-agent: *\n{text}").allow("/x")


def test_a_pattern_made_to_take_for_ever_takes_no_time():
    assert parse("User-agent: *\nDisallow: " + "*a" * 10_000 + "b").allow("/" + "a" * 20_000)


@pytest.mark.parametrize(
    ("value", "delay"),
    [
        ("2.5", 2.5),
        ("0", 0),
        ("-3", 0),
        ("nan", 0),
        ("inf", 0),
        ("soon", 0),
        ("1\nCrawl-delay: 4", 4),
    ],
)
def test_crawl_delay(value, delay):
    assert parse(f"User-agent: *\nCrawl-delay: {value}").delay == delay
    assert parse(f"User-agent: other\nCrawl-delay: {value}").delay == 0
