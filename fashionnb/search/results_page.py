"""Search results and recommendations as one HTML page with its pictures inside, for `--html`.

`fashionnb search --html` and `fashionnb recommend --html` write it. It loads nothing and runs no
script, and all text that comes from data is escaped. The book's own pages are made in
`fashionnb.publishing`.
"""

import base64
import io
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from jinja2 import Environment
from PIL import Image

from fashionnb.data.images import Images, letterbox
from fashionnb.errors import DataError

LARGEST = 240
"""Pixels: larger pictures are made smaller; a page of a hundred has about two megabytes."""

_PAGE = """<!doctype html>
{%- macro figure(entry, place) -%}
<figure>
{%- if entry.picture -%}
<img alt="{{ place }}: {{ entry.caption }}" src="{{ data_uri(entry.picture) }}">
{%- else -%}
<div class="none">no picture</div>
{%- endif -%}
<figcaption>{{ entry.caption }}
{%- if entry.reasons %}<p>{{ entry.reasons }}</p>{% endif -%}
</figcaption></figure>
{%- endmacro %}
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }}</title>
<style>
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
</style>
</head>
<body>
<h1>{{ title }}</h1>
{% if note %}<p>{{ note }}</p>
{% endif -%}
{% if query %}<div class="query">{{ figure(query, "What was asked for") }}</div>
{% endif -%}
{% if entries %}<ol>
{% for entry in entries -%}
<li>{{ figure(entry, "Result " ~ loop.index) }}</li>
{% endfor -%}
</ol>
{%- else %}<p>Nothing was found.</p>
{%- endif %}
</body>
</html>
"""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Entry:
    """One garment on the HTML page of search results or recommendations.

    Parameters
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
    """Make the HTML page of search results or recommendations, with its pictures inside.

    Parameters
    ----------
    title : str
        Of the page, also its heading.
    entries : sequence of Entry
        In the order of the page. Without any, the page says that nothing was found.
    query : Entry, optional
        The picture that was searched for, shown above the entries.
    note : str
        A sentence below the title.

    Returns
    -------
    str
        The text of a file, for `fashionnb.files.write_text`.
    """
    template = Environment(autoescape=True, keep_trailing_newline=True).from_string(_PAGE)
    return template.render(title=title, entries=entries, query=query, note=note, data_uri=_data_uri)


def open_readable(images: Images, keys: Iterable) -> list[Image.Image | None]:
    """Open the pictures for a page of results, by their keys, as far as they can be read.

    Parameters
    ----------
    images : Images
        Where the pictures are.
    keys : iterable
        Of the pictures, as `images` takes them.

    Returns
    -------
    list of PIL image or None
        In the order of the keys. One that cannot be read is None, and the log says why.
    """
    found = []
    for key in keys:
        try:
            found.append(images.image(key))
        except DataError as error:
            logger.warning("A picture that was found cannot be shown. %s", error)
            found.append(None)
    return found


def _data_uri(picture: Image.Image) -> str:
    """The picture as a data URI, no larger than `LARGEST`; small ones keep their pixels."""
    scale = min(1, LARGEST / max(picture.size))
    height, width = (max(1, round(side * scale)) for side in (picture.height, picture.width))
    packed = io.BytesIO()
    Image.fromarray(letterbox(picture, (height, width), 3)).save(packed, "JPEG", quality=88)
    return "data:image/jpeg;base64," + base64.b64encode(packed.getvalue()).decode()
