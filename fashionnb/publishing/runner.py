"""Run chapters: each through papermill, in a profile, and only if something that it depends on has changed.

`run` is behind `fashionnb run`. What a chapter depends on is in `fashionnb.publishing.cache`, how one is executed in
`fashionnb.publishing.execute`. Where everything lands, relative to the checkout:

- a plain run: the notebook in `_build/run/<profile>`, models in `_build/models/<chapter>/<profile>`, results in
  `book/results/<profile>`; or in `_build/results/<profile>` if drawn garments stood in for a dataset;
- a run with parameters of one's own: the same three below `_build/own/<parameters>`; with `out`: below that folder.
"""

import logging
import os
import re
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from fashionnb import files, profiles
from fashionnb.errors import DataError, DataNotFound, ProfileError, ResultError, RunError
from fashionnb.notebook import hardware
from fashionnb.notebook.claims import Claim
from fashionnb.notebook.results import load
from fashionnb.notebook.results_format import Run
from fashionnb.publishing import cache
from fashionnb.publishing.chapters import Book, Chapter
from fashionnb.publishing.jobs import Job, Outcome, Tell, do, is_kept, short

if TYPE_CHECKING:
    from rich.console import Console, Group

log = logging.getLogger(__name__)

DATA_FOLDER = "data_folder"
"""The parameter by which chapters let a reader say where the datasets lie."""

MINUTES = {"quick": 60.0, "cpu": 60.0, "full": None}
"""The longest that one chapter may take, unless the caller sets another limit; None: as long as it likes."""


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
    progress: bool = True,
    say: Callable[[str], None] = log.info,
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
    minutes : the longest that one chapter may take, 0 for no limit; without it what `MINUTES` says.
    book : the checkout; without it the one around the working folder, or around fashionnb itself.
    progress : show a bar on the terminal (never when there is none, or in CI).
    say : takes a line of text: before the first chapter how long each took when it was published, after each chapter
        what is left.

    Raises
    ------
    ProfileError : an unknown profile.
    RunError : no checkout, an unknown chapter or parameter, a chapter that cannot be read. A chapter that fails raises
        nothing: its `Outcome` has the error.
    """
    if profile not in profiles.NAMES:
        raise ProfileError(
            f"There is no profile {profile!r}. Use one of: {', '.join(profiles.NAMES)}."
        )
    if jobs < 1:
        raise RunError(f"--jobs must be 1 or more, got {jobs}.")
    if minutes is not None and not minutes >= 0:
        raise RunError(f"--minutes must be 0 (no limit) or more, got {minutes:g}.")
    limit = MINUTES[profile] if minutes is None else minutes
    given = dict(parameters or {})
    if given.get(DATA_FOLDER):
        given[DATA_FOLDER] = str(
            Path(given[DATA_FOLDER]).resolve()
        )  # the chapters run in a folder of their own
    book = book or Book.find()
    chapters = book.chapters(wanted)
    console = _terminal() if progress else None
    with _data_in(given.get(DATA_FOLDER)):
        todo = _plan(
            chapters,
            book,
            profile,
            given,
            jobs,
            Path(out).resolve() if out else None,
            console is not None,
        )
        if limit:
            todo = [replace(job, limit=60 * limit) for job in todo]
        pace = _Pace(todo, jobs, force)
        say(pace.beforehand())
        with _bars(console, [job.chapter.name for job in todo]) as tell:
            over_bars = console.print if console else say
            return _all(todo, jobs, force, tell, lambda outcome: over_bars(pace.after(outcome)))


def report(outcomes: Sequence[Outcome]) -> "Group":
    """What became of each chapter, with its seconds and its peak memory, to be printed by rich."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table("chapter", "", "seconds", "peak memory")
    table.columns[0].no_wrap = True
    notes = []
    for outcome in outcomes:
        state = (
            "[red]failed[/]"
            if outcome.error
            else "unchanged, kept"
            if outcome.served
            else "[green]run[/]"
        )
        memory = f"{outcome.peak_memory_mb / 1024:.2f} GB"
        table.add_row(outcome.chapter, state, f"{outcome.seconds:,.1f}", memory)
        if outcome.results:
            why = f", apart from the published ones: {outcome.apart}" if outcome.apart else ""
            notes.append(Text(f"Results of {outcome.chapter}: {short(outcome.results)}{why}."))
    return Group(table, *notes)


def not_held(claims: Mapping[str, Sequence[Claim]]) -> list[str]:
    """Lines that list the claims (chapter -> those that did not hold), for the summary of a run; [] if all held."""
    lines = [
        f"  {chapter}: {one.finding}: {one.in_short}"
        for chapter, several in claims.items()
        for one in several
    ]
    several = "claims" if len(lines) > 1 else "claim"
    return (
        [f"{len(lines)} {several} of the book did not hold in this run:", *lines] if lines else []
    )


def _plan(
    chapters: list[Chapter],
    book: Book,
    profile: str,
    given: Mapping[str, str],
    jobs: int,
    out: Path | None,
    progress: bool,
) -> list[Job]:
    """Decide how each chapter runs, after everything that can be refused was refused."""
    typed = {chapter.name: chapter.typed(given) for chapter in chapters}
    used = {chapter.name: cache.names(chapter, typed[chapter.name], book) for chapter in chapters}
    absent = _fetch_absent(set().union(*used.values()), progress)
    threads = max(1, (int(os.environ.get("OMP_NUM_THREADS") or 0) or hardware.cores()) // jobs)
    base = out or (book.build / "own" / _named(given) if given else book.build)
    todo = []
    for chapter in chapters:
        missing = [name for name in used[chapter.name] if name in absent]
        reasons = ["own parameters"] * bool(given) + ["--out was given"] * bool(out)
        reasons += [f"drawn garments stand in for {', '.join(missing)}"] * bool(missing)
        results, apart = (
            base / "results" if reasons else book.folder / "results",
            "; ".join(reasons),
        )
        todo.append(
            Job(
                chapter,
                book,
                profile,
                typed[chapter.name],
                base,
                results,
                apart,
                bool(missing),
                threads,
            )
        )
    return todo


class _Pace:
    """How long the chapters took when they were published, and what that says of those that are left here."""

    def __init__(self, todo: list[Job], jobs: int, force: bool) -> None:
        self.jobs, self.lock = jobs, threading.Lock()
        self.published = {job.chapter.name: _published(job) for job in todo}
        self.kept = {job.chapter.name for job in todo if not force and is_kept(job)}
        self.left = {
            name: run.seconds
            for name, run in self.published.items()
            if run and name not in self.kept
        }
        self.waiting = len(todo)
        self.here = self.there = (
            0.0  # the seconds of what has been run here, and of the same when it was published
        )

    def beforehand(self) -> str:
        """Each chapter with its published time, and the sum."""
        lines = []
        for name, run in self.published.items():
            took = (
                f"{run.seconds:,.0f} s on {run.hardware}"
                if run
                else "nothing published in this profile"
            )
            lines.append(f"  {name}: {'unchanged, kept' if name in self.kept else took}")
        about = (
            f" Expect about {_minutes(sum(self.left.values()) / self.jobs)}" if self.left else ""
        )
        slower = ", two to three times that on a slow processor." if self.left else ""
        return "\n".join(
            [f"Chapters: {len(lines)}. How long each took when it was published:", *lines]
        ) + (f"\n{about.strip()}{slower}" if about else "")

    def after(self, outcome: Outcome) -> str:
        """What became of a chapter, and how long the others will take at the pace of this machine."""
        with self.lock:  # several chapters may end at a time
            self.waiting -= 1
            published = self.left.pop(outcome.chapter, None)
            if published and not outcome.served and not outcome.error:
                self.here, self.there = self.here + outcome.seconds, self.there + published
            pace = self.here / self.there if self.there else 1.0
            state = "failed" if outcome.error else "unchanged, kept" if outcome.served else "run"
            after = f"{self.waiting} to go" if self.waiting else "that was the last one"
            rest = sum(self.left.values()) * pace / min(self.jobs, max(self.waiting, 1))
            about = f", about {_minutes(rest)} left" if self.left else ""
            return f"{outcome.chapter}: {state}, {outcome.seconds:,.0f} s; {after}{about}."


def _published(job: Job) -> Run | None:
    """The run behind the published results of a chapter, if there are any that can be read."""
    try:
        return load(job.chapter.name, job.profile, job.book.folder / "results").run
    except ResultError:
        return None


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def _all(
    todo: list[Job], jobs: int, force: bool, tell: Tell, done: Callable[[Outcome], None]
) -> list[Outcome]:
    """Run the jobs, so many at a time; a chapter that reads another's results waits for it."""
    running: set[subprocess.Popen] = set()
    futures: dict[str, Future[Outcome]] = {}

    def one(job: Job, before: list[Future]) -> Outcome:
        for future in before:
            future.result()
        outcome = do(job, force, running, tell)
        done(outcome)
        return outcome

    with ThreadPoolExecutor(jobs) as pool:
        try:
            for job in todo:
                # Those that it needs come earlier in the book, so they have been started or are done: no deadlock.
                needed = [
                    futures[other.name]
                    for other in cache.needs(job.chapter, job.book)
                    if other.name in futures
                ]
                futures[job.chapter.name] = pool.submit(one, job, needed)
            return [future.result() for future in futures.values()]
        except BaseException:  # Ctrl-C above all: leave no chapter running behind the user's back
            pool.shutdown(wait=False, cancel_futures=True)
            for process in list(running):
                process.terminate()
            raise


@contextmanager
def _data_in(folder: str | None) -> Iterator[None]:
    """Look for datasets in this folder while the block lasts; the chapters inherit it."""
    before = os.environ.get("FASHIONNB_DATA")
    if folder:
        os.environ["FASHIONNB_DATA"] = folder
    try:
        yield
    finally:
        if folder and before is None:
            del os.environ["FASHIONNB_DATA"]
        elif folder:
            os.environ["FASHIONNB_DATA"] = before


def _fetch_absent(names: set[str], progress: bool) -> set[str]:
    """Fetch the sources that are not on this machine, once for all chapters; return those that cannot be had."""
    from fashionnb.data import registry

    absent = set()
    if names:
        registry.places()  # a wrong FASHIONNB_DATA is a mistake, and no reason to draw garments
    for name in sorted(names):
        try:
            registry.fetch(name, progress=progress)
        except (
            DataError,
            DataNotFound,
            files.WriteError,
        ) as error:  # the chapter will draw garments, as `load` says
            log.warning("%s cannot be had: %s", name, str(error).splitlines()[0])
            absent.add(name)
    return absent


def _named(parameters: Mapping[str, str]) -> str:
    """A folder name for these parameters, for instance "epochs=50,margin=0.3"."""
    spelt = ",".join(f"{name}={value}" for name, value in sorted(parameters.items()))
    safe = re.sub(r"[^\w.,=+-]+", "_", spelt)[:80]
    return safe if safe == spelt else f"{safe}-{sha256(spelt.encode()).hexdigest()[:8]}"


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
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[cell]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as bars:
        tasks = {name: bars.add_task(name, start=False, total=1, cell="waiting") for name in names}

        def tell(name: str, done: int, of: int) -> None:
            bars.start_task(tasks[name])
            bars.update(
                tasks[name],
                completed=done,
                total=of,
                cell="done" if done == of else f"cell {done + 1} of {of}",
            )

        yield tell
