"""Kill commands at random moments, and again while they resume; fill the disk under them, and forbid them to write.

    python benchmarks/kill_storm.py                    # 20 kills of embed and index build, 5 of the others, and resumed
    python benchmarks/kill_storm.py --kills 1 embed    # one kill of one command
    python benchmarks/kill_storm.py machine            # full disks, folders that are read-only, no HOME, …

After each kill (SIGKILL) every file under its final name must be that of an unbroken run; each command is then resumed,
killed once more, and resumed to its end, where all must be as if it had never been killed, and no lock may be left. A
command is a fork of this process, which has imported everything, so that kills meet the work and not the imports; moments
are drawn evenly over the time of an unbroken run. The status is 1 if anything is wrong. Linux and macOS only; the full
and the read-only disk are a tmpfs where root may mount one, else a limit on the size of files.
"""

import argparse
import csv
import gzip
import io
import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

os.environ |= {"OMP_NUM_THREADS": "1", "FASHIONNB_OFFLINE": "0", "COLUMNS": "200", "NO_PROXY": "127.0.0.1"}  # fmt: skip
os.environ.pop("FASHIONNB_DATA", None)
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support"))

import tiny
from bad_inputs import FASHION_MNIST, REMEDY, lay, lay_good, picture

from fashionnb import cli, files
from fashionnb.data import registry

PHOTOS = 200
CHAPTER = [
    "import time\nfrom fashionnb import files, profiles\nfrom fashionnb.notebook import results",
    "record = results.start('01-storm', profiles.choose('quick'))",
    "for step in range(5):\n    time.sleep(0.05)\n    print(step)",
    "_ = record.add('A', 'recall@1', 0.5, (0.4, 0.6, 'by hand'), data='drawn', split='test', n=10)",
    "_ = record.save()",
    "for step in range(5):\n    time.sleep(0.05)\n    print(step)",
]
Outcome = dict[str, object]


def plain(folder: Path) -> Outcome:
    """Each file in `out` with its content; hidden ones, which nobody reads, do not count."""
    paths = [path for path in (folder / "out").rglob("*") if path.is_file()]
    names = {path.relative_to(folder).as_posix(): path for path in paths}
    return {name: path.read_bytes() for name, path in names.items() if "/." not in name}


def collected(folder: Path) -> Outcome:
    """The pictures, and each row of the manifest without its date."""
    found = plain(folder)
    text = found.pop("out/manifest.csv", b"").decode()
    rows = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    return found | {f"row {row['id']}": row | {"date": ""} for row in rows if row["status"]}


def chapter(folder: Path) -> Outcome:
    """The cells of the executed notebook, and the rows that it recorded."""
    found = {}
    for path in folder.rglob("01-storm.*"):
        if path.suffix in (".ipynb", ".json") and ".ipynb_checkpoints" not in path.parts:
            content = json.loads(path.read_bytes())
            cells = content.get("cells", ())
            printed = [[one.get("text", "?") for one in cell.get("outputs", ())] for cell in cells]
            parts = content.get("results", ["".join(map("".join, texts)) for texts in printed])
            found[path.relative_to(folder).as_posix()] = json.dumps(parts)
    return found


@dataclass(frozen=True)
class Work:
    """A command to kill: its words, how often, what it makes, and what it needs beforehand."""

    words: str
    kills: int = 5
    outcome: Callable[[Path], Outcome] = plain
    prepare: Callable[[Path], object] = lambda folder: None


WORKS = {
    "embed": Work("embed {good}/many --model {good}/model --batch-size 16 --out out/my.vectors", 20),
    "index build": Work("index build {good}/many --model {good}/model --cache out/.cache --out out/my.index", 20),
    "collect": Work("collect {good}/list.csv --out out --pause 0 --allow-private", outcome=collected),
    "analyse": Work("analyse {good}/photos --out out"),
    "run": Work("run --profile quick", outcome=chapter,
                prepare=lambda folder: tiny.book(folder, c01_storm=tiny.chapter(*CHAPTER))),
    "export": Work("export {good}/model out/my.onnx"),
    "data fetch": Work("data fetch fashion-mnist"),
}  # fmt: skip


def start(line: str, folder: Path, limit: int | None = None, **environment: str | None) -> int:
    """Run a command in a fork of this process, with its messages in `said` beside the folder; the process id."""
    process = os.fork()
    if process:
        return process
    status = 3
    try:
        os.chdir(folder)
        for stream in (1, 2):
            os.dup2(os.open(folder.parent / "said", os.O_WRONLY | os.O_CREAT | os.O_APPEND), stream)
        for name, value in ({"FASHIONNB_CACHE": str(folder / "out")} | environment).items():
            os.environ.pop(name, None)
            os.environ.update({name: value} if value is not None else {})
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        status = cli.main(line.split())
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:
        import traceback

        os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(status)


def ended(process: int) -> int:
    """Wait for a process; its exit status, negative if a signal ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def storm(name: str, work: Work, good: Path, kills: int, chance: random.Random) -> list[str]:
    """Kill a command in the middle, again and again; what was wrong."""
    line, wrong, alive = work.words.format(good=good), [], 0
    with tempfile.TemporaryDirectory() as above:
        for part in ("first", "whole"):  # the first run of all is slower than the others
            whole = Path(above, part)
            whole.mkdir()
            work.prepare(whole)
            began = time.monotonic()
            if ended(start(line, whole)):
                return [f"unbroken, it failed: {Path(above, 'said').read_text()[-500:]}"]
            seconds, wanted = time.monotonic() - began, work.outcome(whole)
        for number in range(kills):
            folder = Path(above, str(number))
            folder.mkdir()
            work.prepare(folder)
            for what in ("killed", "killed while it resumed"):
                process = start(line, folder)
                time.sleep(chance.uniform(0, seconds))
                os.kill(process, signal.SIGKILL)
                alive += ended(process) < 0
                if half := [key for key, content in work.outcome(folder).items() if wanted.get(key) != content]:  # fmt: skip
                    wrong.append(f"{what}, it left half of {half}")
            if status := ended(start(line, folder)):
                wrong.append(f"resumed, it ended with {status}: {Path(above, 'said').read_text()[-500:]}")  # fmt: skip
            elif work.outcome(folder) != wanted:
                wrong.append(f"resumed, it made {sorted(work.outcome(folder))}, not {sorted(wanted)}")  # fmt: skip
            if left := [path.name for path in folder.rglob("*.lock")]:
                wrong.append(f"resumed, it left the locks {left}")
    print(f"{name:<12} {seconds:5.1f} s unbroken; {alive} of {2 * kills} kills met it at work; {len(wrong)} faults", flush=True)  # fmt: skip
    return [f"{name}: {one}" for one in wrong]


@contextmanager
def disk(kilobytes: int, read_only: bool = False) -> Iterator[Path | None]:
    """A small disk of its own; None if this user may mount none."""
    with tempfile.TemporaryDirectory() as folder:
        options = f"size={kilobytes}k" + (",ro" if read_only else "")
        mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder]
        try:
            mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
        except OSError:
            mounted = False
        try:
            yield Path(folder) if mounted else None
        finally:
            if mounted:
                subprocess.run(["umount", "-l", folder], check=True)


def refused(name: str, line: str, folder: Path, **how: object) -> list[str]:
    """What is wrong with the refusal of a command by the machine."""
    said = folder.parent / "said"
    said.unlink(missing_ok=True)
    status = ended(start(line, folder, **how))
    text = said.read_text(errors="replace")
    found = [] if status == 2 or (status == 1 and line.startswith("run ")) else [f"exit status {status}"]  # fmt: skip
    found += ["a traceback"] if "Traceback" in text else []
    found += [] if REMEDY.search(text) else ["no remedy"]
    if found:
        return [f"{name}: {line}: {', '.join(found)}: {text[-600:]}"]
    print(f"{name:<18} {line.split(' {')[0]:<60.60} {text.strip().splitlines()[-1]:.150}")
    return []


def machine(good: Path, small: bool = False) -> list[str]:
    """Full disks, folders that are read-only, no HOME, a cache that is a file: what was not refused well."""
    wrong = []
    works = {name: WORKS[name] for name in (("embed", "data fetch") if small else WORKS)}
    with tempfile.TemporaryDirectory() as above:
        for name, work in works.items():
            line = work.words.format(good=good)
            for what, kilobytes, read_only in (("full disk", 8, False), ("read-only folder", 64, True)):  # fmt: skip
                folder = Path(above, f"{name} {what}")
                folder.mkdir()
                work.prepare(folder)
                place = "_build" if name == "run" else "out"
                with disk(kilobytes, read_only) as mounted:
                    if mounted:
                        (folder / place).symlink_to(mounted)
                        wrong += refused(what, line, folder)
                    elif not read_only:
                        wrong += refused(what, line, folder, limit=1024 * kilobytes)
                    if mounted and (left := [path.name for path in mounted.rglob("*.part") if path.is_file()]):  # fmt: skip
                        wrong.append(f"{name}, {what}: it left {left}")
        blocked = Path(above, "blocked")
        blocked.mkdir()
        (blocked / "file").touch()
        for line in (
            "data fetch fashion-mnist", f"index build {good}/photos --model {good}/model --out x.index",
            f"recommend 0.jpg --data {good}/many --model {good}/model",
        ):  # fmt: skip
            for cache in ("file", "file/below"):
                wrong += refused("cache is a file", line, blocked, FASHIONNB_CACHE=cache)
            wrong += refused("no home", line, blocked, HOME="/proc/none", XDG_CACHE_HOME=None, FASHIONNB_CACHE=None)  # fmt: skip
    return wrong


def serve(folder: Path) -> tuple[subprocess.Popen, str]:
    """A web server on this machine; the process, and its address."""
    code = (
        "import functools, http.server, sys\n"
        "class Quiet(http.server.SimpleHTTPRequestHandler):\n    log_message = lambda *_: None\n"
        "made = http.server.ThreadingHTTPServer(('127.0.0.1', 0), functools.partial(Quiet, directory=sys.argv[1]))\n"
        "print(made.server_port, flush=True)\nmade.serve_forever()"
    )
    process = subprocess.Popen([sys.executable, "-c", code, folder], stdout=subprocess.PIPE, text=True)  # fmt: skip
    return process, f"http://127.0.0.1:{int(process.stdout.readline())}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "commands", nargs="*", help=f"of {', '.join(WORKS)}, machine; by default all"
    )
    parser.add_argument("--kills", type=int, help="how many, instead of 20 or 5")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    wrong = []
    with tempfile.TemporaryDirectory() as above:
        good, site = Path(above, "good"), Path(above, "site")
        lay_good(good)
        lay(good / "many", {f"{n}.jpg": picture(n % 250, size=(60, 80 + n // 250)) for n in range(PHOTOS)})  # fmt: skip
        lay(site, {f"{n}.jpg": picture(n) for n in range(40)})
        lay(site, {f"{name}.gz": gzip.compress(data) for name, data in FASHION_MNIST.items()})
        server, address = serve(site)
        try:
            rows = [f"{n},{address}/{n}.jpg" for n in range(40)]
            files.write_text(good / "list.csv", "\n".join(["id,url", *rows]) + "\n")
            known = registry.get("fashion-mnist")
            urls = {name: (f"{address}/fashion-mnist/{name}",) for name in known.urls}
            registry.SOURCES["fashion-mnist"] = replace(known, urls=urls, sha256={}, check=lambda _: [])  # fmt: skip
            for name in chosen.commands or [*WORKS, "machine"]:
                if name == "machine":
                    wrong += machine(good, small=chosen.kills is not None)
                    continue
                kills = WORKS[name].kills if chosen.kills is None else chosen.kills
                wrong += storm(name, WORKS[name], good, kills, random.Random(chosen.seed))
        finally:
            server.terminate()
            server.wait()
    print("\n".join(wrong) or "All is well.")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
