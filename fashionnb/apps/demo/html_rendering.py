"""The changing parts of the demo's page as HTML: garments, photos, scores, messages.

All text that comes from data is escaped. Garments are real buttons, so they work with the keyboard
and screen readers say their names; `SEND_CLICKS` reports a click on one to Gradio.
"""

import base64
import io
from collections.abc import Sequence
from html import escape

from PIL import Image

from fashionnb.apps.demo.backend import DemoBackend, OutfitScore

PIXELS = 200
"""Longer side of a picture on the page."""

SEND_CLICKS = """
element.addEventListener('click', event => {
    const button = event.target.closest('button[data-item]');
    if (button) trigger('click', {item: button.dataset.item, act: button.dataset.act});
});
"""
"""The script of each part with garments: reports which one was clicked, and what for."""

STYLE = """
.garments { list-style: none; margin: 0; padding: 0; display: grid; gap: .75rem;
    grid-template-columns: repeat(auto-fill, minmax(min(8.5rem, 46%), 1fr)); }
.garments li { margin: 0; }
.garment { display: flex; flex-direction: column; gap: .25rem; width: 100%; height: 100%;
    padding: .4rem; text-align: left; font: inherit; color: inherit; cursor: pointer;
    border-radius: .5rem;
    background: var(--background-fill-primary); border: 1px solid var(--border-color-primary); }
.garment:hover { border-color: var(--color-accent); }
.garment:focus-visible { outline: 3px solid var(--color-accent); outline-offset: 2px; }
.garment img, .photo img { width: 100%; aspect-ratio: 1; object-fit: contain; background: #fff;
    border-radius: .3rem; }
.garment .caption { font-weight: 600; line-height: 1.25; overflow-wrap: anywhere; }
.garment .reason { font-size: .82em; line-height: 1.35; overflow-wrap: anywhere; }
.garment .action { margin-top: auto; font-size: .82em; color: var(--link-text-color); }
.garment.weakest { border: 3px solid #c2410c; }
.small .garments { gap: .4rem;
    grid-template-columns: repeat(auto-fill, minmax(min(5.5rem, 30%), 1fr)); }
.small .caption { font-size: .78em; font-weight: 400; }
.photo { display: flex; gap: .75rem; align-items: flex-start; }
.photo img { width: 7rem; flex: none; border: 1px solid var(--border-color-primary); }
.message { padding: .6rem .8rem; border-radius: .4rem; border-left: .3rem solid #c2410c;
    background: var(--background-fill-secondary); }
.score b { font-size: 1.3em; }
.score progress { width: 100%; height: .8rem; accent-color: #0369a1; }
.score ul.reasons { margin: .3rem 0 0 1.1rem; padding: 0; list-style: disc; }
h3.role { margin: 1rem 0 .4rem; font-size: 1.05em; }
label.upload { display: block; padding: 1.1rem .8rem; text-align: center; cursor: pointer;
    border-radius: .5rem; border: 2px dashed var(--border-color-accent, #888); }
label.upload:focus-within { outline: 3px solid var(--color-accent); outline-offset: 2px; }
label.upload.over { background: var(--background-fill-secondary); }
label.upload input { position: absolute; opacity: 0; width: 1px; height: 1px; }
"""


def garment_grid(
    backend: DemoBackend,
    items: Sequence[str],
    act: str,
    action: str = "",
    reasons: Sequence[str] | None = None,
    weakest: str | None = None,
) -> str:
    """Render items as a grid of buttons.

    Parameters
    ----------
    backend : DemoBackend
        Of the catalogue with the items.
    items : sequence of str
        Item ids.
    act : str
        What a click asks for, a word for the program.
    action : str
        The same for people; "" where a heading says it.
    reasons : sequence of str, optional
        One for each item.
    weakest : str, optional
        The item that is marked.
    """
    buttons = []
    for item, reason in zip(items, reasons or [""] * len(items), strict=True):
        parts = [
            f'<img src="garments/{backend.row[item]}.webp" alt="" width="{PIXELS}" '
            f'height="{PIXELS}" loading="lazy">',
            f'<span class="caption">{escape(backend.caption(item))}</span>',
        ]
        if reason:
            parts.append(f'<span class="reason">{escape(reason)}</span>')
        if action:
            parts.append(f'<span class="action">{escape(action)}</span>')
        style = "garment weakest" if item == weakest else "garment"
        buttons.append(
            f'<li><button type="button" class="{style}" data-item="{escape(item)}" '
            f'data-act="{escape(act)}">{"".join(parts)}</button></li>'
        )
    return f'<ul class="garments">{"".join(buttons)}</ul>'


def error_message(text: str) -> str:
    """Render what went wrong and what to do; a screen reader reads it out at once."""
    return f'<p class="message" role="alert">{escape(text)}</p>'


def photo(picture: Image.Image, text: str) -> str:
    """Render the query: its picture, and a sentence about it."""
    data = base64.b64encode(thumbnail(picture)).decode()
    image = f'<img src="data:image/webp;base64,{data}" alt="The query">'
    return f'<div class="photo">{image}<p role="status">{escape(text)}</p></div>'


def thumbnail(picture: Image.Image) -> bytes:
    """A picture as WebP, at most `PIXELS` wide and high."""
    small, buffer = picture.convert("RGB"), io.BytesIO()
    small.thumbnail((PIXELS, PIXELS))
    small.save(buffer, "WEBP", quality=85)
    return buffer.getvalue()


def outfit_score(backend: DemoBackend, found: OutfitScore) -> str:
    """Render how good an outfit is, its weakest item, and what would be better."""
    percent = round(100 * found.share_below)
    parts = [
        f"<p>A higher score than <b>{percent} of 100</b> random outfits.</p>",
        f'<progress max="100" value="{percent}" '
        'aria-label="Share of random outfits that score lower"></progress>',
    ]
    if found.weakest is not None:
        caption = escape(backend.caption(found.weakest))
        parts.append(f"<p>What breaks it: <strong>{caption}</strong>.</p>")
    elif found.reasons:
        parts.append("<p>Nothing breaks it. What speaks for it:</p>")
    reasons = "".join(f"<li>{escape(reason)}</li>" for reason in found.reasons)
    parts.append(f'<ul class="reasons">{reasons}</ul>')
    if found.replacement is not None:
        parts.append("<p>Better in its place, click to swap:</p>")
        parts.append(garment_grid(backend, [found.replacement], "swap"))
    return f'<div class="score small" role="status">{"".join(parts)}</div>'
