"""The web demo: similar garments for a photo, garments that complete a look, scores for outfits.

`fashionnb demo` serves it; in a notebook ``fashionnb.apps.demo.show()`` displays it below the cell.
`backend` computes the answers, `gradio_page` and `html_rendering` make the page, `server`,
`request_filter` and `photo_store` serve it safely, `screenshots` takes the book's pictures of it.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fashionnb.apps.demo.server import Server


def show(data: str = "drawn", port: int = 0, height: int = 900) -> "Server":
    """Start the demo in the background and show it below a notebook's cell.

    Parameters
    ----------
    data : str
        A catalogue, as `fashionnb.apps.demo.backend.open_backend` takes it.
    port : int
        0 for any free port.
    height : int
        Height of the frame in pixels.

    Returns
    -------
    Server
        It runs until the notebook's kernel ends, or until ``server.stop()``.

    Raises
    ------
    DataNotFound, DataError, WriteError
        As `fashionnb.apps.demo.backend.open_backend`.
    DemoError
        If Gradio is not installed, or the port is taken.
    """
    from IPython.display import IFrame, display

    from fashionnb.apps.demo.backend import open_backend
    from fashionnb.apps.demo.server import Server

    server = Server(open_backend(data), port=port).start()
    display(IFrame(server.address, "100%", height))
    return server
