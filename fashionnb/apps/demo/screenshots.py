"""Take the pictures of the demo that the book and the README show, in a real browser.

They show drawn garments, so they contain no picture of a dataset and come out the same each time.
"""

import io
import shutil
import tempfile
from pathlib import Path

from PIL import Image

from fashionnb.apps.demo.server import DemoError
from fashionnb.errors import needs_extra
from fashionnb.files import check_target, written_whole
from fashionnb.synthetic import drawn_garments

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
"""Names of programs, looked for in this order."""

FLAGS = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
VIEWPORT = {"width": 1180, "height": 860}
TIMEOUT_MS = 60_000  # a busy machine is slow
IMAGES_LOADED = """[...document.images].every(image => image.complete
    || !image.checkVisibility() || image.getBoundingClientRect().top > innerHeight)"""


def take(address: str, folder: Path | str) -> list[Path]:
    """Take screenshots of the demo in a browser, in light and in dark colours.

    They show the answer to an uploaded photo of a coat.

    Parameters
    ----------
    address : str
        Of a running demo, such as that of a `fashionnb.apps.demo.server.Server`.
    folder : Path or str
        Made if it does not exist.

    Returns
    -------
    list of Path
        ``demo-light.webp`` and ``demo-dark.webp`` in that folder.

    Raises
    ------
    DemoError
        If no browser is installed.
    MissingExtra
        If Playwright is not installed.
    WriteError
        If the folder cannot be written.
    """
    with needs_extra("dev", "A screenshot"):
        from playwright.sync_api import sync_playwright
    folder = Path(folder)
    for name in ("demo-light.webp", "demo-dark.webp"):
        check_target(folder / name)
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        raise DemoError(f"Screenshots need a browser; none of {', '.join(BROWSERS)} is installed.")
    files = []
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as profile:
        context = playwright.chromium.launch_persistent_context(
            profile, executable_path=program, headless=True, chromium_sandbox=False, args=FLAGS,
            viewport=VIEWPORT,
        )  # fmt: skip
        context.set_default_timeout(TIMEOUT_MS)
        page = context.new_page()
        page.goto(address)
        page.set_input_files(
            "label.upload input",
            {"name": "coat.jpg", "mimeType": "image/jpeg", "buffer": _coat()},
        )
        page.get_by_role("tab", name="Complete the look").click()
        page.wait_for_selector("#complete .garment")
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)  # Gradio follows, and then sets a class
            page.wait_for_function(
                "dark => document.body.classList.contains('dark') == dark", arg=scheme == "dark"
            )
            page.wait_for_function(IMAGES_LOADED)
            files.append(folder / f"demo-{scheme}.webp")
            with written_whole(files[-1]) as aside:
                picture = Image.open(io.BytesIO(page.screenshot()))
                picture.convert("RGB").save(aside, "WEBP", quality=82)
        context.close()
    return files


def _coat() -> bytes:
    """The photo of a drawn coat, as JPEG."""
    buffer = io.BytesIO()
    coat = drawn_garments.draw("Coat", "Navy Blue", size=400, seed=77)
    Image.fromarray(coat).save(buffer, "JPEG")
    return buffer.getvalue()
