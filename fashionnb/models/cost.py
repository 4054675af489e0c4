"""Cost of a network: how many parameters it has, and how many multiplications one image takes.

Both are counted without a clock. Time is another matter and depends on the machine: a network with
a third of the multiplications may well be the slower one.
"""

from collections.abc import Sequence

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from fashionnb.errors import DataError, ModelMismatch
from fashionnb.models import evaluating

_COUNTED = (nn.Conv2d, nn.Linear)


def parameters(model: nn.Module) -> int:
    """Count the numbers that can be trained; a shared weight counts once, buffers do not count."""
    return sum(parameter.numel() for parameter in model.parameters())


def macs(model: nn.Module, shape: Sequence[int]) -> int:
    """Count the multiply-adds (MACs) of one image in evaluation mode.

    One MAC is one multiplication and the addition of its product, so 2 FLOPs; many papers say
    "FLOPs" and mean MACs. Convolutions and linear layers count, without their biases.
    Normalisation, activations and pooling do not: they are about a hundredth.

    Parameters
    ----------
    model : nn.Module
        Called once with a black image; afterwards it is as it was.
    shape : sequence of 3 int
        Channels, height and width of the image.

    Returns
    -------
    int
        For an output of (channels, height, width) a convolution takes channels · height · width
        · (input channels / groups) · kernel height · kernel width.

    Raises
    ------
    DataError
        If `shape` is not three positive numbers, or the model refuses such an image.
    ModelMismatch
        If a layer has a weight matrix but is neither a 2-D convolution nor linear (attention, a
        recurrent layer): its multiplications would be left out or counted only in part.
    """
    if len(shape) != 3 or min(shape) < 1:
        raise DataError(f"An image's shape is (channels, height, width), got {tuple(shape)!r}.")
    _refuse_other_matrices(model)
    device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    counter = FlopCounterMode(display=False)
    with evaluating(model), counter:
        model(torch.zeros(1, *shape, device=device))
    return counter.get_total_flops() // 2


def _refuse_other_matrices(model: nn.Module) -> None:
    for name, module in model.named_modules():
        if isinstance(module, (*_COUNTED, nn.LayerNorm)):
            continue
        for parameter in module.parameters(recurse=False):
            shape = tuple(parameter.shape)
            if sum(side > 1 for side in shape) > 1:  # a vector only scales or shifts
                raise ModelMismatch(
                    f"{type(module).__name__} ({name or 'the model itself'}) has weights {shape}, "
                    "whose multiplications are not counted here; only those of Conv2d and Linear "
                    "are."
                )
