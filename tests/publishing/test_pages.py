"""Pages: what is taken out of an executed chapter, and what is put in."""

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from fashionnb.notebook.results_format import Results
from fashionnb.publishing import pages
from fashionnb.publishing.pages import PublishError

WIDGET = "application/vnd.jupyter.widget-view+json"


def executed(*outputs, source="1", tags=(), count=1):
    return new_code_cell(
        source, outputs=list(outputs), execution_count=count, metadata={"tags": list(tags)}
    )


def stream(text, name="stdout"):
    return new_output("stream", name=name, text=text)


def shown(**data):
    return new_output(
        "display_data", data={key.replace("_", "/"): value for key, value in data.items()}
    )


def cleaned(*outputs):
    return pages.clean(new_notebook(cells=[executed(*outputs)]), "here").cells[0].outputs


def test_progress_bars_leave_their_last_state():
    outputs = cleaned(
        stream("epoch 1\n"),
        stream("\r 10%|#\r 50%|#####", name="stderr"),
        stream("loss 0.9\rloss 0.5\r"),
        stream("\nwindows\r\n\x1b[?25l\x1b[2Kdone\n"),
    )
    assert [output.text for output in outputs] == ["epoch 1\nloss 0.5\nwindows\ndone\n"]


@pytest.mark.parametrize(
    "data",
    [
        {WIDGET: {"model_id": "a"}, "text/plain": "  0%|          | 0/20 [00:00<?, ?it/s]"},
        {WIDGET: {"model_id": "a"}, "text/plain": "embedding:  30%|###  | 3/10"},
        {WIDGET: {"model_id": "a"}, "text/plain": "Output()"},
        {
            "text/html": "<pre>x.py:260: UserWarning: install &quot;ipywidgets&quot; for Jupyter support</pre>"
        },
        {"text/plain": "<IPython.core.display.Markdown object>"},
        {"text/html": '<pre style="white-space:pre"></pre>\n', "text/plain": ""},
    ],
)
def test_progress_and_empty_displays_go(data):
    figure = shown(image_png="iVBOR")
    assert cleaned(new_output("display_data", data=data), figure) == [figure]


def test_the_picture_of_a_tagged_cell():
    figure = shown(image_png="aVZCT1I=")
    notebook = new_notebook(
        cells=[executed(figure), executed(shown(text_plain="2"), figure, tags=["cover"])]
    )
    assert pages.picture(notebook, "cover") == b"iVBOR"
    assert pages.picture(notebook, "frontispiece") is None


def test_a_real_widget_is_refused():
    slider = new_output(
        "display_data", data={WIDGET: {"model_id": "a"}, "text/plain": "IntSlider(value=0)"}
    )
    with pytest.raises(PublishError, match="here, cell 1: it shows a Jupyter widget"):
        cleaned(slider)


def test_injected_parameters_are_not_shown_and_the_original_is_left_alone():
    notebook = new_notebook(
        cells=[executed(tags=["injected-parameters"])], metadata={"widgets": {"x": 1}}
    )
    after = pages.clean(notebook, "here")
    assert after.cells[0].metadata.tags == ["injected-parameters", "remove-cell"]
    assert "widgets" not in after.metadata
    assert notebook.cells[0].metadata.tags == ["injected-parameters"]
    assert "widgets" in notebook.metadata


def test_failed_runs_are_refused():
    error = new_output("error", ename="ValueError", evalue="no", traceback=[])
    with pytest.raises(PublishError, match="here, cell 2: it ends in ValueError: no"):
        pages.clean(new_notebook(cells=[new_markdown_cell("# T"), executed(error)]), "here")
    with pytest.raises(PublishError, match="cell 1: it was not executed"):
        pages.clean(new_notebook(cells=[executed(count=None)]), "here")
    with pytest.raises(PublishError, match="its last run failed"):
        pages.clean(new_notebook(metadata={"papermill": {"exception": True}}), "here")
    on_purpose = new_notebook(cells=[executed(error, tags=["raises-exception"])])
    assert pages.clean(on_purpose, "here").cells[0].outputs == [error]


def test_dress_puts_parts_under_the_title_and_at_the_end():
    notebook = new_notebook(
        cells=[new_markdown_cell("# Title\n\nFirst [words](a.md)."), executed()]
    )
    after = pages.dress(notebook, top="TOP", bottom="BOTTOM", link=str.upper)
    assert after.cells[0].source == "# Title\n\nTOP\n\nFirst [words](A.MD)."
    assert after.cells[-1].source == "BOTTOM"
    with pytest.raises(PublishError, match="has no title"):
        pages.dress(new_notebook(cells=[new_markdown_cell("text")]), top="", bottom="", link=str)


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
    assert pages.relink(text, str.upper) == expected


def test_badges_lead_to_this_notebook():
    found = pages.badges("https://github.com/some/one", "main", "book/02-two")
    assert (
        'href="https://colab.research.google.com/github/some/one/blob/main/book/02-two.ipynb"'
        in found
    )
    assert (
        'href="https://kaggle.com/kernels/welcome?src=https://github.com/some/one/blob/main/book/02-two.ipynb"'
        in found
    )
    assert 'src="http' not in found


@pytest.mark.parametrize(
    ("seconds", "text"), [(4.4, "4 s"), (99, "99 s"), (126, "2.1 min"), (5400, "1.5 h")]
)
def test_duration(seconds, text):
    assert pages.duration(seconds) == text


@pytest.mark.parametrize(("megabytes", "text"), [(640.2, "640 MB"), (1234, "1.2 GB")])
def test_memory(megabytes, text):
    assert pages.memory(megabytes) == text


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
        "profile": "cpu",
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
    table = pages.results_table(
        "[Two](02.md)", Results.model_validate({"results": rows, "run": run})
    )
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


def test_every_public_module_is_on_one_api_page(tmp_path):
    for name in (
        "__init__",
        "losses",
        "miners",
        "novel",
        "_private",
        "data/__init__",
        "data/nouns",
        "data/_inner",
    ):
        (tmp_path / f"{name}.py").parent.mkdir(exist_ok=True)
        (tmp_path / f"{name}.py").touch()
    found = {
        page: [line.split()[-1] for line in text.splitlines() if "automodule" in line]
        for page, text in pages.api_pages(tmp_path, "pack").items()
    }
    assert found == {
        "data": ["pack.data", "pack.data.nouns"],
        "losses": ["pack.losses", "pack.miners"],
        "ground": ["pack"],
        "running": ["pack.novel"],
    }
