"""A whole catalogue to one file of vectors, in several processes, and without losing work when it is killed.

The pictures are dealt in batches, and each batch is a file of its own until all are there. So whoever runs the same
again goes on where it stopped, and the result does not depend on where that was. `fashionnb.features.vector_files`
reads the file; `fashionnb embed` does the same from the command line.
"""

import hashlib
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
import safetensors.numpy
import torch
from safetensors import SafetensorError, safe_open
from tqdm import tqdm

from fashionnb import profiles
from fashionnb.data.catalogue import Catalogue
from fashionnb.data.images import as_stored
from fashionnb.errors import DataError, RunError, WriteError
from fashionnb.features import vector_files
from fashionnb.features.embedding import embed
from fashionnb.features.streaming import BATCH, stream
from fashionnb.files import write_text, written_whole
from fashionnb.search.engine import Size, VisualSearchEngine
from fashionnb.search.gallery import open_gallery

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Done:
    """What `embed_to_file` did: how many pictures there are, how many were embedded now, and in what time."""

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
    """Embed all pictures of a folder, a zip file, a catalogue or a dataset into one file. Introduced in chapter 11.

    Killed at any moment and called again, it goes on with the batches that are there, and the file becomes the same
    to the last byte. Batches whose pictures have changed meanwhile are embedded again. One process gives the same
    vectors as several.

    Parameters
    ----------
    source : as `fashionnb.search.gallery.open_gallery` takes it; with several processes no catalogue.
    model, size, device : as `fashionnb.search.engine.VisualSearchEngine`. Of several GPUs each process takes the next.
    out : a safetensors file with the vectors, each of length 1, and the ids; for
    `fashionnb.features.vector_files.load`.
    processes : that share the work.
    batch_size : pictures at a time, and in a file; to go on it must be the same as before.
    progress : show a bar, with the pictures per second.

    Raises
    ------
    DataNotFound, ModelMismatch, ProfileError : as `VisualSearchEngine` and `open_gallery`.
    DataError : a picture cannot be read; or less than one process, or one picture a batch.
    WriteError : the file cannot be written. This is found out before anything is embedded.
    RunError : a process was killed, for want of memory perhaps. What is done is kept.
    """
    out = Path(out)
    if min(processes, batch_size) < 1:
        raise DataError(
            f"Expected 1 process and 1 picture a batch, or more; got {processes} and {batch_size}."
        )
    if processes > 1 and isinstance(source, Catalogue):
        raise DataError(
            "A catalogue lives in this process alone. Name a folder, a zip file or a dataset, or use one."
        )
    if out.is_dir():
        raise WriteError(
            f"{out}: is a folder. Name the file that the vectors go to, such as {out / 'my.safetensors'}."
        )
    work = _Work(source, model, size, batch_size, device)
    parts = out.with_name(f".{out.name}.parts") / work.key
    write_text(parts / "of", str(source))  # now, and not after an hour
    starts = range(0, len(work.gallery), batch_size)
    began, embedded = time.monotonic(), 0
    with (
        tqdm(total=len(work.gallery), unit="picture", desc="embed", disable=not progress) as bar,
        _several(
            work, parts, starts, processes, (source, model, size, batch_size, device)
        ) as finished,
    ):
        for count, fresh in finished:
            embedded += fresh
            bar.update(count)
    values = np.concatenate(
        [safetensors.numpy.load_file(_part(parts, start))["vectors"] for start in starts]
    )
    ids = work.gallery.items["id"].tolist()
    vector_files.save(
        out,
        vector_files.Vectors(
            values, ids, work.gallery.source or str(source), work.engine.fingerprint
        ),
    )
    shutil.rmtree(parts.parent, ignore_errors=True)
    return Done(len(ids), embedded, time.monotonic() - began)


class _Work:
    """The pictures and the model, in one of the processes."""

    def __init__(
        self,
        source: Path | str | Catalogue,
        model: Path | str,
        size: Size | None,
        batch_size: int,
        device: str | None,
    ) -> None:
        self.gallery, self.engine = (
            open_gallery(source),
            VisualSearchEngine(model, size=size, device=device),
        )
        self.batch_size = batch_size
        about = f"{self.engine.fingerprint} {self.engine.size} {batch_size}"
        self.key = hashlib.sha256(about.encode()).hexdigest()[:16]

    def do(self, parts: Path, start: int) -> tuple[int, int]:
        """Make one part if it is not there: how many pictures it has, and how many were embedded."""
        items = self.gallery.items.iloc[start : start + self.batch_size]
        keys, images = items["image"].tolist(), self.gallery.images
        digest = hashlib.sha256(str(items["id"].tolist()).encode())
        for key in keys:
            digest.update(hashlib.sha256(as_stored(images, key)).digest())
        content, file = digest.hexdigest(), _part(parts, start)
        if _is_whole(file, content, len(keys)):
            return len(keys), 0
        batches = stream(
            self._encode, images, keys, self.engine.size, self.engine.channels, batch_size=len(keys)
        )
        batch = next(batches)
        if batch.failed:
            more = f" And {len(batch.failed) - 1} more beside it." if len(batch.failed) > 1 else ""
            raise DataError(
                f"{batch.failed[0][1]} {more}Put it right or take it away, and run the same again."
            )
        with written_whole(file) as aside:
            aside.write_bytes(
                safetensors.numpy.save({"vectors": batch.vectors}, {"content": content})
            )
        return len(keys), len(keys)

    def _encode(self, pixels: np.ndarray) -> np.ndarray:
        found = embed(self.engine.model, pixels, batch_size=len(pixels))
        return vector_files.unit(found, len(pixels), self.engine.checkpoint)


@contextmanager
def _several(
    work: _Work, parts: Path, starts: range, processes: int, arguments: tuple
) -> Iterator[Iterator[tuple[int, int]]]:
    """What comes of each batch, as they are finished, in whatever order.

    Not by accelerate: its `split_between_processes` deals all batches out before it begins, wants a launcher and a
    rendezvous, and its `notebook_launcher` forks. Batches are files here, so that nothing has to be gathered.
    """
    if processes == 1:
        yield (work.do(parts, start) for start in starts)
        return
    context = multiprocessing.get_context("spawn")  # forked, threads of torch would hang
    threads = max(1, torch.get_num_threads() // processes)
    began = context.Value("i", 0)
    pool = ProcessPoolExecutor(processes, context, _begin, (arguments, threads, began))
    try:
        yield (
            future.result()
            for future in as_completed([pool.submit(_do, parts, start) for start in starts])
        )
    except BrokenProcessPool as error:
        raise RunError(
            "One of the processes was killed, perhaps because memory ran out. Run the same again, with fewer "
            "--processes or a smaller --batch-size (which begins anew): it goes on with what is done."
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
    """Where the process of this number computes: of several GPUs each process takes the next."""
    device = profiles.choose(device=device).device
    return f"cuda:{number % torch.cuda.device_count()}" if device == "cuda" else device


def _do(parts: Path, start: int) -> tuple[int, int]:
    return _mine.do(parts, start)


def _part(parts: Path, start: int) -> Path:
    return parts / f"{start:09d}.safetensors"


def _is_whole(file: Path, content: str, n: int) -> bool:
    """Is this part there, of these pictures, and undamaged?"""
    if not file.exists():
        return False
    try:
        with safe_open(file, framework="np") as part:
            if (part.metadata() or {}).get("content") == content:
                return len(part.get_tensor("vectors")) == n
    except (SafetensorError, OSError) as error:
        logger.warning("%s is broken (%s); embedding its pictures again.", file, error)
    return False
