"""How fast the networks of two chapters train with one or two threads, alone and beside a busy process.

    python benchmarks/bench_threads.py

Prints images per second for the Style2Vec network (28 x 28, grey) and the MobileNet classifier (64 x 64,
colour), for each number of threads and each way to wait (`OMP_WAIT_POLICY`). On an otherwise quiet machine.
"""

import os
import subprocess
import sys
import time

SECONDS = 8.0
SETTINGS = {
    "1 thread": {"OMP_NUM_THREADS": "1"},
    "2 threads": {"OMP_NUM_THREADS": "2"},
    "2 threads, passive": {"OMP_NUM_THREADS": "2", "OMP_WAIT_POLICY": "PASSIVE"},
}

BUSY = """
import torch
torch.set_num_threads(1)
a = torch.randn(600, 600)
while True:
    a = torch.tanh(a @ a)
"""


def measure() -> None:
    """Train both networks for some seconds each, and print their images per second."""
    import torch

    from fashionnb.models.mobilenet import MobileNetClassifier
    from fashionnb.models.style2vec import Style2Vec

    torch.manual_seed(0)
    speeds = []
    for model, shape, batch in (
        (Style2Vec(), (1, 28, 28), 256),
        (MobileNetClassifier(10, "dense"), (3, 64, 64), 128),
    ):
        optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
        images = torch.randint(0, 256, (batch, *shape), dtype=torch.uint8).float() / 255
        model.train()
        done, begun = -batch, None
        while begun is None or time.perf_counter() - begun < SECONDS:
            loss = model(images).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            done += batch
            begun = begun or time.perf_counter()  # the first step is not counted
        speeds.append(done / (time.perf_counter() - begun))
    print(" ".join(f"{speed:.0f}" for speed in speeds))


def main() -> None:
    """Run every setting in a process of its own, alone and beside a busy one."""
    print("| threads | beside | Style2Vec, images/s | classifier, images/s |\n|---|---|---|---|")
    for beside in ("nothing", "a busy process"):
        for name, environment in SETTINGS.items():
            busy = None
            if beside != "nothing":
                busy = subprocess.Popen([sys.executable, "-c", BUSY])
            try:
                time.sleep(3 if busy else 0)
                command = [sys.executable, __file__, "measure"]
                done = subprocess.run(
                    command,
                    env=os.environ | environment,
                    capture_output=True,
                    text=True,
                    check=True,
                )
            finally:
                if busy:
                    busy.kill()
            style2vec, classifier = done.stdout.split()
            print(f"| {name} | {beside} | {style2vec} | {classifier} |", flush=True)


if __name__ == "__main__":
    measure() if sys.argv[1:] == ["measure"] else main()
