"""Pictures of the demo for the front page and the README, taken by the build in a real browser.

They show garments that are drawn, so no picture of a dataset is in them, and the same code gives the same pictures.
"""

import io
import shutil
import tempfile
from pathlib import Path

from PIL import Image

from fashionnb.apps.demo.server import DemoError
from fashionnb.files import written_whole
from fashionnb.synthetic import drawn_garments

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
"""Programs that are looked for, in this order."""

FLAGS = ("--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking")
SHADES = ("light", "dark")
WIDE, TALL = 1180, 860
DRAWN = "[...document.images].every(i => i.complete || !i.checkVisibility() || i.getBoundingClientRect().top > innerHeight)"
MOST_MS = 60_000  # a busy machine is slow


def take(address: str, folder: Path | str) -> list[Path]:
    """Send the photo of a coat, and take a picture of what completes it, in light and in dark. Chapter 11.

    Parameters
    ----------
    address : of a demo that runs, such as that of a `fashionnb.apps.demo.server.Server`. folder : made if need be.

    Returns
    -------
    ``demo-light.webp`` and ``demo-dark.webp`` in that folder.

    Raises
    ------
    DemoError : Playwright or Chromium is not here. WriteError : the folder cannot be written.
    """
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        raise DemoError('Screenshots need Playwright: `pip install "fashionnb[dev]"`.') from error
    program = browser()
    if program is None:
        raise DemoError(f"Screenshots need a browser; none of {', '.join(BROWSERS)} is installed.")
    photo = io.BytesIO()
    Image.fromarray(drawn_garments.draw("Coat", "Navy Blue", size=400, seed=77)).save(photo, "JPEG")
    sent = {"name": "coat.jpg", "mimeType": "image/jpeg", "buffer": photo.getvalue()}
    made = []
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as profile:
        context = playwright.chromium.launch_persistent_context(
            profile, executable_path=program, headless=True, chromium_sandbox=False, args=[*FLAGS],
            viewport={"width": WIDE, "height": TALL},
        )  # fmt: skip
        context.set_default_timeout(MOST_MS)
        page = context.new_page()
        page.goto(address)
        page.set_input_files("label.upload input", sent)
        page.get_by_role("tab", name="Complete the look").click()
        page.wait_for_selector("#complete .garment")
        for shade in SHADES:
            page.emulate_media(color_scheme=shade)  # Gradio follows, and says so by a class
            page.wait_for_function(
                "dark => document.body.classList.contains('dark') == dark", arg=shade == "dark"
            )
            page.wait_for_function(DRAWN)
            picture = Image.open(io.BytesIO(page.screenshot()))
            with written_whole(Path(folder) / f"demo-{shade}.webp") as aside:
                picture.convert("RGB").save(aside, "WEBP", quality=82)
            made.append(Path(folder) / f"demo-{shade}.webp")
        context.close()
    return made


def browser() -> str | None:
    """The path of a browser that can take pictures; None if there is none."""
    return next((found for name in BROWSERS if (found := shutil.which(name))), None)
