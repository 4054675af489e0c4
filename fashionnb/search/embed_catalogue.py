"""Embed a whole catalogue into one file, in several processes, without losing work when it is
stopped.

The images are dealt in batches, and the embeddings of each go to a
`fashionnb.features.store.FeatureStore` beside the file until all are there. A second call goes on
where the first was stopped. `fashionnb.features.vector_files` reads the file; `fashionnb embed`
does the same from the command line.
"""

import logging
import multiprocessing
import os
import shutil
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from fashionnb import datasets, profiles
from fashionnb.data.catalogue import Catalogue
from fashionnb.errors import DataError, RunError, WriteError
from fashionnb.features import vector_files
from fashionnb.features.embedding import embed
from fashionnb.features.streaming import BATCH, stream
from fashionnb.files import write_text
from fashionnb.search.engine import Size, VisualSearchEngine

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Done:
    """What `embed_to_file` did.

    Attributes
    ----------
    pictures : int
        All images.
    embedded : int
        Those that were embedded by this call.
    seconds : float
    """

    pictures: int
    embedded: int
    seconds: float


def embed_to_file(
    source: Path | str | Catalogue,
    model: Path | str,
    out: Path | str,
    *,
    size: Size | None = None,
    processes: int = 1,
    batch_size: int = BATCH,
    device: str | None = None,
    progress: bool = True,
) -> Done:
    """Embed all images of a folder, a zip file, a catalogue or a dataset into one file.

    Stopped at any moment and called again, it goes on with what is there. Images that changed
    meanwhile are embedded again.

    Parameters
    ----------
    source : Path, str or Catalogue
        As `fashionnb.datasets.open_catalogue` takes it; with several processes no catalogue.
    model, size, device
        As `fashionnb.search.engine.VisualSearchEngine`. Of several GPUs each process takes the
        next.
    out : Path or str
        The safetensors file that is written, for `fashionnb.features.vector_files.load`.
    processes : int
        That share the work.
    batch_size : int
        Images at a time.
    progress : bool
        Show a bar, with the images per second.

    Returns
    -------
    Done

    Raises
    ------
    DataNotFound, ModelMismatch, ProfileError
        As `VisualSearchEngine` and `open_catalogue`.
    DataError
        If an image cannot be read, or fewer than one process or one image a batch are asked for.
    WriteError
        If the file cannot be written. This is noticed before anything is embedded.
    RunError
        If a process was killed, perhaps for want of memory. What is done is kept.
    """
    out = Path(out)
    if min(processes, batch_size) < 1:
        raise DataError(
            f"Expected 1 process and 1 picture a batch, or more; got {processes} and {batch_size}."
        )
    if processes > 1 and isinstance(source, Catalogue):
        raise DataError(
            "A catalogue lives in this process alone. Name a folder, a zip file or a dataset, or "
            "use one."
        )
    if out.is_dir():
        raise WriteError(
            f"{out}: is a folder. Name the file that the vectors go to, such as "
            f"{out / 'my.safetensors'}."
        )
    parts = out.with_name(f".{out.name}.parts")
    work = _Work(parts, source, model, size, batch_size, device)
    write_text(parts / "of", str(source))  # now, and not after an hour
    starts = range(0, len(work.gallery), batch_size)
    began, embedded, digests = time.monotonic(), 0, {}
    with (
        tqdm(total=len(work.gallery), unit="image", desc="embed", disable=not progress) as bar,
        _several(work, starts, processes, (parts, source, model, size, batch_size, device)) as done,
    ):
        for start, fresh, found in done:
            embedded += fresh
            digests[start] = found
            bar.update(len(found))
    rows = work.store.get([digest for start in starts for digest in digests[start]])
    values = np.stack([row["vector"] for row in rows])
    ids = work.gallery.table["id"].tolist()
    name = work.gallery.name
    vector_files.save(out, vector_files.Vectors(values, ids, name, work.engine.fingerprint))
    work.store.close()
    shutil.rmtree(parts, ignore_errors=True)
    return Done(len(ids), embedded, time.monotonic() - began)


class _Work:
    """The images and the model, in one of the processes."""

    def __init__(
        self,
        parts: Path,
        source: Path | str | Catalogue,
        model: Path | str,
        size: Size | None,
        batch_size: int,
        device: str | None,
    ) -> None:
        self.gallery = datasets.open_catalogue(source)
        self.engine = VisualSearchEngine(model, size=size, device=device)
        self.store = self.engine.store(parts)
        self.batch_size = batch_size

    def do(self, start: int) -> tuple[int, int, list[bytes]]:
        """Embed one batch if it is not there: its start, how many were embedded, and their
        digests.
        """
        items = self.gallery.table.iloc[start : start + self.batch_size]
        [batch] = stream(
            self._encode, self.gallery.images, items["image"], self.engine.size,
            self.engine.channels, store=self.store, batch_size=len(items),
        )  # fmt: skip
        if batch.failed:
            more = f" And {len(batch.failed) - 1} more beside it." if len(batch.failed) > 1 else ""
            raise DataError(
                f"{batch.failed[0][1]} {more}Put it right or take it away, and run the same again."
            )
        return start, batch.new, batch.digests

    def _encode(self, pixels: np.ndarray) -> np.ndarray:
        found = embed(self.engine.model, pixels, batch_size=len(pixels))
        return vector_files.unit(found, len(pixels), self.engine.checkpoint)


@contextmanager
def _several(
    work: _Work, starts: range, processes: int, arguments: tuple
) -> Iterator[Iterator[tuple[int, int, list[bytes]]]]:
    """Results of all batches, as they are finished, in any order.

    Not by accelerate: its `split_between_processes` deals all batches out before it begins, needs a
    launcher and a rendezvous, and its `notebook_launcher` forks. Here the store has all results.
    """
    if processes == 1:
        yield (work.do(start) for start in starts)
        return
    context = multiprocessing.get_context("spawn")  # forked, threads of torch would hang
    threads = max(1, torch.get_num_threads() // processes)
    began = context.Value("i", 0)
    pool = ProcessPoolExecutor(processes, context, _begin, (arguments, threads, began))
    try:
        yield (
            future.result()
            for future in as_completed([pool.submit(_do, start) for start in starts])
        )
    except BrokenProcessPool as error:
        raise RunError(
            "One of the processes was killed, perhaps because memory ran out. Run the same again, "
            "with fewer "
            "--processes or a smaller --batch-size (which begins anew): it goes on with what is "
            "done."
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


_mine: _Work | None = None  # of this process, if it is one of several


def _begin(arguments: tuple, threads: int, began) -> None:
    global _mine
    # Nobody collects the work of a process whose parent was killed.
    parent = multiprocessing.parent_process()
    threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()
    torch.set_num_threads(threads)
    *others, device = arguments
    with began.get_lock():
        number, began.value = began.value, began.value + 1
    _mine = _Work(*others, _device(device, number))


def _device(device: str | None, number: int) -> str:
    """Where the process of this number computes: of several GPUs each takes the next."""
    device = profiles.choose(device=device).device
    return f"cuda:{number % torch.cuda.device_count()}" if device == "cuda" else device


def _do(start: int) -> tuple[int, int, list[bytes]]:
    return _mine.do(start)
