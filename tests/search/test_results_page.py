"""fashionnb.search.results_page: one file that holds everything, in which nothing of the data is markup."""

import base64
import io
from html.parser import HTMLParser

import pytest
from PIL import Image

from fashionnb.search.results_page import LARGEST, Entry, page

PICTURE = Image.new("RGB", (600, 300), (200, 30, 30))


class Reader(HTMLParser):
    """The tags of a page, with their attributes, and its text; fails where a tag is closed that is not open."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags, self.text, self.open = [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def pictures(reader: Reader) -> list[Image.Image]:
    sources = [attributes["src"] for tag, attributes in reader.tags if tag == "img"]
    assert all(source.startswith("data:image/jpeg;base64,") for source in sources)
    return [
        Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2]))) for source in sources
    ]


def test_a_page_holds_query_and_entries_in_their_order():
    entries = [Entry(PICTURE, "Shirt 1", "looks alike"), Entry(None, "Shirt 2")]
    reader = Reader(
        page(
            "Like this",
            entries,
            query=Entry(PICTURE.rotate(90, expand=True), "mine"),
            note="Two found.",
        )
    )
    text = "\n".join(reader.text)
    places = [
        text.index(said)
        for said in ("Two found.", "mine", "Shirt 1", "looks alike", "no picture", "Shirt 2")
    ]
    assert places == sorted(places)
    assert [tag for tag, _ in reader.tags].count("li") == 2
    asked, first = pictures(reader)
    assert (asked.size, first.size) == ((LARGEST // 2, LARGEST), (LARGEST, LARGEST // 2))
    assert first.getpixel((5, 5)) == pytest.approx((200, 30, 30), abs=6)


def test_small_pictures_keep_their_size_and_grey_ones_are_shown():
    (shown,) = pictures(Reader(page("One", [Entry(Image.new("L", (28, 20), 128), "grey")])))
    assert shown.size == (28, 20)


def test_nothing_of_the_data_is_markup():
    evil = '<script>alert(1)</script>"><img src=x onerror=alert(1)>&amp;'
    reader = Reader(page(evil, [Entry(PICTURE, evil, evil)], query=Entry(None, evil), note=evil))
    tags = [tag for tag, _ in reader.tags]
    assert "script" not in tags
    assert tags.count("img") == 1
    assert (
        sum(evil in text for text in reader.text) == 6
    )  # title twice, note, query, caption, reasons
    assert all("http" not in str(attributes) for _, attributes in reader.tags)
    assert [attributes["alt"] for tag, attributes in reader.tags if tag == "img"] == [
        f"Result 1: {evil}"
    ]


def test_an_empty_page_says_so():
    assert "Nothing was found." in page("None", [])
