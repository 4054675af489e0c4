"""Publishing: what is staged, and every reason to refuse. The real book is built in test_book."""

import re
import shutil
import subprocess
from pathlib import Path

import nbformat
import pytest
import tiny
import yaml
from nbformat.v4 import new_code_cell, new_output
from small_chapter import CHAPTER

from fashionnb.cli import main
from fashionnb.errors import PublishError
from fashionnb.files import sha256
from fashionnb.notebook.claims import Claim
from fashionnb.publishing import site, site_markdown
from fashionnb.publishing.chapter_page import RECORDED
from fashionnb.publishing.chapters import Book, Chapter

ROOT = Path(__file__).resolve().parents[2]
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
    folder = tmp_path / "book"
    (folder / "_static").mkdir()
    (folder / "_static" / "cover.svg").write_text(PIXEL)
    (folder / "01-one.md").write_text(
        CHAPTER.replace("Text with", "Read [two](02-two.md#a-title). Text with")
    )
    (folder / "02-two.md").write_text(CHAPTER)
    (folder / "index.md").write_text(
        "# The book\n\n[one](01-one.md) [readme](../README.md) ![cover](_static/cover.svg)\n"
    )
    (folder / "words.md").write_text("# Words\n\nNone.\n")
    chapters = [{"file": "book/01-one"}, {"file": "book/02-two"}, {"file": "book/words"}]
    toc = {
        "format": "jb-book",
        "root": "book/index",
        "parts": [{"caption": "Chapters", "chapters": chapters}],
    }
    (tmp_path / "_toc.yml").write_text(yaml.safe_dump(toc, sort_keys=False))
    for name in ("01-one", "02-two"):
        pretend_to_run(tmp_path, name)
    return tmp_path


def pretend_to_run(root, name, **more):
    notebook = Chapter(root / "book" / f"{name}.md").notebook
    notebook.cells.insert(2, new_code_cell("seed = 1", metadata={"tags": ["injected-parameters"]}))
    for count, cell in enumerate(
        [cell for cell in notebook.cells if cell.cell_type == "code"], start=1
    ):
        cell.execution_count = count
        cell.outputs = [new_output("stream", text="1\n")]
    measured = {
        "profile": "quick",
        "seconds": 126.0,
        "peak_memory_mb": 640.0,
        "hardware": "A & B, 2 cores",
        "device": "cpu",
    }
    notebook.metadata["fashionnb"] = {**measured, "date": "2026-01-02T03:04:05+00:00", **more}
    path = root / "_build" / "run" / "quick" / f"{name}.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)
    return path


def record(root, name="02-two", folder="book/results"):
    """A results file of a chapter in profile quick."""
    interval = '{"low": 0.4, "high": 0.6, "how": "bootstrap"}'
    about = '"method": "net", "metric": "mrr", "value": 0.5, "data": "D", "split": "test", "n": 9'
    row = f'{{{about}, "interval": {interval}}}'
    run = (
        f'{{"chapter": "{name}", "profile": "quick", "seconds": 1, "peak_memory_mb": 1, "hardware": "", '
        '"device": "cpu", "threads": 1, "versions": {}, "seeds": [0], "date": "2026-01-02T03:04:05Z"}'
    )
    path = root / folder / "quick" / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'{{"results": [{row}], "run": {run}}}')
    return path


def staged(root):
    site.stage(book(root), "quick", root / "_build" / "src")
    return root / "_build" / "src"


def book(root):
    return Book(root, root / "fashionnb")


def test_chapters_are_staged_as_they_were_run(root):
    there = staged(root)
    notebook = nbformat.read(there / "book" / "01-one.ipynb", as_version=4)
    top, bottom = notebook.cells[0].source, notebook.cells[-1].source
    assert top.startswith("# A title\n\n<p class=")
    assert "book/01-one.ipynb" in top
    assert "2.1 min, 640 MB, on A &amp; B, 2 cores, profile quick, 2026-01-02" in top
    assert "; up to 5.2 min on two slow cores" in top
    assert "[two](02-two.ipynb#a-title)" in top
    assert "profile quick" in bottom
    assert "torch" in bottom
    assert not (there / "book" / "01-one.md").exists()


def test_a_folded_cell_says_what_it_holds_as_its_chapter_says_now(root):
    chapter = root / "book" / "01-one.md"
    hidden = "```{code-cell} ipython3\n:tags: [hide-input]"
    chapter.write_text(f"{chapter.read_text()}\n{hidden}\n\n1 + 1\n```\n")
    pretend_to_run(root, "01-one")
    chapter.write_text(
        chapter.read_text().replace(hidden, hidden + "\n:mystnb: {code_prompt_show: A sum}")
    )
    page = nbformat.read(staged(root) / "book" / "01-one.ipynb", as_version=4)
    cell = page.cells[-2]
    assert cell.source == "1 + 1"
    assert cell.metadata["mystnb"] == {"code_prompt_show": "A sum", "code_prompt_hide": "A sum"}


def test_plain_pages_link_to_pages_pictures_and_the_repository(root):
    text = (staged(root) / "book" / "index.md").read_text()
    url = site_markdown.repository(root)
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
    assert config["repository"] == {"url": site_markdown.repository(ROOT), "branch": "main"}


def test_results_of_this_very_run_stand_on_the_page_that_asks_for_them(root):
    asked = "Ours: <!-- result: 02-two; net; mrr -->, theirs: <!-- result: 02-two; no net; mrr -->."
    (root / "book" / "words.md").write_text(f"# Words\n\n{asked}\n\n<!-- results: here -->\n")
    assert "Nothing was recorded" in (staged(root) / "book" / "words.md").read_text()
    results = record(root, folder="_build/results")
    pretend_to_run(root, "02-two", results=sha256(results))
    text = (staged(root) / "book" / "words.md").read_text()
    assert "### [A title](02-two.ipynb)" in text
    assert "| net | 0.500 [0.400,\N{NO-BREAK SPACE}0.600] |" in text
    assert "Ours: **0.500 [0.400, 0.600]**, theirs: *(not measured in this profile)*." in text
    full = record(root, "01-one")
    (root / "book" / "results" / "full").mkdir()
    full.replace(root / "book" / "results" / "full" / "01-one.json")
    (root / "book" / "words.md").write_text(
        "# Words\n\nLong: <!-- result: 01-one; net; mrr; full -->.\n"
    )
    assert "Long: **0.500 [0.400, 0.600]**." in (staged(root) / "book" / "words.md").read_text()
    (root / "book" / "words.md").write_text("# Words\n\n<!-- results: here -->\n")
    pretend_to_run(root, "02-two", results="of another run")
    assert "Nothing was recorded" in (staged(root) / "book" / "words.md").read_text()


MODULES = {
    "__init__": '"""A package."""',
    "losses": "",
    "miners": "",
    "_private": "",
    "data/__init__": '"""Data, from\nanywhere. More of it.\n\nAnd more."""',
    "data/nouns": "",
    "data/_inner": "",
    "data/deep/__init__": '"""Deep."""',
    "data/deep/inner": "",
    "models/__init__": "",
}


@pytest.fixture
def reference(tmp_path):
    """The pages of a package, and their entries in the table of contents."""
    package = tmp_path / "pack"
    for name, text in MODULES.items():
        path = package / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    entries = site.write_reference(package, tmp_path / "api")
    return {
        path.stem: path.read_text().splitlines() for path in (tmp_path / "api").iterdir()
    }, entries


def test_every_public_module_is_on_the_page_of_its_room(reference):
    lines, _ = reference
    found = {
        name: [line.split()[-1] for line in text if "automodule" in line]
        for name, text in lines.items()
    }
    assert found == {
        "pack": ["pack", "pack.losses", "pack.miners"],
        "data": ["pack.data", "pack.data.deep", "pack.data.deep.inner", "pack.data.nouns"],
        "models": ["pack.models"],
    }


def test_titles_are_those_of_the_rooms(reference):
    lines, entries = reference
    assert entries == [
        {"file": "api/pack", "title": "pack"},
        {"file": "api/data", "title": "pack.data"},
        {"file": "api/models", "title": "pack.models"},
    ]
    headings = [lines[name][0] for name in ("pack", "data", "models")]
    assert headings == ["# A package", "# Data, from anywhere", "# pack.models"]


def test_api_pages_are_added_to_the_table_of_contents(root):
    (root / "fashionnb" / "__init__.py").write_text('"""The package."""')
    (root / "fashionnb" / "losses.py").touch()
    there = staged(root)
    parts = yaml.safe_load((there / "_toc.yml").read_text())["parts"]
    page = {"file": "api/fashionnb", "title": "fashionnb"}
    assert parts[-1] == {"caption": "API reference", "chapters": [page]}
    assert "automodule:: fashionnb.losses" in (there / "api" / "fashionnb.md").read_text()


def test_what_lay_there_before_is_gone(root):
    (root / "_build" / "src").mkdir()
    (root / "_build" / "src" / "old.md").touch()
    assert not (staged(root) / "old.md").exists()


def test_a_chapter_that_is_not_fit_to_publish_is_refused(root):
    path = root / "_build" / "run" / "quick" / "02-two.ipynb"
    source = root / "book" / "02-two.md"
    source.write_text(source.read_text().replace("Text", "Words"))
    with pytest.raises(
        PublishError,
        match=r"02-two\.md changed since it was run in profile quick\. Run `fashionnb run 02-two",
    ):
        staged(root)
    notebook = nbformat.read(path, as_version=4)
    del notebook.metadata["fashionnb"]
    nbformat.write(notebook, path)
    with pytest.raises(PublishError, match="changed since it was run"):
        staged(root)
    path.unlink()
    with pytest.raises(
        PublishError, match=r"02-two\.ipynb is missing: the chapter was not run in profile quick"
    ):
        staged(root)


def test_table_of_contents_and_files_must_agree(root):
    (root / "book" / "03-three.md").write_text(CHAPTER)
    with pytest.raises(
        PublishError, match=r"does not list 03-three. Add a line `- file: book/03-three`"
    ):
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


FAILED = {
    "cell": 2,
    "source": "print(seed)",
    "line": 1,
    "name": "ValueError",
    "traceback": [],
    "died": False,
}


def test_a_chapter_that_failed_has_a_page_with_a_notice(root):
    path = pretend_to_run(root, "02-two", error={**FAILED, "value": f"{root}/book is `odd`"})
    notebook = nbformat.read(path, as_version=4)
    stopped = notebook.cells[-2]
    stopped.outputs.append(new_output("error", ename="ValueError", evalue="odd", traceback=["…"]))
    notebook.cells[-1].update(execution_count=None, outputs=[])  # it was not reached
    nbformat.write(notebook, path)
    (root / "book" / "words.md").write_text("# Words\n\nOurs: <!-- result: 02-two; net; mrr -->.\n")

    there = staged(root)
    page = nbformat.read(there / "book" / "02-two.ipynb", as_version=4)
    top = page.cells[0].source
    assert (
        "**This page is not complete.** Its run stopped in code cell 2: `ValueError: ./book is 'odd'`."
        in top
    )
    assert "`fashionnb run 02-two --profile quick`" in top
    assert RECORDED not in page.cells[-1].source
    texts = [cell.source for cell in page.cells]
    place = next(
        number
        for number, text in enumerate(texts)
        if text.startswith("> **Here this run stopped:**")
    )
    below = [cell for cell in page.cells[place:] if cell.cell_type == "code"]
    assert [[output.text for output in cell.outputs] for cell in below] == [["1\n"], []]
    assert "(not measured in this profile)" in (there / "book" / "words.md").read_text()

    record(root)
    there = staged(root)
    page = nbformat.read(there / "book" / "02-two.ipynb", as_version=4)
    assert "[recorded results](#recorded-results)" in page.cells[0].source
    assert "## Recorded results" in page.cells[-1].source
    assert "| net | 0.500" in page.cells[-1].source
    shown = (there / "book" / "words.md").read_text()
    assert "Ours: **0.500 [0.400, 0.600]** *(the run of that chapter was not completed)*." in shown


def test_the_report_lists_what_failed_and_which_claims_did_not_hold(root):
    path = pretend_to_run(root, "01-one")
    notebook = nbformat.read(path, as_version=4)
    data, metadata = Claim("It is **more**.", 0.4, at_least=0.5)._repr_mimebundle_()
    notebook.cells[-1].outputs.append(new_output("display_data", data=data, metadata=metadata))
    nbformat.write(notebook, path)
    pretend_to_run(root, "02-two", error={**FAILED, "value": "odd"})
    chapters = site.stage(book(root), "quick", root / "_build" / "src")
    lines = site.Site(root / "index.html", "quick", chapters).report().splitlines()
    assert lines[0] == "Published 2 chapters, as run in profile quick:"
    assert lines[2].endswith("stopped: `ValueError: odd`")
    assert lines[3:6] == [
        "1 claim of the book did not hold in this run:",
        "  01-one: measured 0.4, expected at least 0.5: It is more.",
        "1 of them not complete, with a notice on its page: 02-two.",
    ]


CLAIM = """
from fashionnb.notebook.claims import claim
claim("It is **more** than half.", 0.4, at_least=0.5)
"""
RAISES = "print('computed before')", "raise ValueError('too small')", "print('never reached')"
KILLED = "print('computed before')", "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)"


@pytest.mark.book
@pytest.mark.parametrize("strict", [False, True])
def test_the_site_is_always_built(root, monkeypatch, capsys, strict):
    """Chapters that raise, whose kernel is killed, or whose claim does not hold, really run."""
    words = ["--profile", "quick", *(["--strict"] if strict else [])]
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.chdir(root)
    # The reference of the whole package takes 40 s, and test_book builds it.
    monkeypatch.setattr(site, "write_reference", lambda package, folder: [])

    def command(name):
        status = main([name, *words])
        done = capsys.readouterr()
        return subprocess.CompletedProcess(name, status, done.out, done.err)

    (root / "book" / "01-one.md").write_text(tiny.chapter(CLAIM))
    (root / "book" / "02-two.md").unlink()
    toc = yaml.safe_load((root / "_toc.yml").read_text())
    toc["parts"][0]["chapters"].pop(1)
    (root / "_toc.yml").write_text(yaml.safe_dump(toc))
    (root / "book" / "index.md").write_text("# The book\n\nWords.\n")
    ran, published = command("run"), command("publish")
    assert ("1 claim of the book did not hold" in ran.stdout, ran.returncode) == (
        True,
        int(strict),
    ), ran.stderr
    assert ("It is more than half." in published.stdout, published.returncode) == (
        True,
        int(strict),
    ), published.stderr
    if strict:
        return

    toc["parts"][0]["chapters"] += [{"file": "book/02-raises"}, {"file": "book/03-killed"}]
    (root / "_toc.yml").write_text(yaml.safe_dump(toc))
    (root / "book" / "02-raises.md").write_text(tiny.chapter(*RAISES))
    (root / "book" / "03-killed.md").write_text(tiny.chapter(*KILLED))
    record(root, "03-killed")
    ran, published = command("run"), command("publish")
    assert (ran.returncode, published.returncode) == (1, 1)
    assert "01-one: unchanged, kept" in ran.stdout
    assert "02-raises failed in code cell 2" in ran.stderr
    assert "03-killed failed in code cell 2" in ran.stderr
    assert (
        "2 of them not complete, with a notice on its page: 02-raises, 03-killed."
        in published.stdout
    )
    pages = root / "_build" / "site" / "_build" / "html"
    assert published.stdout.endswith(f"{pages / 'index.html'}\n")
    claims, raises, killed = (
        " ".join(re.sub(r"<[^>]+>", " ", (pages / "book" / f"{name}.html").read_text()).split())
        for name in ("01-one", "02-raises", "03-killed")
    )
    assert "This did not hold" in claims
    for page in (raises, killed):
        assert "This page is not complete." in page
        assert "computed before" in page
        assert "Here this run stopped:" in page
    assert "ValueError: too small" in raises
    assert "never reached" in raises, "the code below stays readable"
    assert "the memory was not enough" in killed
    assert "Recorded results" in killed


@pytest.mark.book
def test_any_warning_fails_the_build_and_is_shown(root):
    (root / "book" / "words.md").write_text("# Words\n\n### A level too deep\n")
    with pytest.raises(PublishError, match=r"words.md:3: WARNING: .*H1 to H3"):
        site.publish("quick", book=book(root))
    assert (root / "_build" / "site.log").exists()
    assert (root / "_build" / "site" / "_build" / "html" / "index.html").exists(), (
        "the pages are there all the same"
    )
