"""Write files either whole or not at all, and hash them.

`written_whole` writes beside the target and renames at the end, so that a full disk, Ctrl-C or a
killed process never leaves half a file under the final name. All of fashionnb writes through it.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from fashionnb.errors import FashionNBError, WriteError


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
        If the folder cannot be made or written, or the disk is full. `target` is then unchanged.
    """
    target = Path(target)
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


def _concerns(error: OSError, aside: Path) -> bool:
    """Whether the error is about writing here, and not about another file that the block opened."""
    names = {str(name) for name in (error.filename, error.filename2) if name}
    return not names or any(
        str(aside.parent).startswith(name) or name == str(aside) for name in names
    )
