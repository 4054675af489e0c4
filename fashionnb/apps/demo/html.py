"""Pieces of the demo's page as HTML: garments that can be clicked, a verdict, a message.

Every word that comes from data is escaped. Garments are real buttons, so they work with the keyboard and are read out
by their names; a click is told to Gradio by `CLICKS`.
"""

import base64
import io
from collections.abc import Sequence
from html import escape

from PIL import Image

from fashionnb.apps.demo.stylist import Stylist, Verdict

SHOWN = 200
"""Pixels of a garment's picture on the page."""

CLICKS = """
element.addEventListener('click', event => {
    const button = event.target.closest('button[data-item]');
    if (button) trigger('click', {item: button.dataset.item, act: button.dataset.act});
});
"""
"""The script of a piece of the page with buttons: says which garment was clicked, and what for."""

STYLE = """
.garments { list-style: none; margin: 0; padding: 0; display: grid; gap: .75rem;
    grid-template-columns: repeat(auto-fill, minmax(min(8.5rem, 46%), 1fr)); }
.garments li { margin: 0; }
.garment { display: flex; flex-direction: column; gap: .25rem; width: 100%; height: 100%; padding: .4rem;
    text-align: left; font: inherit; color: inherit; cursor: pointer; border-radius: .5rem;
    background: var(--background-fill-primary); border: 1px solid var(--border-color-primary); }
.garment:hover { border-color: var(--color-accent); }
.garment:focus-visible { outline: 3px solid var(--color-accent); outline-offset: 2px; }
.garment img, .photo img { width: 100%; aspect-ratio: 1; object-fit: contain; background: #fff; border-radius: .3rem; }
.garment .what { font-weight: 600; line-height: 1.25; overflow-wrap: anywhere; }
.garment .why { font-size: .82em; line-height: 1.35; overflow-wrap: anywhere; }
.garment .does { margin-top: auto; font-size: .82em; color: var(--link-text-color); }
.garment.breaks { border: 3px solid #c2410c; }
.small .garments { grid-template-columns: repeat(auto-fill, minmax(min(5.5rem, 30%), 1fr)); gap: .4rem; }
.small .what { font-size: .78em; font-weight: 400; }
.photo { display: flex; gap: .75rem; align-items: flex-start; }
.photo img { width: 7rem; flex: none; border: 1px solid var(--border-color-primary); }
.message { padding: .6rem .8rem; border-radius: .4rem; border-left: .3rem solid #c2410c;
    background: var(--background-fill-secondary); }
.verdict b { font-size: 1.3em; }
.verdict progress { width: 100%; height: .8rem; accent-color: #0369a1; }
.verdict ul.reasons { margin: .3rem 0 0 1.1rem; padding: 0; list-style: disc; }
h3.role { margin: 1rem 0 .4rem; font-size: 1.05em; }
label.upload { display: block; padding: 1.1rem .8rem; text-align: center; cursor: pointer; border-radius: .5rem;
    border: 2px dashed var(--border-color-accent, #888); }
label.upload:focus-within { outline: 3px solid var(--color-accent); outline-offset: 2px; }
label.upload.over { background: var(--background-fill-secondary); }
label.upload input { position: absolute; opacity: 0; width: 1px; height: 1px; }
"""


def garments(
    stylist: Stylist,
    items: Sequence[str],
    act: str,
    does: str,
    why: Sequence[str] | None = None,
    breaks: str | None = None,
) -> str:
    """A grid of garments. Introduced in chapter 11.

    Parameters
    ----------
    act : what a click asks for, a word for the program. does : the same for people, "" if the heading says it.
    why : a reason for each. breaks : the item that is marked.
    """
    shown = []
    for item, reason in zip(items, why or [""] * len(items), strict=True):
        row, what = stylist.row[item], stylist.caption(item)
        marked = " breaks" if item == breaks else ""
        parts = [
            f'<img src="garments/{row}.webp" alt="" width="{SHOWN}" height="{SHOWN}" loading="lazy">'
        ]
        parts += [f'<span class="what">{escape(what)}</span>']
        parts += [f'<span class="why">{escape(reason)}</span>'] if reason else []
        parts += [f'<span class="does">{escape(does)}</span>'] if does else []
        shown.append(
            f'<li><button type="button" class="garment{marked}" data-item="{escape(item)}" data-act="{escape(act)}">'
            f"{''.join(parts)}</button></li>"
        )
    return f'<ul class="garments">{"".join(shown)}</ul>'


def message(text: str) -> str:
    """What went wrong and what to do, read out at once by a screen reader."""
    return f'<p class="message" role="alert">{escape(text)}</p>'


def photo(picture: Image.Image, text: str) -> str:
    """What is asked by: the picture, and a sentence about it."""
    packed = io.BytesIO()
    small = picture.convert("RGB")
    small.thumbnail((SHOWN, SHOWN))
    small.save(packed, "WEBP", quality=80)
    data = base64.b64encode(packed.getvalue()).decode()
    shown = f'<img src="data:image/webp;base64,{data}" alt="What is asked by">'
    return f'<div class="photo">{shown}<p role="status">{escape(text)}</p></div>'


def verdict(stylist: Stylist, found: Verdict) -> str:
    """How well an outfit goes together, what breaks it and what would be better."""
    percent = round(100 * found.better_than)
    parts = [
        f"<p><b>{percent} of 100</b> sets that were thrown together score lower.</p>",
        f'<progress max="100" value="{percent}" aria-label="Share of random sets that score lower"></progress>',
    ]
    if found.breaks is not None:
        parts.append(
            f"<p>What breaks it: <strong>{escape(stylist.caption(found.breaks))}</strong>.</p>"
        )
    elif found.reasons:
        parts.append("<p>Nothing breaks it. What speaks for it:</p>")
    parts.append(
        '<ul class="reasons">'
        + "".join(f"<li>{escape(reason)}</li>" for reason in found.reasons)
        + "</ul>"
    )
    if found.swap is not None:
        parts.append("<p>Better in its place, click to swap:</p>")
        parts.append(garments(stylist, [found.swap], "swap", ""))
    return f'<div class="verdict small" role="status">{"".join(parts)}</div>'
