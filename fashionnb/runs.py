"""Run chapters: each through papermill, in a profile, and only if something that it depends on has changed.

`run` is behind `fashionnb run`. What a chapter depends on is in `fashionnb.keys`, how one is executed in
`fashionnb.execute`. Where everything lands, relative to the checkout:

- a plain run: the notebook in `_build/run/<profile>`, models in `_build/models/<chapter>/<profile>`, results in
  `book/results/<profile>`; or in `_build/results/<profile>` if drawn garments stood in for a dataset;
- a run with parameters of one's own: the same three below `_build/own/<parameters>`; with `out`: below that folder.
"""

import json
import logging
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fashionnb import files, keys, machine, profiles
from fashionnb.chapters import Book, Chapter
from fashionnb.errors import DataNotFound, ProfileError, RunError

if TYPE_CHECKING:
    from rich.console import Console, Group

log = logging.getLogger(__name__)

Tell = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Outcome:
    """What became of one chapter.

    notebook : the executed notebook. served : it was there already, made by the very same run. seconds,
    peak_memory_mb : as measured when it was executed. error : the whole message if it failed, else "". results : the
    file it recorded, if any. apart : why that file is not the published one, else "".
    """

    chapter: str
    notebook: Path
    served: bool
    seconds: float
    peak_memory_mb: float
    error: str
    results: Path | None
    apart: str


@dataclass(frozen=True)
class _Job:
    """One chapter with everything decided about how it runs."""

    chapter: Chapter
    book: Book
    profile: str
    parameters: Mapping[str, Any]
    base: Path  # below it lie `run`, `models`, `results`
    results: Path  # the folder that holds the profiles
    apart: str
    offline: bool
    threads: int

    @property
    def notebook(self) -> Path:
        return self.base / "run" / self.profile / f"{self.chapter.name}.ipynb"

    @property
    def recorded(self) -> Path:
        return self.results / self.profile / f"{self.chapter.name}.json"

    @property
    def models(self) -> Path:
        return self.base / "models"


def run(
    wanted: Sequence[str] = (),
    profile: str = "cpu",
    *,
    parameters: Mapping[str, str] | None = None,
    jobs: int = 1,
    out: Path | str | None = None,
    force: bool = False,
    book: Book | None = None,
    progress: bool = True,
) -> list[Outcome]:
    """Run chapters, in the order of the book; one that fails does not stop the others.

    Parameters
    ----------
    wanted : numbers, names or beginnings of names; none means all chapters.
    profile : "quick", "cpu" or "full".
    parameters : name -> value as text; every chapter that runs must know them all.
    jobs : how many chapters run at the same time; they share the processor's cores.
    out : where notebooks, models and results go, instead of the places that this module's first lines name.
    force : run even where nothing has changed.
    book : the checkout; without it the one around the working folder, or around fashionnb itself.
    progress : show a bar on the terminal (never when there is none, or in CI).

    Raises
    ------
    ProfileError : an unknown profile.
    RunError : no checkout, an unknown chapter or parameter, a chapter that cannot be read. A chapter that fails raises
        nothing: its `Outcome` has the error.
    """
    if profile not in profiles.NAMES:
        raise ProfileError(f"There is no profile {profile!r}. Use one of: {', '.join(profiles.NAMES)}.")
    console = _terminal() if progress else None
    if jobs < 1:
        raise RunError(f"--jobs must be 1 or more, got {jobs}.")
    book = book or Book.find()
    chapters = book.chapters(wanted)
    typed = {chapter.name: chapter.typed(parameters or {}) for chapter in chapters}
    used = {chapter.name: keys.uses(chapter, typed[chapter.name], book) for chapter in chapters}
    absent = _fetch_absent(set().union(*used.values()), progress=console is not None)
    threads = max(1, (int(os.environ.get("OMP_NUM_THREADS") or 0) or machine.cores()) // jobs)
    base = Path(out).resolve() if out else book.build / "own" / _named(parameters) if parameters else book.build

    todo = []
    for chapter in chapters:
        missing = [name for name in used[chapter.name] if name in absent]
        reasons = ["own parameters"] * bool(parameters) + ["--out was given"] * bool(out)
        reasons += [f"drawn garments stand in for {', '.join(missing)}"] * bool(missing)
        results = base / "results" if reasons else book.folder / "results"
        todo.append(
            _Job(chapter, book, profile, typed[chapter.name], base, results, "; ".join(reasons), bool(missing), threads)
        )
    with _bars(console, [job.chapter.name for job in todo]) as tell:
        return _all(todo, jobs, force, tell)


def report(outcomes: Sequence[Outcome]) -> "Group":
    """What became of each chapter, with its seconds and its peak memory, to be printed by rich."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table("chapter", "", "seconds", "peak memory")
    table.columns[0].no_wrap = True
    notes = []
    for outcome in outcomes:
        state = "[red]failed[/]" if outcome.error else "unchanged, kept" if outcome.served else "[green]run[/]"
        memory = f"{outcome.peak_memory_mb / 1024:.2f} GB"
        table.add_row(outcome.chapter, state, f"{outcome.seconds:,.1f}", memory)
        if outcome.results:
            why = f", apart from the published ones: {outcome.apart}" if outcome.apart else ""
            notes.append(Text(f"Results of {outcome.chapter}: {_short(outcome.results)}{why}."))
    return Group(table, *notes)


def _all(todo: list[_Job], jobs: int, force: bool, tell: Tell) -> list[Outcome]:
    """Run the jobs, so many at a time; a chapter that reads another's results waits for it."""
    running: set[subprocess.Popen] = set()
    futures: dict[str, Future[Outcome]] = {}

    def one(job: _Job, before: list[Future]) -> Outcome:
        for future in before:
            future.result()
        return _one(job, force, running, tell)

    with ThreadPoolExecutor(jobs) as pool:
        try:
            for job in todo:
                # Those that it needs come earlier in the book, so they have been started or are done: no deadlock.
                needed = [futures[other.name] for other in keys.needs(job.chapter, job.book) if other.name in futures]
                futures[job.chapter.name] = pool.submit(one, job, needed)
            return [future.result() for future in futures.values()]
        except BaseException:  # Ctrl-C above all: leave no chapter running behind the user's back
            pool.shutdown(wait=False, cancel_futures=True)
            for process in list(running):
                process.terminate()
            raise


def _one(job: _Job, force: bool, running: set[subprocess.Popen], tell: Tell) -> Outcome:
    key = keys.key(job.chapter, job.profile, job.parameters, job.book)
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
    )


def _kept(job: _Job, key: str) -> dict[str, Any] | None:
    """What is known of the run with this key, if it was good and what it left behind is still there, untouched."""
    try:
        metadata = json.loads(job.notebook.read_text(encoding="utf-8"))["metadata"]["fashionnb"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if metadata.get("key") != key or "error" in metadata:
        return None
    recorded = files.sha256(job.recorded) if job.recorded.exists() else None
    return metadata if "results" not in metadata or metadata["results"] == recorded else None


def _prepare_models(job: _Job, key: str) -> Path:
    """Empty the chapter's models folder, lest training takes an older model for its own, unless this very run (by its
    key) was interrupted there. Returns the file that says that a run is under way.
    """
    folder = job.models / job.chapter.name
    under_way = folder / f".{job.profile}.under-way"
    if not (key and under_way.exists() and under_way.read_text(encoding="utf-8") == key):
        shutil.rmtree(folder / job.profile, ignore_errors=True)
    files.write_text(under_way, key)
    return under_way


def _execute(job: _Job, key: str, running: set[subprocess.Popen], tell: Tell) -> dict[str, Any]:
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
    command = [sys.executable, "-m", "fashionnb.execute"]
    metadata = None
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as noise:
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=noise, text=True, env=_environment(job)
        ) as process:
            running.add(process)
            with suppress(BrokenPipeError):  # it ended at once; why, it says below
                process.stdin.write(json.dumps(task))
                process.stdin.close()
            for line in process.stdout:
                said = json.loads(line)
                metadata = said.get("metadata")
                if metadata is None:
                    tell(job.chapter.name, said["done"], said["of"])
        running.discard(process)
        if metadata is None:
            noise.seek(0)
            last = "\n".join(f"    {line}" for line in noise.read().splitlines()[-5:])
            message = (
                f"{job.chapter.name}: the process that runs it ended with status {process.returncode} and no report. "
                f"If it was killed, the memory was probably not enough. The last that it said:\n{last}"
            )
            metadata = {"seconds": 0.0, "peak_memory_mb": 0.0, "error": {"message": message, "died": True}}
    return metadata


def _environment(job: _Job) -> dict[str, str]:
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


def _fetch_absent(names: set[str], progress: bool) -> set[str]:
    """Fetch the sources that are not on this machine, once for all chapters; return those that cannot be had."""
    from fashionnb.data import sources

    absent = set()
    for name in sorted(names):
        if sources.fingerprint(name) != "absent":
            continue
        try:
            sources.fetch(name, progress=progress)
        except DataNotFound as error:
            log.warning("%s", error)
            absent.add(name)
    return absent


def _message(job: _Job, error: Mapping[str, Any]) -> str:
    """The chapter, the cell and its place in the file, the error and the end of its traceback."""
    if "message" in error:
        return error["message"]
    source = error["source"].splitlines()
    line = source[error["line"] - 1].strip() if error["line"] <= len(source) else ""
    start = job.chapter.text.find(error["source"])
    place = f", line {job.chapter.text[:start].count(chr(10)) + error['line']}" if start >= 0 and source else ""
    value = error["value"].strip()
    trace = [part for part in error["traceback"] if part.strip("- ") and "Traceback (most recent" not in part]
    return "\n".join(
        [
            f"{job.chapter.name} failed in code cell {error['cell']} ({_short(job.chapter.path)}{place}): {line}",
            *(f"    {part}" for part in trace or [f"{error['name']}: {value}"]),
            f"The executed notebook is {_short(job.notebook)}.",
        ]
    )


def _named(parameters: Mapping[str, str]) -> str:
    """A folder name for these parameters, for instance "epochs=50,margin=0.3"."""
    spelt = ",".join(f"{name}={value}" for name, value in sorted(parameters.items()))
    safe = re.sub(r"[^\w.,=+-]+", "_", spelt)[:80]
    return safe if safe == spelt else f"{safe}-{sha256(spelt.encode()).hexdigest()[:8]}"


def _short(path: Path) -> Path:
    """The path as seen from here, where it lies below here."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _terminal() -> "Console | None":
    """Where bars are shown: the terminal behind stderr; None where nobody would see them move."""
    from rich.console import Console

    console = Console(stderr=True)
    return console if console.is_terminal and not os.environ.get("CI") else None


@contextmanager
def _bars(console: "Console | None", names: list[str]) -> Iterator[Tell]:
    """One progress bar per chapter."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    if console is None:
        yield lambda name, done, of: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[cell]}"), TimeElapsedColumn())
    with Progress(*columns, console=console) as bars:
        tasks = {name: bars.add_task(name, start=False, total=1, cell="waiting") for name in names}

        def tell(name: str, done: int, of: int) -> None:
            bars.start_task(tasks[name])
            bars.update(
                tasks[name], completed=done, total=of, cell="done" if done == of else f"cell {done + 1} of {of}"
            )

        yield tell
