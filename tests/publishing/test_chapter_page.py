"""The page of a chapter: what is taken out of an executed notebook, and what is put in."""

from pathlib import Path

import pytest
import yaml
from myst_nb.core.utils import coalesce_streams
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from fashionnb.errors import PublishError
from fashionnb.publishing import chapter_page

ROOT = Path(__file__).resolve().parents[2]
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
    notebook = new_notebook(cells=[executed(*outputs)])
    chapter_page.clean(notebook, "here")
    return notebook.cells[0].outputs


def test_progress_bars_leave_their_last_state():
    """The site merges the pieces of stdout, as `nb_merge_streams` says."""
    config = yaml.safe_load((ROOT / "_config.yml").read_text())
    assert config["sphinx"]["config"]["nb_merge_streams"]
    outputs = cleaned(
        stream("epoch 1\n"),
        stream("\r 10%|#\r 50%|#####", name="stderr"),
        stream("loss 0.9\rloss 0.5\r"),
        stream("\n"),
        stream("windows\r\ndone\n"),
    )
    [merged] = coalesce_streams(outputs)
    assert merged.text.splitlines() == ["epoch 1", "loss 0.5", "windows", "done"]


@pytest.mark.parametrize(
    "data",
    [
        {WIDGET: {"model_id": "a"}, "text/plain": "  0%|          | 0/20 [00:00<?, ?it/s]"},
        {WIDGET: {"model_id": "a"}, "text/plain": "embedding:  30%|###  | 3/10"},
        {"text/plain": "<IPython.core.display.Markdown object>"},
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


def test_injected_parameters_are_not_shown():
    notebook = new_notebook(
        cells=[executed(tags=["injected-parameters"])], metadata={"widgets": {"x": 1}}
    )
    chapter_page.clean(notebook, "here")
    assert notebook.cells[0].metadata.tags == ["injected-parameters", "remove-cell"]
    assert "widgets" not in notebook.metadata


def test_dress_puts_parts_under_the_title_and_at_the_end():
    notebook = new_notebook(
        cells=[new_markdown_cell("# Title\n\nFirst [words](a.md)."), executed()]
    )
    chapter_page.dress(notebook, top="TOP", bottom="BOTTOM", link=str.upper)
    assert notebook.cells[0].source == "# Title\n\nTOP\n\nFirst [words](A.MD)."
    assert notebook.cells[-1].source == "BOTTOM"
    with pytest.raises(PublishError, match="has no title"):
        chapter_page.dress(
            new_notebook(cells=[new_markdown_cell("text")]), top="", bottom="", link=str
        )


@pytest.mark.parametrize(("megabytes", "text"), [(640.2, "640 MB"), (1234, "1.2 GB")])
def test_memory(megabytes, text):
    assert chapter_page.memory(megabytes) == text
