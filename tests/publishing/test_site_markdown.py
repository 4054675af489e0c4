"""Links of pages and tables of results. (Those of whole pages, numbers that a page asks for, and
links that lead nowhere are in test_site.)"""

import pytest

from fashionnb.notebook.results import Results
from fashionnb.publishing.site_markdown import badges, relink, results_table


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
        ("`](b.md)", "`](b.md)"),
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


def test_results_table_keeps_datasets_apart_and_classes_out():
    def row(method, metric, value, data="Fashion-MNIST", **more):
        interval = {
            "low": value - 0.01,
            "high": value + 0.01,
            "how": "bootstrap over 100 test items",
        }
        return {"method": method, "metric": metric, "value": value, "interval": interval, "data": data, **more} | {
            "split": "test", "n": 1000,
        }  # fmt: skip

    run = {
        "chapter": "02",
        "profile": "standard",
        "seconds": 1,
        "peak_memory_mb": 1,
        "hardware": "",
        "device": "cpu",
    }
    run |= {"threads": 1, "versions": {}, "seeds": [0], "date": "2026-01-01T00:00:00Z"}
    rows = [row("pixels", "recall@1", 0.5), row("net", "recall@1", 0.8), row("net", "map@r", 0.7)]
    rows += [
        row("net", "accuracy", 0.9, data="photos"),
        row("net", "silhouette", 0.02, **{"class": "Shirt"}),
    ]
    table = results_table("[Two](02.md)", Results.model_validate({"results": rows, "run": run}))
    assert table.splitlines() == [
        "### [Two](02.md)",
        "",
        "| Fashion-MNIST, test, n = 1,000 | recall@1 | map@r |",
        "|---|---|---|",
        "| pixels | 0.500 [0.490,\N{NO-BREAK SPACE}0.510] |  |",
        "| net | 0.800 [0.790,\N{NO-BREAK SPACE}0.810] | 0.700 [0.690,\N{NO-BREAK SPACE}0.710] |",
        "",
        "| photos, test, n = 1,000 | accuracy |",
        "|---|---|",
        "| net | 0.900 [0.890,\N{NO-BREAK SPACE}0.910] |",
        "",
        "Intervals, 95%: bootstrap over 100 test items.",
    ]
