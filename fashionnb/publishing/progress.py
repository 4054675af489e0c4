"""How far a run of the book is: bars on a terminal, and an estimate of the time that is left."""

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from fashionnb.errors import ResultError
from fashionnb.notebook.results import load
from fashionnb.notebook.results_format import Run
from fashionnb.publishing.run_chapter import Job, OnProgress, Outcome, kept_run


class TimeEstimate:
    """The time that chapters need, estimated from their published runs and the speed here.

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
        self.jobs, self.lock = jobs, threading.Lock()
        self.published = {job.chapter.name: _published(job) for job in todo}
        self.kept = {job.chapter.name for job in todo if not force and kept_run(job, job.key)}
        self.left = {
            name: run.seconds
            for name, run in self.published.items()
            if run and name not in self.kept
        }
        self.waiting = len(todo)
        self.seconds_here = self.seconds_published = 0.0  # of what has been run here

    def before(self) -> str:
        """Describe the published time of each chapter, and their sum."""
        lines = [f"Chapters: {self.waiting}. How long each took when it was published:"]
        lines += [f"  {name}: {self._expected(name)}" for name in self.published]
        if self.left:
            about = _duration(sum(self.left.values()) / self.jobs)
            lines.append(f"Expect about {about}, two to three times that on a slow processor.")
        return "\n".join(lines)

    def after(self, outcome: Outcome) -> str:
        """Describe what became of a chapter, and how long the others will take at this speed."""
        with self.lock:  # several chapters may end at a time
            self.waiting -= 1
            published = self.left.pop(outcome.chapter, None)
            if published and not outcome.unchanged and not outcome.error:
                self.seconds_here += outcome.seconds
                self.seconds_published += published
            rest = f"{self.waiting} to go" if self.waiting else "that was the last one"
            if self.left:
                rest += f", about {_duration(self._seconds_left())} left"
            return f"{outcome.chapter}: {state(outcome)}, {outcome.seconds:,.0f} s; {rest}."

    def _expected(self, name: str) -> str:
        run = self.published[name]
        if name in self.kept:
            return "unchanged, kept"
        if run is None:
            return "nothing published in this profile"
        return f"{run.seconds:,.0f} s on {run.hardware}"

    def _seconds_left(self) -> float:
        known = self.seconds_published > 0
        slowdown = self.seconds_here / self.seconds_published if known else 1.0
        return sum(self.left.values()) * slowdown / min(self.jobs, max(self.waiting, 1))


def state(outcome: Outcome) -> str:
    """Describe an outcome: "failed", "unchanged, kept" or "run"."""
    if outcome.error:
        return "failed"
    return "unchanged, kept" if outcome.unchanged else "run"


def terminal() -> Console | None:
    """Return the terminal behind stderr, on which bars can move; None without one, or in CI."""
    console = Console(stderr=True)
    return console if console.is_terminal and not os.environ.get("CI") else None


@contextmanager
def bars(console: Console | None, names: list[str]) -> Iterator[OnProgress]:
    """Show one progress bar per chapter; without a console, none."""
    if console is None:
        yield lambda name, done, of: None
        return
    description, cell = TextColumn("{task.description}"), TextColumn("{task.fields[cell]}")
    columns = (description, BarColumn(), cell, TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        tasks = {
            name: progress.add_task(name, start=False, total=1, cell="waiting") for name in names
        }

        def on_progress(name: str, done: int, of: int) -> None:
            progress.start_task(tasks[name])
            shown = "done" if done == of else f"cell {done + 1} of {of}"
            progress.update(tasks[name], completed=done, total=of, cell=shown)

        yield on_progress


def _published(job: Job) -> Run | None:
    """The run behind the published results of a chapter, if there are any that can be read."""
    try:
        return load(job.chapter.name, job.profile, job.book.folder / "results").run
    except ResultError:
        return None


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
