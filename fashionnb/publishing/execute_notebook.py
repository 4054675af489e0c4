"""Execute one notebook with papermill, in a process that does nothing else.

`fashionnb.publishing.run_chapter` starts `python -m fashionnb.publishing.execute_notebook` with a
job (JSON) on its input and reads JSON lines from its output: first the progress, at last what was
measured. A process of its own means that the peak memory is that of this chapter's kernel, and that
chapters cannot disturb each other. papermill saves after each cell, so `finish` can write what a
chapter had computed even if its process was killed.
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
from nbformat import NotebookNode
from papermill.engines import NBClientEngine, papermill_engines
from papermill.execute import remove_error_markers

from fashionnb import files
from fashionnb.notebook import hardware
from fashionnb.notebook.claims import claims_in
from fashionnb.publishing.chapters import INJECTED, tags

KERNEL_DIED = ("DeadKernelError", "the kernel died; most often the memory was not enough")
"""Name and value of the error of a chapter whose kernel is gone."""


def execute(job: dict[str, Any], on_cell: Callable[[int, int], None]) -> dict[str, Any]:
    """Execute a notebook and write it, with what was measured in its metadata.

    Parameters
    ----------
    job : dict
        `notebook` (JSON text), `target` (path of the executed notebook), `folder` (working folder
        of the kernel), `parameters`, `results` (path of the results file that the chapter may
        write), `metadata` (copied into the notebook's) and `scratch` (a temporary folder).
    on_cell : callable
        Called before each cell with its index and the number of all cells.

    Returns
    -------
    dict
        The metadata, as `finish` returns it.
    """
    at_work = 0

    class Engine(NBClientEngine):
        """papermill's own engine, which also reports its progress."""

        @classmethod
        def execute_managed_notebook(cls, nb_man: Any, kernel_name: str, **options: Any) -> Any:
            start = nb_man.cell_start

            def cell_start(cell: Any, cell_index: int, **more: Any) -> None:
                nonlocal at_work
                at_work = cell_index
                on_cell(at_work, len(nb_man.nb.cells))
                start(cell, cell_index, **more)

            nb_man.cell_start = cell_start
            return super().execute_managed_notebook(nb_man, kernel_name, **options)

    papermill_engines.register("fashionnb", Engine)
    results = Path(job["results"])
    before, begun, died_at = _state(results), time.perf_counter(), None
    source, executed = Path(job["scratch"], "source.ipynb"), _executed(job)
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
        pass  # the notebook holds the error
    except DeadKernelError:
        died_at = at_work
    measured = {
        "seconds": round(time.perf_counter() - begun, 1),
        "peak_memory_mb": hardware.peak_memory_mb(resource.RUSAGE_CHILDREN),
    }
    if _state(results) not in (None, before):
        measured["results"] = files.sha256(results)
    return finish(job, measured, died_at, KERNEL_DIED)


def finish(
    job: dict[str, Any], measured: dict[str, Any], died_at: int | None, reason: tuple[str, str]
) -> dict[str, Any]:
    """Write the notebook of a chapter that ended, well or not, from what papermill saved of it.

    Parameters
    ----------
    job : dict
        As for `execute`.
    measured : dict
        `seconds`, `peak_memory_mb`, and `results` (a hash) if the chapter recorded some.
    died_at : int or None
        The index of the cell at which the kernel or its process ended, if it did.
    reason : tuple of str
        Name and value of the error to give for that.

    Returns
    -------
    dict
        The metadata of the job, what was measured, `claims` (how many were made, and those that do
        not hold), and, if the chapter failed, `error`: the code `cell` (counted from 1, without the
        one that papermill adds), its `source`, the `line` in it (from 1), `name` and `value` of the
        error, the end of its `traceback`, and whether it `died`.
    """
    executed = _executed(job)
    text = executed.read_text(encoding="utf-8") if executed.exists() else job["notebook"]
    notebook = nbformat.reads(text, as_version=4)
    claims = list(claims_in(notebook))
    metadata = {
        **job["metadata"],
        **measured,
        "hardware": hardware.hardware(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "claims": {
            "made": len(claims),
            "not_held": [claim.as_json() for claim in claims if not claim.holds],
        },
    }
    if error := _failure(notebook, died_at, reason):
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


def _executed(job: dict[str, Any]) -> Path:
    """Where papermill saves the notebook after each cell."""
    return Path(job["scratch"], "executed.ipynb")


def _failure(
    notebook: NotebookNode, died_at: int | None, reason: tuple[str, str]
) -> dict[str, Any] | None:
    """Where and how the chapter failed, as `finish` describes it, or None."""
    number = 0
    for index, cell in enumerate(notebook.cells):
        if cell.cell_type != "code" or INJECTED in tags(cell):
            continue
        number += 1
        place = {"cell": number, "source": cell.source}
        if died_at is not None and index >= died_at:  # it may have died before a cell of text
            name, value = reason
            return {
                **place, "line": 1, "name": name, "value": value, "traceback": [], "died": True
            }  # fmt: skip
        errors = [output for output in cell.outputs if output.output_type == "error"]
        if errors and "raises-exception" not in tags(cell):
            return {**place, **_describe(errors[0]), "died": False}
    return None


def _describe(error: NotebookNode) -> dict[str, Any]:
    """The error output of a cell: line in the cell, name, value and end of the traceback."""
    trace = _without_colours("\n".join(error.traceback)).splitlines()
    place = re.search(r"^\s*Cell In\[\d+\], line (\d+)", "\n".join(trace), re.MULTILINE)
    return {
        "line": int(place[1]) if place else 1,
        "name": error.ename,
        "value": _without_colours(error.evalue),
        "traceback": trace[-8:],
    }


def _without_colours(text: str) -> str:
    return re.sub(r"\x1b\[[\d;]*m", "", text)


def _state(path: Path) -> tuple[int, int] | None:
    """Changes whenever the file is written anew."""
    return (path.stat().st_ino, path.stat().st_mtime_ns) if path.exists() else None


def main() -> None:
    """Read the job from stdin, execute it, and write the reports to stdout."""
    # The kernel inherits stdout and may print to it; so the reports go to a copy of our own.
    reports = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def send(**report: Any) -> None:
        reports.write(json.dumps(report) + "\n")
        reports.flush()

    job = json.load(sys.stdin)
    send(metadata=execute(job, lambda cell, of: send(cell=cell, of=of)))


if __name__ == "__main__":
    main()
