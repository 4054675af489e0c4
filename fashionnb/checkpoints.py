"""Trained models on disk: the weights in safetensors, and beside them a card that says what they are.

`save` writes a folder with `model.safetensors` and `card.json`, `load` builds the model again and refuses what does not
fit. Nothing is ever unpickled, so a checkpoint from a stranger can be looked at without running their code.
`published` finds the models that come with the book.
How a *training run* is saved and taken up again is in `fashionnb.training`.
"""

import hashlib
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError
from torch import Tensor, nn

import fashionnb
from fashionnb import models
from fashionnb.errors import DataNotFound, ModelMismatch
from fashionnb.files import sha256, write_text, written_whole

WEIGHTS, CARD = "model.safetensors", "card.json"


class Card(BaseModel):
    """What is known of a trained model. Introduced in chapter 02. The first block is filled in by `save`.

    After Mitchell et al. 2019, "Model Cards for Model Reporting".
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    architecture: str = Field(description="a name in fashionnb.models.ARCHITECTURES")
    arguments: dict[str, Any] = Field(description="what the architecture is called with")
    parameters: int = Field(description="how many numbers were trained, or could have been")
    sha256: str = Field(description="of the weights file")
    versions: dict[str, str] = Field(description="of fashionnb, torch and Python")
    date: datetime

    description: str = ""
    data: str = Field("", description="the dataset, for instance fashion-mnist")
    split: str = Field("", description="the part of it that was trained on")
    classes: list[str] = []
    training: dict[str, Any] = Field(
        {}, description="the recipe, and what else made the run what it was"
    )
    seeds: list[int] = []
    metrics: dict[str, float] = Field(
        {}, description="as measured, on the split that `measured_on` names"
    )
    measured_on: str = ""
    licence: str = ""


def save(model: nn.Module, folder: Path | str, card: dict[str, Any] | None = None) -> Path:
    """Write `model` with its card. Introduced in chapter 02.

    Parameters
    ----------
    model : of an architecture in `fashionnb.models.ARCHITECTURES`; its weights may be on any device.
    folder : made if need be; a model in it is replaced.
    card : any of `Card`'s fields from `description` on.

    Returns
    -------
    folder : as a path.

    Raises
    ------
    ModelMismatch : the architecture has no name, or the card has an unknown field or a value of the wrong kind.
    WriteError : the folder cannot be written.
    """
    folder = Path(folder)
    content = safetensors.torch.save(weights(model))
    known = {
        "architecture": models.name_of(model),
        "arguments": model.arguments,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "sha256": hashlib.sha256(content).hexdigest(),
        "versions": {
            "fashionnb": fashionnb.__version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
        "date": datetime.now(UTC).replace(microsecond=0),
    }
    if settled := sorted(known.keys() & (card or {}).keys()):
        raise ModelMismatch(
            f"The card's {', '.join(settled)} follow from the model itself; leave them out."
        )
    checked = _checked_card({**known, **(card or {})}, "The card")
    with written_whole(folder / WEIGHTS) as aside:
        aside.write_bytes(content)
    write_text(folder / CARD, checked.model_dump_json(indent=2) + "\n")
    return folder


def load(folder: Path | str) -> tuple[nn.Module, Card]:
    """The model that `save` wrote to `folder`, in eval mode on the CPU, and its card. Introduced in chapter 02.

    Raises
    ------
    DataNotFound : the folder lacks the card or the weights.
    ModelMismatch : the card is broken, the weights are not those it describes (SHA-256), the architecture is unknown,
        or the shapes do not fit it.
    """
    folder = Path(folder)
    for name in (CARD, WEIGHTS):
        if not (folder / name).is_file():
            raise DataNotFound(
                f"{folder / name} is not there. A model's folder holds {WEIGHTS} and {CARD}."
            )
    card = read_card(folder)
    if (found := sha256(folder / WEIGHTS)) != card.sha256:
        raise ModelMismatch(
            f"{folder / WEIGHTS}: SHA-256 is {found[:12]}…, but its card says {card.sha256[:12]}…. "
            "One of the two was changed or cut short; fetch or train the model again."
        )
    try:
        model = models.architecture(card.architecture)(**card.arguments)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ModelMismatch(
            f"{folder / CARD}: {card.architecture} cannot be built: {error}."
        ) from error
    try:
        saved = safetensors.torch.load_file(folder / WEIGHTS)
    except SafetensorError as error:
        raise ModelMismatch(f"{folder / WEIGHTS} is not a safetensors file: {error}.") from error
    load_weights(model, saved, folder / WEIGHTS)
    return model.eval(), card


def read_card(folder: Path | str) -> Card:
    """The card alone, without building the model. Raises `ModelMismatch` if it is broken."""
    path = Path(folder) / CARD
    try:
        return Card.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise ModelMismatch(f"{path}: {_what_is_wrong(error)}") from error


def published(name: str) -> Path:
    """The folder of a model that came with the book, for `load`. Introduced in chapter 04.

    In a checkout these are the folders of ``book/checkpoints``; an installed package brings them along.

    Raises
    ------
    DataNotFound : no model of this name came with it.
    """
    package = Path(fashionnb.__file__).parent
    homes = (
        package.parent / "book" / "checkpoints",
        package / "published",
    )  # pyproject.toml copies one to the other
    there = {card.parent.name: card.parent for home in homes for card in home.glob(f"*/{CARD}")}
    if name not in there:
        raise DataNotFound(
            f"No model {name!r} came with fashionnb; there is: {', '.join(sorted(there)) or 'none'}. Install fashionnb "
            "again, or take a whole checkout; `fashionnb run --profile full` trains them anew."
        )
    return there[name]


def weights(model: nn.Module) -> dict[str, Tensor]:
    """A copy of the model's state on the CPU, laid out as safetensors wants it (contiguous, nothing shared)."""
    return {
        name: tensor.detach().to("cpu", copy=True).contiguous(memory_format=torch.contiguous_format)
        for name, tensor in model.state_dict().items()
    }


def load_weights(model: nn.Module, saved: dict[str, Tensor], where: Path | str) -> None:
    """Put saved weights into `model`, in place. Raises `ModelMismatch` that lists both shapes if any does not fit."""
    wanted = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    there = {name: tuple(tensor.shape) for name, tensor in saved.items()}
    names = [name for name in wanted | there if wanted.get(name) != there.get(name)]
    if names:
        lines = [
            f"  {name}: {there.get(name, 'nothing')} in the file, {wanted.get(name, 'nothing')} in the model"
            for name in names
        ]
        more = [f"  … and {len(lines) - 8} more"] if len(lines) > 8 else []
        raise ModelMismatch(
            f"{where} does not fit {type(model).__name__}: {len(names)} of {len(wanted | there)} tensors differ.\n"
            + "\n".join(lines[:8] + more)
            + "\nBuild the model with the arguments that it was trained with (they are on its card)."
        )
    model.load_state_dict(saved)


def fingerprint(model: nn.Module) -> str:
    """A hash of the architecture and every weight, in hexadecimal: equal for models that compute the same.

    Introduced in chapter 02. The device, the mode (train or eval) and the memory layout do not enter.
    """
    digest = hashlib.sha256(type(model).__qualname__.encode())
    for name, tensor in sorted(weights(model).items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def _checked_card(fields: dict[str, Any], where: str) -> Card:
    try:
        return Card.model_validate(fields)
    except ValidationError as error:
        raise ModelMismatch(f"{where}: {_what_is_wrong(error)}") from error


def _what_is_wrong(error: ValidationError) -> str:
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"]) or "the whole"
    return f"{place}: {first['msg']}. A card's fields are {', '.join(Card.model_fields)}."
