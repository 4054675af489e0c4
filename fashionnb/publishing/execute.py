"""One chapter, executed by papermill, in a process that does nothing else.

`fashionnb.publishing.jobs` starts `python -m fashionnb.publishing.execute` with a job (JSON) on its input and reads
JSON lines from its output: first the progress, at last the report. A process of its own means that the peak memory is
that of this chapter's kernel, and that one chapter cannot disturb another. papermill saves after each cell, so even of
a chapter whose process was killed there is what it had computed so far: `leave` makes the notebook of it.
"""

import json
import os
import re
import resource
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import nbformat
import papermill
from nbclient.exceptions import DeadKernelError
from papermill.engines import NBClientEngine, papermill_engines
from papermill.execute import remove_error_markers

from fashionnb import files
from fashionnb.notebook import hardware
from fashionnb.notebook.claims import claims_in

KERNEL_DIED = ("DeadKernelError", "the kernel died; most often the memory was not enough")
"""Name and value of the error of a chapter whose kernel is gone."""


def execute(job: dict[str, Any], tell: Callable[[int, int], None]) -> dict[str, Any]:
    """Execute a notebook and write it, whole, with what was measured in its metadata under `fashionnb`.

    Parameters
    ----------
    job : `notebook` (JSON text), `target` (path), `folder` (working folder of the kernel), `parameters`, `results`
        (path of the results file that the chapter may write), `metadata` (copied into the notebook's), `scratch` (a
        folder for what is half done).
    tell : called with the number of cells begun, and of all cells.

    Returns
    -------
    The metadata, as `leave`.
    """

    at_work = 0

    class Engine(NBClientEngine):
        """papermill's own engine, which also tells how far it is."""

        @classmethod
        def execute_managed_notebook(cls, nb_man: Any, kernel_name: str, **options: Any) -> Any:
            begin = nb_man.cell_start

            def cell_start(cell: Any, cell_index: int | None = None, **more: Any) -> None:
                nonlocal at_work
                at_work = cell_index or 0
                tell(at_work, len(nb_man.nb.cells))
                begin(cell, cell_index, **more)

            nb_man.cell_start = cell_start
            return super().execute_managed_notebook(nb_man, kernel_name, **options)

    papermill_engines.register("fashionnb", Engine)
    before, begun, died = _state(Path(job["results"])), time.perf_counter(), False
    source, executed = _half_done(job)
    source.write_text(job["notebook"], encoding="utf-8")
    try:
        papermill.execute_notebook(
            source,
            executed,
            job["parameters"],
            engine_name="fashionnb",
            kernel_name="python3",
            cwd=job["folder"],
            progress_bar=False,
        )
    except papermill.PapermillExecutionError:
        pass  # the notebook says it all
    except DeadKernelError:
        died = True
    measured = {
        "seconds": round(time.perf_counter() - begun, 1),
        "peak_memory_mb": hardware.peak_memory_mb(resource.RUSAGE_CHILDREN),
    }
    if _state(Path(job["results"])) not in (None, before):
        measured["results"] = files.sha256(job["results"])
    return leave(job, measured, at_work if died else None, KERNEL_DIED)


def leave(
    job: dict[str, Any], measured: dict[str, Any], died_at: int | None, why: tuple[str, str]
) -> dict[str, Any]:
    """Write the notebook of a chapter that ended, well or not, from what papermill saved of it.

    Parameters
    ----------
    job : as `execute`. measured : `seconds`, `peak_memory_mb`, and `results` (a hash) if some were recorded.
    died_at : the cell (an index) at which the kernel or its process was gone, else None. why : name and value of the
        error to give for that.

    Returns
    -------
    The metadata: that of the job, what was measured, `claims` (those made, and those that do not hold), and an `error`
    (see `_failure`) if the chapter failed.
    """
    _, executed = _half_done(job)
    text = executed.read_text(encoding="utf-8") if executed.exists() else job["notebook"]
    notebook = nbformat.reads(text, as_version=4)
    made = list(claims_in(notebook))
    metadata = {
        **job["metadata"],
        **measured,
        "hardware": hardware.hardware(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "claims": {"made": len(made), "not_held": [one.as_json() for one in made if not one.holds]},
    }
    if error := _failure(notebook, died_at, why):
        metadata["error"] = error
    else:
        notebook = remove_error_markers(notebook)  # set for errors that a cell shows on purpose
    if "results" in metadata:
        recorded = json.loads(Path(job["results"]).read_text(encoding="utf-8"))
        metadata["hardware"] = recorded["run"]["hardware"]
    for path in ("input_path", "output_path"):  # of the scratch folder
        notebook.metadata.get("papermill", {}).pop(path, None)
    notebook.metadata["fashionnb"] = metadata
    files.write_text(job["target"], nbformat.writes(notebook))
    return metadata


def _half_done(job: dict[str, Any]) -> tuple[Path, Path]:
    """Where papermill reads the notebook, and where it saves it after each cell."""
    return Path(job["scratch"], "source.ipynb"), Path(job["scratch"], "executed.ipynb")


def _failure(
    notebook: nbformat.NotebookNode, died_at: int | None, why: tuple[str, str]
) -> dict[str, Any] | None:
    """Where and how the chapter failed, or None. died_at, why : as `leave`.

    The report holds `cell` (counted over the chapter's own code cells, from 1), its `source`, the `line` in it (from
    1), `name` and `value` of the error, the end of its `traceback`, and `died`.
    """
    count = 0
    for index, cell in enumerate(notebook.cells):
        tags = cell.metadata.get("tags", [])
        own = cell.cell_type == "code" and "injected-parameters" not in tags
        count += own
        died = died_at is not None and index >= died_at  # it may have died before a cell of text
        where = {"cell": count, "source": cell.source, "died": died}
        if died and own:
            return {**where, "line": 1, "name": why[0], "value": why[1], "traceback": []}
        wrong = [output for output in cell.get("outputs", ()) if output.output_type == "error"]
        if own and wrong and "raises-exception" not in tags:
            trace = [_plain(line) for block in wrong[0].traceback for line in block.splitlines()]
            lines = [
                int(found[1])
                for line in trace
                if (found := re.match(r"\s*Cell In\[\d+\], line (\d+)", line))
            ]
            value = _plain(wrong[0].evalue)
            return {
                **where,
                "line": (lines or [1])[0],
                "name": wrong[0].ename,
                "value": value,
                "traceback": trace[-8:],
            }
    return None


def _plain(text: str) -> str:
    """Without terminal colours."""
    return re.sub(r"\x1b\[[\d;]*m", "", text)


def _state(path: Path) -> tuple[int, int] | None:
    """Changes whenever the file is written anew."""
    return (path.stat().st_ino, path.stat().st_mtime_ns) if path.exists() else None


def main() -> None:
    """Read the job, execute it, report."""
    # The kernel inherits our output and may print to it; so the reports go to a copy that it does not inherit.
    reports = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def send(**report: Any) -> None:
        reports.write(json.dumps(report) + "\n")
        reports.flush()

    job = json.load(sys.stdin)
    send(metadata=execute(job, lambda done, of: send(done=done, of=of)))


if __name__ == "__main__":
    main()
