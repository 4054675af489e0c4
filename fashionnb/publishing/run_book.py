"""Run the chapters of the book, each in a profile, and only those that something has changed for.

`run` is behind `fashionnb run`. What a chapter depends on is in `fashionnb.publishing.cache`, how
one is run in `fashionnb.publishing.run_chapter`. Where everything is written, in the checkout:

- a plain run: the notebook to `_build/run/<profile>`, models to
  `_build/models/<chapter>/<profile>`, results to `book/results/<profile>`, or to
  `_build/results/<profile>` if drawn garments stood in for a dataset;
- a run with other parameters: the same three below `_build/own/<parameters>`;
- with `out`: the same three below that folder.
"""

import logging
import os
import re
import subprocess
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from unittest import mock

from rich.console import Group
from rich.table import Table
from rich.text import Text

from fashionnb import files, profiles
from fashionnb.errors import DataError, DataNotFound, ProfileError, RunError
from fashionnb.notebook import hardware
from fashionnb.notebook.claims import Claim
from fashionnb.publishing import cache, progress
from fashionnb.publishing.chapters import Book
from fashionnb.publishing.run_chapter import Job, OnProgress, Outcome, run_chapter, short

log = logging.getLogger(__name__)

DATA_FOLDER = "data_folder"
"""The parameter by which chapters let a reader say where the datasets lie."""

MINUTES = {"quick": 60.0, "cpu": 60.0, "full": 0.0}
"""The longest that one chapter may take, unless the caller sets another limit; 0: no limit."""


def run(
    wanted: Sequence[str] = (),
    profile: str = "cpu",
    *,
    parameters: Mapping[str, str] | None = None,
    jobs: int = 1,
    out: Path | str | None = None,
    force: bool = False,
    minutes: float | None = None,
    book: Book | None = None,
    say: Callable[[str], None] = log.info,
) -> list[Outcome]:
    """Run chapters, in the order of the book; one that fails does not stop the others.

    Parameters
    ----------
    wanted : sequence of str
        Numbers, names or beginnings of names; none means all chapters.
    profile : {"quick", "cpu", "full"}
        How much work to do.
    parameters : mapping of str to str, optional
        Name -> value; every chapter that runs must have them all.
    jobs : int
        How many chapters run at the same time; they share the processor's cores.
    out : path, optional
        The folder to write to, instead of those that this module's first lines name.
    force : bool
        Whether to run chapters for which nothing has changed.
    minutes : float, optional
        The longest that one chapter may take, 0 for no limit; without it as in `MINUTES`.
    book : Book, optional
        The checkout; without it as `Book.find`.
    say : callable
        Takes a line of text: first how long each chapter took when it was published, after each
        chapter what is left.

    Returns
    -------
    list of Outcome
        One for each chapter. A chapter that fails raises nothing: its outcome has the error.

    Raises
    ------
    ProfileError
        For an unknown profile.
    RunError
        Without a checkout, for an unknown chapter or parameter, or for a chapter that cannot be
        read.
    """
    if profile not in profiles.NAMES:
        known = ", ".join(profiles.NAMES)
        raise ProfileError(f"There is no profile {profile!r}. Use one of: {known}.")
    if jobs < 1:
        raise RunError(f"--jobs must be 1 or more, got {jobs}.")
    minutes = MINUTES[profile] if minutes is None else minutes
    if not minutes >= 0:
        raise RunError(f"--minutes must be 0 (no limit) or more, got {minutes:g}.")
    given, environment = dict(parameters or {}), {}
    if given.get(DATA_FOLDER):  # the chapters run in another working folder
        given[DATA_FOLDER] = str(Path(given[DATA_FOLDER]).resolve())
        environment = {"FASHIONNB_DATA": given[DATA_FOLDER]}
    console = progress.terminal()
    with mock.patch.dict(os.environ, environment):  # afterwards it is as it was
        todo = plan(
            book or Book.find(), wanted, profile, given, jobs=jobs, out=out, minutes=minutes
        )
        estimate = progress.TimeEstimate(todo, jobs, force)
        say(estimate.before())
        with progress.bars(console, [job.chapter.name for job in todo]) as on_progress:
            over_bars = console.print if console else say
            return _run_all(
                todo, jobs, force, on_progress, lambda outcome: over_bars(estimate.after(outcome))
            )


def plan(
    book: Book,
    wanted: Sequence[str],
    profile: str,
    given: Mapping[str, str],
    *,
    jobs: int = 1,
    out: Path | str | None = None,
    minutes: float = 0,
) -> list[Job]:
    """Decide how each chapter runs, after checking all arguments, and download what they need.

    Parameters are those of `run`.
    """
    chapters = book.chapters(wanted)
    typed = {chapter.name: chapter.typed(given) for chapter in chapters}
    needed = {
        chapter.name: cache.datasets(chapter, typed[chapter.name], book) for chapter in chapters
    }
    absent = _download(set().union(*needed.values()))
    threads = max(1, (int(os.environ.get("OMP_NUM_THREADS") or 0) or hardware.cores()) // jobs)
    base = book.build
    reasons = []
    if given:
        base, reasons = base / "own" / _folder_name(given), ["own parameters"]
    if out:
        base, reasons = Path(out).resolve(), [*reasons, "--out was given"]

    todo = []
    for chapter in chapters:
        missing = [dataset for dataset in needed[chapter.name] if dataset in absent]
        drawn = [f"drawn garments stand in for {', '.join(missing)}"] if missing else []
        apart = "; ".join([*reasons, *drawn])
        job = Job(
            chapter=chapter,
            book=book,
            profile=profile,
            parameters=typed[chapter.name],
            base=base,
            results=base / "results" if apart else book.folder / "results",
            apart=apart,
            offline=bool(missing),
            threads=threads,
            limit=60 * minutes or None,
        )
        todo.append(job)
    return todo


def report(outcomes: Sequence[Outcome]) -> Group:
    """Make a table for rich of what became of each chapter, its seconds and its peak memory."""
    table = Table("chapter", "", "seconds", "peak memory")
    table.columns[0].no_wrap = True
    styles = {"failed": "red", "run": "green"}
    notes = []
    for outcome in outcomes:
        state = progress.state(outcome)
        table.add_row(
            outcome.chapter,
            Text(state, style=styles.get(state, "")),
            f"{outcome.seconds:,.1f}",
            f"{outcome.peak_memory_mb / 1024:.2f} GB",
        )
        if outcome.results:
            apart = f", apart from the published ones: {outcome.apart}" if outcome.apart else ""
            notes.append(Text(f"Results of {outcome.chapter}: {short(outcome.results)}{apart}."))
    return Group(table, *notes)


def not_held(claims: Mapping[str, Sequence[Claim]]) -> list[str]:
    """Write lines that list the claims of each chapter that did not hold; none if all held."""
    lines = [
        f"  {chapter}: {claim.finding}: {claim.in_short}"
        for chapter, several in claims.items()
        for claim in several
    ]
    noun = "claims" if len(lines) > 1 else "claim"
    title = f"{len(lines)} {noun} of the book did not hold in this run:"
    return [title, *lines] if lines else []


def _run_all(
    todo: list[Job],
    jobs: int,
    force: bool,
    on_progress: OnProgress,
    on_outcome: Callable[[Outcome], None],
) -> list[Outcome]:
    """Run the jobs, so many at a time; a chapter that reads another's results waits for it."""
    running: set[subprocess.Popen] = set()
    futures: dict[str, Future[Outcome]] = {}

    def run_after(job: Job, earlier: list[Future]) -> Outcome:
        for future in earlier:
            future.result()
        outcome = run_chapter(job, force, running, on_progress)
        on_outcome(outcome)
        return outcome

    with ThreadPoolExecutor(jobs) as pool:
        try:
            for job in todo:
                # Those that it reads come earlier in the book, so they were submitted: no deadlock.
                read = [other.name for other in cache.chapters_read(job.chapter, job.book)]
                earlier = [futures[name] for name in read if name in futures]
                futures[job.chapter.name] = pool.submit(run_after, job, earlier)
            return [future.result() for future in futures.values()]
        except BaseException:  # Ctrl-C above all: leave no chapter running
            pool.shutdown(wait=False, cancel_futures=True)
            for process in list(running):
                process.terminate()
            raise


def _download(names: set[str]) -> set[str]:
    """Download the datasets that are not here, once for all chapters; return those still absent."""
    from fashionnb.data import registry

    absent = set()
    if names:
        registry.places()  # a wrong FASHIONNB_DATA is a mistake, and no reason to draw garments
    for name in sorted(names):
        try:
            registry.fetch(name, progress=progress.terminal() is not None)
        except (DataError, DataNotFound, files.WriteError) as error:  # the chapter draws garments
            log.warning("%s cannot be had: %s", name, str(error).splitlines()[0])
            absent.add(name)
    return absent


def _folder_name(parameters: Mapping[str, str]) -> str:
    """A folder name for these parameters, for instance "epochs=50,margin=0.3"."""
    spelt = ",".join(f"{name}={value}" for name, value in sorted(parameters.items()))
    safe = re.sub(r"[^\w.,=+-]+", "_", spelt)[:80]
    return safe if safe == spelt else f"{safe}-{sha256(spelt.encode()).hexdigest()[:8]}"
