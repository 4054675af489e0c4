"""Run one chapter in a process of its own, unless nothing that it depends on has changed.

`fashionnb.publishing.run_book` decides how each chapter runs, and runs several at a time.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat

from fashionnb import files
from fashionnb.errors import WriteError
from fashionnb.notebook.claims import Claim, from_json
from fashionnb.publishing import cache
from fashionnb.publishing.chapters import Book, Chapter

OnProgress = Callable[[str, int, int], None]
"""Called with a chapter's name, the number of its cells that are done, and of all."""


@dataclass(frozen=True)
class Outcome:
    """What became of one chapter.

    Attributes
    ----------
    chapter : str
        Its name.
    notebook : Path
        The executed notebook.
    unchanged : bool
        Whether that was kept from an earlier run with the same key.
    seconds, peak_memory_mb : float
        As measured when it was executed.
    error : str
        The whole message if it failed, else empty.
    results : Path or None
        The file that it recorded, if any.
    apart : str
        Why that file is not the published one, else empty.
    claims : tuple of Claim
        Those that did not hold.
    """

    chapter: str
    notebook: Path
    unchanged: bool
    seconds: float
    peak_memory_mb: float
    error: str
    results: Path | None
    apart: str
    claims: tuple[Claim, ...] = ()


@dataclass(frozen=True)
class Job:
    """One chapter with everything decided about how it runs.

    Attributes
    ----------
    chapter, book, profile, parameters
        What runs, and with which values.
    base : Path
        The folder above `run` and `models`.
    results : Path
        The folder of the results, above the profiles.
    apart : str
        Why that is not the book's own, else empty.
    offline : bool
        Whether some data cannot be downloaded.
    threads : int
        For torch and numpy.
    limit : float or None
        The seconds that it may take, None for any number.
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

    @property
    def key(self) -> str:
        """The hash of everything that the run depends on, as it is now."""
        return cache.key(self.chapter, self.profile, self.parameters, self.book)


def run_chapter(
    job: Job, force: bool, running: set[subprocess.Popen], on_progress: OnProgress
) -> Outcome:
    """Execute a chapter, unless there is a successful run with the same key.

    Parameters
    ----------
    job : Job
        The chapter, and how it runs.
    force : bool
        Whether to execute it in any case.
    running : set of Popen
        Holds its process while it runs, for a caller who has to end it.
    on_progress : callable
        As `OnProgress`.
    """
    key = job.key
    metadata = None if force else kept_run(job, key)
    unchanged = metadata is not None
    if not unchanged:
        under_way = _prepare_models(job, "" if force else key)
        metadata = _execute(job, key, running, on_progress)
        # Only a run that was interrupted can be resumed.
        if not metadata.get("error", {}).get("died"):
            under_way.unlink(missing_ok=True)
    on_progress(job.chapter.name, 1, 1)
    return Outcome(
        chapter=job.chapter.name,
        notebook=job.notebook,
        unchanged=unchanged,
        seconds=metadata["seconds"],
        peak_memory_mb=metadata["peak_memory_mb"],
        error=_message(job, metadata["error"]) if "error" in metadata else "",
        results=job.recorded if "results" in metadata else None,
        apart=job.apart,
        claims=tuple(map(from_json, metadata.get("claims", {}).get("not_held", ()))),
    )


def kept_run(job: Job, key: str) -> dict[str, Any] | None:
    """Return the metadata of the last run if it was successful and had this key, else None.

    The results that it recorded must still be there, unchanged.
    """
    try:
        metadata = json.loads(job.notebook.read_text(encoding="utf-8"))["metadata"]["fashionnb"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if metadata.get("key") != key or "error" in metadata:
        return None
    recorded = files.sha256(job.recorded) if job.recorded.exists() else None
    return metadata if "results" not in metadata or metadata["results"] == recorded else None


def short(path: Path) -> Path:
    """Return the path relative to the working folder, if it lies below."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _prepare_models(job: Job, key: str) -> Path:
    """Empty the chapter's models folder unless this very run (by its key) was interrupted there.

    Otherwise training would take an older model for its own. Returns the file that exists while a
    run is under way.
    """
    folder = job.models / job.chapter.name
    under_way = folder / f".{job.profile}.under-way"
    if not (key and under_way.exists() and under_way.read_text(encoding="utf-8") == key):
        shutil.rmtree(folder / job.profile, ignore_errors=True)
    files.write_text(under_way, key)
    return under_way


def _execute(
    job: Job, key: str, running: set[subprocess.Popen], on_progress: OnProgress
) -> dict[str, Any]:
    """Execute the chapter in its own process; return the metadata of the executed notebook."""
    task = {
        "notebook": nbformat.writes(job.chapter.notebook),
        "target": str(job.notebook),
        "folder": str(job.book.folder),
        "parameters": job.parameters,
        "results": str(job.recorded),
        "metadata": {"key": key, "profile": job.profile, "parameters": job.parameters},
    }
    command = [sys.executable, "-m", "fashionnb.publishing.execute_notebook"]
    begun, too_long = time.perf_counter(), threading.Event()
    with (
        tempfile.TemporaryDirectory() as scratch,
        tempfile.TemporaryFile("w+", errors="replace") as stderr,
    ):
        task["scratch"] = scratch
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": stderr}
        with subprocess.Popen(command, text=True, env=_environment(job), **pipes) as process:
            running.add(process)
            timer = threading.Timer(job.limit or 0, _end, (process, too_long))
            if job.limit:
                timer.start()
            try:
                metadata, cell = _communicate(
                    process, task, lambda done, of: on_progress(job.chapter.name, done, of)
                )
            finally:
                timer.cancel()
        running.discard(process)
        if metadata is None:
            stderr.seek(0)
            reason = _reason(job, process.returncode, too_long.is_set(), stderr.read())
            seconds = round(time.perf_counter() - begun, 1)
            metadata = _finish_for_it(task, seconds, cell, reason)
    return metadata


def _communicate(
    process: subprocess.Popen, task: dict[str, Any], on_cell: Callable[[int, int], None]
) -> tuple[dict[str, Any] | None, int]:
    """Send the task; return the metadata that comes back, if any, and the last cell begun."""
    metadata, cell = None, 0
    with suppress(BrokenPipeError):  # it ended at once; the error that follows says why
        process.stdin.write(json.dumps(task))
        process.stdin.close()
    for line in process.stdout:
        report = json.loads(line)
        metadata = report.get("metadata")
        if metadata is None:
            cell = report["cell"]
            on_cell(cell, report["of"])
    return metadata, cell


def _end(process: subprocess.Popen, too_long: threading.Event) -> None:
    too_long.set()
    process.terminate()


def _reason(job: Job, status: int, too_long: bool, stderr: str) -> tuple[str, str]:
    """Name and value of the error of a chapter whose process ended without a report."""
    if too_long:
        return (
            "TimeoutError",
            f"the chapter took longer than {job.limit / 60:g} minutes (`--minutes` sets the limit)",
        )
    last = " | ".join(line for line in stderr.splitlines()[-5:] if line.strip())
    hint = "; most often the memory was not enough" if status < 0 else ""
    ended = f"the process that ran the chapter ended with status {status} and no report{hint}."
    return "RunError", f"{ended} {last}".strip()


def _finish_for_it(
    task: dict[str, Any], seconds: float, cell: int, reason: tuple[str, str]
) -> dict[str, Any]:
    """Write the notebook for a process that was killed, with what it had computed so far."""
    from fashionnb.publishing.execute_notebook import finish  # papermill takes long to import

    measured = {"seconds": seconds, "peak_memory_mb": 0.0}  # the peak is not known
    try:
        return finish(task, measured, cell, reason)
    except WriteError as error:  # that may be why it ended
        name, value = reason
        place = {"cell": 1, "source": "", "line": 1, "traceback": [], "died": True}
        return {**measured, "error": {**place, "name": name, "value": f"{value} {error}"}}


def _environment(job: Job) -> dict[str, str]:
    """The environment variables of the chapter's process."""
    programs = Path(sys.executable).parent  # so that `!fashionnb` in a cell is this installation's
    offline = {"FASHIONNB_OFFLINE": "1"} if job.offline else {}  # downloading failed a moment ago
    return {
        # A thread that waits busily for one that has no core is several times slower than one thread
        # alone (benchmarks/bench_threads.py); one that sleeps is nearly as fast.
        "OMP_WAIT_POLICY": "PASSIVE",
        **os.environ,
        "PATH": os.pathsep.join([str(programs), os.environ.get("PATH", "")]),
        "FASHIONNB_PROFILE": job.profile,
        "FASHIONNB_BOOK": "1",
        "FASHIONNB_RESULTS": str(job.results),
        "FASHIONNB_MODELS": str(job.models),
        "FASHIONNB_PARAMETERS": json.dumps(job.parameters),
        "OMP_NUM_THREADS": str(job.threads),
        **offline,
    }


def _message(job: Job, error: Mapping[str, Any]) -> str:
    """The chapter, the cell and its place in the file, the error and the end of its traceback."""
    name, number = job.chapter.name, error["line"]
    line = dict(enumerate(error["source"].splitlines(), start=1)).get(number, "").strip()
    where = str(short(job.chapter.path))
    start = job.chapter.text.find(error["source"])
    if start >= 0 and error["source"]:
        above = job.chapter.text.count("\n", 0, start)
        where += f", line {above + number}"
    trace = [part for part in error["traceback"] if part.strip("- ")]
    trace = [part for part in trace if "Traceback (most recent" not in part]
    lines = [f"{name} failed in code cell {error['cell']} ({where}): {line}"]
    lines += [f"    {part}" for part in trace or [f"{error['name']}: {error['value'].strip()}"]]
    if job.notebook.is_file():
        lines.append(f"The executed notebook is {short(job.notebook)}.")
    return "\n".join(lines)
