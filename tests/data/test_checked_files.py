"""fashionnb.data.checked_files: tables and JSON as they should be, and one clear message for what they are not."""

import pandas as pd
import pytest

from fashionnb.data.checked_files import (
    check_counts,
    parse_json,
    parse_table,
    refuse_problems,
)
from fashionnb.errors import DataError

COLUMNS = {"b": "name", "a": "id"}


def table(data: bytes, **options) -> pd.DataFrame:
    return parse_table(data, COLUMNS, "t.csv", "Get it again.", **options)


def test_a_table_is_stripped_text_with_the_columns_that_are_wanted():
    found = table(b'\xef\xbb\xbfa, b ,c\r\n01, "x,y" ,\r\n\r\n2,"x,y",z\r\n'.replace(b' "', b'"'))
    assert found.to_dict("list") == {"name": ["x,y", "x,y"], "id": ["01", "2"]}
    assert list(table(b"a,b\n")) == ["name", "id"]
    assert table(b"a,b\n1,x, y\n", commas_in_last=True)["name"].tolist() == ["x, y"]


@pytest.mark.parametrize(
    ("data", "phrase"),
    [
        (b"", r"t\.csv: the table lacks the column\(s\) b, a; it has none\. Get it again\."),
        (b"a,c\n1,2\n", r"lacks the column\(s\) b; it has a, c"),
        (b"a,b\n1,2\n3\n", r"t\.csv, line 3: 1 fields, expected 2"),
        (b"a,b\n1,2,3\n", r"line 2: 3 fields, expected 2"),
        (b'a,b\n1,"2\n3,4\n', "quotation mark before line 3 is opened and not closed"),
        (b"a,b\n\xff,2\n", r"not UTF-8 text \(byte 4\)"),
        (b'a,b\n1,"' + b"x" * 200_000, r"line 2: not CSV"),
    ],
)
def test_tables_that_are_none(data, phrase):
    with pytest.raises(DataError, match=phrase):
        table(data)
    with pytest.raises(DataError, match=r"line 2: 1 fields"):
        table(b"a,b\n1\n", commas_in_last=True)


def test_json_has_the_type_that_is_wanted():
    def parse(data: bytes) -> dict:
        return parse_json(data, dict[str, list[int]], "f.json", "expected lists", "Get it again.")

    assert parse(b'{"a": [1, 2]}') == {"a": [1, 2]}
    with pytest.raises(DataError, match=r"f\.json: expected lists \(a\.1: .*valid integer"):
        parse(b'{"a": [1, "2"]}')
    for data in (b"{", b"", b"\xff", b"[" * 100_000):
        with pytest.raises(DataError, match=r"expected lists \(not JSON, or cut short: .*again\."):
            parse(data)


def test_ten_problems_are_listed_and_the_rest_counted():
    refuse_problems([], "none", "salvage")
    with pytest.raises(DataError, match=r"^12 bad\n(  \d+\n){10}  … and 2 more\n.*`salvage`"):
        refuse_problems(range(12), "12 bad", "salvage")


def test_a_count_that_differs():
    check_counts("here", {"shoes": 1_000, "hats": 2}, {"shoes": 1_000}, "Get it again.")
    with pytest.raises(
        DataError, match=r"here: expected 3 hats, found 2\. It is not complete\. Get"
    ):
        check_counts("here", {"hats": 2}, {"hats": 3}, "Get it again.")
