"""Run one chapter in a process of its own, unless nothing that it depends on has changed.

`fashionnb.publishing.run_book` decides how each chapter runs, and runs several at a time. The
process is `python -m fashionnb.publishing.run_chapter`, which does nothing but let papermill
execute a notebook: so the peak memory is that of this chapter's kernel, and chapters cannot disturb
each other. papermill saves after each cell, so what a chapter had computed is kept even if its
process was killed.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import nbformat

from fashionnb import files
from fashionnb.errors import FashionNBError, WriteError
from fashionnb.notebook import hardware
from fashionnb.notebook.claims import Claim, claims_in
from fashionnb.publishing import chapter_dependencies
from fashionnb.publishing.chapters import Book, Chapter, own_code, tags

OnProgress = Callable[[str, int, int], None]
"""Called with a chapter's name, the number of its cells that are done, and of all."""

ERROR_MARK = "papermill-error-cell-tag"  # the tag of cells that it adds where a cell failed
KERNEL_DIED = ("DeadKernelError", "the kernel died; most often the memory was not enough")
"""Name and value of the error of a chapter whose kernel is gone."""


@dataclass(frozen=True)
class Outcome:
    """What became of the run of one chapter: its time, memory, error, results and failed claims.

    Parameters
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

    @property
    def state(self) -> str:
        """It "failed", was "unchanged, kept" or "run"."""
        if self.error:
            return "failed"
        return "unchanged, kept" if self.unchanged else "run"


@dataclass(frozen=True)
class Job:
    """All that is decided about the run of one chapter: profile, folders, threads, time limit.

    Parameters
    ----------
    chapter : Chapter
        The chapter.
    book : Book
        The checkout.
    profile : {"quick", "standard", "full"}
        How much work it does.
    parameters : mapping of str to any
        Name -> value, of those that the run was given.
    base : Path
        The folder above `run` and `models`.
    results : Path
        The folder of the results, above the profiles.
    apart : str
        Why that is not the book's own, else empty.
    offline : bool
        Whether some data cannot be downloaded.
    threads : int
        For torch and numpy, at least 1.
    limit : float
        The seconds that it may take.
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
    limit: float = threading.TIMEOUT_MAX

    @property
    def notebook(self) -> Path:
        """The executed notebook."""
        return self.base / "run" / self.profile / f"{self.chapter.name}.ipynb"

    @property
    def recorded(self) -> Path:
        """The results file that the chapter may write."""
        return self.results / self.profile / f"{self.chapter.name}.json"

    @property
    def key(self) -> str:
        """The hash of everything that the run depends on, as it is now."""
        return chapter_dependencies.key(self.chapter, self.profile, self.parameters, self.book)


def run_chapter(
    job: Job, force: bool, running: set[subprocess.Popen], on_progress: OnProgress
) -> Outcome:
    """Run one chapter in a process of its own, unless a successful run with the same key is kept.

    The executed notebook says in its metadata, under `fashionnb`, how it was run, what it took,
    the hash of its `results` if it recorded any, and its `error` if it failed: the code `cell`
    (counted from 1, without the one that papermill adds), its `source`, the `line` in it (from 1),
    `name` and `value` of the error, the end of its `traceback`, and whether the process `died`.

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

    Returns
    -------
    Outcome
        What became of it. A chapter that fails raises nothing: its outcome has the error.
    """
    key = job.key
    notebook = None if force else kept_run(job, key)
    unchanged = notebook is not None
    if not unchanged:
        under_way = _prepare_models(job, "" if force else key)
        notebook = _execute(job, key, running, on_progress)
        # Only a run that was interrupted can be resumed.
        if not notebook["metadata"]["fashionnb"].get("error", {}).get("died"):
            under_way.unlink(missing_ok=True)
    on_progress(job.chapter.name, 1, 1)
    run = notebook["metadata"]["fashionnb"]
    return Outcome(
        chapter=job.chapter.name,
        notebook=job.notebook,
        unchanged=unchanged,
        seconds=run["seconds"],
        peak_memory_mb=run["peak_memory_mb"],
        error=_message(job, run["error"]) if "error" in run else "",
        results=job.recorded if "results" in run else None,
        apart=job.apart,
        claims=tuple(claim for claim in claims_in(notebook) if not claim.holds),
    )


def kept_run(job: Job, key: str) -> dict[str, Any] | None:
    """Load the notebook of a chapter's last run, if that was successful and had the same key.

    The results that it recorded must still be there, unchanged.

    Parameters
    ----------
    job : Job
        The chapter, and how it runs.
    key : str
        The hash of everything that the run depends on, as it is now.

    Returns
    -------
    dict or None
        The executed notebook as JSON, None if it has to run again.
    """
    try:
        notebook = json.loads(job.notebook.read_text(encoding="utf-8"))
        run = notebook["metadata"]["fashionnb"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    recorded = files.sha256(job.recorded) if job.recorded.exists() else None
    good = run.get("key") == key and "error" not in run
    return notebook if good and run.get("results") in (None, recorded) else None


def short(path: Path) -> Path:
    """Shorten a path for a message about the run of a chapter.

    Parameters
    ----------
    path : Path
        An absolute path.

    Returns
    -------
    Path
        Relative to the working folder if it lies below, else unchanged.
    """
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _prepare_models(job: Job, key: str) -> Path:
    """Empty the chapter's models folder unless this very run (by its key) was interrupted there.

    Otherwise training would take an older model for its own. Returns the file that exists while a
    run is under way.
    """
    folder = job.base / "models" / job.chapter.name
    under_way = folder / f".{job.profile}.under-way"
    if not (key and under_way.exists() and under_way.read_text(encoding="utf-8") == key):
        shutil.rmtree(folder / job.profile, ignore_errors=True)
    files.write_text(under_way, key)
    return under_way


def _execute(
    job: Job, key: str, running: set[subprocess.Popen], on_progress: OnProgress
) -> nbformat.NotebookNode:
    """Execute the chapter in its own process; write and return the executed notebook."""
    begun = time.time()
    with tempfile.TemporaryDirectory() as scratch:
        source, executed = Path(scratch, "source.ipynb"), Path(scratch, "executed.ipynb")
        nbformat.write(job.chapter.notebook, source)
        report, died_of = _run_process(job, [source, executed], running, on_progress)
        notebook = nbformat.read(executed if executed.exists() else source, as_version=4)
    run = {
        "key": key,
        "profile": job.profile,
        "parameters": job.parameters,
        "seconds": round(time.time() - begun, 1),
        "peak_memory_mb": report.get("peak_memory_mb", 0.0),  # of a killed one it is not known
        "hardware": hardware.hardware(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    if job.recorded.exists() and job.recorded.stat().st_mtime >= begun:
        run["results"] = files.sha256(job.recorded)
        # Only the chapter knows on what it computed.
        recorded = json.loads(job.recorded.read_text(encoding="utf-8"))["run"]
        run |= {name: recorded[name] for name in ("hardware", "device", "precision")}
    if error := _failure(notebook, report, died_of):
        run["error"] = error
    notebook.cells = [cell for cell in notebook.cells if ERROR_MARK not in tags(cell)]
    notebook.metadata.pop("papermill", None)  # it names the temporary folder
    notebook.metadata["fashionnb"] = run
    try:
        files.write_text(job.notebook, nbformat.writes(notebook))
    except WriteError as error:
        notebook.metadata["fashionnb"]["error"] = _failure(notebook, {}, ("WriteError", str(error)))
    return notebook


def _run_process(
    job: Job, paths: list[Path], running: set[subprocess.Popen], on_progress: OnProgress
) -> tuple[dict[str, Any], tuple[str, str] | None]:
    """Let a process run `_main`; return all that it reported, and of what it died, if it did."""
    command = [sys.executable, "-m", "fashionnb.publishing.run_chapter", *map(str, paths)]
    command += [str(job.book.folder), json.dumps(job.parameters)]
    cells = len(job.chapter.notebook.cells) + bool(job.parameters)
    report, begun = {}, time.perf_counter()
    with tempfile.TemporaryFile("w+", errors="replace") as stderr:
        with subprocess.Popen(
            command,
            text=True,
            env=_environment(job),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
        ) as process:
            running.add(process)
            timer = threading.Timer(job.limit, process.terminate)
            timer.start()
            try:
                for line in process.stdout:
                    report |= json.loads(line)
                    on_progress(job.chapter.name, report.get("cell", 0), cells)
            finally:
                timer.cancel()
        running.discard(process)
        stderr.seek(0)
        last = " | ".join(line for line in stderr.read().splitlines()[-5:] if line.strip())
    if "died" in report:
        return report, KERNEL_DIED if report["died"] else None
    return report, _reason(job, process.returncode, time.perf_counter() - begun, last)


def _reason(job: Job, status: int, seconds: float, last: str) -> tuple[str, str]:
    """Name and value of the error of a chapter whose process ended without its last report."""
    if seconds >= job.limit:
        return "TimeoutError", (
            f"the chapter took longer than {job.limit / 60:g} minutes (`--minutes` sets the limit)"
        )
    hint = "; most often the memory was not enough" if status < 0 else ""
    ended = f"the process that ran the chapter ended with status {status} and no report{hint}."
    return "RunError", f"{ended} {last}".strip()


def _environment(job: Job) -> dict[str, str]:
    """The environment variables of the chapter's process."""
    programs = Path(sys.executable).parent  # so that `!fashionnb` in a cell is this installation's
    offline = {"FASHIONNB_OFFLINE": "1"} if job.offline else {}  # downloading failed a moment ago
    return {
        # A thread that waits busily for one that has no core is several times slower than one
        # thread alone (benchmarks/bench_threads.py); one that sleeps is nearly as fast.
        "OMP_WAIT_POLICY": "PASSIVE",
        **os.environ,
        "PATH": os.pathsep.join([str(programs), os.environ.get("PATH", "")]),
        "FASHIONNB_PROFILE": job.profile,
        "FASHIONNB_BOOK": "1",
        "FASHIONNB_RESULTS": str(job.results),
        "FASHIONNB_MODELS": str(job.base / "models"),
        "FASHIONNB_PARAMETERS": json.dumps(job.parameters),
        "OMP_NUM_THREADS": str(job.threads),
        **offline,
    }


def _failure(
    notebook: nbformat.NotebookNode, report: Mapping[str, Any], died_of: tuple[str, str] | None
) -> dict[str, Any] | None:
    """Where and how the chapter failed, as `run_chapter` describes it, or None.

    `report` is what the process told; `died_of` the name and value of the error that ended it.
    """
    no_cell_has_it = True
    for number, index in enumerate(own_code(notebook), start=1):
        cell = notebook.cells[index]
        place = {"cell": number, "source": cell.source}
        if died_of and index >= report.get("cell", 0):  # it may have died before a cell of text
            return place | _ended(*died_of)
        errors = [output for output in cell.outputs if output.output_type == "error"]
        if errors and "raises-exception" not in tags(cell):
            return place | _describe(errors[0])
        no_cell_has_it = no_cell_has_it and not errors
    # After the last cell of code, or where no cell holds the error.
    reason = died_of or (no_cell_has_it and report.get("failed"))
    return place | _ended(*reason) if reason else None


def _ended(name: str, value: str) -> dict[str, Any]:
    return {"line": 1, "name": name, "value": value, "traceback": [], "died": True}


def _describe(error: nbformat.NotebookNode) -> dict[str, Any]:
    """The error output of a cell: line in the cell, name, value and end of the traceback."""
    trace = _without_colours("\n".join(error.traceback))
    place = re.search(r"^\s*Cell In\[\d+\], line (\d+)", trace, re.MULTILINE)
    return {
        "line": int(place[1]) if place else 1,
        "name": error.ename,
        "value": _without_colours(error.evalue),
        "traceback": trace.splitlines()[-8:],
        "died": False,
    }


def _without_colours(text: str) -> str:
    return re.sub(r"\x1b\[[\d;]*m", "", text)


def _message(job: Job, error: Mapping[str, Any]) -> str:
    """The chapter, the cell and its place in the file, the error and the end of its traceback."""
    text, source = job.chapter.text, error["source"]
    where = str(short(job.chapter.path))
    if source and source in text:
        above = text.count("\n", 0, text.find(source))
        where += f", line {above + error['line']}"
    line = "".join(source.splitlines()[error["line"] - 1 : error["line"]]).strip()
    lines = [f"{job.chapter.name} failed in code cell {error['cell']} ({where}): {line}"]
    empty = r"^[- ]*$|Traceback \(most recent"
    raised_on_purpose = error["name"] in {kind.__name__ for kind in FashionNBError.__subclasses__()}
    trace = [] if raised_on_purpose else error["traceback"]  # then the message alone says it all
    trace = [part for part in trace if not re.search(empty, part)]
    lines += [f"    {part}" for part in trace or [f"{error['name']}: {error['value'].strip()}"]]
    if job.notebook.is_file():
        lines.append(f"The executed notebook is {short(job.notebook)}.")
    return "\n".join(lines)


def _end_with(parent: int) -> None:
    """End this process when its parent has ended: nobody would keep what it computes."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)  # the kernel notices, and ends too


def _main() -> None:
    """Execute the notebook that the command line names; report each cell, then what it took.

    Reports are lines of JSON on stdout.
    """
    import papermill  # takes long to import
    from nbclient.exceptions import DeadKernelError

    # The kernel inherits stdout and may print to it; so the reports go to a copy of our own.
    reports = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def send(**report: Any) -> None:
        print(json.dumps(report), file=reports, flush=True)

    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    source, executed, folder, parameters = sys.argv[1:]
    died, failed = False, None
    try:
        papermill.execute_notebook(
            source,
            executed,
            json.loads(parameters),
            kernel_name="python3",
            cwd=folder,
            progress_bar=False,
            on_cell_start=lambda cell, cell_index: send(cell=cell_index),
        )
    except papermill.PapermillExecutionError as error:
        # The notebook holds it, too, as a rule. papermill also raises where a cell is meant to.
        failed = [error.ename, error.evalue]
    except DeadKernelError:
        died = True
    send(died=died, failed=failed, peak_memory_mb=hardware.peak_memory_mb(children=True))


if __name__ == "__main__":
    _main()
