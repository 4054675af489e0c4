"""One chapter of a run: whether it must be executed at all, doing it, and what came of it.

`fashionnb.publishing.runner` decides which jobs there are, and does many of them at a time.
"""

import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fashionnb import files
from fashionnb.errors import WriteError
from fashionnb.notebook.claims import Claim, from_json
from fashionnb.publishing import cache
from fashionnb.publishing.chapters import Book, Chapter

log = logging.getLogger(__name__)

Tell = Callable[[str, int, int], None]
"""Called with a chapter's name, the number of its cells that are done, and of all."""


@dataclass(frozen=True)
class Outcome:
    """What became of one chapter.

    notebook : the executed notebook. served : it was there already, made by the very same run. seconds,
    peak_memory_mb : as measured when it was executed. error : the whole message if it failed, else "". results : the
    file it recorded, if any. apart : why that file is not the published one, else "". claims : those that did not
    hold.
    """

    chapter: str
    notebook: Path
    served: bool
    seconds: float
    peak_memory_mb: float
    error: str
    results: Path | None
    apart: str
    claims: tuple[Claim, ...] = ()


@dataclass(frozen=True)
class Job:
    """One chapter with everything decided about how it runs.

    base : below it lie `run`, `models` and maybe `results`. results : the folder of the results, above the profiles.
    apart : why that is not the book's own, else "". offline : some data cannot be had. threads : for torch and numpy.
    limit : the seconds that it may take, None for any number.
    """

    chapter: Chapter
    book: Book
    profile: str
    parameters: Mapping[str, Any]
    base: Path
    results: Path
    apart: str
    offline: bool
    threads: int
    limit: float | None = None

    @property
    def notebook(self) -> Path:
        """The executed notebook."""
        return self.base / "run" / self.profile / f"{self.chapter.name}.ipynb"

    @property
    def recorded(self) -> Path:
        """The results file that the chapter may write."""
        return self.results / self.profile / f"{self.chapter.name}.json"

    @property
    def models(self) -> Path:
        """The folder of models, above the chapters."""
        return self.base / "models"


def do(job: Job, force: bool, running: set[subprocess.Popen], tell: Tell) -> Outcome:
    """Execute the chapter, unless a good run with the same key is there; `force` executes it anyway.

    running : the processes at work, for the one who has to end them.
    """
    key = cache.key(job.chapter, job.profile, job.parameters, job.book)
    metadata = None if force else _kept(job, key)
    served = metadata is not None
    if metadata is None:
        interrupted = _prepare_models(job, "" if force else key)
        metadata = _execute(job, key, running, tell)
        # What an interruption left behind is worth going on with; after an end of any other kind nobody should.
        if not metadata.get("error", {}).get("died"):
            interrupted.unlink(missing_ok=True)
    log.info("%s: %s", job.chapter.name, "unchanged, kept" if served else "run")
    tell(job.chapter.name, 1, 1)
    return Outcome(
        chapter=job.chapter.name,
        notebook=job.notebook,
        served=served,
        seconds=metadata["seconds"],
        peak_memory_mb=metadata["peak_memory_mb"],
        error=_message(job, metadata["error"]) if "error" in metadata else "",
        results=job.recorded if "results" in metadata else None,
        apart=job.apart,
        claims=tuple(map(from_json, metadata.get("claims", {}).get("not_held", ()))),
    )


def is_kept(job: Job) -> bool:
    """True if a good run with the same key is there, so that `do` would not execute the chapter again."""
    return _kept(job, cache.key(job.chapter, job.profile, job.parameters, job.book)) is not None


def _kept(job: Job, key: str) -> dict[str, Any] | None:
    """What is known of the run with this key, if it was good and what it left behind is still there, untouched."""
    try:
        metadata = json.loads(job.notebook.read_text(encoding="utf-8"))["metadata"]["fashionnb"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if metadata.get("key") != key or "error" in metadata:
        return None
    recorded = files.sha256(job.recorded) if job.recorded.exists() else None
    return metadata if "results" not in metadata or metadata["results"] == recorded else None


def _prepare_models(job: Job, key: str) -> Path:
    """Empty the chapter's models folder, lest training takes an older model for its own, unless this very run (by its
    key) was interrupted there. Returns the file that says that a run is under way.
    """
    folder = job.models / job.chapter.name
    under_way = folder / f".{job.profile}.under-way"
    if not (key and under_way.exists() and under_way.read_text(encoding="utf-8") == key):
        shutil.rmtree(folder / job.profile, ignore_errors=True)
    files.write_text(under_way, key)
    return under_way


def _execute(job: Job, key: str, running: set[subprocess.Popen], tell: Tell) -> dict[str, Any]:
    """Execute the chapter in a process of its own and return the metadata of the notebook that it leaves."""
    import nbformat

    task = {
        "notebook": nbformat.writes(job.chapter.notebook),
        "target": str(job.notebook),
        "folder": str(job.book.folder),
        "parameters": job.parameters,
        "results": str(job.recorded),
        "metadata": {"key": key, "profile": job.profile, "parameters": job.parameters},
    }
    command = [sys.executable, "-m", "fashionnb.publishing.execute"]
    metadata, at_work, begun = None, 0, time.perf_counter()
    with (
        tempfile.TemporaryDirectory() as scratch,
        tempfile.TemporaryFile("w+", errors="replace") as noise,
    ):
        task["scratch"] = scratch
        with subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=noise,
            text=True,
            env=_environment(job),
        ) as process:
            running.add(process)
            with suppress(BrokenPipeError):  # it ended at once; why, it says below
                process.stdin.write(json.dumps(task))
                process.stdin.close()
            with _ended_after(job.limit, process) as too_long:
                for line in process.stdout:
                    said = json.loads(line)
                    metadata = said.get("metadata")
                    if metadata is None:
                        at_work = said["done"]
                        tell(job.chapter.name, at_work, said["of"])
        running.discard(process)
        if metadata is None:
            noise.seek(0)
            why = _why(job, process.returncode, too_long.is_set(), noise.read())
            metadata = _rescued(
                task, {"seconds": round(time.perf_counter() - begun, 1)}, at_work, why
            )
    return metadata


@contextmanager
def _ended_after(seconds: float | None, process: subprocess.Popen) -> Iterator[threading.Event]:
    """End the process if the block takes longer; the event then is set."""
    too_long = threading.Event()
    timer = threading.Timer(seconds or 0, lambda: (too_long.set(), process.terminate()))
    if seconds:
        timer.start()
    try:
        yield too_long
    finally:
        timer.cancel()


def _why(job: Job, status: int, too_long: bool, said: str) -> tuple[str, str]:
    """Name and value of the error of a chapter whose process ended without a report."""
    if too_long:
        return (
            "TimeoutError",
            f"the chapter took longer than {job.limit / 60:g} minutes (`--minutes` sets the limit)",
        )
    last = " | ".join(line for line in said.splitlines()[-5:] if line.strip())
    hint = "; most often the memory was not enough" if status < 0 else ""
    return (
        "RunError",
        f"the process that ran the chapter ended with status {status} and no report{hint}. {last}".strip(),
    )


def _rescued(
    task: Mapping[str, Any], measured: dict[str, Any], at_work: int, why: tuple[str, str]
) -> dict[str, Any]:
    """Write the notebook for a process that could not; what it had computed so far is kept."""
    from fashionnb.publishing.execute import leave

    measured |= {"peak_memory_mb": 0.0}  # nobody was left to ask
    try:
        return leave(dict(task), measured, at_work, why)
    except WriteError as error:  # that may be why it ended
        place = {"cell": 1, "source": "", "line": 1, "traceback": [], "died": True}
        return {**measured, "error": {**place, "name": why[0], "value": f"{why[1]} {error}"}}


def _environment(job: Job) -> dict[str, str]:
    """What the chapter finds in its environment."""
    beside = Path(sys.executable).parent  # so that `!fashionnb …` in a cell is this installation's
    return {
        **os.environ,
        "PATH": os.pathsep.join([str(beside), os.environ.get("PATH", "")]),
        "FASHIONNB_PROFILE": job.profile,
        "FASHIONNB_BOOK": "1",
        "FASHIONNB_RESULTS": str(job.results),
        "FASHIONNB_MODELS": str(job.models),
        "FASHIONNB_PARAMETERS": json.dumps(job.parameters),
        "OMP_NUM_THREADS": str(job.threads),
        # It was tried a moment ago; no need for each chapter to wait for the network again.
        **({"FASHIONNB_OFFLINE": "1"} if job.offline else {}),
    }


def _message(job: Job, error: Mapping[str, Any]) -> str:
    """The chapter, the cell and its place in the file, the error and the end of its traceback."""
    source = error["source"].splitlines()
    line = source[error["line"] - 1].strip() if error["line"] <= len(source) else ""
    start = job.chapter.text.find(error["source"])
    place = (
        f", line {job.chapter.text[:start].count(chr(10)) + error['line']}"
        if start >= 0 and source
        else ""
    )
    value = error["value"].strip()
    trace = [
        part
        for part in error["traceback"]
        if part.strip("- ") and "Traceback (most recent" not in part
    ]
    notebook = (
        [f"The executed notebook is {short(job.notebook)}."] if job.notebook.is_file() else []
    )
    return "\n".join(
        [
            f"{job.chapter.name} failed in code cell {error['cell']} ({short(job.chapter.path)}{place}): {line}",
            *(f"    {part}" for part in trace or [f"{error['name']}: {value}"]),
            *notebook,
        ]
    )


def short(path: Path) -> Path:
    """The path as seen from here, where it lies below here."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
