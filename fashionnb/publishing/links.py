"""Links on the pages of the site: to other pages, to files of the repository, to Colab and Kaggle.

The chapters link to files as on GitHub, for instance `[chapter 02](02-style2vec.md)`.
"""

import html
import os
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote

from fashionnb.errors import PublishError

BRANCH = "main"
PICTURES = (".png", ".jpg", ".jpeg", ".svg", ".gif", ".webp")
LINK = re.compile(r"(?<!`)(?P<open>\]\()(?P<target>[^()\s]+)(?P<close>(?:\s+\"[^\"]*\")?\))")
# A link to another site, or to another place on the same page.
NOT_RELATIVE = re.compile(r"[a-z][a-z0-9+.-]*:|//|#", re.IGNORECASE)


def repository(root: Path) -> str:
    """Read the URL of the repository from pyproject.toml, the one place that names it."""
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    return project["urls"]["Repository"].rstrip("/")


def relink(text: str, link: Callable[[str], str]) -> str:
    """Replace each relative target `t` of a link or image in Markdown by `link(t)`.

    Fenced code is left alone.
    """

    def replace(found: re.Match) -> str:
        if NOT_RELATIVE.match(found["target"]):
            return found[0]
        return f"{found['open']}{link(found['target'])}{found['close']}"

    fenced, lines = False, []
    for line in text.split("\n"):
        if line.lstrip().startswith(("```", "~~~")):
            fenced = not fenced
        lines.append(line if fenced else LINK.sub(replace, line))
    return "\n".join(lines)


def linker(root: Path, page: str, pages: list[str]) -> Callable[[str], str]:
    """Make the function that turns a target as on GitHub into one for the site.

    Parameters
    ----------
    root : Path
        The folder of the checkout.
    page : str
        The page that holds the links, for instance "book/02-style2vec".
    pages : list of str
        All pages of the site.

    Returns
    -------
    callable
        Raises `PublishError` for a target that does not exist.
    """

    def link(target: str) -> str:
        path, _, anchor = target.partition("#")
        place = Path(os.path.normpath((root / page).parent / unquote(path)))
        if not place.exists() or not place.is_relative_to(root):
            written = place.with_suffix(".md").exists()
            hint = f" Write {place.name}.md, which works on GitHub too." if written else ""
            raise PublishError(
                f"{page}.md: it links to {target}, but {place.name} is not there.{hint}"
            )
        inside = place.relative_to(root)
        if place.suffix.lower() in PICTURES and inside.parts[0] == "book":
            return target
        if str(inside.with_suffix("")) in pages:
            chapter = re.match(r"\d\d-", inside.name)  # these are staged as notebooks
            path = str(Path(path).with_suffix(".ipynb" if chapter else ".md"))
        else:
            path = f"{repository(root)}/blob/{BRANCH}/{inside}"
        return f"{path}#{anchor}" if anchor else path

    return link


def badges(repository: str, page: str) -> str:
    """Write the links (HTML) that open the notebook of a page in Colab and in Kaggle."""
    blob = f"{repository}/blob/{BRANCH}/{page}.ipynb"
    on_github = blob.removeprefix("https://github.com/")
    colab = f"https://colab.research.google.com/github/{on_github}"
    kaggle = f"https://kaggle.com/kernels/welcome?src={blob}"
    both = [_badge(colab, "Colab", width=102), _badge(kaggle, "Kaggle", width=108)]
    return f'<p class="badges">{" ".join(both)}</p>'


def _badge(url: str, name: str, width: int) -> str:
    image = f'src="../assets/{name.lower()}.svg" alt="Open in {name}" width="{width}" height="20"'
    return f'<a href="{html.escape(url)}"><img class="dark-light" {image}></a>'
