"""One chapter, executed by papermill, in a process that does nothing else.

`fashionnb.runs.jobs` starts `python -m fashionnb.runs` with a job (JSON) on its input and reads JSON lines from its
output: first the progress, at last the report. A process of its own means that the peak memory is that of this
chapter's kernel, and that one chapter cannot disturb another.
"""

import json
import re
import resource
import tempfile
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

from fashionnb import files, machine


def execute(job: dict[str, Any], tell: Callable[[int, int], None]) -> dict[str, Any]:
    """Execute a notebook and write it, whole, with what was measured in its metadata under `fashionnb`.

    Parameters
    ----------
    job : `notebook` (JSON text), `target` (path), `folder` (working folder of the kernel), `parameters`, `results`
        (path of the results file that the chapter may write), `metadata` (copied into the notebook's).
    tell : called with the number of cells begun, and of all cells.

    Returns
    -------
    The metadata; with an `error` (see `_failure`) if the chapter failed.
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
    results = Path(job["results"])
    before, begun, died = _state(results), time.perf_counter(), False
    with tempfile.TemporaryDirectory() as folder:
        source, executed = Path(folder, "source.ipynb"), Path(folder, "executed.ipynb")
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
        seconds = time.perf_counter() - begun
        notebook = nbformat.read(executed, as_version=4)

    metadata = {
        **job["metadata"],
        "seconds": round(seconds, 1),
        "peak_memory_mb": machine.peak_memory_mb(resource.RUSAGE_CHILDREN),
        "hardware": machine.hardware(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    if error := _failure(notebook, at_work if died else None):
        metadata["error"] = error
    else:
        notebook = remove_error_markers(notebook)  # set for errors that a cell shows on purpose
        if _state(results) not in (None, before):
            metadata["results"] = files.sha256(results)
            metadata["hardware"] = json.loads(results.read_text(encoding="utf-8"))["run"]["hardware"]
    for path in ("input_path", "output_path"):  # of the temporary folder
        notebook.metadata.get("papermill", {}).pop(path, None)
    notebook.metadata["fashionnb"] = metadata
    files.write_text(job["target"], nbformat.writes(notebook))
    return metadata


def _failure(notebook: nbformat.NotebookNode, died_at: int | None) -> dict[str, Any] | None:
    """Where and how the chapter failed, or None. died_at : the cell (an index) during which the kernel died.

    The report holds `cell` (counted over the chapter's own code cells, from 1), its `source`, the `line` in it (from
    1), `name` and `value` of the error, the end of its `traceback`, and `died`.
    """
    count = 0
    for index, cell in enumerate(notebook.cells):
        tags = cell.metadata.get("tags", [])
        if cell.cell_type != "code" or "injected-parameters" in tags:
            continue
        count += 1
        where = {"cell": count, "source": cell.source, "died": index == died_at}
        if index == died_at:
            why = "the kernel died; most often the memory was not enough (a smaller profile or batch_size needs less)"
            return {**where, "line": 1, "name": "DeadKernelError", "value": why, "traceback": []}
        wrong = [output for output in cell.outputs if output.output_type == "error"]
        if wrong and "raises-exception" not in tags:
            trace = [_plain(line) for block in wrong[0].traceback for line in block.splitlines()]
            lines = [int(found[1]) for line in trace if (found := re.match(r"\s*Cell In\[\d+\], line (\d+)", line))]
            value = _plain(wrong[0].evalue)
            return {**where, "line": (lines or [1])[0], "name": wrong[0].ename, "value": value, "traceback": trace[-8:]}
    return None


def _plain(text: str) -> str:
    """Without terminal colours."""
    return re.sub(r"\x1b\[[\d;]*m", "", text)


def _state(path: Path) -> tuple[int, int] | None:
    """Changes whenever the file is written anew."""
    return (path.stat().st_ino, path.stat().st_mtime_ns) if path.exists() else None
