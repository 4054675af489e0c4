"""The chapters of a checkout: which there are, what code they hold, which parameters they take.

Reads the Markdown (MyST) sources; runs nothing. `fashionnb.runs` executes them.
"""

import ast
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fashionnb
from fashionnb.errors import RunError
from fashionnb.results import checkout

if TYPE_CHECKING:
    from nbformat import NotebookNode


@dataclass(frozen=True)
class Chapter:
    """One chapter, `book/NN-name.md`."""

    path: Path

    @property
    def name(self) -> str:
        """Its file name without the ending, for instance "02-style2vec"."""
        return self.path.stem

    @cached_property
    def text(self) -> str:
        """The file as it was when it was first read: what is executed is what was hashed."""
        try:
            return self.path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise RunError(f"{self.path}: cannot be read ({error}).") from error

    @cached_property
    def notebook(self) -> "NotebookNode":
        """The chapter as a notebook without outputs. Raises `RunError` if it cannot be read or has no Python kernel."""
        try:
            import jupytext
        except ImportError as error:
            raise RunError("Running chapters needs jupytext and papermill: `pip install 'fashionnb[book]'`.") from error
        try:
            notebook = jupytext.reads(self.text, fmt="md:myst")
        except Exception as error:  # jupytext lets through whatever its YAML and MyST parsers raise
            raise RunError(f"{self.path}: cannot be read as a MyST notebook ({error}).") from error
        if notebook.metadata.get("kernelspec", {}).get("language") != "python":
            raise RunError(
                f"{self.path}: its header needs a kernelspec with name python3 and language python; copy the one of "
                "another chapter."
            )
        return notebook

    @cached_property
    def code(self) -> tuple[str, ...]:
        """The sources of its code cells."""
        return tuple(cell.source for cell in self.notebook.cells if cell.cell_type == "code")

    @cached_property
    def parameters(self) -> dict[str, str]:
        """What the cell tagged `parameters` sets: name -> its default, as written there."""
        cells = [
            cell.source
            for cell in self.notebook.cells
            if cell.cell_type == "code" and "parameters" in cell.metadata.get("tags", [])
        ]
        try:
            body = [node for source in cells for node in ast.parse(source).body]
        except SyntaxError as error:
            raise RunError(f"{self.path}: the parameters cell is not plain Python ({error}).") from error
        found = {}
        for node in body:
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
            for target in targets:
                if isinstance(target, ast.Name) and getattr(node, "value", None) is not None:
                    found[target.id] = ast.unparse(node.value)
        return found

    def typed(self, given: Mapping[str, str]) -> dict[str, Any]:
        """The values given on a command line, each of the type of the parameter's default.

        YAML says what a text means ("3" is a number, "false" a truth value), except where the default is a string.

        Raises
        ------
        RunError : the chapter has no such parameter, or the value is of another type than the default.
        """
        unknown = [name for name in given if name not in self.parameters]
        if unknown:
            listed = ", ".join(f"{name} ({default})" for name, default in self.parameters.items()) or "none"
            raise RunError(f"{self.name} has no parameter {unknown[0]!r}. It has: {listed}.")
        if "profile" in given:
            raise RunError("The profile is not set with -p. Use --profile: it also says where results go.")
        return {name: self._value(name, text) for name, text in given.items()}

    def _value(self, name: str, text: str) -> Any:
        try:
            default = ast.literal_eval(self.parameters[name])
        except ValueError:  # the default is an expression; any value may be meant
            default = None
        value = text if isinstance(default, str) else _yaml(text)
        number = (int, float)
        if default is None or value is None or type(value) is type(default):
            return value
        if isinstance(default, tuple | list) and isinstance(value, tuple | list):
            return value
        if type(default) in number and type(value) in number and (type(default) is float or value == int(value)):
            return type(default)(value)
        kind = type(default).__name__
        raise RunError(f"{self.name}: parameter {name} is {kind} (default {self.parameters[name]}), got {text!r}.")


@dataclass(frozen=True)
class Book:
    """A checkout (`root`: it holds `_toc.yml` and `book/`) and the folder of the `package` that its chapters import."""

    root: Path
    package: Path

    @classmethod
    def find(cls, start: Path | str | None = None) -> "Book":
        """The checkout that `start` (the working folder) lies in, else the one that fashionnb itself lies in.

        Raises
        ------
        RunError : neither lies in a checkout.
        """
        package = Path(fashionnb.__file__).parent
        root = checkout(start) or checkout(package)
        if root is None:
            raise RunError(
                f"No book here: neither {Path(start or Path.cwd())} nor the installed package lies in a folder with "
                "_toc.yml and book/. Clone the repository and run the command inside it."
            )
        return cls(root, package)

    @property
    def folder(self) -> Path:
        """Where the chapters lie, and the working folder in which they run."""
        return self.root / "book"

    @property
    def build(self) -> Path:
        """Where everything goes that can be made again."""
        return self.root / "_build"

    def chapters(self, wanted: Sequence[str] = ()) -> list[Chapter]:
        """The chapters that `wanted` names, in the order of the book; without names, all.

        A chapter is named by its number ("2", "02"), its name ("02-style2vec", also with an ending or a folder), or how
        the name begins ("02-st").

        Raises
        ------
        RunError : nothing is called so, or there are no chapters at all.
        """
        every = [Chapter(path) for path in sorted(self.folder.glob("[0-9][0-9]-*.md"))]
        if not every:
            raise RunError(f"{self.folder}: there are no chapters (files named like 02-style2vec.md).")
        chosen = {chapter.name for name in wanted for chapter in _named(name, every)}
        return [chapter for chapter in every if not wanted or chapter.name in chosen]


def _named(wanted: str, every: list[Chapter]) -> list[Chapter]:
    name = re.sub(r"\.(md|ipynb)$", "", Path(wanted).name)
    if name.isdigit():
        found = [chapter for chapter in every if int(chapter.name[:2]) == int(name)]
    else:
        found = [chapter for chapter in every if chapter.name == name]
        found = found or [chapter for chapter in every if name and chapter.name.startswith(name)]
    if not found:
        raise RunError(f"There is no chapter {wanted!r}. There are: {', '.join(chapter.name for chapter in every)}.")
    return found


def _yaml(text: str) -> Any:
    """What YAML takes `text` for; and "1e-3" for a number, as everyone but YAML does."""
    import yaml

    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise RunError(f"The value {text!r} is not YAML ({getattr(error, 'problem', error)}).") from error
    if not isinstance(value, str):
        return value if isinstance(value, bool | int | float | list | dict | None) else text  # YAML knows dates, too
    if value == "None":
        return None
    try:
        return float(value)
    except ValueError:
        return value
