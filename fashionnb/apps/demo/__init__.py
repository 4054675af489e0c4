"""The web demo: similar garments for a photo, what completes the look, and whether an outfit goes together.

`fashionnb demo` serves it; in a notebook ``fashionnb.apps.demo.show()`` does, below the cell.
`fashionnb.apps.demo.stylist` has the answers, `page` and `cards` what is seen, `server`, `guard` and `photos` what
keeps it safe, and `screenshots` the pictures of it in the book.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fashionnb.apps.demo.server import Server


def show(data: str = "atelier", port: int = 0, height: int = 900) -> "Server":
    """Start the demo in the background, and show it below a notebook's cell. Introduced in chapter 11.

    Parameters
    ----------
    data : as `fashionnb.apps.demo.stylist.open_stylist` takes it. port : 0 for any that is free. height : in pixels.

    Returns
    -------
    The server; it works until the notebook's kernel ends, or until ``server.stop()``.

    Raises
    ------
    DataNotFound, DataError, WriteError : as `fashionnb.apps.demo.stylist.open_stylist`.
    DemoError : Gradio is not installed, or the port is taken.
    """
    from IPython.display import IFrame, display

    from fashionnb.apps.demo.server import Server
    from fashionnb.apps.demo.stylist import open_stylist

    server = Server(open_stylist(data), port=port).start()
    display(IFrame(server.address, "100%", height))
    return server
