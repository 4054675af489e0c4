"""Write files either whole or not at all, and hash them.

`written_whole` writes beside the target and renames at the end, so that a full disk, Ctrl-C or a
killed process never leaves half a file under the final name. All of fashionnb writes through it.
`only_writer` keeps a second run from writing into a folder at the same time.
"""

import hashlib
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from fashionnb.errors import FashionNBError, WriteError

logger = logging.getLogger(__name__)

LONGEST_NAME = 235
"""Bytes of a file's name: disks take 255, and the file beside it has a longer name."""


def check_target(target: Path | str) -> None:
    """Check that a file can be written somewhere, before the work whose result it will hold.

    Parameters
    ----------
    target : path
        The file; it and its folder need not be there.

    Raises
    ------
    WriteError
        If it is a folder, or lies in a file or in a folder that may not be written.
    """
    target = Path(target)
    if not target.name or target.is_dir():
        raise WriteError(
            f"{target}: is a folder. Name the file to write, such as {target / 'my-file'}."
        )
    if len(os.fsencode(target.name)) > LONGEST_NAME:
        raise WriteError(
            f"{target}: cannot be written, since its name has more than {LONGEST_NAME} bytes. "
            "Choose a shorter one."
        )
    above = next(folder for folder in target.absolute().parents if folder.exists())
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        raise WriteError(
            f"{target}: cannot be written ({above} is no folder that you may write to). "
            "Choose another."
        )


@contextmanager
def written_whole(target: Path | str) -> Iterator[Path]:
    """Write a file whole or not at all: yield a path, and rename that file if all went well.

    Parameters
    ----------
    target : path
        Its folder is made if necessary.

    Yields
    ------
    Path
        Beside the target.

    Raises
    ------
    WriteError
        If it is a folder, its folder cannot be made or written, or the disk is full. `target` is
        then unchanged.
    """
    target = Path(target)
    check_target(target)
    aside = target.with_name(f".{target.name}.{uuid4().hex[:8]}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield aside
        aside.replace(target)
    except OSError as error:
        if isinstance(error, FashionNBError) or not _concerns(error, aside):
            raise
        raise WriteError(
            f"{target}: cannot be written ({error.strerror or error}). "
            "Choose a folder that you may write to, or make room on the disk, and run the same "
            "again."
        ) from error
    finally:
        with suppress(OSError):  # it was renamed, or never made
            aside.unlink()


@contextmanager
def only_writer(folder: Path | str, name: str = "", wait: bool = False) -> Iterator[None]:
    """Hold a folder while a run writes into it: a second run at the same time is refused, or waits.

    The lock is the operating system's, so it ends with the process, even if that is killed.

    Parameters
    ----------
    folder : path
        Made if necessary, and removed at the end if nothing was written into it.
    name : str
        Of the only file or folder in it that is held; "" for all.
    wait : bool
        Wait for the other run instead of refusing; the log says so.

    Yields
    ------
    None

    Raises
    ------
    WriteError
        If another run holds it and is not to be waited for, or it cannot be made or written.
    """
    from filelock import FileLock, Timeout  # not needed by those that only read

    folder = Path(folder)
    file = folder / f".{name or 'writing'}.lock"
    lock = FileLock(file, timeout=0)
    try:
        made = not folder.exists()
        folder.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire()
        except Timeout as error:
            held = f"{folder / name}: another run is writing there ({_holder(file)})"
            if not wait:
                raise WriteError(
                    f"{held}. Wait until it has ended and run the same again, or choose another "
                    "place to write to."
                ) from error
            logger.warning("%s; waiting for it.", held)
            lock.acquire(timeout=-1)
        with suppress(OSError):  # Windows keeps what is locked from being written
            file.write_text(str(os.getpid()), encoding="utf-8")
        mine = file.stat()
    except OSError as error:
        if isinstance(error, FashionNBError):
            raise
        raise WriteError(
            f"{folder}: cannot be written ({error.strerror or error}). "
            "Choose a folder that you may write to, or make room on the disk."
        ) from error
    try:
        yield
    finally:
        with suppress(OSError):  # Windows removes it by itself
            if os.path.samestat(file.stat(), mine):  # the block may have removed it, and the
                file.unlink()  # next run made one of its own
        lock.release()
        if made:
            with suppress(OSError):  # something was written
                folder.rmdir()


def write_text(target: Path | str, text: str) -> None:
    """Write a text file whole or not at all.

    Parameters
    ----------
    target : path
        Its folder is made if necessary.
    text : str
        Its content, written in UTF-8.

    Raises
    ------
    WriteError
        If it cannot be written; see `written_whole`.
    """
    with written_whole(target) as aside:
        # A file's name that is no UTF-8 may be part of the text.
        aside.write_text(text, encoding="utf-8", errors="backslashreplace")


def sha256(path: Path | str) -> str:
    """Compute the SHA-256 of a file's content.

    Parameters
    ----------
    path : path
        Of the file.

    Returns
    -------
    str
        In hexadecimal.

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _holder(lock: Path) -> str:
    """Which process holds a lock, if its file tells."""
    with suppress(OSError, ValueError):
        return f"process {int(lock.read_text(encoding='utf-8'))}"
    return "it does not say which"


def _concerns(error: OSError, aside: Path) -> bool:
    """Whether the error is about writing here, and not about another file that the block opened."""
    names = {str(name) for name in (error.filename, error.filename2) if name}
    return not names or any(
        str(aside.parent).startswith(name) or name == str(aside) for name in names
    )
