"""The page of a chapter: what is taken out of an executed notebook, and what is put in."""

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from fashionnb.errors import PublishError
from fashionnb.publishing import chapter_page

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
    return chapter_page.clean(new_notebook(cells=[executed(*outputs)]), "here").cells[0].outputs


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
    assert chapter_page.picture(notebook, "cover") == b"iVBOR"
    assert chapter_page.picture(notebook, "frontispiece") is None


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
    after = chapter_page.clean(notebook, "here")
    assert after.cells[0].metadata.tags == ["injected-parameters", "remove-cell"]
    assert "widgets" not in after.metadata
    assert notebook.cells[0].metadata.tags == ["injected-parameters"]
    assert "widgets" in notebook.metadata


def test_failed_runs_are_refused():
    error = new_output("error", ename="ValueError", evalue="no", traceback=[])
    with pytest.raises(PublishError, match="here, cell 2: it ends in ValueError: no"):
        chapter_page.clean(new_notebook(cells=[new_markdown_cell("# T"), executed(error)]), "here")
    with pytest.raises(PublishError, match="cell 1: it was not executed"):
        chapter_page.clean(new_notebook(cells=[executed(count=None)]), "here")
    with pytest.raises(PublishError, match="its last run failed"):
        chapter_page.clean(new_notebook(metadata={"papermill": {"exception": True}}), "here")
    on_purpose = new_notebook(cells=[executed(error, tags=["raises-exception"])])
    assert chapter_page.clean(on_purpose, "here").cells[0].outputs == [error]


def test_dress_puts_parts_under_the_title_and_at_the_end():
    notebook = new_notebook(
        cells=[new_markdown_cell("# Title\n\nFirst [words](a.md)."), executed()]
    )
    after = chapter_page.dress(notebook, top="TOP", bottom="BOTTOM", link=str.upper)
    assert after.cells[0].source == "# Title\n\nTOP\n\nFirst [words](A.MD)."
    assert after.cells[-1].source == "BOTTOM"
    with pytest.raises(PublishError, match="has no title"):
        chapter_page.dress(
            new_notebook(cells=[new_markdown_cell("text")]), top="", bottom="", link=str
        )


@pytest.mark.parametrize(
    ("seconds", "text"), [(4.4, "4 s"), (99, "99 s"), (126, "2.1 min"), (5400, "1.5 h")]
)
def test_duration(seconds, text):
    assert chapter_page.duration(seconds) == text


@pytest.mark.parametrize(("megabytes", "text"), [(640.2, "640 MB"), (1234, "1.2 GB")])
def test_memory(megabytes, text):
    assert chapter_page.memory(megabytes) == text
