"""Run the chapters of the book, each in a profile, and only those that something has changed for.

`run` is behind `fashionnb run`. What a chapter depends on is in
`fashionnb.publishing.chapter_dependencies`, how one is run in `fashionnb.publishing.run_chapter`.
Where everything is written, in the checkout:

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
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager
from hashlib import sha256
from pathlib import Path

from rich.console import Console, Group
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from fashionnb import datasets, files, profiles
from fashionnb.data import registry
from fashionnb.errors import DataError, DataNotFound, ResultError, RunError
from fashionnb.notebook.claims import Claim
from fashionnb.notebook.results import Run, load
from fashionnb.publishing import chapter_dependencies
from fashionnb.publishing.chapters import Book
from fashionnb.publishing.run_chapter import Job, OnProgress, Outcome, kept_run, run_chapter, short

log = logging.getLogger(__name__)

DATA_FOLDER = "data_folder"
"""The parameter by which chapters let a reader say where the datasets lie."""

MINUTES = {"quick": 60.0, "standard": 60.0, "full": 0.0}
"""The longest that one chapter may take, unless the caller sets another limit; 0: no limit."""

SLOW = 2.5
"""How many times as long a chapter takes on two slow cores as where it was published.

An Intel Xeon at 2.0 GHz, without bfloat16, which is about Colab's free CPU, took 2 to 3 times."""


def run(
    wanted: Sequence[str] = (),
    profile: str = "standard",
    *,
    device: str | None = None,
    parameters: Mapping[str, str] | None = None,
    jobs: int = 1,
    out: Path | str | None = None,
    force: bool = False,
    minutes: float | None = None,
    book: Book | None = None,
    say: Callable[[str], None] = log.info,
) -> list[Outcome]:
    """Run the chapters of the book, in their order; one that fails does not stop the others.

    Parameters
    ----------
    wanted : sequence of str
        Numbers, names or parts of a name; none means all chapters.
    profile : {"quick", "standard", "full"}
        How much work to do.
    device : str, optional
        As in `fashionnb.profiles.choose_device`; each chapter chooses for itself.
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
        Takes a line of text: first how long each chapter will take, after each chapter what is
        left.

    Returns
    -------
    list of Outcome
        One for each chapter. A chapter that fails raises nothing: its outcome has the error.

    Raises
    ------
    ProfileError
        For an unknown profile, or a device that is unknown or not here.
    RunError
        Without a checkout, for an unknown chapter or parameter, or for a chapter that cannot be
        read.
    DataNotFound
        If a parameter names data that are neither a dataset nor at that place.
    WriteError
        If another run is at one of the chapters, or nothing can be written.
    """
    profile = profiles.current_name(profile)
    device = device or os.environ.get("FASHIONNB_DEVICE") or "auto"
    if device != "auto":  # which is found in the chapters, since here it would take all of torch
        profiles.choose_device(device)
    if jobs < 1:
        raise RunError(f"--jobs must be 1 or more, got {jobs}.")
    minutes = MINUTES[profile] if minutes is None else minutes
    if not minutes >= 0:
        raise RunError(f"--minutes must be 0 (no limit) or more, got {minutes:g}.")
    given, environment = dict(parameters or {}), {"FASHIONNB_DEVICE": device}
    # The chapters run in another working folder.
    given |= {
        name: datasets.locate(given[name]) for name in chapter_dependencies.CHOSEN if name in given
    }
    if given.get(DATA_FOLDER):
        given[DATA_FOLDER] = str(Path(given[DATA_FOLDER]).resolve())
        environment["FASHIONNB_DATA"] = given[DATA_FOLDER]
    with _environment(environment), ExitStack() as held:
        todo = plan(
            book or Book.find(), wanted, profile, given, jobs=jobs, out=out, minutes=minutes
        )
        for job in todo:
            held.enter_context(files.only_writer(job.notebook.parent, job.chapter.name))
        estimate = TimeEstimate(todo, jobs, force)
        say(estimate.before())
        with _bars([job.chapter.name for job in todo], say) as (on_progress, say_above):
            return _run_all(
                todo, jobs, force, on_progress, lambda outcome: say_above(estimate.after(outcome))
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
    """Decide how each chapter of the book runs, and download the datasets that they need.

    All arguments are checked before anything is downloaded.

    Parameters
    ----------
    book : Book
        The checkout.
    wanted : sequence of str
        Numbers, names or parts of a name; none means all chapters.
    profile : {"quick", "standard", "full"}
        How much work to do.
    given : mapping of str to str
        Name -> value of parameters; every chapter that runs must have them all.
    jobs : int
        How many chapters run at the same time, at least 1.
    out : path, optional
        The folder to write to, instead of those that this module's first lines name.
    minutes : float
        The longest that one chapter may take, 0 for no limit.

    Returns
    -------
    list of Job
        One for each chapter, in the order of the book.

    Raises
    ------
    RunError
        For an unknown chapter or parameter, or for a chapter that cannot be read.
    """
    if out:
        files.check_target(Path(out) / "run" / "chapter.ipynb")
    chapters = book.chapters(wanted)
    typed = {chapter.name: chapter.typed(given) for chapter in chapters}
    needed = {
        chapter.name: chapter_dependencies.datasets(chapter, typed[chapter.name], book)
        for chapter in chapters
    }
    absent = _download(set().union(*needed.values()))
    threads = max(1, profiles.threads() // jobs)
    base, reasons = book.build, []
    if given:
        base, reasons = base / "own" / _folder_name(given), ["own parameters"]
    if out:
        base, reasons = Path(out).resolve(), [*reasons, "--out was given"]

    todo = []
    for chapter in chapters:
        missing = [name for name in needed[chapter.name] if name in absent]
        drawn = [f"drawn garments stand in for {', '.join(missing)}"] if missing else []
        apart = "; ".join([*reasons, *drawn])
        todo.append(
            Job(
                chapter=chapter,
                book=book,
                profile=profile,
                parameters=typed[chapter.name],
                base=base,
                results=base / "results" if apart else book.folder / "results",
                apart=apart,
                offline=bool(missing),
                threads=threads,
                limit=60 * minutes or threading.TIMEOUT_MAX,
            )
        )
    return todo


def report(outcomes: Sequence[Outcome]) -> Group:
    """Make a table for the terminal of how each chapter of the book ran: state, seconds, memory.

    Parameters
    ----------
    outcomes : sequence of Outcome
        As `run` returns them.

    Returns
    -------
    Group
        For rich: the table, and below it where results were recorded.
    """
    table = Table("chapter", "", "seconds", "peak memory")
    table.columns[0].no_wrap = True
    styles = {"failed": "red", "run": "green"}
    notes = []
    for outcome in outcomes:
        table.add_row(
            outcome.chapter,
            Text(outcome.state, style=styles.get(outcome.state, "")),
            f"{outcome.seconds:,.1f}",
            f"{outcome.peak_memory_mb / 1024:.2f} GB",
        )
        if outcome.results:
            apart = f", apart from the published ones: {outcome.apart}" if outcome.apart else ""
            notes.append(Text(f"Results of {outcome.chapter}: {short(outcome.results)}{apart}."))
    return Group(table, *notes)


def not_held(claims: Mapping[str, Sequence[Claim]]) -> list[str]:
    """List the claims that did not hold when the book was run, by chapter.

    Parameters
    ----------
    claims : mapping of str to sequence of Claim
        Name of a chapter -> its claims that did not hold.

    Returns
    -------
    list of str
        Lines of text with a heading; none if all claims held.
    """
    lines = [
        f"  {chapter}: {claim.finding}: {claim.in_short}"
        for chapter, several in claims.items()
        for claim in several
    ]
    noun = "claims" if len(lines) > 1 else "claim"
    return [f"{len(lines)} {noun} of the book did not hold in this run:", *lines] if lines else []


def duration(seconds: float) -> str:
    """Format how long a run of the book or of a chapter took: "45 s", "2.1 min" or "3.4 h".

    Parameters
    ----------
    seconds : float
        The time in seconds, at least 0.

    Returns
    -------
    str
        The number with its unit.
    """
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.2g} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


class TimeEstimate:
    """Estimate how long a run of the book takes, from published runs and the speed of this machine.

    Parameters
    ----------
    todo : sequence of Job
        The chapters that run.
    jobs : int
        How many run at the same time.
    force : bool
        Whether those run too that have not changed.
    """

    def __init__(self, todo: Sequence[Job], jobs: int, force: bool) -> None:
        self.jobs, self.waiting = jobs, len(todo)
        self.expected: dict[str, str] = {}
        self.left: dict[str, float] = {}  # the expected seconds of those that are to run
        self.seconds_here = self.seconds_expected = 0.0  # of what has been run here
        for job in todo:
            name, run = job.chapter.name, _published(job)
            if not force and kept_run(job, job.key):
                self.expected[name] = "unchanged, kept"
            elif run is None:
                self.expected[name] = "nothing published in this profile"
            else:
                self.left[name] = run.seconds * (SLOW if run.device == "cpu" else 1)
                measured = f"{duration(run.seconds)} on {run.hardware}"
                self.expected[name] = f"{duration(self.left[name])} ({measured})"

    def before(self) -> str:
        """Describe the time that each chapter takes on slow cores, and their sum."""
        lines = [
            f"Chapters: {self.waiting}. How long each takes on two slow cores, such as Colab's "
            "free CPU (and took when it was published):"
        ]
        lines += [f"  {name}: {expected}" for name, expected in self.expected.items()]
        if self.left:
            about = duration(sum(self.left.values()) / self.jobs)
            lines.append(f"Expect about {about}; a fast processor takes less than half of that.")
        return "\n".join(lines)

    def after(self, outcome: Outcome) -> str:
        """Describe what became of a chapter, and how long the others will take at this speed."""
        self.waiting -= 1
        expected = self.left.pop(outcome.chapter, None)
        if expected and outcome.state == "run":
            self.seconds_here += outcome.seconds
            self.seconds_expected += expected
        rest = f"{self.waiting} to go" if self.waiting else "that was the last one"
        if self.left:
            known = self.seconds_expected > 0
            pace = self.seconds_here / self.seconds_expected if known else 1.0
            seconds = sum(self.left.values()) * pace / min(self.jobs, self.waiting)
            rest += f", about {duration(seconds)} left"
        return f"{outcome.chapter}: {outcome.state}, {outcome.seconds:,.0f} s; {rest}."


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables, and afterwards restore what they were before."""
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        for name in variables:
            del os.environ[name]
        os.environ.update(before)


def _published(job: Job) -> Run | None:
    """The run behind the published results of a chapter, if there are any that can be read."""
    try:
        return load(job.chapter.name, job.profile, job.book.folder / "results").run
    except ResultError:
        return None


def _terminal() -> Console | None:
    """The terminal behind stderr, on which bars can move; None without one, or in CI."""
    console = Console(stderr=True)
    return console if console.is_terminal and not os.environ.get("CI") else None


@contextmanager
def _bars(
    names: list[str], say: Callable[[str], None]
) -> Iterator[tuple[OnProgress, Callable[[str], None]]]:
    """One progress bar per chapter, if there is a terminal; and how to print above them."""
    console = _terminal()
    with Progress(console=console, disable=console is None) as progress:
        tasks = {name: progress.add_task(name, start=False) for name in names}

        def on_progress(name: str, done: int, of: int) -> None:
            progress.start_task(tasks[name])
            progress.update(tasks[name], completed=done, total=of)

        yield on_progress, console.print if console else say


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
        return run_chapter(job, force, running, on_progress)

    with ThreadPoolExecutor(jobs) as pool:
        try:
            for job in todo:
                # Those that it reads come earlier in the book, so they were submitted: no deadlock.
                read = [
                    other.name
                    for other in chapter_dependencies.chapters_read(job.chapter, job.book)
                ]
                earlier = [futures[name] for name in read if name in futures]
                futures[job.chapter.name] = pool.submit(run_after, job, earlier)
            for future in as_completed(futures.values()):
                on_outcome(future.result())
        except BaseException:  # Ctrl-C above all: leave no chapter running
            pool.shutdown(wait=False, cancel_futures=True)
            for process in list(running):
                process.terminate()
            raise
    return [future.result() for future in futures.values()]


def _download(names: set[str]) -> set[str]:
    """Download the datasets that are not here, once for all chapters; return those still absent."""
    absent = set()
    if names:
        registry.places()  # a wrong FASHIONNB_DATA is a mistake, and no reason to draw garments
    for name in sorted(names):
        try:
            registry.fetch(name, progress=_terminal() is not None)
        except (DataError, DataNotFound, files.WriteError) as error:  # the chapter draws garments
            log.warning("%s cannot be had: %s", name, str(error).splitlines()[0])
            absent.add(name)
    return absent


def _folder_name(parameters: Mapping[str, str]) -> str:
    """A folder name for these parameters, for instance "epochs=50,margin=0.3"."""
    spelt = ",".join(f"{name}={value}" for name, value in sorted(parameters.items()))
    safe = re.sub(r"[^\w.,=+-]+", "_", spelt)[:80]
    return safe if safe == spelt else f"{safe}-{sha256(spelt.encode()).hexdigest()[:8]}"
