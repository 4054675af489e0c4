"""A small Sphinx extension for the site: our style sheet, and no trace of thebe.

jupyter-book 1 puts sphinx-thebe's inline script on every page, twice, which ends in an error in the console. The book
runs in Colab and Kaggle, not through thebe, so both copies are taken out.
"""


def setup(app):
    """Called by Sphinx."""
    app.add_css_file("../assets/fashionnb.css", priority=900)
    app.connect("html-page-context", _without_thebe, priority=990)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _without_thebe(app, pagename, templatename, context, doctree):
    for kind in ("script_files", "css_files"):
        context[kind] = [file for file in context.get(kind, []) if not _of_thebe(file)]


def _of_thebe(file) -> bool:
    body = (getattr(file, "attributes", None) or {}).get("body") or ""
    return "THEBE_JS_URL" in body or "sphinx-thebe" in str(getattr(file, "filename", "") or file)
