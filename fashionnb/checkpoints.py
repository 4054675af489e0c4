"""Checkpoints: trained networks on disk, weights in safetensors and a card that describes them.

`load_model` opens a network by name or folder, `list_models` lists the names, `save` writes a
folder with `model.safetensors` and `card.json`. Nothing is ever unpickled, so a checkpoint from a
stranger can be opened without running their code. How a *training run* is saved and resumed is in
`fashionnb.training`.
"""

import hashlib
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import safetensors.torch
import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError
from torch import Tensor, nn

import fashionnb
from fashionnb import models
from fashionnb.errors import DataNotFound, ModelMismatch
from fashionnb.files import sha256, write_text, written_whole
from fashionnb.models import pretrained

WEIGHTS, CARD = "model.safetensors", "card.json"
_AGAIN = "Copy the folder again from where it came, or train the model again."
_COMMANDS = {
    "embedding": "`fashionnb evaluate search` measures it",
    "classification": "`fashionnb evaluate classifier` measures it",
    "attributes": "`fashionnb analyse --model` uses it",
}


class Card(BaseModel):
    """Model card of a checkpoint: what is known of a trained network, its data and its metrics.

    `save` fills in the fields up to `date`; of those, `task`, `size` and `channels` can be given.

    Parameters
    ----------
    architecture : str
        A name in `fashionnb.models.ARCHITECTURES`.
    arguments : dict
        Of the architecture's constructor.
    task : str
        A name in `fashionnb.models.TASKS`.
    size : int or (int, int), optional
        Of the images, in pixels: one number, or height and width.
    channels : int, optional
        Of the images; None if it takes none.
    parameters : int
        How many numbers can be trained.
    sha256 : str
        Of the weights file, in hexadecimal.
    versions : dict of str to str
        Of fashionnb, torch and Python.
    date : datetime, optional
        When it was saved.
    description : str
        One sentence about the network.
    data : str
        The dataset, for instance fashion-mnist.
    split : str
        The part of it that was trained on.
    classes : list of str
        Of a classifier, in the order of its outputs.
    training : dict
        The recipe and its settings.
    seeds : list of int
        Of the training runs.
    metrics : dict of str to float
        Measured on the split `measured_on`.
    measured_on : str
        The split of the metrics.
    licence : str
        Under which the weights may be used.

    References
    ----------
    Mitchell et al. (2019), Model Cards for Model Reporting.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    architecture: str
    arguments: dict[str, Any]
    task: Literal[tuple(models.TASKS)]
    size: int | tuple[int, int] | None = None
    channels: int | None = None
    parameters: int
    sha256: str = ""
    versions: dict[str, str] = {}
    date: datetime | None = None

    description: str = ""
    data: str = ""
    split: str = ""
    classes: list[str] = []
    training: dict[str, Any] = {}
    seeds: list[int] = []
    metrics: dict[str, float] = {}
    measured_on: str = ""
    licence: str = ""


def load_model(model: Path | str) -> nn.Module:
    """Open a checkpoint by name or folder: a trained network with its model card as `.card`.

    The network is in evaluation mode and on the CPU.

    Parameters
    ----------
    model : path or str
        A folder that `save` wrote; or a name of `list_models`: a checkpoint that comes with
        fashionnb, such as "style2vec", or a network published elsewhere, such as
        "efficientnet-lite2", with its published weights, or "siglip:FILE" with those of a file.

    Returns
    -------
    nn.Module
        Its `card` says the task, and the size and channels of images.

    Raises
    ------
    DataNotFound
        If there is no such folder or name, the folder lacks the card or the weights, or published
        weights cannot be had.
    MissingExtra
        If the library or the package of published weights is not installed.
    ModelMismatch
        If the card is broken, the weights are not those it describes (SHA-256), the architecture is
        unknown, or the weights do not fit it.
    """
    folder, (name, _, file) = Path(model), str(model).partition(":")
    if not folder.is_dir():
        if name in pretrained.NAMES:
            return _published_elsewhere(name, file)
        folder = published(str(model))
    for part in (CARD, WEIGHTS):
        if not (folder / part).is_file():
            raise DataNotFound(
                f"{folder / part} is not there. Name a folder that holds {WEIGHTS} and {CARD}."
            )
    card = read_card(folder)
    if (found := sha256(folder / WEIGHTS)) != card.sha256:
        raise ModelMismatch(
            f"{folder / WEIGHTS}: SHA-256 is {found[:12]}…, but its card says "
            f"{card.sha256[:12]}…. One of the two was changed or cut short; fetch or train the "
            "model again."
        )
    try:
        network = models.architecture(card.architecture)(**card.arguments)
    except Exception as error:  # a stranger's arguments make torch raise nearly anything
        raise ModelMismatch(
            f"{folder / CARD}: {card.architecture} cannot be built: {error}. {_AGAIN}"
        ) from error
    try:
        saved = safetensors.torch.load_file(folder / WEIGHTS)
    except SafetensorError as error:
        raise ModelMismatch(
            f"{folder / WEIGHTS} is not a safetensors file: {error}. {_AGAIN}"
        ) from error
    remedy = f"The arguments in {CARD} are not those that the network was trained with."
    models.load_weights(network, saved, folder / WEIGHTS, remedy)
    network.card = card
    return network.eval()


def list_models() -> pd.DataFrame:
    """List the models that can be opened by name, and what is known of each.

    Returns
    -------
    DataFrame
        One row for each name, as `load_model` takes it: `task`, `description`, `parameters`, `size`
        (of its images, in pixels), `dimensions` (of its vectors), `licence`, `source` (where its
        weights come from), and `here`: whether it can be opened on this machine without a download.
    """
    rows = {}
    for name, folder in sorted(_folders().items()):
        card = read_card(folder)
        dimensions = card.arguments.get("dimensions") if card.task == "embedding" else None
        rows[name] = card.model_dump() | {
            "dimensions": dimensions, "source": "comes with fashionnb", "here": True
        }  # fmt: skip
    for name in pretrained.NAMES:
        rows[name] = {"task": "embedding", **pretrained.facts(name)}
    columns = [
        "task", "description", "parameters", "size", "dimensions", "licence", "source", "here",
    ]  # fmt: skip
    table = pd.DataFrame.from_dict(rows, orient="index")[columns].rename_axis("name")
    return table.astype({"size": "Int64", "dimensions": "Int64"})


def check_task(card: Card, where: Path | str, *tasks: str) -> None:
    """Check that a network is for one of the given tasks, by its model card.

    Parameters
    ----------
    card : Card
        Of the network.
    where : path or str
        Its folder or name, for the message.
    *tasks : str
        Names in `fashionnb.models.TASKS`.

    Raises
    ------
    ModelMismatch
        If it is for another task; the message says what can be done with it.
    """
    if card.task not in tasks:
        use = f" {_COMMANDS[card.task]}." if card.task in _COMMANDS else ""
        raise ModelMismatch(
            f"{where} is a network for the task {card.task!r}, not for "
            f"{' or '.join(map(repr, tasks))}: it turns {models.TASKS[card.task]}.{use}"
        )


def image_size(
    card: Card, where: Path | str, size: int | tuple[int, int] | None = None
) -> int | tuple[int, int]:
    """Return the size of a network's images: the given one, else that on its model card.

    Parameters
    ----------
    card : Card
        Of the network.
    where : path or str
        Its folder or name, for the message.
    size : int or (int, int), optional
        Pixels, one number or height and width.

    Returns
    -------
    int or (int, int)
        Pixels, one number or height and width.

    Raises
    ------
    ModelMismatch
        If the network takes no images, or neither says how large they are.
    """
    if card.channels is None:
        raise ModelMismatch(
            f"{where}: {card.architecture} is no model of pictures: its card says no `channels`."
        )
    if size is None and card.size is None:
        raise ModelMismatch(
            f"{where}: its card does not say how large the pictures were that it was trained on "
            "(`size`). Give their size, for instance size=64 (--size 64)."
        )
    return card.size if size is None else size


def save(model: nn.Module, folder: Path | str, card: dict[str, Any] | None = None) -> Path:
    """Save a network as a checkpoint: a folder with its weights and its model card.

    Parameters
    ----------
    model : nn.Module
        Of an architecture in `fashionnb.models.ARCHITECTURES`, on any device.
    folder : path or str
        Created if need be; a model in it is replaced.
    card : dict, optional
        Any fields of `Card` from `description` on; `size`, unless it is in `training`; and `task`
        and `channels`, unless they are attributes of the network.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    ModelMismatch
        If the architecture has no name, or the card lacks the task, has an unknown field or a value
        of the wrong kind.
    WriteError
        If the folder cannot be written.
    """
    folder, card = Path(folder), card or {}
    content = safetensors.torch.save(on_cpu(model.state_dict()))
    facts = {
        "architecture": models.name_of(model),
        "arguments": model.arguments,
        "parameters": models.parameters(model),
        "sha256": hashlib.sha256(content).hexdigest(),
        "versions": {
            "fashionnb": fashionnb.__version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
        "date": datetime.now(UTC).replace(microsecond=0),
    }
    if given := sorted(facts.keys() & card.keys()):
        raise ModelMismatch(
            f"The card's {', '.join(given)} follow from the model itself; leave them out."
        )
    known = {
        "task": getattr(model, "task", None),
        "channels": next(
            (part.channels for part in model.modules() if hasattr(part, "channels")), None
        ),
        "size": card.get("training", {}).get("size"),
    }
    try:
        checked = Card.model_validate({**facts, **known, **card})
    except ValidationError as error:
        raise ModelMismatch(f"The card: {_what_is_wrong(error)}") from error
    with written_whole(folder / WEIGHTS) as aside:
        aside.write_bytes(content)
    write_text(folder / CARD, checked.model_dump_json(indent=2) + "\n")
    return folder


def read_card(folder: Path | str) -> Card:
    """Read the model card in a checkpoint's folder, without building the network.

    Parameters
    ----------
    folder : path or str
        A folder that `save` wrote.

    Returns
    -------
    Card
        The card, checked.

    Raises
    ------
    ModelMismatch
        If the card is broken, or lacks its `task`.
    """
    path = Path(folder) / CARD
    try:
        return Card.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise ModelMismatch(f"{path}: {_what_is_wrong(error)}") from error


def published(name: str) -> Path:
    """Find the folder of a published checkpoint, one that comes with fashionnb.

    In a checkout these are the folders of ``book/checkpoints``; an installed package contains them.

    Parameters
    ----------
    name : str
        Of the checkpoint, such as "style2vec".

    Returns
    -------
    Path
        Its folder.

    Raises
    ------
    DataNotFound
        If no model of this name comes with it.
    """
    there = _folders()
    if name not in there:
        lost = (
            " Install fashionnb again, or take a whole checkout; `fashionnb run --profile full` "
            "trains them anew."
        )
        raise DataNotFound(
            f"No model {name!r} came with fashionnb; there is: {', '.join(sorted(there)) or 'none'}"
            f"; and, published elsewhere, {', '.join(pretrained.NAMES)}. Use one of these names, "
            f"or the folder of a model.{'' if there else lost}"
        )
    return there[name]


def on_cpu(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Copy the tensors of a checkpoint to the CPU as safetensors needs them.

    Parameters
    ----------
    tensors : dict of str to Tensor
        On any device.

    Returns
    -------
    dict of str to Tensor
        Contiguous copies that share no memory, under the same names.
    """
    return {
        name: tensor.detach().to("cpu", copy=True).contiguous(memory_format=torch.contiguous_format)
        for name, tensor in tensors.items()
    }


def fingerprint(model: nn.Module) -> str:
    """Compute the fingerprint of a checkpoint's network: a hash of its class and all weights.

    It is equal for networks that compute the same. The device, the mode (training or evaluation)
    and the memory layout do not matter.

    Parameters
    ----------
    model : nn.Module
        The network, on any device.

    Returns
    -------
    str
        SHA-256 in hexadecimal.
    """
    digest = hashlib.sha256(type(model).__qualname__.encode())
    for name, tensor in sorted(on_cpu(model.state_dict()).items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def _published_elsewhere(name: str, file: str) -> nn.Module:
    network = pretrained.pretrained(name, file or "auto")
    network.card = Card(
        architecture=models.name_of(network),
        arguments=network.arguments,
        task=network.task,
        size=network.arguments["size"],
        channels=network.channels,
        parameters=models.parameters(network),
        description=pretrained.NAMES[name],
        licence=pretrained.facts(name)["licence"],
    )
    return network


def _folders() -> dict[str, Path]:
    """Name to folder of the checkpoints that come with fashionnb."""
    package = Path(fashionnb.__file__).parent
    # pyproject.toml copies the one to the other.
    homes = (package.parent / "book" / "checkpoints", package / "published")
    return {card.parent.name: card.parent for home in homes for card in home.glob(f"*/{CARD}")}


def _what_is_wrong(error: ValidationError) -> str:
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"]) or "the whole"
    if place == "task":
        remedy = (
            'Add what the network is for, such as "task": "embedding", and the "size" and '
            f'"channels" of its images, if it takes any. The tasks are {", ".join(models.TASKS)}'
        )
    else:
        remedy = f"Correct it: a card's fields are {', '.join(Card.model_fields)}"
    return f"{place}: {first['msg']}. {remedy}."
