"""A shop whose garments are squares of one colour, and two models that see nothing else, to test evaluation on."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

COLOURS = {"blue": (20, 40, 230), "green": (30, 220, 60), "red": (240, 20, 30)}


class ColourClassifier(nn.Module):
    """Three logits: how blue, green and red a picture is."""

    channels = 3
    task = "classification"

    def __init__(self) -> None:
        super().__init__()
        self.arguments = {}
        self.register_buffer("order", torch.tensor([2, 1, 0]))

    def forward(self, images: Tensor) -> Tensor:
        return images.mean((2, 3))[:, self.order]


class ColourEncoder(ColourClassifier):
    """The same three numbers, as a direction."""

    task = "embedding"

    def forward(self, images: Tensor) -> Tensor:
        return nn.functional.normalize(super().forward(images))


ARCHITECTURES = {"colour-classifier": ColourClassifier, "colour-encoder": ColourEncoder}


def shop(
    folder: Path, wrong: int = 0, splits: tuple[str, ...] = ("train", "test"), n: int = 4
) -> Path:
    """Write `n` garments of each colour and split; in each category the first `wrong` are of the next colour."""
    rng = np.random.default_rng(0)
    colours = list(COLOURS.values())
    for split in splits:
        for c, name in enumerate(COLOURS):
            for i in range(n):
                colour = np.array(colours[(c + (i < wrong)) % 3]) + rng.integers(-15, 15, 3)
                path = folder / split / name / f"{i}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.new("RGB", (12, 16), tuple(colour.clip(0, 255).tolist())).save(path)
    return folder
