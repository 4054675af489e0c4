"""An index as a file: name, version and checksum, then safetensors with what is known of it, its ids and its structure.

The checksum is looked at first, so that FAISS, which reads its own format, never sees a damaged file. It finds
accidents, not malice: whoever can make a file can make its checksum, too.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pyarrow as pa
import safetensors.numpy
from safetensors import SafetensorError

from fashionnb.errors import DataError, DataNotFound
from fashionnb.files import written_whole

NAME, VERSION = b"fashionnb index ", b"1\n"


def write(path: Path, about: dict[str, Any], ids: pa.StringArray, structure: faiss.Index) -> None:
    """Write an index to one file, whole or not at all. Raises `WriteError`."""
    stream = pa.BufferOutputStream()
    table = pa.record_batch({"ids": ids})
    with pa.ipc.new_stream(stream, table.schema) as writer:
        writer.write_batch(table)
    parts = {
        "about": np.frombuffer(json.dumps(about).encode(), np.uint8),
        "ids": np.frombuffer(stream.getvalue(), np.uint8),
        "structure": faiss.serialize_index(structure),
    }
    body = safetensors.numpy.save(parts)
    with written_whole(path) as aside, aside.open("wb") as file:
        file.writelines((NAME, VERSION, hashlib.sha256(body).digest(), body))


def read(path: Path) -> tuple[dict[str, Any], pa.StringArray, faiss.Index]:
    """What `write` wrote.

    Raises
    ------
    DataNotFound : there is no such file.
    DataError : it is no index, is damaged, or was written by another version.
    """
    if not path.is_file():
        raise DataNotFound(
            f"{path} is not there. `fashionnb index build` (or `Index.save`) makes such a file."
        )
    body = _checked(path, path.read_bytes())
    try:
        parts = safetensors.numpy.load(body)
        about = json.loads(parts["about"].tobytes())
        with pa.ipc.open_stream(parts["ids"].tobytes()) as stream:
            ids = stream.read_next_batch()["ids"]
        structure = faiss.deserialize_index(parts["structure"])
        if (structure.ntotal, structure.d) != (len(ids), about["dimensions"]):
            raise ValueError("ids and vectors do not belong together")
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise DataError(
            f"{path} cannot be read by this version ({error}). Build the index again."
        ) from error
    return about, ids, structure


def _checked(path: Path, content: bytes) -> bytes:
    """What follows name, version and checksum, if all three are right."""
    if not content.startswith(NAME):
        raise DataError(f"{path} is not an index of fashionnb. `Index.save` writes such files.")
    if not content.startswith(NAME + VERSION):
        raise DataError(
            f"{path} was written by a newer version of fashionnb. Install that, or build the index again."
        )
    start = len(NAME + VERSION)
    checksum, body = content[start : start + 32], content[start + 32 :]
    if hashlib.sha256(body).digest() != checksum:
        raise DataError(
            f"{path} is damaged: its checksum is wrong. Copy it again from where it came, or build the index again."
        )
    return body
