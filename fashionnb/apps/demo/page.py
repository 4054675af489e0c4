"""The demo's page: what is on it, and what happens when something is clicked.

Gradio lays out the page and keeps what each visitor chose; what is shown is made in `fashionnb.apps.demo.html`, and all
answers come from a `fashionnb.apps.demo.stylist.Stylist`. A mistake becomes a sentence on the page, never a broken
page.
"""

from collections.abc import Sequence

import gradio as gr
from PIL import Image

from fashionnb.apps.demo import html
from fashionnb.apps.demo.stylist import LARGEST_OUTFIT, LOOKS, Stylist
from fashionnb.apps.demo.uploads import MOST_BYTES, Photos, too_large
from fashionnb.errors import FashionNBError

SIMILAR, PER_ROLE, PICKED = 12, 4, 12
"""Garments that are shown: like the photo, for each role, and to pick from."""

EVERYTHING = "everything that is missing"
NOTHING = "<p>Send a photo, or pick a garment.</p>"

UPLOAD = """
<label class="upload"><input type="file" accept="image/*">
<b>Choose a photo</b> or drop it here<br><small>One garment; JPEG, PNG, WebP, GIF, BMP or TIFF, at most 10 MB. It is
looked at in memory, never written to disk, and not kept.</small></label>
"""

SENDS = """
const input = element.querySelector('input'), label = element.querySelector('label');
async function send(file) {
    if (!file) return;
    if (file.size > MOST_BYTES) return trigger('click', {bytes: file.size});
    try {
        const reply = await fetch('photo', {method: 'POST', body: file}), said = await reply.text();
        trigger('click', reply.ok ? {ticket: said} : {refused: said});
    } catch {
        trigger('click', {refused: 'The photo could not be sent. Is the demo still running? Then try again.'});
    }
}
input.addEventListener('change', () => { send(input.files[0]); input.value = ''; });
for (const kind of ['dragenter', 'dragover', 'dragleave', 'drop']) label.addEventListener(kind, event => {
    event.preventDefault();
    label.classList.toggle('over', kind == 'dragenter' || kind == 'dragover');
    if (kind == 'drop') send(event.dataTransfer.files[0]);
});
""".replace("MOST_BYTES", str(MOST_BYTES))

CSS = (
    html.STYLE
    + """
.gradio-container { max-width: 1240px !important; margin: 0 auto; }
h1 { font-size: 1.5rem; margin: 0; }
.main.fillable { padding: 1rem min(2rem, 2vw) !important; }
"""
)


def build(stylist: Stylist, photos: Photos) -> gr.Blocks:
    """The page for one catalogue. Introduced in chapter 11.

    photos : where the photos are that visitors sent.
    """
    answers = _Answers(stylist, photos)
    with gr.Blocks(title="fashionnb: complete the look", analytics_enabled=False) as page:
        asked, outfit = gr.State(""), gr.State(())
        gr.HTML(f"<h1>Complete the look</h1><p>{_about(stylist)}</p>")
        with gr.Row():
            with gr.Column(scale=1, min_width=280):
                upload = gr.HTML(UPLOAD, elem_id="upload", js_on_load=SENDS)
                query = gr.HTML("<p>Nothing is asked by yet.</p>", elem_id="query")
                picker = _picker(answers, "ask", "Or pick a garment", "pick")
            with gr.Column(scale=3, min_width=280), gr.Tabs():
                with gr.Tab("Similar"):
                    similar = _clickable(NOTHING, "similar")
                with gr.Tab("Complete the look"):
                    role = gr.Dropdown(
                        [EVERYTHING, *stylist.roles],
                        value=EVERYTHING,
                        label="Look for",
                        visible=answers.judges,
                    )
                    complete = _clickable(NOTHING, "complete")
                with gr.Tab("Your outfit"):
                    worn = _clickable(answers.worn(()), "outfit")
                    verdict = _clickable("", "verdict")
                    adder = _picker(
                        answers, "add", "Click garments to put them into your outfit", "add"
                    )
                    more = _clickable("", "more")
        on_query, on_outfit = [asked, query, similar, complete], [outfit, worn, verdict, more]

        def received(event: gr.EventData, role: str):
            return answers.received(_told(event), role)

        def clicked(event: gr.EventData, asked: str, outfit: Sequence[str], role: str):
            return answers.clicked(_told(event), asked, outfit, role)

        quick = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
        upload.click(received, [role], on_query, **quick)
        for piece in (picker, similar, complete, worn, verdict, adder, more):
            piece.click(clicked, [asked, outfit, role], [*on_query, *on_outfit], **quick)
        role.change(answers.completed, [asked, role], complete, **quick)
    return page


class _Answers:
    """The pieces of the page that change, for a visitor who asked by something and put together an outfit."""

    def __init__(self, stylist: Stylist, photos: Photos) -> None:
        self.stylist, self.photos, self.judges = stylist, photos, len(stylist.roles) > 1

    def received(self, event: dict, role: str) -> tuple:
        """A photo came, or was refused."""
        size = event.get("bytes")
        try:
            if "ticket" in event:
                return self.asked(self.photos.take(str(event["ticket"])), role)
            said = (
                too_large(size)
                if isinstance(size, int)
                else str(event.get("refused", "No photo came."))
            )
        except FashionNBError as error:
            said = str(error)
        return gr.skip(), html.message(said), gr.skip(), gr.skip()

    def clicked(self, event: dict, asked: str, outfit: Sequence[str], role: str) -> tuple:
        """A garment was clicked: it is asked by, put into the outfit, taken out, or swapped in."""
        item, act, same = str(event.get("item")), event.get("act"), (gr.skip(),) * 4
        if act == "ask":
            return *self.asked(item, role), *same
        try:
            return *same, *self.outfitted(self._changed(item, act, asked, tuple(outfit)))
        except FashionNBError as error:
            return *same, gr.skip(), gr.skip(), html.message(str(error)), gr.skip()

    def asked(self, asked: Image.Image | str, role: str) -> tuple:
        """Everything that depends on what is asked by, a photo or the id of a garment; first the id itself.

        In outfits the garment that is most like a photo stands in for it.
        """
        try:
            found = self.stylist.similar(asked, SIMILAR)
            if isinstance(asked, str):
                item, picture = asked, self.stylist.catalogue.image(asked)
                said = f"Asked by {self.stylist.caption(item)}, a garment of the catalogue."
            else:
                item, picture = found["id"].iloc[0], asked
                said = f"Your photo. In outfits the garment most like it stands in: {self.stylist.caption(item)}."
        except FashionNBError as error:
            return gr.skip(), html.message(str(error)), gr.skip(), gr.skip()
        why = [
            f"picture {row.similarity:.2f} alike"
            + (f", the same {', '.join(row.agree)}" if row.agree else "")
            for row in found.itertuples()
        ]
        similar = html.garments(
            self.stylist, found["id"].tolist(), "ask", "search on from here", why
        )
        return item, html.photo(picture, said), similar, self.completed(item, role)

    def completed(self, asked: str, role: str) -> str:
        """What goes with the garment that is asked by, role by role."""
        if not asked:
            return NOTHING
        try:
            return self._complete(
                [asked], None if role == EVERYTHING else role, "put into the outfit"
            )
        except FashionNBError as error:
            return html.message(str(error))

    def outfitted(self, outfit: tuple[str, ...]) -> tuple:
        """Everything that depends on the outfit."""
        if len(outfit) < 2 or not self.judges:
            return outfit, self.worn(outfit), "", self._more(outfit) if outfit else ""
        found = self.stylist.score(outfit)
        more = self._more(outfit) if len(outfit) < LARGEST_OUTFIT else ""
        return outfit, self.worn(outfit, found.breaks), html.verdict(self.stylist, found), more

    def worn(self, outfit: Sequence[str], breaks: str | None = None) -> str:
        """The outfit itself."""
        if not self.judges:
            return html.message(_no_outfits(self.stylist))
        if not outfit:
            return "<p>Your outfit is empty. Click garments below to put them in; two or more get a score.</p>"
        shown = html.garments(self.stylist, outfit, "remove", "take out", breaks=breaks)
        return f'<h3 class="role">Your outfit</h3><div class="small">{shown}</div>'

    def to_pick(self, category: str, act: str) -> str:
        """Some garments of a category."""
        table = self.stylist.catalogue.table
        ids = table.loc[table["category"] == category, "id"].head(PICKED).tolist()
        return f'<div class="small">{html.garments(self.stylist, ids, act, "")}</div>'

    def _changed(self, item: str, act: str, asked: str, outfit: tuple[str, ...]) -> tuple[str, ...]:
        """The outfit after a click."""
        self.stylist.missing([item])  # raises for an item that is not there
        if act == "remove":
            return tuple(one for one in outfit if one != item)
        if act == "swap":
            worst = self.stylist.score(outfit).breaks
            return tuple(item if one == worst else one for one in outfit)
        if not outfit and asked:  # it completes what was asked by
            outfit = (asked,)
        return outfit if item in outfit or len(outfit) >= LARGEST_OUTFIT else (*outfit, item)

    def _more(self, outfit: Sequence[str]) -> str:
        return f"<p><b>What would complete it</b></p>{self._complete(outfit)}"

    def _complete(self, items: Sequence[str], role: str | None = None, does: str = "") -> str:
        """What could complete items: garments of one role, or of each that is missing."""
        if not self.judges:
            return html.message(_no_outfits(self.stylist))
        parts = []
        for one in self.stylist.missing(items) if role is None else [role]:
            found = self.stylist.complete(items, one, PER_ROLE)
            shown = html.garments(
                self.stylist, found["id"].tolist(), "add", does, found["reasons"].tolist()
            )
            parts.append(f'<h3 class="role">{one.capitalize()}</h3>{shown}')
        return "".join(parts) or "<p>Nothing is missing: there is a garment of every role.</p>"


def _told(event: gr.EventData) -> dict:
    """What the page's script said; anybody may send anything."""
    return event._data if isinstance(event._data, dict) else {}


def _picker(answers: _Answers, act: str, label: str, name: str) -> gr.HTML:
    """A category to choose, and some of its garments to click."""
    there = set(answers.stylist.catalogue.table["category"])
    classes = [name for name in answers.stylist.catalogue.classes if name in there]
    category = gr.Dropdown(classes, value=classes[0], label=label)
    shown = _clickable(answers.to_pick(classes[0], act), name)
    category.change(
        lambda category: answers.to_pick(category, act), category, shown,
        queue=False, show_progress="hidden", api_visibility="private",
    )  # fmt: skip
    return shown


def _clickable(value: str, name: str) -> gr.HTML:
    return gr.HTML(value, elem_id=name, js_on_load=html.CLICKS)


def _about(stylist: Stylist) -> str:
    catalogue = stylist.catalogue
    what = (
        "drawn garments (the atelier)"
        if catalogue.name == "atelier"
        else f"garments of {html.escape(catalogue.name)}"
    )
    drawn = (
        " They are drawn: the real ones are not on this machine." if catalogue.stands_in_for else ""
    )
    judge = html.escape(stylist.judge.about) if len(stylist.roles) > 1 else ""
    return (
        f"{len(catalogue):,} {what}.{drawn} <b>Alike</b> is what the book's <i>{LOOKS}</i> network and the colour say. "
        f"<b>Goes together</b>: {judge or html.escape(_no_outfits(stylist))}"
    )


def _no_outfits(stylist: Stylist) -> str:
    return (
        f"{stylist.catalogue.name} does not say which garments are tops, shoes and so on, so there are no outfits to "
        "judge. Start the demo with another catalogue, for instance `fashionnb demo --data atelier`."
    )
