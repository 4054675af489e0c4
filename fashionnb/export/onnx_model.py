"""Run an exported network: an ONNX file of `fashionnb.export.to_onnx`, with onnxruntime and numpy.

Neither torch nor onnx is imported here.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from fashionnb.errors import DataError, DataNotFound, ModelMismatch, RunError

INPUT = "images"
"""Name of the graph's input."""

FACTS = ("architecture", "fingerprint", "classes", "size", "channels", "licence", "precision")
"""What the metadata of a file says."""

_BATCH = 256  # images at a time, so that memory stays flat


class OnnxModel:
    """Exported network, ready to run without torch.

    Call it with images, uint8 (n, height, width, channels) of its `size`; it returns float32
    (n, d).

    Parameters
    ----------
    path : path or str
        The file.
    threads : int, optional
        Threads that compute; None leaves it to onnxruntime.

    Attributes
    ----------
    architecture, licence, precision : str
        As `to_onnx` wrote them.
    fingerprint : str
        Of the exported network, see `fashionnb.checkpoints.fingerprint`; a file of precision "int8"
        only approximates that network.
    classes : tuple of str
    size : tuple of int
        Height and width of the images.
    channels : int

    Raises
    ------
    DataNotFound
        If there is no such file.
    ModelMismatch
        If it is not an ONNX file, or `to_onnx` did not write it.
    RunError
        If onnxruntime is not installed.
    """

    def __init__(self, path: Path | str, *, threads: int | None = None) -> None:
        with needed("onnxruntime"):
            import onnxruntime
        path = Path(path)
        if not path.is_file():
            raise DataNotFound(
                f"{path}: there is no such file. `fashionnb export MODEL {path.name}` writes one."
            )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or 0
        options.log_severity_level = 3  # errors only; they come as exceptions too
        try:
            self._session = onnxruntime.InferenceSession(
                path, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime has a dozen types, with no parent of their own
            raise ModelMismatch(
                f"{path}: not an ONNX file that onnxruntime can run ({first_line(error)}). Export "
                "the model again."
            ) from error
        facts = self._session.get_modelmeta().custom_metadata_map
        if missing := [name for name in FACTS if name not in facts]:
            raise ModelMismatch(
                f"{path}: an ONNX file, but it does not say its {', '.join(missing)}. Only files "
                "of `fashionnb.export.to_onnx` can be opened here; run others with onnxruntime "
                "itself."
            )
        self.architecture, self.fingerprint = facts["architecture"], facts["fingerprint"]
        self.licence, self.precision = facts["licence"], facts["precision"]
        self.classes = tuple(json.loads(facts["classes"]))
        self.channels: int = json.loads(facts["channels"])
        self.size: tuple[int, int] = tuple(json.loads(facts["size"]))

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Compute the network's output, (n, d) float32.

        Raises
        ------
        DataError
            If the images have another shape or dtype.
        """
        check_images(images, (*self.size, self.channels), "This model's images")
        starts = range(0, max(1, len(images)), _BATCH)  # no images, too, give (0, d)
        parts = [
            self._session.run(None, {INPUT: images[start : start + _BATCH]})[0] for start in starts
        ]
        return np.concatenate(parts)


@contextmanager
def needed(package: str) -> Iterator[None]:
    """Turn the ImportError of an extra package into one that says what to install."""
    try:
        yield
    except ImportError as error:
        raise RunError(
            f'ONNX files need the package {package}: `pip install "fashionnb[onnx]"`.'
        ) from error


def check_images(images: np.ndarray, shape: tuple[int, int, int], what: str) -> None:
    """Refuse anything but uint8 images of this shape; `what` begins the message."""
    if not isinstance(images, np.ndarray):
        got = type(images).__name__
    elif images.dtype != np.uint8 or images.shape[1:] != shape:
        got = f"{images.dtype} {images.shape}"
    else:
        return
    height, width, channels = shape
    raise DataError(
        f"{what} are a uint8 array (n, {height}, {width}, {channels}), got {got}. "
        f"`catalogue.pixels(({height}, {width}), channels={channels})` returns it."
    )


def first_line(error: Exception) -> str:
    """Return the first line of an error's text, without its full stop, or else its type."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
