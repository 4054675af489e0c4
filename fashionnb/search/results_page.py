"""Search results and recommendations as one HTML page with its pictures inside, for `--html`.

`fashionnb search --html` and `fashionnb recommend --html` write it. It loads nothing and runs no
script, and all text that comes from data is escaped. The book's own pages are made in
`fashionnb.publishing`.
"""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from PIL import Image

from fashionnb.data.images import letterbox

LARGEST = 240
"""Pixels: larger pictures are made smaller; a page of a hundred has about two megabytes."""

_STYLE = """
:root { color-scheme: light dark; font: 15px/1.45 system-ui, sans-serif; }
body { max-width: 1100px; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; }
ol { list-style: none; padding: 0; display: grid; gap: 1.25rem;
     grid-template-columns: repeat(auto-fill, minmax(min(160px, 100%), 1fr)); }
figure { margin: 0; }
.query { max-width: 200px; margin-bottom: 1.5rem; }
img, .none { width: 100%; aspect-ratio: 1; object-fit: contain;
             background: #fff; border: 1px solid #8884; }
.none { display: grid; place-items: center; color: #666; }
figcaption { margin-top: .35rem; overflow-wrap: anywhere; }
figcaption p { margin: .2rem 0 0; font-size: .86em; opacity: .85; }
"""


@dataclass(frozen=True, eq=False)
class Entry:
    """One garment of a page.

    Attributes
    ----------
    picture : PIL image or None
        None where there is none to show.
    caption : str
        What it is.
    reasons : str
        Why it was found; may be empty.
    """

    picture: Image.Image | None
    caption: str
    reasons: str = ""


def page(
    title: str, entries: Sequence[Entry], *, query: Entry | None = None, note: str = ""
) -> str:
    """Make one HTML document with the entries in their order.

    Parameters
    ----------
    title : str
    entries : sequence of Entry
        Without any, the page says that nothing was found.
    query : Entry, optional
        The picture that was searched for, shown above the entries.
    note : str
        A sentence below the title.

    Returns
    -------
    str
        The text of a file, for `fashionnb.files.write_text`.
    """
    asked = f'<div class="query">{_figure(query, "What was asked for")}</div>\n' if query else ""
    below = f"<p>{escape(note)}</p>\n" if note else ""
    items = "\n".join(
        f"<li>{_figure(entry, f'Result {i}')}</li>" for i, entry in enumerate(entries, 1)
    )
    found = f"<ol>\n{items}\n</ol>" if entries else "<p>Nothing was found.</p>"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{escape(title)}</h1>\n{below}{asked}{found}\n</body>\n</html>\n"
    )


def _figure(entry: Entry, alternative: str) -> str:
    alternative = escape(f"{alternative}: {entry.caption}")
    shown = '<div class="none">no picture</div>'
    if entry.picture is not None:
        shown = f'<img alt="{alternative}" src="{_inline(entry.picture)}">'
    reasons = f"<p>{escape(entry.reasons)}</p>" if entry.reasons else ""
    return f"<figure>{shown}<figcaption>{escape(entry.caption)}{reasons}</figcaption></figure>"


def _inline(picture: Image.Image) -> str:
    """The picture as a data URI, no larger than `LARGEST`; small ones keep their pixels."""
    scale = min(1, LARGEST / max(picture.size))
    height, width = (max(1, round(side * scale)) for side in (picture.height, picture.width))
    packed = io.BytesIO()
    Image.fromarray(letterbox(picture, (height, width), 3)).save(packed, "JPEG", quality=88)
    return "data:image/jpeg;base64," + base64.b64encode(packed.getvalue()).decode()
