"""The project as a whole: its lists agree, its floors hold, it imports lightly, its chapters stay readable."""

import ast
import re
import statistics
import subprocess
import sys
import tomllib
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp
import jupytext
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from fashionnb.notebook.results import load
from fashionnb.publishing import chapter_dependencies
from fashionnb.publishing.site_markdown import RESULT_HERE

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "fashionnb"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CHAPTERS = sorted((ROOT / "book").glob("[0-9][0-9]-*.md"))
CONDA_NAMES = {"pytorch": "torch"}  # conda's name -> the name on the Python index

# A module belongs to the first room that its name begins with. It may import from its own room and from lower floors.
# On floor 1 the rooms are strangers; on the others, rooms of one floor may use each other, in no circle.
FLOORS = {
    "arrays": 0, "errors": 0, "files": 0, "profiles": 0,
    "data": 1, "losses": 1, "weight_priors": 1, "miners": 1, "augment": 1, "models": 1,
    "evaluation.report": 5, "evaluation": 1,
    "synthetic": 2, "training": 2, "checkpoints": 2, "export": 2,
    "datasets": 3, "features": 3,
    "search": 4, "notebook": 4,
    "outfits": 5, "scenes": 6,
    "publishing": 6, "apps": 6, "doctor": 6,
    "cli": 7, "__main__": 7,
}  # fmt: skip


def requirements() -> dict[str, str]:
    """Every requirement of pyproject.toml, all extras included: name -> bounds."""
    texts = [
        *PROJECT["dependencies"],
        *(text for extra in PROJECT["optional-dependencies"].values() for text in extra),
    ]
    return {
        canonicalize_name(found.name): str(found.specifier)
        for found in map(Requirement, texts)
        if found.name != PROJECT["name"]  # an extra that holds another
    }


def locked() -> dict[str, str]:
    pins = re.findall(
        r"^([A-Za-z0-9._-]+)(?:\[.*?\])?==([^ ;\\]+)",
        (ROOT / "requirements.lock").read_text(),
        re.MULTILINE,
    )
    return {canonicalize_name(name): version for name, version in pins}


def test_environment_yml_lists_what_pyproject_lists():
    listed = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    pip = next(entry["pip"] for entry in listed if isinstance(entry, dict))
    assert pip[-1] == "-e ."
    found = {}
    for requirement in map(
        Requirement, [entry for entry in listed if isinstance(entry, str)] + pip[:-1]
    ):
        found[canonicalize_name(CONDA_NAMES.get(requirement.name, requirement.name))] = str(
            requirement.specifier
        )
    assert found.pop("python") == PROJECT["requires-python"]
    found.pop("pip")
    assert found == requirements()


def test_pyproject_has_lower_bounds_only():
    """Colab and Kaggle keep their own torch and numpy; jupyter-book 2 is another program; a new jsonschema is slow."""
    for name, bounds in requirements().items():
        operators = set(re.findall(r"[<>=!~]+", bounds))
        assert operators == ({">=", "<"} if name in ("jupyter-book", "jsonschema") else {">="}), (
            f"{name}{bounds}"
        )


def test_lock_is_not_behind_pyproject():
    pins = locked()
    for name, bounds in requirements().items():
        assert name in pins, (
            f"{name} is not in requirements.lock: make it anew (its second line says how)."
        )
        assert Requirement(f"{name}{bounds}").specifier.contains(pins[name]), (
            f"{name}=={pins[name]} breaks {bounds}"
        )


def test_lock_names_no_index_and_hashes_everything():
    text = (ROOT / "requirements.lock").read_text()
    assert "://" not in text
    assert not re.search(r"--(index|extra-index|find-links|trusted-host)", text)
    assert text.count("--hash=sha256:") >= len(locked()) > 100
    unhashed = [
        block.split()[0]
        for block in re.split(r"\n(?=\S)", text)
        if "==" in block and "--hash" not in block
    ]
    assert [name for name in unhashed if name != "#"] == []


def unbuilt_files() -> list[Path]:
    """The files below the project's folder, without those in hidden and built folders."""
    return [
        path
        for path in ROOT.rglob("*")
        if path.is_file()
        and not any(
            part[0] in "._" and part[:2] != "__" for part in path.relative_to(ROOT).parts[:-1]
        )
    ]


def test_repository_is_named_in_one_place():
    """Elsewhere its address is made from pyproject.toml, or must at least agree with it."""
    url = PROJECT["urls"]["Repository"]
    endings = {".md", ".yml", ".yaml", ".toml", ".cff", ".py", ".ipynb", ""}
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.split()
    if not tracked:  # outside git: every file but what is built
        tracked = [str(path.relative_to(ROOT)) for path in unbuilt_files()]
    assert {"README.md", "pyproject.toml", "fashionnb/cli/__init__.py"} <= set(tracked)
    wrong = [
        (name, found)
        for name in tracked
        if (ROOT / name).suffix in endings and (ROOT / name).is_file()
        for found in re.findall(
            r"github\.com/[\w.-]+/fashionnb\b", (ROOT / name).read_text(encoding="utf-8")
        )
        if f"https://{found}" != url
    ]
    assert wrong == []
    assert "github.com" not in (ROOT / "_config.yml").read_text(), "publishing adds it"


def modules() -> dict[str, Path]:
    """Dotted names below fashionnb (its own __init__ is left out) -> files."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    found.pop("")
    return found


def test_only_models_import_by_name():
    """What imports by name reaches all of its folder, so chapters run again after every change."""
    known = chapter_dependencies.modules(PACKAGE)
    hidden = [name for name in known if chapter_dependencies.read_module(known[name]).hidden]
    assert hidden == ["fashionnb", "fashionnb.models"]
    assert set(chapter_dependencies.public_names(PACKAGE).values()) <= known.keys()


@cache
def imports() -> grimp.ImportGraph:
    """Which module of fashionnb imports which, anywhere in it."""
    return grimp.build_graph("fashionnb", cache_dir=None)


def imported(module: str) -> set[str]:
    """The modules that a module imports. All names are dotted names below fashionnb."""
    names = imports().find_modules_directly_imported_by(f"fashionnb.{module}")
    return {name.removeprefix("fashionnb.") for name in names - {"fashionnb"}}


def room(module: str) -> str:
    fitting = [name for name in FLOORS if module == name or module.startswith(f"{name}.")]
    assert fitting, (
        f"fashionnb.{module} belongs to no room: decide on which floor it stands, and add it to FLOORS."
    )
    return fitting[0]


def test_floors():
    wrong = []
    for module in modules():
        for other in imported(module):
            here, there = room(module), room(other)
            strangers = FLOORS[here] == FLOORS[there] == 1 and here != there
            if FLOORS[there] > FLOORS[here] or strangers:
                wrong.append(
                    f"{module} (floor {FLOORS[here]}) imports {other} (floor {FLOORS[there]})"
                )
    assert wrong == []


def test_rooms_import_each_other_in_no_circle():
    known = modules()
    graph = {room(module): set() for module in known}
    for module in known:
        graph[room(module)] |= {room(other) for other in imported(module)} - {room(module)}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"a circle of imports: {' -> '.join(error.args[1])}")


@pytest.mark.parametrize(
    "module",
    ["fashionnb", *(f"fashionnb.{m}" for m in ("errors", "files", "profiles", "cli", "data"))],
)
def test_imports_lightly(module):
    code = f"import sys, {module}; print(*sorted({{'torch', 'pandas', 'numpy', 'sklearn'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


ONE_PLATFORM = {
    "resource", "fcntl", "termios", "tty", "pty", "pwd", "grp", "syslog", "posix", "readline", "curses",
    "winreg", "msvcrt", "winsound", "_winapi",
}  # fmt: skip


def test_what_only_one_platform_has_is_imported_where_it_is_used():
    """On Windows `import resource` at the top of one module stopped every chapter at its first cell."""
    everywhere = [
        f"{path.relative_to(ROOT)}: {ast.unparse(statement)}"
        for folder in (PACKAGE, ROOT / "tests", ROOT / "book" / "_ext")
        for path in folder.rglob("*.py")
        for statement in ast.parse(path.read_text("utf-8")).body
        for name in [getattr(statement, "module", None)]
        + [alias.name for alias in getattr(statement, "names", ()) if hasattr(alias, "name")]
        if name in ONE_PLATFORM and isinstance(statement, ast.Import | ast.ImportFrom)
    ]
    assert everywhere == []


def test_the_package_reads_and_writes_utf_8_whatever_the_machine_prefers():
    """Pages read with the encoding of the locale are broken on Windows, where it is cp1252."""
    unsaid = [
        f"{path.relative_to(ROOT)}:{call.lineno}: {ast.unparse(call)}"
        for path in PACKAGE.rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr in ("read_text", "write_text", "open")
        and not re.search(
            r"utf-8|encoding=|\b[rw]b\b|^(files|Image|gzip|os|self)\.", ast.unparse(call)
        )
    ]
    assert unsaid == []


def test_the_public_names_are_a_dozen_with_a_line_each():
    import fashionnb as fn

    names = [name for name in dir(fn) if not name.startswith("__")]
    assert 8 <= len(names) <= 14
    for name in names:
        assert (getattr(fn, name).__doc__ or "").strip().splitlines()[0].endswith((".", "?")), name
    with pytest.raises(AttributeError, match="no attribute 'lode'"):
        _ = fn.lode


def cell_lengths(chapter: Path) -> list[tuple[int, str]]:
    """Lines of each code cell that are neither empty nor imports (one name a line would fill a screen), and where."""
    found = []
    for cell in jupytext.read(chapter).cells:
        if cell.cell_type == "code":
            rest = re.sub(
                r"^(import .*|from \S+ import (\([^)]*\)|.*))$", "", cell.source, flags=re.MULTILINE
            )
            lines = [line for line in rest.splitlines() if line.strip()]
            found.append((len(lines), f"{chapter.name}: {cell.source[:60]!r}"))
    return found


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_no_cell_is_longer_than_a_screen(chapter):
    assert [where for length, where in cell_lengths(chapter) if length > 30] == []


def test_cells_are_short():
    lengths = sorted(length for chapter in CHAPTERS for length, _ in cell_lengths(chapter))
    assert lengths, "no chapters"
    assert (
        statistics.median(lengths) <= 8
    )  # lines are at most 84 characters long, so a call takes several
    assert lengths[int(0.9 * (len(lengths) - 1))] <= 15


def measured_assertions(source: str) -> list[str]:
    """The assertions of a cell that may fail on another machine: all but equalities, exact or up to rounding.

    What a trained network reaches is compared with a constant or with another figure by <, <=, > or >=, or by a wide
    tolerance. Such a comparison belongs into a claim.
    """
    wrong = []
    plain = re.sub(r"^(\s*)[%!].*$", r"\1pass", source, flags=re.MULTILINE)
    for statement in ast.walk(ast.parse(plain)):
        if isinstance(statement, ast.Raise):
            wrong.append(ast.unparse(statement))
        if not isinstance(statement, ast.Assert):
            continue
        for node in ast.walk(statement.test):
            ordered = isinstance(node, ast.Compare) and any(
                isinstance(operator, ast.Lt | ast.LtE | ast.Gt | ast.GtE) for operator in node.ops
            )
            rounding = ordered and len(node.ops) == 1 and is_rounding(node.comparators[0])
            tolerances = [
                word.value
                for word in getattr(node, "keywords", ())
                if word.arg in ("atol", "rtol", "abs", "rel")
            ]
            if (ordered and not rounding) or not all(map(is_rounding, tolerances)):
                wrong.append(ast.unparse(statement))
                break
    return wrong


def is_rounding(node: ast.expr) -> bool:
    """True for a constant of at most 0.001: what float32 may lose."""
    return (
        isinstance(node, ast.Constant) and isinstance(node.value, float) and 0 < node.value <= 1e-3
    )


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("assert hits.mean() >= 0.75, 'worse than promised'", True),
        ("%pip install x\nfor a in b:\n    assert ours.low > theirs.high", True),
        ("assert 0.6 < value", True),
        ("assert abs(ours - promised) < 0.01", True),
        ("assert np.isclose(ours, promised, atol=0.05)", True),
        ("if ours < 0.5:\n    raise RuntimeError('too low')", True),
        ("assert x.shape == (3, 4) and abs(there - back) < 1e-5", False),
        ("assert np.allclose(mine, package, atol=1e-5)", False),
        ("claim('It is better.', ours - theirs, at_least=0)", False),
    ],
)
def test_an_assertion_on_a_measured_figure_is_found(source, found):
    assert bool(measured_assertions(source)) == found


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_chapters_claim_what_they_measure_and_assert_only_what_must_hold_everywhere(chapter):
    cells = [cell.source for cell in jupytext.read(chapter).cells if cell.cell_type == "code"]
    assert [found for source in cells for found in measured_assertions(source)] == []


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_chapters_hold_plain_markdown(chapter):
    """A directive or a role of MyST is raw code in Colab, Kaggle, JupyterLab and on GitHub."""
    text = "\n".join(
        cell.source for cell in jupytext.read(chapter).cells if cell.cell_type == "markdown"
    )
    assert re.findall(r"^(?:```|:::)\{.*|\{[a-z:-]+\}`[^`]*`", text, re.MULTILINE) == []


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_every_cell_that_loads_a_dataset_shows_the_banner(chapter):
    """Drawn garments may stand in for each of them, and the page has to say so."""
    cells = [cell.source for cell in jupytext.read(chapter).cells if cell.cell_type == "code"]
    loading = [
        cell for cell in cells if re.search(r"(?<![.\w])load(_classes|_outfits|_scenes)?\(", cell)
    ]
    assert loading
    assert [cell for cell in loading if "banner(" not in cell] == []


def test_every_chapter_is_in_the_table_of_contents():
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text())
    listed = [entry["file"] for part in toc["parts"] for entry in part["chapters"]]
    assert [name for name in listed if re.match(r"book/\d\d-", name)] == [
        f"book/{path.stem}" for path in CHAPTERS
    ]


def test_the_front_page_has_one_line_of_results_for_each_chapter_and_asks_for_numbers_that_are_there():
    asked = RESULT_HERE.findall((ROOT / "book" / "index.md").read_text())
    assert list(dict.fromkeys(chapter for chapter, *_ in asked)) == [path.stem for path in CHAPTERS]
    for chapter, method, metric, full in asked:
        committed = load(chapter, full or "standard", ROOT / "book" / "results").results
        there = [(row.method, row.metric) for row in committed]
        assert (method, metric) in there, (chapter, method, metric)
