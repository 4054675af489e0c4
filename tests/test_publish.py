"""Publishing: what is staged, and every reason to refuse. The real book is built in test_book."""

import shutil
from pathlib import Path

import nbformat
import pytest
import yaml
from nbformat.v4 import new_code_cell, new_output
from small_chapter import CHAPTER

from fashionnb import pairs, publish
from fashionnb.files import sha256
from fashionnb.pages import PublishError

ROOT = Path(__file__).resolve().parents[1]
PIXEL = '<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>'


@pytest.fixture
def root(tmp_path):
    """A checkout with two chapters, both run in profile quick, and two plain pages."""
    for name in ("_config.yml", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    for name in ("_ext", "_extra"):
        shutil.copytree(ROOT / "book" / name, tmp_path / "book" / name)
    (tmp_path / "fashionnb").mkdir()
    (tmp_path / "README.md").write_text("# Readme\n")
    book = tmp_path / "book"
    (book / "_static").mkdir()
    (book / "_static" / "cover.svg").write_text(PIXEL)
    (book / "01-one.md").write_text(CHAPTER.replace("Text with", "Read [two](02-two.md#a-title). Text with"))
    (book / "02-two.md").write_text(CHAPTER)
    (book / "index.md").write_text(
        "# The book\n\n[one](01-one.md) [readme](../README.md) ![cover](_static/cover.svg)\n"
    )
    (book / "words.md").write_text("# Words\n\nNone.\n")
    chapters = [{"file": "book/01-one"}, {"file": "book/02-two"}, {"file": "book/words"}]
    toc = {"format": "jb-book", "root": "book/index", "parts": [{"caption": "Chapters", "chapters": chapters}]}
    (tmp_path / "_toc.yml").write_text(yaml.safe_dump(toc, sort_keys=False))
    for name in ("01-one", "02-two"):
        pretend_to_run(tmp_path, name)
    return tmp_path


def pretend_to_run(root, name, **more):
    notebook = pairs.as_notebook(root / "book" / f"{name}.md")
    notebook.cells.insert(2, new_code_cell("seed = 1", metadata={"tags": ["injected-parameters"]}))
    for count, cell in enumerate([cell for cell in notebook.cells if cell.cell_type == "code"], start=1):
        cell.execution_count = count
        cell.outputs = [new_output("stream", text="1\n")]
    measured = {"profile": "quick", "seconds": 126.0, "peak_memory_mb": 640.0, "hardware": "A & B, 2 cores"}
    notebook.metadata["fashionnb"] = {**measured, "date": "2026-01-02T03:04:05+00:00", **more}
    path = root / "_build" / "run" / "quick" / f"{name}.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)
    return path


def staged(root):
    publish.stage(root, "quick", root / "_build" / "src")
    return root / "_build" / "src"


def test_chapters_are_staged_as_they_were_run(root):
    there = staged(root)
    notebook = nbformat.read(there / "book" / "01-one.ipynb", as_version=4)
    top, bottom = notebook.cells[0].source, notebook.cells[-1].source
    assert top.startswith("# A title\n\n<p class=")
    assert "book/01-one.ipynb" in top
    assert "2.1 min, 640 MB, on A &amp; B, 2 cores, profile quick, 2026-01-02" in top
    assert "[two](02-two.ipynb#a-title)" in top
    assert "profile quick" in bottom
    assert "torch" in bottom
    assert not (there / "book" / "01-one.md").exists()


def test_plain_pages_link_to_pages_pictures_and_the_repository(root):
    text = (staged(root) / "book" / "index.md").read_text()
    url = publish.repository(root)
    assert text.split()[3:] == [
        "[one](01-one.ipynb)",
        f"[readme]({url}/blob/main/README.md)",
        "![cover](_static/cover.svg)",
    ]
    assert (root / "_build" / "src" / "book" / "_static" / "cover.svg").exists()


def test_the_site_brings_its_own_scripts_and_the_repository_comes_from_pyproject(root):
    there = staged(root)
    for name in ("tex-svg-full.js", "plotly.min.js"):
        assert (there / "_extra" / "assets" / name).stat().st_size > 1_000_000
    config = yaml.safe_load((there / "_config.yml").read_text())
    assert config["repository"] == {"url": publish.repository(ROOT), "branch": "main"}


def test_results_of_this_very_run_stand_on_the_page_that_asks_for_them(root):
    asked = "Ours: <!-- result: 02-two; net; mrr -->, theirs: <!-- result: 02-two; no net; mrr -->."
    (root / "book" / "words.md").write_text(f"# Words\n\n{asked}\n\n<!-- results: here -->\n")
    assert "Nothing was recorded" in (staged(root) / "book" / "words.md").read_text()
    interval = '{"low": 0.4, "high": 0.6, "how": "bootstrap"}'
    about = '"method": "net", "metric": "mrr", "value": 0.5, "data": "D", "split": "test", "n": 9'
    row = f'{{{about}, "interval": {interval}}}'
    run = (
        '{"chapter": "02-two", "profile": "quick", "seconds": 1, "peak_memory_mb": 1, "hardware": "", "device": "cpu", '
        '"threads": 1, "versions": {}, "seeds": [0], "date": "2026-01-02T03:04:05Z"}'
    )
    results = root / "_build" / "results" / "quick" / "02-two.json"
    results.parent.mkdir(parents=True)
    results.write_text(f'{{"results": [{row}], "run": {run}}}')
    pretend_to_run(root, "02-two", results=sha256(results))
    text = (staged(root) / "book" / "words.md").read_text()
    assert "### [A title](02-two.ipynb)" in text
    assert "| net | 0.500 [0.400,\N{NO-BREAK SPACE}0.600] |" in text
    assert "Ours: **0.500 [0.400, 0.600]**, theirs: *(not measured in this profile)*." in text
    pretend_to_run(root, "02-two", results="of another run")
    assert "Nothing was recorded" in (staged(root) / "book" / "words.md").read_text()


def test_api_pages_are_added_to_the_table_of_contents(root):
    (root / "fashionnb" / "losses.py").touch()
    there = staged(root)
    parts = yaml.safe_load((there / "_toc.yml").read_text())["parts"]
    assert parts[-1] == {"caption": "API reference", "chapters": [{"file": "api/losses"}]}
    assert "automodule:: fashionnb.losses" in (there / "api" / "losses.md").read_text()


def test_what_lay_there_before_is_gone(root):
    (root / "_build" / "src").mkdir()
    (root / "_build" / "src" / "old.md").touch()
    assert not (staged(root) / "old.md").exists()


def test_a_chapter_that_is_not_fit_to_publish_is_refused(root):
    path = root / "_build" / "run" / "quick" / "02-two.ipynb"
    source = root / "book" / "02-two.md"
    source.write_text(source.read_text().replace("Text", "Words"))
    with pytest.raises(
        PublishError, match=r"02-two\.md changed since it was run in profile quick\. Run `fashionnb run 02-two"
    ):
        staged(root)
    notebook = nbformat.read(path, as_version=4)
    del notebook.metadata["fashionnb"]
    nbformat.write(notebook, path)
    with pytest.raises(PublishError, match="does not say what its run took"):
        staged(root)
    path.unlink()
    with pytest.raises(PublishError, match=r"02-two\.ipynb is missing: the chapter was not run in profile quick"):
        staged(root)


def test_table_of_contents_and_files_must_agree(root):
    (root / "book" / "03-three.md").write_text(CHAPTER)
    with pytest.raises(PublishError, match=r"does not list 03-three. Add a line `- file: book/03-three`"):
        staged(root)
    (root / "book" / "03-three.md").unlink()
    (root / "book" / "words.md").unlink()
    with pytest.raises(PublishError, match=r"lists book/words, but there is no book/words.md"):
        staged(root)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("nowhere.md", "index.md: it links to nowhere.md, but nowhere.md is not there"),
        ("01-one", "Write 01-one.md, which works on GitHub too"),
        ("../../outside.md", "outside.md is not there"),
    ],
)
def test_links_that_lead_nowhere_are_refused(root, target, message):
    (root / "book" / "index.md").write_text(f"# The book\n\n[there]({target})\n")
    with pytest.raises(PublishError, match=message):
        staged(root)


@pytest.mark.book
def test_any_warning_fails_the_build_and_is_shown(root):
    (root / "book" / "words.md").write_text("# Words\n\n### A level too deep\n")
    with pytest.raises(PublishError, match=r"words.md:3: WARNING: .*H1 to H3"):
        publish.publish("quick", root=root)
    assert (root / "_build" / "site.log").exists()
