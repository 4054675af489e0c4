"""Embed a whole catalogue into one file, in several processes, without losing work when it is
stopped.

The embeddings are cached in a folder beside the file until all are there, so a second call goes on
where the first was stopped. Several processes fill that cache first. The file is read by
`fashionnb.features.vector_files`; `fashionnb embed` does the same from the command line.
"""

import multiprocessing
import os
import shutil
import threading
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from fashionnb import datasets, profiles
from fashionnb.data.catalogue import Catalogue
from fashionnb.errors import DataError, RunError
from fashionnb.features import vector_files
from fashionnb.features.embedding import BATCH, Embedded, embed_images
from fashionnb.files import check_target, only_writer
from fashionnb.search.engine import Size, VisualSearchEngine


def embed_to_file(
    source: Path | str | Catalogue,
    model: Path | str,
    out: Path | str,
    *,
    size: Size | None = None,
    processes: int = 1,
    batch_size: int = BATCH,
    device: str | None = None,
    columns: Mapping[str, str] | None = None,
    skip_unreadable: bool = False,
) -> Embedded:
    """Embed a whole catalogue into one file, in several processes if wanted.

    The images are those of a folder, a zip file, a catalogue in memory or a dataset. Stopped at any
    moment and called again, it goes on with what is there. Images that changed meanwhile are
    embedded again.

    Parameters
    ----------
    source : Path, str or Catalogue
        As `fashionnb.datasets.open_catalogue` takes it; with several processes no catalogue.
    model : Path or str
        The checkpoint, as `fashionnb.search.engine.VisualSearchEngine` takes it.
    out : Path or str
        The safetensors file that is written, for `fashionnb.features.vector_files.load`.
    size : int or (int, int), optional
        Of the images in pixels: one number, or height and width; by default as the model's card
        says.
    processes : int
        Number of processes that share the work, 1 or more.
    batch_size : int
        Images at a time, 1 or more.
    device : str, optional
        "cpu", "cuda" or "mps"; by default that of the profile. Of several GPUs each process takes
        the next.
    columns : mapping of str to str, optional
        Of a table, as `open_catalogue` takes it.
    skip_unreadable : bool
        Leave out images that cannot be read; they are listed in the result.

    Returns
    -------
    Embedded
        What is in the file; `new` counts the images that this call embedded.

    Raises
    ------
    DataNotFound, ModelMismatch, ProfileError
        As `VisualSearchEngine` and `open_catalogue`.
    DataError
        If an image cannot be read and is not to be left out, or fewer than one process or one image
        a batch are asked for.
    WriteError
        If the file cannot be written, or another run is at it. This is noticed before anything is
        embedded.
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
    check_target(out)  # now, and not after an hour
    gallery = datasets.open_catalogue(source, columns)
    engine = VisualSearchEngine(model, size=size, device=device)
    parts = out.with_name(f".{out.name}.parts")
    with only_writer(out.parent, out.name):
        new = 0
        if processes > 1:
            starts = range(0, len(gallery), batch_size)
            new = _fill_cache(
                starts, processes, (source, columns, model, size, parts, batch_size, device)
            )
        found = engine.embed_dataset(
            gallery, cache=parts, batch_size=batch_size, skip_unreadable=skip_unreadable
        )
        contents = vector_files.contents_of(found.gallery)
        about = gallery.name, engine.fingerprint, str(engine.size), contents
        vector_files.save(out, vector_files.Vectors(found.vectors, found.gallery.ids, *about))
        shutil.rmtree(parts, ignore_errors=True)
    return replace(found, new=new + found.new)


def _fill_cache(starts: range, processes: int, arguments: tuple) -> int:
    """Embed all batches into the cache; how many images were new.

    Not by accelerate: its `split_between_processes` deals all batches out before it begins, needs a
    launcher and a rendezvous, and its `notebook_launcher` forks. Here the cache has all results.
    """
    context = multiprocessing.get_context("spawn")  # forked, threads of torch would hang
    threads = max(1, torch.get_num_threads() // processes)
    began = context.Value("i", 0)
    pool = ProcessPoolExecutor(processes, context, _begin, (arguments, threads, began))
    try:
        batches = as_completed([pool.submit(_embed_batch, start) for start in starts])
        return sum(batch.result() for batch in tqdm(batches, "embed", len(starts), unit="batch"))
    except BrokenProcessPool as error:
        raise RunError(
            "One of the processes was killed, perhaps because memory ran out. Run the same again, "
            "with fewer --processes or a smaller --batch-size: it goes on with what is done."
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


_mine: tuple | None = None  # the engine, catalogue, cache and batch size of such a process


def _begin(arguments: tuple, threads: int, began) -> None:
    global _mine
    # Nobody collects the work of a process whose parent was killed.
    parent = multiprocessing.parent_process()
    threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()
    torch.set_num_threads(threads)
    source, columns, model, size, parts, batch_size, device = arguments
    with began.get_lock():
        number, began.value = began.value, began.value + 1
    engine = VisualSearchEngine(model, size=size, device=_device(device, number))
    _mine = engine, datasets.open_catalogue(source, columns), engine.store(parts), batch_size


def _device(device: str | None, number: int) -> str:
    """Where the process of this number computes: of several GPUs each takes the next."""
    device = profiles.choose_device(device)
    return f"cuda:{number % torch.cuda.device_count()}" if device == "cuda" else device


def _embed_batch(start: int) -> int:
    """Embed one batch if it is not in the cache; images that cannot be read are left for later."""
    engine, gallery, store, batch_size = _mine
    rows = np.arange(start, min(start + batch_size, len(gallery)))
    found = embed_images(
        engine.encode, gallery.take(rows), engine.size, engine.channels,
        store=store, batch_size=batch_size, progress=False,
    )  # fmt: skip
    return found.new
