"""Links of pages. (Those of whole pages, and links that lead nowhere, are in test_site.)"""

import pytest

from fashionnb.publishing.links import badges, relink


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[a](b.md)", "[a](B.MD)"),
        ("![a](b.png) and [c](d#e)", "![a](B.PNG) and [c](D#E)"),
        ('[a](b.md "title")', '[a](B.MD "title")'),
        ("[a](https://b.c/d)", "[a](https://b.c/d)"),
        ("[a](mailto:b@c.d) [e](#f) [g](//h.i)", "[a](mailto:b@c.d) [e](#f) [g](//h.i)"),
        ("```\n[a](b.md)\n```\n[c](d)", "```\n[a](b.md)\n```\n[c](D)"),
        ("no [a] (b.md)", "no [a] (b.md)"),
    ],
)
def test_relink(text, expected):
    assert relink(text, str.upper) == expected


def test_badges_lead_to_this_notebook():
    found = badges("https://github.com/some/one", "book/02-two")
    assert (
        'href="https://colab.research.google.com/github/some/one/blob/main/book/02-two.ipynb"'
        in found
    )
    assert (
        'href="https://kaggle.com/kernels/welcome?src=https://github.com/some/one/blob/main/book/02-two.ipynb"'
        in found
    )
    assert 'src="http' not in found
