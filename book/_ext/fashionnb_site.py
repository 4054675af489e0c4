"""A small Sphinx extension for the site: our style sheet, no trace of thebe, and one table of contents for many pages.

jupyter-book 1 puts sphinx-thebe's inline script on every page, twice, which ends in an error in the console. The book
runs in Colab and Kaggle, not through thebe, so both copies are taken out.

The theme makes the table of contents anew for every page, and most pages show source code: they stand in no table of
contents, so those of one folder share theirs.
"""

from functools import cache


def setup(app):
    """Called by Sphinx."""
    app.add_css_file("../assets/fashionnb.css", priority=900)
    app.connect("html-page-context", _without_thebe, priority=990)
    app.connect("html-page-context", _Contents(), priority=400)  # before the theme asks for them
    return {"parallel_read_safe": True, "parallel_write_safe": True}


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
