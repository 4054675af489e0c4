"""How many 28 × 28 pictures a second are augmented on one core: `python benchmarks/bench_augment.py`.

`fashionnb.augment` by whole batches, beside torchvision's v2 transforms picture by picture. Both clocks are shown:
"wall" is what one waits for, "core" is what the processor worked (on a busy machine the fairer of the two). The best of
the repeats counts, as it was disturbed least.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before torch starts its threads

import time
from collections.abc import Callable

import torch
from torch import Tensor
from torchvision.transforms import v2

from fashionnb.augment import erase, mirror, shift

GENERATOR = torch.Generator().manual_seed(0)
OURS = {
    "mirror": lambda x: mirror(x, GENERATOR),
    "shift": lambda x: shift(x, 2, GENERATOR),
    "erase": lambda x: erase(x, GENERATOR),
    "all three": lambda x: erase(shift(mirror(x, GENERATOR), 2, GENERATOR), GENERATOR),
}
TORCHVISION = v2.Compose(
    [v2.RandomHorizontalFlip(), v2.RandomCrop(28, padding=2), v2.RandomErasing(value="random")]
)


def one_by_one(images: Tensor) -> Tensor:
    return torch.stack([TORCHVISION(image) for image in images])


def measure(
    augment: Callable[[Tensor], Tensor], images: Tensor, repeats: int
) -> tuple[float, float]:
    """Pictures per second by wall clock and by processor time."""
    walls, cores = [], []
    for _ in range(repeats):
        wall, core = time.perf_counter(), time.process_time()
        augment(images)
        walls.append(time.perf_counter() - wall)
        cores.append(time.process_time() - core)
    return len(images) / min(walls), len(images) / min(cores)


if __name__ == "__main__":
    torch.set_num_threads(1)
    uint8 = torch.randint(256, (1024, 1, 28, 28), dtype=torch.uint8)
    for n in (256, 1024):
        for images in (uint8[:n], uint8[:n] / 255):
            for name, augment in OURS.items():
                wall, core = measure(augment, images, repeats=100)
                kind = str(images.dtype).removeprefix("torch.")
                print(
                    f"{name:<24}{kind:>8} batch {n:>5}: {wall:>10,.0f} pictures/s wall, {core:>10,.0f} core",
                    flush=True,
                )
    wall, core = measure(one_by_one, uint8[:256] / 255, repeats=1)
    print(
        f"{'torchvision, all three':<24} float32 batch   256: {wall:>10,.0f} pictures/s wall, {core:>10,.0f} core"
    )
