"""The demo's page: its layout, its HTML, and what happens when something on it is clicked.

Gradio lays out the page and keeps what each visitor chose; the parts that change are HTML, and all
answers come from a `fashionnb.apps.demo.backend.DemoBackend`. A mistake becomes a sentence on the
page, never a broken page. Templates escape all text that comes from data. Garments are real
buttons, so they work with the keyboard and screen readers say their names.
"""

import base64
import io
from collections.abc import Sequence

import gradio as gr
from jinja2 import Environment
from PIL import Image

from fashionnb.apps.demo.backend import (
    DRAWN_NAMES,
    MAX_OUTFIT,
    MODEL,
    DemoBackend,
    OutfitScore,
)
from fashionnb.apps.demo.photo_store import MAX_BYTES, PhotoStore, too_large_message
from fashionnb.errors import DataError, FashionNBError

SIMILAR, PER_ROLE, TO_PICK = 12, 4, 12
"""Garments that are shown: similar to the query, for each role, and to pick from."""

PIXELS = 200
"""Longer side of a picture on the page."""

ALL_MISSING = "everything that is missing"
NO_QUERY = "<p>Send a photo, or pick a garment.</p>"
EMPTY_OUTFIT = (
    "<p>Your outfit is empty. Click garments below to put them in; two or more get a score.</p>"
)

UPLOAD = """
<label class="upload"><input type="file" accept="image/*">
<b>Choose a photo</b> or drop it here<br><small>One garment; JPEG, PNG, WebP, GIF, BMP or TIFF, at
most 10 MB. It is processed in memory, never written to disk, and not kept.</small></label>
"""

SEND_PHOTO = """
const input = element.querySelector('input'), label = element.querySelector('label');
const unsent = 'The photo could not be sent. Is the demo still running? Then try again.';
async function send(file) {
    if (!file) return;
    if (file.size > MAX_BYTES) return trigger('click', {bytes: file.size});
    try {
        const reply = await fetch('photo', {method: 'POST', body: file});
        const text = await reply.text();
        trigger('click', reply.ok ? {token: text} : {refused: text});
    } catch {
        trigger('click', {refused: unsent});
    }
}
input.addEventListener('change', () => { send(input.files[0]); input.value = ''; });
for (const kind of ['dragenter', 'dragover', 'dragleave', 'drop']) {
    label.addEventListener(kind, event => {
        event.preventDefault();
        label.classList.toggle('over', kind == 'dragenter' || kind == 'dragover');
        if (kind == 'drop') send(event.dataTransfer.files[0]);
    });
}
""".replace("MAX_BYTES", str(MAX_BYTES))

SEND_CLICKS = """
element.addEventListener('click', event => {
    const button = event.target.closest('button[data-item]');
    if (button) trigger('click', {item: button.dataset.item, act: button.dataset.act});
});
"""
"""The script of each part with garments: reports which one was clicked, and what for."""

CSS = """
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
.gradio-container { max-width: 1240px !important; margin: 0 auto; }
h1 { font-size: 1.5rem; margin: 0; }
.main.fillable { padding: 1rem min(2rem, 2vw) !important; }
"""

_template = Environment(autoescape=True).from_string

ABOUT = _template("""<h1>Complete the look</h1>
<p>{{ "{:,}".format(catalogue | length) }}
{% if drawn %}drawn garments{% else %}garments of {{ catalogue.name }}{% endif %}.
{% if catalogue.stands_in_for %}They are drawn: the real ones are not on this machine.{% endif %}
<b>Similar</b>: by the book's <i>{{ model }}</i> network and by colour. <b>Outfits</b>:
{% if backend.scores_outfits %}{{ backend.scorer.description }}{% else %}{{ catalogue.name }} does
not say which garments are tops, shoes and so on, so there are no outfits to score. Start the demo
with another catalogue, for instance `fashionnb demo --data drawn`.{% endif %}</p>""")

GARMENTS = _template("""<ul class="garments">{% for item, reason in garments %}
<li><button type="button" class="garment{% if item == weakest %} weakest{% endif %}"
    data-item="{{ item }}" data-act="{{ act }}">
<img src="garments/{{ backend.row(item) }}.webp" alt="" width="{{ pixels }}"
    height="{{ pixels }}" loading="lazy">
<span class="caption">{{ backend.caption(item) }}</span>
{% if reason %}<span class="reason">{{ reason }}</span>{% endif %}
{% if action %}<span class="action">{{ action }}</span>{% endif %}
</button></li>{% endfor %}</ul>""")

MESSAGE = _template('<p class="message" role="alert">{{ text }}</p>')
"""What went wrong and what to do; a screen reader reads it out at once."""

PHOTO = _template("""<div class="photo">
<img src="data:image/webp;base64,{{ data }}" alt="The query">
<p role="status">{{ text }}</p></div>""")

SCORE = _template("""<div class="score small" role="status">
<p>A higher score than <b>{{ percent }} of 100</b> random outfits.</p>
<progress max="100" value="{{ percent }}"
    aria-label="Share of random outfits that score lower"></progress>
{% if found.weakest %}<p>What breaks it: <strong>{{ backend.caption(found.weakest) }}</strong>.</p>
{% elif found.reasons %}<p>Nothing breaks it. What speaks for it:</p>{% endif %}
<ul class="reasons">{% for reason in found.reasons %}<li>{{ reason }}</li>{% endfor %}</ul>
{% if found.replacement %}<p>Better in its place, click to swap:</p>{{ better | safe }}{% endif %}
</div>""")

EVENT = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
"""Options of every event: answered at once, and not listed as an API."""

UNCHANGED = (gr.skip(),) * 4
"""For the four parts that depend on the query, or the four that depend on the outfit."""


def build(backend: DemoBackend, photos: PhotoStore) -> gr.Blocks:
    """Build the page of the demo with Gradio, for one catalogue.

    Parameters
    ----------
    backend : DemoBackend
        Computes the answers.
    photos : PhotoStore
        Holds the photos that visitors uploaded.

    Returns
    -------
    gradio.Blocks
        The page, with all that happens on a click.
    """
    handlers = _Handlers(backend, photos)
    with gr.Blocks(title="fashionnb: complete the look", analytics_enabled=False) as page:
        query, outfit = gr.State(""), gr.State(())
        gr.HTML(
            ABOUT.render(
                backend=backend, catalogue=backend.catalogue, model=MODEL,
                drawn=backend.catalogue.name in DRAWN_NAMES,
            )
        )  # fmt: skip
        with gr.Row():
            with gr.Column(scale=1, min_width=280):
                upload = gr.HTML(UPLOAD, elem_id="upload", js_on_load=SEND_PHOTO)
                query_html = gr.HTML("<p>No photo and no garment yet.</p>", elem_id="query")
                picker = _picker(handlers, "ask", "Or pick a garment", "pick")
            with gr.Column(scale=3, min_width=280), gr.Tabs():
                with gr.Tab("Similar"):
                    similar = _clickable(NO_QUERY, "similar")
                with gr.Tab("Complete the look", visible=backend.scores_outfits):
                    role = gr.Dropdown(
                        [ALL_MISSING, *backend.roles], value=ALL_MISSING, label="Look for"
                    )
                    complete = _clickable(NO_QUERY, "complete")
                with gr.Tab("Your outfit", visible=backend.scores_outfits):
                    outfit_html = _clickable(EMPTY_OUTFIT, "outfit")
                    score = _clickable("", "score")
                    adder = _picker(
                        handlers, "add", "Click garments to put them into your outfit", "add"
                    )
                    more = _clickable("", "more")
        # The parts that depend on the query, then those that depend on the outfit.
        parts = [query, query_html, similar, complete, outfit, outfit_html, score, more]
        for part in (upload, picker, similar, complete, outfit_html, score, adder, more):
            part.click(handlers.clicked, [query, outfit, role], parts, **EVENT)
        role.change(handlers.completions_html, [query, role], complete, **EVENT)
    return page


class _Handlers:
    """The new contents of the page's parts after each event."""

    def __init__(self, backend: DemoBackend, photos: PhotoStore) -> None:
        self.backend, self.photos = backend, photos

    def clicked(self, event: gr.EventData, query: str, outfit: Sequence[str], role: str) -> tuple:
        """All parts, after a photo was sent, or a garment asked for, added, removed or swapped."""
        # Anybody may send anything.
        sent = event._data if isinstance(event._data, dict) else {}
        item, act = str(sent.get("item")), sent.get("act", "photo")
        try:
            if act == "photo":
                return *self.after_query(self._photo(sent), role), *UNCHANGED
            if act == "ask":
                return *self.after_query(item, role), *UNCHANGED
            outfit = self._changed(item, act, query, tuple(outfit))
            return *UNCHANGED, *self.after_outfit(outfit)
        except FashionNBError as error:
            message = MESSAGE.render(text=error)
        if act in ("photo", "ask"):
            return gr.skip(), message, gr.skip(), gr.skip(), *UNCHANGED
        return *UNCHANGED, gr.skip(), gr.skip(), message, gr.skip()

    def after_query(self, query: Image.Image | str, role: str) -> tuple:
        """The parts that depend on the query, a photo or an item id; first the id itself.

        In outfits, a photo is represented by the garment most similar to it.
        """
        found = self.backend.similar(query, SIMILAR)
        if isinstance(query, str):
            item, picture = query, self.backend.catalogue.image(query)
            text = f"{self.backend.caption(item)}, a garment of the catalogue."
        else:
            item, picture = found["id"].iloc[0], query
            text = (
                "Your photo. In outfits the most similar garment represents it: "
                f"{self.backend.caption(item)}."
            )
        similar = self._grid(found["id"], "ask", "search on from here", found["reasons"])
        data = base64.b64encode(thumbnail(picture)).decode()
        return item, PHOTO.render(data=data, text=text), similar, self.completions_html(item, role)

    def completions_html(self, query: str, role: str) -> str:
        """What goes with the query, role by role."""
        if not query:
            return NO_QUERY
        wanted = self.backend.missing([query]) if role == ALL_MISSING else [role]
        return self._completions([query], wanted, "put into the outfit")

    def after_outfit(self, outfit: tuple[str, ...]) -> tuple:
        """The parts that depend on the outfit."""
        if not outfit:
            return outfit, EMPTY_OUTFIT, "", ""
        more = ""
        if len(outfit) < MAX_OUTFIT:
            completions = self._completions(outfit, self.backend.missing(outfit))
            more = f"<p><b>What would complete it</b></p>{completions}"
        if len(outfit) == 1:
            return outfit, self._outfit_html(outfit), "", more
        found = self.backend.score(outfit)
        return outfit, self._outfit_html(outfit, found.weakest), self._score_html(found), more

    def category_html(self, category: str, act: str) -> str:
        """Some garments of a category."""
        table = self.backend.catalogue.table
        ids = table.loc[table["category"] == category, "id"].head(TO_PICK)
        return f'<div class="small">{self._grid(ids, act)}</div>'

    def _photo(self, sent: dict) -> Image.Image:
        """The photo that was uploaded, unless it was refused."""
        if "refused" in sent:
            raise DataError(str(sent["refused"]))
        if isinstance(sent.get("bytes"), int):
            raise DataError(too_large_message(sent["bytes"]))
        return self.photos.take(str(sent.get("token")))

    def _changed(self, item: str, act: str, query: str, outfit: tuple[str, ...]) -> tuple[str, ...]:
        """The outfit after a click."""
        self.backend.row(item)  # raises for an item that is not there
        if act == "remove":
            return tuple(one for one in outfit if one != item)
        if act == "swap":
            weakest = self.backend.score(outfit).weakest
            return tuple(item if one == weakest else one for one in outfit)
        if not outfit and query:  # the item completes the query
            outfit = (query,)
        return outfit if item in outfit or len(outfit) >= MAX_OUTFIT else (*outfit, item)

    def _completions(self, items: Sequence[str], wanted: Sequence[str], action: str = "") -> str:
        """What could complete items: garments of each role that is wanted."""
        parts = []
        for role in wanted:
            found = self.backend.complete(items, role, PER_ROLE)
            grid = self._grid(found["id"], "add", action, found["reasons"])
            parts.append(f'<h3 class="role">{role.capitalize()}</h3>{grid}')
        return "".join(parts) or "<p>Nothing is missing: there is a garment of every role.</p>"

    def _outfit_html(self, outfit: Sequence[str], weakest: str | None = None) -> str:
        grid = self._grid(outfit, "remove", "take out", weakest=weakest)
        return f'<h3 class="role">Your outfit</h3><div class="small">{grid}</div>'

    def _score_html(self, found: OutfitScore) -> str:
        """How good an outfit is, its weakest item, and what would be better."""
        better = [] if found.replacement is None else [found.replacement]
        return SCORE.render(
            found=found, backend=self.backend, percent=round(100 * found.share_below),
            better=self._grid(better, "swap"),
        )  # fmt: skip

    def _grid(
        self,
        items: Sequence[str],
        act: str,
        action: str = "",
        reasons: Sequence[str] | None = None,
        weakest: str | None = None,
    ) -> str:
        """Items as a grid of buttons.

        `act` is what a click asks for, a word for the program, and `action` the same for people,
        "" where a heading says it. `weakest` is the item that is marked.
        """
        garments = zip(items, [""] * len(items) if reasons is None else reasons, strict=True)
        return GARMENTS.render(
            garments=garments, backend=self.backend, act=act, action=action, weakest=weakest,
            pixels=PIXELS,
        )  # fmt: skip


def thumbnail(picture: Image.Image) -> bytes:
    """Make the small WebP image of a garment that the page of the demo shows.

    Parameters
    ----------
    picture : PIL image
        Of any size.

    Returns
    -------
    bytes
        A WebP file of at most `PIXELS` in width and height.
    """
    small, buffer = picture.convert("RGB"), io.BytesIO()
    small.thumbnail((PIXELS, PIXELS))
    small.save(buffer, "WEBP", quality=85)
    return buffer.getvalue()


def _picker(handlers: _Handlers, act: str, label: str, name: str) -> gr.HTML:
    """A category to choose, and some of its garments to click."""
    catalogue = handlers.backend.catalogue
    present = set(catalogue.table["category"])
    classes = [category for category in catalogue.classes if category in present]
    category = gr.Dropdown(classes, value=classes[0], label=label)
    garments = _clickable(handlers.category_html(classes[0], act), name)
    category.change(lambda name: handlers.category_html(name, act), category, garments, **EVENT)
    return garments


def _clickable(value: str, name: str) -> gr.HTML:
    return gr.HTML(value, elem_id=name, js_on_load=SEND_CLICKS)
