"""Export of networks as ONNX files, which run without torch: network, scaling and metadata in one.

`to_onnx` writes such a file and compares it with the network; `OnnxModel` runs it, with onnxruntime
and numpy alone. The file takes images as Pillow and numpy have them, uint8 with the channels last,
so nobody has to know the preprocessing. Needs the extra packages of
`pip install "fashionnb[onnx]"`. Networks to export are opened by `fashionnb.checkpoints`.
"""

import copy
import json
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fashionnb.errors import DataError, DataNotFound, ModelMismatch, needs_extra
from fashionnb.files import written_whole

if TYPE_CHECKING:
    from torch import nn

TOLERANCE = 1e-4
"""Largest difference of any number of an exported network's output to torch's."""

FEWEST = 10
"""Least number of images for calibration; a fifth of them is held out to measure on."""

INPUT = "images"
"""Name of the graph's input."""

FACTS = ("architecture", "fingerprint", "classes", "size", "channels", "licence", "precision")
"""What the metadata of a file says."""

_BATCH = 256  # images at a time, so that memory stays flat


@dataclass(frozen=True)
class Exported:
    """Result of the export of a network: its ONNX file, and how close its output is to torch's.

    Parameters
    ----------
    path : Path
        The file.
    bytes : int
        Size of the file.
    precision : {"float32", "int8"}
        In which the network computes.
    difference : float
        Largest absolute difference of any output to torch's.
    cosine : float
        Mean cosine similarity between the outputs and torch's. For "int8" both are measured on the
        images held out from calibration; for "float32" on random and extreme images.
    """

    path: Path
    bytes: int
    precision: str
    difference: float
    cosine: float


def to_onnx(
    model: "nn.Module",
    out: Path | str,
    *,
    size: int | tuple[int, int],
    channels: int = 3,
    classes: tuple[str, ...] | list[str] = (),
    licence: str = "",
    calibration: np.ndarray | None = None,
) -> Exported:
    """Export a network as one ONNX file, and check that it computes the same.

    The graph takes "images", uint8 (n, height, width, channels) with any n, and returns "output",
    float32: the network's output for the same images in [0, 1]. Batch normalisation is folded into
    the convolutions. Before anything is written, the file's output is compared with torch's, on
    random and on extreme images, one at a time and several at once.

    With `calibration` the network computes in 8-bit integers (static quantisation, with a scale for
    each output channel of the weights): a third to a quarter of the file. That costs accuracy,
    which is measured on every fifth of the images, held out from calibration: read
    `Exported.cosine`, and then measure your own task. Weights take 7 of the 8 bits, because the
    sums of a processor without integer dot products overflow at 8.

    Parameters
    ----------
    model : nn.Module
        Of an architecture in `fashionnb.models.ARCHITECTURES`, with one tensor as output. It is not
        changed.
    out : path or str
        The file; an existing one is replaced.
    size : int or (int, int)
        Of the images in pixels, one number or height and width. It is fixed in the file.
    channels : int
        1 for grey, 3 for colour.
    classes : sequence of str
        Stored in the file, with the architecture and the network's fingerprint.
    licence : str
        Stored in the file.
    calibration : array of shape (n, height, width, channels), uint8, optional
        10 or more images like those to come; some hundred are plenty. None keeps float32.

    Returns
    -------
    Exported
        The file and its accuracy.

    Raises
    ------
    ModelMismatch
        If the network has no name or several outputs, cannot be exported, or its file computes
        something else, for instance since a branch of the network depends on the images.
    DataError
        If the network refuses images of this size, or the calibration images are too few or of
        another shape.
    MissingExtra
        If onnx or onnxruntime is not installed.
    WriteError
        If the file cannot be written.
    """
    from fashionnb import checkpoints, models

    with needs_extra("onnx", "An ONNX file"):  # before the work, of which each needs a part
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401

    height, width = (size, size) if isinstance(size, int) else size
    shape = (height, width, channels)
    facts = {
        "architecture": models.name_of(model),
        "fingerprint": checkpoints.fingerprint(model),
        "classes": list(classes),
        "size": [height, width],
        "channels": channels,
        "licence": licence,
        "precision": "float32" if calibration is None else "int8",
    }
    if calibration is not None:
        calibration = _checked_images(calibration, shape, "Calibration images")
        if len(calibration) < FEWEST:
            raise DataError(
                f"Calibration takes {FEWEST} images or more, some hundred are better; got "
                f"{len(calibration)}."
            )
    twin = copy.deepcopy(model).cpu().eval()
    probes = _probes(shape)
    expected = _output(twin, probes)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.onnx"
        _trace(twin, probes[:2], file)
        _write_facts(file, facts)
        difference, got = _compare(OnnxModel(file), probes, expected)
        if calibration is not None:
            held_out = np.arange(len(calibration)) % 5 == 4
            file = _quantised(file, calibration[~held_out])
            _write_facts(file, facts)
            expected = _output(twin, calibration[held_out])
            got = OnnxModel(file)(calibration[held_out])
            difference = float(np.abs(got - expected).max())
        content = file.read_bytes()
    with written_whole(out) as aside:
        aside.write_bytes(content)
    lengths = np.linalg.norm(got, axis=-1) * np.linalg.norm(expected, axis=-1)
    cosine = float(((got * expected).sum(-1) / np.maximum(lengths, 1e-12)).mean())
    return Exported(Path(out), len(content), facts["precision"], difference, cosine)


class OnnxModel:
    """Exported network in an ONNX file, ready to run without torch.

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
    MissingExtra
        If onnxruntime is not installed.
    """

    def __init__(self, path: Path | str, *, threads: int | None = None) -> None:
        with needs_extra("onnx", "An ONNX file"):
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
                f"{path}: not an ONNX file that onnxruntime can run ({_first_line(error)}). Export "
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
        images = _checked_images(images, (*self.size, self.channels), "This model's images")
        starts = range(0, max(1, len(images)), _BATCH)  # no images, too, give (0, d)
        parts = [
            self._session.run(None, {INPUT: images[start : start + _BATCH]})[0] for start in starts
        ]
        return np.concatenate(parts)


def _output(model: "nn.Module", images: np.ndarray) -> np.ndarray:
    """torch's output for uint8 images with the channels last."""
    import torch

    from fashionnb.models import as_input

    with torch.no_grad():
        output = model(as_input(torch.from_numpy(images).permute(0, 3, 1, 2)))
    if not isinstance(output, torch.Tensor):
        raise ModelMismatch(
            f"{type(model).__name__} returns a {type(output).__name__}, and a file holds one "
            "output. Export the part that is wanted, for instance its `.encoder`."
        )
    return output.numpy()


def _trace(model: "nn.Module", images: np.ndarray, file: Path) -> None:
    """Write the network as an ONNX file that takes uint8."""
    import torch

    from fashionnb.models import as_input

    class FromBytes(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.model(as_input(images.permute(0, 3, 1, 2)))

    # The exporter that traces, not the newer one (dynamo=True): twenty times faster (0.9 s instead
    # of 18 s for half a million parameters), batch normalisation comes out folded, and the file is
    # a tenth smaller. Tracing follows one batch, so the file is compared with torch on others.
    with warnings.catch_warnings():
        # That it is the older one, and that shapes which the network checks are fixed.
        warnings.simplefilter("ignore")
        try:
            torch.onnx.export(
                FromBytes().eval(),
                (torch.from_numpy(images),),
                file,
                dynamo=False,
                input_names=[INPUT],
                output_names=["output"],
                dynamic_axes={INPUT: {0: "n"}, "output": {0: "n"}},
            )
        except Exception as error:  # any type, from inside the network or the exporter
            raise ModelMismatch(
                f"{type(model).__name__} cannot be exported: {_first_line(error)}."
            ) from error


def _write_facts(file: Path, facts: dict[str, Any]) -> None:
    """Put the facts into the file's metadata: strings as they are, the rest as JSON."""
    import onnx

    proto = onnx.load(file)
    texts = {
        name: fact if isinstance(fact, str) else json.dumps(fact) for name, fact in facts.items()
    }
    onnx.helper.set_model_props(proto, texts)
    onnx.save(proto, file)


def _quantised(file: Path, images: np.ndarray) -> Path:
    """Write the same network in 8-bit integers, in a file beside `file`."""
    import onnx
    from onnxruntime.quantization import (
        CalibrationDataReader,
        QuantFormat,
        QuantType,
        quantize_static,
    )
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Batches(CalibrationDataReader):
        left = iter([{INPUT: part} for part in np.array_split(images, max(1, len(images) // 16))])

        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(self.left, None)

    prepared, quantised = file.with_name("prepared.onnx"), file.with_name("quantised.onnx")
    quant_pre_process(file, prepared, skip_symbolic_shape=True)
    nodes = onnx.load(prepared).graph.node
    quantize_static(
        prepared,
        quantised,
        Batches(),
        quant_format=QuantFormat.QDQ,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        per_channel=True,
        reduce_range=True,
        nodes_to_exclude=[node.name for node in nodes if INPUT in node.input],  # uint8 already
    )
    return quantised


def _probes(shape: tuple[int, int, int]) -> np.ndarray:
    """Images to compare on: noise, black, white, a chessboard, and a single white pixel."""
    height, width, _ = shape
    images = np.random.default_rng(0).integers(0, 256, (7, *shape), dtype=np.uint8)
    images[3], images[4] = 0, 255
    images[5] = 255 * (np.indices((height, width)).sum(0) % 2)[..., None]
    images[6] = 0
    images[6, height // 2, width // 2] = 255
    return images


def _compare(run: OnnxModel, images: np.ndarray, expected: np.ndarray) -> tuple[float, np.ndarray]:
    """Run the images one by one and all at once: largest difference to torch's output, and output.

    Raises
    ------
    ModelMismatch
        If the difference is too large, or the file cannot be run.
    """
    try:
        together = run(images)
        single = np.concatenate([run(images[row : row + 1]) for row in range(len(images))])
        difference = float(np.abs(np.stack([together, single]) - expected).max())
    except Exception as error:  # as above; for instance, the graph holds the number of images
        raise ModelMismatch(
            f"The exported file does not run for 1 and for {len(images)} images alike: "
            f"{_first_line(error)}. Write the model so that their number is nowhere a constant."
        ) from error
    if not difference <= TOLERANCE:  # NaN is a difference too
        raise ModelMismatch(
            f"The exported file differs from the model by up to {difference:.2g}, {TOLERANCE:g} is "
            "allowed. A branch that depends on the images, or a random number in evaluation mode, "
            "cannot be exported."
        )
    return difference, together


def _checked_images(images: np.ndarray, shape: tuple[int, int, int], what: str) -> np.ndarray:
    """Refuse anything but uint8 images of this shape; `what` begins the message."""
    images = np.asarray(images)
    if images.dtype != np.uint8 or images.shape[1:] != shape:
        height, width, channels = shape
        raise DataError(
            f"{what} are a uint8 array (n, {height}, {width}, {channels}), got {images.dtype} "
            f"{images.shape}. `catalogue.pixels(({height}, {width}), channels={channels})` "
            "returns it."
        )
    return images


def _first_line(error: Exception) -> str:
    """The first line of an error's text, without its full stop, or else its type."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
