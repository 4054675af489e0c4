"""A small Sphinx extension that turns the house's docstrings into reStructuredText.

They are written to be read in an editor: underlined sections (Parameters, Returns, Raises), lines `name : what it is`
with indented continuations, and names in single backticks. napoleon takes what follows the colon for a type and prints
it in italics; here it stays prose.
"""

import re

UNDERLINE = re.compile(r"\s*-{3,}\s*")
FIELD = re.compile(r"(?P<name>[\w*][\w*.@, ]{0,60}?) : (?P<text>\S.*)")
LIST = re.compile(r"\s*([-*]|\w+[.)]) ")
KEPT = re.compile(
    r"(``.+?``|:\w[\w:]*:`[^`]+`|`[^`]+`|(?<![\w*])\*{1,2}(?=[^\s*])[^*]+(?<=\S)\*{1,2}(?![\w*]))"
)  # code, emphasis
NAME = re.compile(
    r"`[A-Za-z_][\w.]*`"
)  # stays in single backticks: the default role makes a link of it where it can


def setup(app):
    """Called by Sphinx."""
    app.connect("autodoc-process-docstring", _process)
    app.connect("autodoc-process-signature", _readable)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _process(app, what, name, obj, options, lines):
    if name.startswith("fashionnb"):
        lines[:] = as_rst(lines)


def _readable(app, what, name, obj, options, signature, returns):
    # "<factory>", the default of some fields of dataclasses, is no Python: Sphinx would give up on the whole signature.
    return (signature or "").replace("<factory>", "...") or None, returns


def as_rst(lines: list[str]) -> list[str]:
    """The lines of a docstring as lines of reStructuredText."""
    written: list[str] = []
    in_field, in_list, literal = False, False, False
    for number, line in enumerate(lines):
        following = lines[number + 1] if number + 1 < len(lines) else ""
        indented = line.startswith((" ", "\t"))
        literal = literal and (indented or not line.strip())
        in_list = bool(LIST.match(line)) or (
            in_list and indented
        )  # an item may go on for several lines
        if literal:
            written.append(line)
        elif UNDERLINE.fullmatch(line) and number and lines[number - 1].strip():
            continue
        elif line.strip() and not indented and UNDERLINE.fullmatch(following):
            written += ["", f".. rubric:: {line.strip()}", ""]
            in_field = False
        elif not indented and (field := FIELD.fullmatch(line)):
            written += ["", f"- **{_inline(field['name'])}** : {_inline(field['text'])}"]
            in_field = True
        elif in_field and indented:
            written.append(
                "  " + _inline(line.removeprefix("    "))
            )  # a list inside keeps its own indentation
        elif indented and number and lines[number - 1].strip() and not in_list:
            written.append(_inline(line.strip()))  # a sentence goes on
        else:
            written += [""] if in_field and line.strip() else []
            in_field = in_field and not line.strip()
            written.append(_inline(line))
            literal = line.rstrip().endswith("::")
    return [*written, ""]


def _inline(text: str) -> str:
    """Code in double backticks unless it is a name; elsewhere `*`, `|` and a trailing underscore mean themselves."""
    parts = KEPT.split(text)
    for at, part in enumerate(parts):
        if at % 2 == 0:
            parts[at] = re.sub(r"[*|]|(?<=\w)_(?!\w)", r"\\\g<0>", part)
        elif part.startswith("`") and not part.startswith("``") and not NAME.fullmatch(part):
            parts[at] = f"`{part}`"
    return "".join(parts)
