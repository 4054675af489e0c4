"""A small Sphinx extension for the site.

- It adds our style sheet.
- It removes thebe: jupyter-book 1 puts sphinx-thebe's inline script on every page, twice, which
  ends in an error in the console. The book runs in Colab and Kaggle, not through thebe.
- It makes one table of contents for many pages: the theme makes it anew for every page, and most
  pages show source code, which no table of contents lists; so those of one folder share theirs.
- It repairs what autodoc and codeautolink write: signatures with "<factory>", and the heading of
  the list of chapters that use a function.
"""

from functools import cache

from docutils.nodes import Text
from sphinx_codeautolink.extension.backref import SummaryNode


def setup(app):
    """Called by Sphinx."""
    app.add_css_file("../assets/fashionnb.css", priority=900)
    app.connect("html-page-context", _without_thebe, priority=990)
    app.connect("html-page-context", _Contents(), priority=400)  # before the theme asks for them
    app.connect("autodoc-process-signature", _readable)
    app.connect("doctree-resolved", _used_in, priority=900)  # after codeautolink
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _readable(app, what, name, obj, options, signature, returns):
    # "<factory>", the default of some fields of dataclasses, is no Python: Sphinx would give up.
    return (signature or "").replace("<factory>", "...") or None, returns


def _used_in(app, doctree, docname):
    """Codeautolink's own words are "Expand for references to" and the whole name."""
    for summary in doctree.findall(SummaryNode):
        summary.children = [Text("Used in")]


def _without_thebe(app, pagename, templatename, context, doctree):
    for kind in ("script_files", "css_files"):
        context[kind] = [file for file in context.get(kind, []) if not _of_thebe(file)]


def _of_thebe(file) -> bool:
    body = (getattr(file, "attributes", None) or {}).get("body") or ""
    return "THEBE_JS_URL" in body or "sphinx-thebe" in str(getattr(file, "filename", "") or file)


class _Contents:
    """The table of contents as HTML, kept for each folder of pages that it does not list."""

    def __init__(self):
        self.kept = {}

    def __call__(self, app, pagename, templatename, context, doctree):
        if pagename not in app.env.all_docs:
            folder = pagename.rpartition("/")[0]  # links are relative to it
            context["toctree"] = self.kept.setdefault(folder, cache(context["toctree"]))
