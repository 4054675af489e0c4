"""What a model costs: how many numbers it holds, and how many multiplications one picture takes.

Both can be counted without a clock. How long it takes is another matter, and depends on the machine: a network with a
third of the multiplications may well be the slower one (chapter 05 shows it).
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from fashionnb.errors import DataError, ModelMismatch

_COUNTED = (nn.Conv2d, nn.Linear)


def parameters(model: nn.Module) -> int:
    """How many numbers were trained, or could have been. Introduced in chapter 05.

    A weight that is used twice counts once. Buffers, such as the means of a batch norm, do not count.
    """
    return sum(parameter.numel() for parameter in model.parameters())


def macs(model: nn.Module, shape: Sequence[int]) -> int:
    """How many multiply-adds (MACs) one picture takes, in eval mode. Introduced in chapter 05.

    One MAC is one multiplication and the addition of its product, so 2 FLOPs; many papers say "FLOPs" and mean MACs.
    Convolutions and fully connected layers count, as often as they are called, without their biases. Norms, activations
    and pooling do not: in these networks they are about a hundredth.

    Parameters
    ----------
    model : called once with a black picture; afterwards it is as it was.
    shape : (channels, height, width) of the picture.

    Returns
    -------
    macs : for one picture. For an output of (channels, height, width) a convolution takes
        channels · height · width · (input channels / groups) · kernel height · kernel width.

    Raises
    ------
    DataError : `shape` is not three positive numbers, or the model refuses such a picture.
    ModelMismatch : a layer with a matrix of weights that is neither a 2-D convolution nor fully connected (attention, a
        recurrent layer): leaving it out would flatter the model.
    """
    if len(shape) != 3 or min(shape) < 1:
        raise DataError(f"A picture's shape is (channels, height, width), got {tuple(shape)!r}.")
    _refuse_other_matrices(model)
    total = 0

    def count(layer: nn.Module, _: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        # Each number of the output is one dot product with a row of weights: all of them but the first dimension.
        total += output.numel() * layer.weight[0].numel()

    handles = [
        layer.register_forward_hook(count)
        for layer in model.modules()
        if isinstance(layer, _COUNTED)
    ]
    modes = {module: module.training for module in model.modules()}
    device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    try:
        with torch.no_grad():
            model.eval()(torch.zeros(1, *shape, device=device))
    finally:
        for handle in handles:
            handle.remove()
        for module, training in modes.items():
            module.training = training
    return total


def _refuse_other_matrices(model: nn.Module) -> None:
    for name, module in model.named_modules():
        shapes = [tuple(parameter.shape) for parameter in module.parameters(recurse=False)]
        matrices = [
            shape for shape in shapes if sum(side > 1 for side in shape) > 1
        ]  # a vector only scales or shifts
        if matrices and not isinstance(module, (*_COUNTED, nn.LayerNorm)):
            raise ModelMismatch(
                f"{type(module).__name__} ({name or 'the model itself'}) has weights {matrices[0]}, whose "
                "multiplications are not counted here; only those of Conv2d and Linear are."
            )
