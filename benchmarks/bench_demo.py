"""How long the demo takes to start and to answer, and what fifty visitors at once do to it for a minute.

    python benchmarks/bench_demo.py

"Cold" is `fashionnb demo` in a process of its own with an empty cache, until the first page; "again" has the vectors in
the cache. An answer is timed over HTTP with one visitor, the median and the slowest of 40. Then fifty visitors send
photos, click, look at garments and try what is forbidden, as fast as they are answered; memory is the server's. Aim: cold below 10 s, answers
below 300 ms, no failed request, flat memory. Set OMP_NUM_THREADS=1 to fix the threads.
"""

import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support"))

from visitor import HOSTILE, Visitor, is_refused, jpeg, refusal

VISITORS, SECONDS = 50, 60


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name in ("cold", "again"):
            process, address, seconds = start(folder)
            print(
                f"{name}: first page after {seconds:.1f} s, of which {cpu(process):.1f} s of computing"
            )
            if name == "cold":
                process.terminate()
                process.wait()
        try:
            answers(address)
            crowd(process, address)
        finally:
            process.terminate()
            process.wait()


def start(folder: str) -> tuple[subprocess.Popen, str, float]:
    """The demo, its address, and the seconds until its page was there."""
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "fashionnb", "demo", "--port", "0"],
        env={**os.environ, "FASHIONNB_CACHE": folder}, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    address = re.search(r"http://\S+", process.stdout.readline())[0]
    assert Visitor(address).ask("GET", "/")[0] == 200
    return process, address, time.perf_counter() - began


def answers(address: str) -> None:
    photos, visitor = [jpeg(seed=seed, size=500) for seed in range(40)], Visitor(address)
    shown = visitor.send(photos[0])
    items = re.findall(r'data-item="([^"]+)"', shown[2])
    ways = {
        "a photo: sent, similar, completed": lambda i: visitor.send(photos[i]),
        "a garment: similar, completed": lambda i: visitor.click(
            "similar", item=items[i % len(items)], act="ask"
        ),
        "an outfit: changed, scored, completed": lambda i: visitor.click(
            "complete", item=f"drawn-{7 * i % 480:05d}", act="remove" if i % 7 == 6 else "add"
        ),
        "the page": lambda i: visitor.ask("GET", "/"),
    }
    print(f"{'one visitor, ms':<40}{'median':>8}{'slowest':>9}")
    for name, ask in ways.items():
        times = []
        for i in range(40):
            began = time.perf_counter()
            ask(i)
            times.append(1_000 * (time.perf_counter() - began))
        print(f"{name:<40}{statistics.median(times):>8.0f}{max(times):>9.0f}", flush=True)


def crowd(process: subprocess.Popen, address: str) -> None:
    end, failed, times = time.monotonic() + SECONDS, [], []

    def visit(number: int) -> None:
        hostile, turn = list(HOSTILE.values()), number
        photo, visitor = jpeg("Red", seed=number, size=300), Visitor(address)
        while time.monotonic() < end:
            try:
                began = time.perf_counter()
                shown = visitor.send(photo)
                item = re.findall(r'data-item="([^"]+)"', shown[3])[number % 8]
                visitor.click("complete", item=item, act="add")
                assert visitor.ask("GET", f"/garments/{number}.webp")[0] == 200
                assert is_refused(refusal(address, hostile[turn % len(hostile)]))
                turn += 7
                times.append(time.perf_counter() - began)
            except Exception as error:
                failed.append(repr(error))

    memory = [resident_mb(process)]
    with ThreadPoolExecutor(VISITORS) as pool:
        running = [pool.submit(visit, number) for number in range(VISITORS)]
        while time.monotonic() < end:
            time.sleep(SECONDS / 6)
            memory.append(resident_mb(process))
        for one in running:
            one.result()
    print(
        f"{VISITORS} visitors for {SECONDS} s: {5 * len(times):,} requests, a fifth of them hostile, {len(failed)} failed {failed[:2]}"
    )
    print(
        f"  a round of five takes {statistics.median(times):.2f} s in the median, {max(times):.2f} s at most"
    )
    print(f"  memory of the server, MB: {', '.join(f'{one:.0f}' for one in memory)}")


def resident_mb(process: subprocess.Popen) -> float:
    return (
        int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{process.pid}/status").read_text())[1]) / 1e3
    )


def cpu(process: subprocess.Popen) -> float:
    user, system = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
