"""One chapter of a run: whether it must be executed at all, doing it, and what came of it.

`fashionnb.runs` decides which jobs there are, and does many of them at a time.
"""

import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fashionnb import files
from fashionnb.runs import keys
from fashionnb.runs.chapters import Book, Chapter

log = logging.getLogger(__name__)

Tell = Callable[[str, int, int], None]
"""Called with a chapter's name, the number of its cells that are done, and of all."""


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
class Job:
    """One chapter with everything decided about how it runs.

    base : below it lie `run`, `models` and maybe `results`. results : the folder of the results, above the profiles.
    apart : why that is not the book's own, else "". offline : some data cannot be had. threads : for torch and numpy.
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
    command = [sys.executable, "-m", "fashionnb.runs"]
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
            f"{job.chapter.name} failed in code cell {error['cell']} ({short(job.chapter.path)}{place}): {line}",
            *(f"    {part}" for part in trace or [f"{error['name']}: {value}"]),
            f"The executed notebook is {short(job.notebook)}.",
        ]
    )


def short(path: Path) -> Path:
    """The path as seen from here, where it lies below here."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
