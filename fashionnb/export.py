"""Models for where there is no torch: one ONNX file that holds the network, its scaling, and what is known of it.

`to_onnx` writes such a file and checks it against the model; `OnnxModel` runs it, with onnxruntime and numpy alone. The
file takes pictures as Pillow and numpy have them, bytes with the channels last, so nobody has to know what comes before
the network. Needs the extra packages of `pip install "fashionnb[onnx]"`. Read `fashionnb.checkpoints` for where models
come from.
"""

import copy
import json
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fashionnb.errors import DataError, DataNotFound, ModelMismatch, RunError
from fashionnb.files import written_whole

if TYPE_CHECKING:
    from types import ModuleType

    from torch import nn

TOLERANCE = 1e-4
"""No number of an exported model's output may differ by more than this from torch's."""

FEWEST = 10
"""Pictures that calibration needs at the least; a fifth of them is kept back to measure on."""

_INPUT, _OUTPUT = "images", "output"
_FACTS = ("architecture", "fingerprint", "classes", "size", "channels", "licence", "precision")
_BATCH = 256  # pictures at a time, so that memory stays flat


@dataclass(frozen=True)
class Exported:
    """What `to_onnx` wrote, and how close it comes to the model. Introduced in chapter 05.

    path, bytes : the file and its size. precision : "float32" or "int8".
    difference : the largest absolute difference of any output to torch's. cosine : the mean cosine similarity between
        the outputs and torch's, 1 where they point the same way. For "int8" both are measured on the pictures that
        were kept back from calibration; for "float32" on random and extreme pictures.
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
    """Write `model` as one ONNX file, and check that it computes the same. Introduced in chapter 05.

    The graph takes "images", uint8 (n, height, width, channels) with any n, and gives "output", float32: what the model
    gives for the same pictures as float32 in [0, 1]. Batch norms are folded into their convolutions. Before anything
    is written, the file's output is compared with torch's, on random and on extreme pictures, one at a time and
    several at once.

    With `calibration` pictures the network computes in 8-bit integers (static quantisation, a scale for each output
    channel of the weights): a third to a quarter of the file. That costs accuracy, and how much is measured on every
    fifth of the pictures, which the calibration does not see: read `Exported.cosine`, and then measure your own task.
    Weights take 7 of the 8 bits, because the sums of a processor without integer dot products overflow at 8.

    Parameters
    ----------
    model : of an architecture in `fashionnb.models.ARCHITECTURES`, with one tensor as output. It is not changed.
    out : the file; one that is there is replaced.
    size : of the pictures in pixels, one number or (height, width). It is fixed in the file.
    channels : 1 for grey, 3 for colour.
    classes, licence : go into the file, with the architecture and the model's fingerprint.
    calibration : (n, height, width, channels) uint8, n >= 10, pictures like those to come; some hundred are plenty.
        None keeps float32.

    Returns
    -------
    Exported

    Raises
    ------
    ModelMismatch : the model has no name or several outputs, cannot be exported, or its file computes something else,
        for instance since a branch of the model depends on the pictures.
    DataError : the model refuses pictures of this size, or the calibration pictures are too few or of another shape.
    RunError : onnx or onnxruntime is not installed.
    WriteError : the file cannot be written.
    """
    import torch

    from fashionnb import checkpoints, models

    with _needed("onnx"):
        import onnx
    with _needed("onnxruntime"):
        import onnxruntime  # noqa: F401 (for the check, below)
    height, width = (size, size) if isinstance(size, int) else size
    facts = {
        "architecture": models.name_of(model),
        "fingerprint": checkpoints.fingerprint(model),
        "classes": list(classes),
        "size": [height, width],
        "channels": channels,
        "licence": licence,
        "precision": "float32" if calibration is None else "int8",
    }
    twin = copy.deepcopy(model).cpu().eval()

    @torch.no_grad()
    def compute(images: np.ndarray) -> np.ndarray:
        output = twin(models.as_input(torch.from_numpy(images).permute(0, 3, 1, 2)))
        if not isinstance(output, torch.Tensor):
            raise ModelMismatch(
                f"{type(model).__name__} gives a {type(output).__name__}, and a file holds one output. "
                "Export the part that is wanted, for instance its `.encoder`."
            )
        return output.numpy()

    if calibration is not None:
        _check_pictures(calibration, (height, width, channels), "Calibration pictures")
        if len(calibration) < FEWEST:
            raise DataError(
                f"Calibration takes {FEWEST} pictures or more, some hundred are better; got {len(calibration)}."
            )
    probes = _probes(height, width, channels)
    wanted = compute(probes)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.onnx"
        _trace(twin, probes[:2], file)
        _describe(onnx, file, facts)
        difference = _difference(file, probes, wanted)
        cosine = _cosine(OnnxModel(file)(probes), wanted)
        if calibration is not None:
            kept_back = np.arange(len(calibration)) % 5 == 4
            file = _quantised(file, calibration[~kept_back])
            _describe(onnx, file, facts)
            wanted, got = compute(calibration[kept_back]), OnnxModel(file)(calibration[kept_back])
            difference, cosine = float(np.abs(got - wanted).max()), _cosine(got, wanted)
        content = file.read_bytes()
    with written_whole(out) as aside:
        aside.write_bytes(content)
    return Exported(Path(out), len(content), facts["precision"], difference, cosine)


class OnnxModel:
    """A file that `to_onnx` wrote, ready to run, without torch. Introduced in chapter 05.

    Call it with pictures, uint8 (n, height, width, channels) of its `size`; it gives float32 (n, d).

    Parameters
    ----------
    path : the file.
    threads : that compute; None leaves it to onnxruntime.

    Attributes
    ----------
    architecture, fingerprint, licence, precision : str. The fingerprint is that of the model that was exported, see
        `fashionnb.checkpoints.fingerprint`; a file of precision "int8" comes only near to what that model computes.
    classes : tuple of str. size : (height, width). channels : int.

    Raises
    ------
    DataNotFound : there is no such file.
    ModelMismatch : it is not an ONNX file, or `to_onnx` did not write it.
    RunError : onnxruntime is not installed.
    """

    def __init__(self, path: Path | str, *, threads: int | None = None) -> None:
        with _needed("onnxruntime"):
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
                f"{path}: not an ONNX file that onnxruntime can run ({_first_line(error)}). Export the model again."
            ) from error
        facts = self._session.get_modelmeta().custom_metadata_map
        if missing := [name for name in _FACTS if name not in facts]:
            raise ModelMismatch(
                f"{path}: an ONNX file, but it does not say its {', '.join(missing)}. "
                "Only files of `fashionnb.export.to_onnx` can be opened here; run others with onnxruntime itself."
            )
        self.architecture, self.fingerprint = facts["architecture"], facts["fingerprint"]
        self.licence, self.precision = facts["licence"], facts["precision"]
        self.classes, self.channels = (
            tuple(json.loads(facts["classes"])),
            json.loads(facts["channels"]),
        )
        self.size: tuple[int, int] = tuple(json.loads(facts["size"]))

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """The model's output for these pictures. Raises `DataError` if they are of another shape or kind."""
        _check_pictures(images, (*self.size, self.channels), "This model's pictures")
        parts = [
            self._session.run(None, {_INPUT: images[start : start + _BATCH]})[0]
            for start in range(
                0, len(images) or 1, _BATCH
            )  # at least one turn, so that no pictures give (0, d)
        ]
        return np.concatenate(parts)


@contextmanager
def _needed(name: str) -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise RunError(
            f'ONNX files need the package {name}: `pip install "fashionnb[onnx]"`.'
        ) from error


def _trace(model: "nn.Module", images: np.ndarray, file: Path) -> None:
    """Write the model as an ONNX file that takes bytes."""
    import torch

    from fashionnb import models

    class FromBytes(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.model(models.as_input(images.permute(0, 3, 1, 2)))

    # The exporter that traces, not the newer one (dynamo=True): twenty times faster (0.9 s instead of 18 s for half a
    # million parameters), the batch norms come out folded, and the file is a tenth smaller. Tracing believes what it
    # sees on one batch, which is why the file is compared with torch on other ones.
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # that it is the older one, and that shapes which the model checks are fixed
        try:
            torch.onnx.export(
                FromBytes().eval(),
                (torch.from_numpy(images),),
                file,
                dynamo=False,
                input_names=[_INPUT],
                output_names=[_OUTPUT],
                dynamic_axes={_INPUT: {0: "n"}, _OUTPUT: {0: "n"}},
            )
        except Exception as error:  # anything at all, from inside of the model or of the exporter
            raise ModelMismatch(
                f"{type(model).__name__} cannot be exported: {_first_line(error)}."
            ) from error


def _describe(onnx: "ModuleType", file: Path, facts: dict[str, Any]) -> None:
    """Put the facts into the file's metadata: strings as they are, the rest as JSON."""
    proto = onnx.load(file)
    texts = {
        name: fact if isinstance(fact, str) else json.dumps(fact) for name, fact in facts.items()
    }
    onnx.helper.set_model_props(proto, texts)
    onnx.save(proto, file)


def _quantised(file: Path, images: np.ndarray) -> Path:
    """The same network in 8-bit integers, in a file beside `file`."""
    import onnx
    from onnxruntime.quantization import (
        CalibrationDataReader,
        QuantFormat,
        QuantType,
        quantize_static,
    )
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Batches(CalibrationDataReader):
        def __init__(self) -> None:
            self.left = iter(np.array_split(images, max(1, len(images) // 16)))

        def get_next(self) -> dict[str, np.ndarray] | None:
            batch = next(self.left, None)
            return None if batch is None else {_INPUT: batch}

    prepared, quantised = file.with_name("prepared.onnx"), file.with_name("quantised.onnx")
    quant_pre_process(file, prepared, skip_symbolic_shape=True)
    graph = onnx.load(prepared).graph
    quantize_static(
        prepared,
        quantised,
        Batches(),
        quant_format=QuantFormat.QDQ,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        per_channel=True,
        reduce_range=True,
        nodes_to_exclude=[
            node.name for node in graph.node if _INPUT in node.input
        ],  # bytes already
    )
    return quantised


def _probes(height: int, width: int, channels: int) -> np.ndarray:
    """Pictures to compare on: noise, black, white, a chessboard, and a single white pixel."""
    images = np.random.default_rng(0).integers(0, 256, (7, height, width, channels), dtype=np.uint8)
    images[3], images[4] = 0, 255
    images[5] = 255 * (np.indices((height, width)).sum(0) % 2)[..., None]
    images[6] = 0
    images[6, height // 2, width // 2] = 255
    return images


def _difference(file: Path, images: np.ndarray, wanted: np.ndarray) -> float:
    """The largest difference to what torch gives, for pictures one by one and all at once."""
    run = OnnxModel(file)
    try:
        outputs = [
            run(images),
            np.concatenate([run(images[row : row + 1]) for row in range(len(images))]),
        ]
        difference = max(float(np.abs(output - wanted).max()) for output in outputs)
    except (
        Exception
    ) as error:  # as above; for instance, the number of pictures is a constant in the graph
        raise ModelMismatch(
            f"The exported file does not run for 1 and for {len(images)} pictures alike: {_first_line(error)}. "
            "Write the model so that their number is nowhere a constant."
        ) from error
    if not difference <= TOLERANCE:  # NaN is a difference too
        raise ModelMismatch(
            f"The exported file differs from the model by up to {difference:.2g}, {TOLERANCE:g} is allowed. "
            "A branch that depends on the pictures, or a random number in eval mode, cannot be exported."
        )
    return difference


def _cosine(got: np.ndarray, wanted: np.ndarray) -> float:
    lengths = np.linalg.norm(got, axis=-1) * np.linalg.norm(wanted, axis=-1)
    return float(((got * wanted).sum(-1) / np.maximum(lengths, 1e-12)).mean())


def _check_pictures(images: np.ndarray, shape: tuple[int, int, int], what: str) -> None:
    if not isinstance(images, np.ndarray) or images.dtype != np.uint8 or images.shape[1:] != shape:
        got = (
            f"{images.dtype} {images.shape}"
            if isinstance(images, np.ndarray)
            else type(images).__name__
        )
        height, width, channels = shape
        raise DataError(
            f"{what} are a uint8 array (n, {height}, {width}, {channels}), got {got}. "
            f"`catalogue.pixels(({height}, {width}), channels={channels})` gives it."
        )


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
