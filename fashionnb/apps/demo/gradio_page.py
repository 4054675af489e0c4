"""The demo's page: its layout, and what happens when something on it is clicked.

Gradio lays out the page and keeps what each visitor chose; `fashionnb.apps.demo.html_rendering`
makes the parts that change, and all answers come from a `fashionnb.apps.demo.backend.DemoBackend`.
A mistake becomes a sentence on the page, never a broken page.
"""

from collections.abc import Sequence

import gradio as gr
from PIL import Image

from fashionnb.apps.demo import html_rendering as html
from fashionnb.apps.demo.backend import DRAWN_NAMES, MAX_OUTFIT, MODEL, DemoBackend
from fashionnb.apps.demo.photo_store import MAX_BYTES, PhotoStore, too_large_message
from fashionnb.errors import FashionNBError

SIMILAR, PER_ROLE, TO_PICK = 12, 4, 12
"""Garments that are shown: similar to the query, for each role, and to pick from."""

ALL_MISSING = "everything that is missing"
NO_QUERY = "<p>Send a photo, or pick a garment.</p>"

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

CSS = (
    html.STYLE
    + """
.gradio-container { max-width: 1240px !important; margin: 0 auto; }
h1 { font-size: 1.5rem; margin: 0; }
.main.fillable { padding: 1rem min(2rem, 2vw) !important; }
"""
)

EVENT = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
"""Options of every event: answered at once, and not listed as an API."""


def build(backend: DemoBackend, photos: PhotoStore) -> gr.Blocks:
    """Build the page for one catalogue.

    Parameters
    ----------
    backend : DemoBackend
        Computes the answers.
    photos : PhotoStore
        Holds the photos that visitors uploaded.
    """
    handlers = _Handlers(backend, photos)
    with gr.Blocks(title="fashionnb: complete the look", analytics_enabled=False) as page:
        query, outfit = gr.State(""), gr.State(())
        gr.HTML(f"<h1>Complete the look</h1><p>{_about(backend)}</p>")
        with gr.Row():
            with gr.Column(scale=1, min_width=280):
                upload = gr.HTML(UPLOAD, elem_id="upload", js_on_load=SEND_PHOTO)
                query_html = gr.HTML("<p>No photo and no garment yet.</p>", elem_id="query")
                picker = _picker(handlers, "ask", "Or pick a garment", "pick")
            with gr.Column(scale=3, min_width=280), gr.Tabs():
                with gr.Tab("Similar"):
                    similar = _clickable(NO_QUERY, "similar")
                with gr.Tab("Complete the look"):
                    role = gr.Dropdown(
                        [ALL_MISSING, *backend.roles], value=ALL_MISSING, label="Look for",
                        visible=backend.scores_outfits,
                    )  # fmt: skip
                    complete = _clickable(NO_QUERY, "complete")
                with gr.Tab("Your outfit"):
                    outfit_html = _clickable(handlers.outfit_html(()), "outfit")
                    score = _clickable("", "score")
                    adder = _picker(
                        handlers, "add", "Click garments to put them into your outfit", "add"
                    )
                    more = _clickable("", "more")
        of_query = [query, query_html, similar, complete]
        of_outfit = [outfit, outfit_html, score, more]

        def upload_event(event: gr.EventData, role: str):
            return handlers.uploaded(_event_data(event), role)

        def click_event(event: gr.EventData, query: str, outfit: Sequence[str], role: str):
            return handlers.clicked(_event_data(event), query, outfit, role)

        upload.click(upload_event, [role], of_query, **EVENT)
        for part in (picker, similar, complete, outfit_html, score, adder, more):
            part.click(click_event, [query, outfit, role], [*of_query, *of_outfit], **EVENT)
        role.change(handlers.completions_html, [query, role], complete, **EVENT)
    return page


class _Handlers:
    """The new contents of the page's parts after each event."""

    def __init__(self, backend: DemoBackend, photos: PhotoStore) -> None:
        self.backend, self.photos = backend, photos

    def uploaded(self, event: dict, role: str) -> tuple:
        """The parts that depend on the query, after a photo was uploaded or refused."""
        size = event.get("bytes")
        if isinstance(size, int):
            return _query_error(too_large_message(size))
        if "token" not in event:
            return _query_error(str(event.get("refused", "No photo came.")))
        try:
            return self.after_query(self.photos.take(str(event["token"])), role)
        except FashionNBError as error:
            return _query_error(str(error))

    def clicked(self, event: dict, query: str, outfit: Sequence[str], role: str) -> tuple:
        """All parts, after a garment was made the query, added, removed or swapped in."""
        item, act, unchanged = str(event.get("item")), event.get("act"), (gr.skip(),) * 4
        if act == "ask":
            return *self.after_query(item, role), *unchanged
        try:
            return *unchanged, *self.after_outfit(self._changed(item, act, query, tuple(outfit)))
        except FashionNBError as error:
            message = html.error_message(str(error))
            return *unchanged, gr.skip(), gr.skip(), message, gr.skip()

    def after_query(self, query: Image.Image | str, role: str) -> tuple:
        """The parts that depend on the query, a photo or an item id; first the id itself.

        In outfits, a photo is represented by the garment most similar to it.
        """
        try:
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
        except FashionNBError as error:
            return _query_error(str(error))
        reasons = [_similarity(row) for row in found.itertuples()]
        items = found["id"].tolist()
        similar = html.garment_grid(self.backend, items, "ask", "search on from here", reasons)
        return item, html.photo(picture, text), similar, self.completions_html(item, role)

    def completions_html(self, query: str, role: str) -> str:
        """What goes with the query, role by role."""
        if not query:
            return NO_QUERY
        wanted = None if role == ALL_MISSING else role
        try:
            return self._completions([query], wanted, "put into the outfit")
        except FashionNBError as error:
            return html.error_message(str(error))

    def after_outfit(self, outfit: tuple[str, ...]) -> tuple:
        """The parts that depend on the outfit."""
        more = ""
        if 0 < len(outfit) < MAX_OUTFIT:
            more = f"<p><b>What would complete it</b></p>{self._completions(outfit)}"
        if len(outfit) < 2 or not self.backend.scores_outfits:
            return outfit, self.outfit_html(outfit), "", more
        found = self.backend.score(outfit)
        score = html.outfit_score(self.backend, found)
        return outfit, self.outfit_html(outfit, found.weakest), score, more

    def outfit_html(self, outfit: Sequence[str], weakest: str | None = None) -> str:
        """The outfit itself."""
        if not self.backend.scores_outfits:
            return html.error_message(_no_outfits(self.backend))
        if not outfit:
            return (
                "<p>Your outfit is empty. Click garments below to put them in; "
                "two or more get a score.</p>"
            )
        grid = html.garment_grid(self.backend, outfit, "remove", "take out", weakest=weakest)
        return f'<h3 class="role">Your outfit</h3><div class="small">{grid}</div>'

    def category_html(self, category: str, act: str) -> str:
        """Some garments of a category."""
        table = self.backend.catalogue.table
        ids = table.loc[table["category"] == category, "id"].head(TO_PICK).tolist()
        return f'<div class="small">{html.garment_grid(self.backend, ids, act)}</div>'

    def _changed(self, item: str, act: str, query: str, outfit: tuple[str, ...]) -> tuple[str, ...]:
        """The outfit after a click."""
        self.backend.missing([item])  # raises for an item that is not there
        if act == "remove":
            return tuple(one for one in outfit if one != item)
        if act == "swap":
            weakest = self.backend.score(outfit).weakest
            return tuple(item if one == weakest else one for one in outfit)
        if not outfit and query:  # the item completes the query
            outfit = (query,)
        return outfit if item in outfit or len(outfit) >= MAX_OUTFIT else (*outfit, item)

    def _completions(self, items: Sequence[str], role: str | None = None, action: str = "") -> str:
        """What could complete items: garments of one role, or of each that is missing."""
        if not self.backend.scores_outfits:
            return html.error_message(_no_outfits(self.backend))
        parts = []
        for one in self.backend.missing(items) if role is None else [role]:
            found = self.backend.complete(items, one, PER_ROLE)
            ids, reasons = found["id"].tolist(), found["reasons"].tolist()
            grid = html.garment_grid(self.backend, ids, "add", action, reasons)
            parts.append(f'<h3 class="role">{one.capitalize()}</h3>{grid}')
        return "".join(parts) or "<p>Nothing is missing: there is a garment of every role.</p>"


def _event_data(event: gr.EventData) -> dict:
    """What the page's script sent; anybody may send anything."""
    return event._data if isinstance(event._data, dict) else {}


def _query_error(text: str) -> tuple:
    """The parts that depend on the query, when it cannot be used."""
    return gr.skip(), html.error_message(text), gr.skip(), gr.skip()


def _similarity(row) -> str:
    """Why a garment is similar, from a row of the recommender's table."""
    agree = f", the same {', '.join(row.agree)}" if row.agree else ""
    return f"image similarity {row.similarity:.2f}{agree}"


def _picker(handlers: _Handlers, act: str, label: str, name: str) -> gr.HTML:
    """A category to choose, and some of its garments to click."""
    catalogue = handlers.backend.catalogue
    present = set(catalogue.table["category"])
    classes = [category for category in catalogue.classes if category in present]
    category = gr.Dropdown(classes, value=classes[0], label=label)
    garments = _clickable(handlers.category_html(classes[0], act), name)

    def choose(category: str) -> str:
        return handlers.category_html(category, act)

    category.change(choose, category, garments, **EVENT)
    return garments


def _clickable(value: str, name: str) -> gr.HTML:
    return gr.HTML(value, elem_id=name, js_on_load=html.SEND_CLICKS)


def _about(backend: DemoBackend) -> str:
    catalogue = backend.catalogue
    what = f"garments of {html.escape(catalogue.name)}"
    if catalogue.name in DRAWN_NAMES:
        what = "drawn garments"
    note = ""
    if catalogue.stands_in_for:
        note = " They are drawn: the real ones are not on this machine."
    outfits = _no_outfits(backend)
    if backend.scores_outfits:
        outfits = backend.scorer.description
    return (
        f"{len(catalogue):,} {what}.{note} <b>Similar</b>: by the book's <i>{MODEL}</i> network "
        f"and by colour. <b>Outfits</b>: {html.escape(outfits)}"
    )


def _no_outfits(backend: DemoBackend) -> str:
    return (
        f"{backend.catalogue.name} does not say which garments are tops, shoes and so on, so there "
        "are no outfits to score. Start the demo with another catalogue, for instance "
        "`fashionnb demo --data drawn`."
    )
