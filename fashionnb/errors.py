"""All errors that fashionnb raises on purpose, one type for each kind of mistake, and its warning.

A message says what was got, what was wanted, where, and what to do about it. Commands print the
message alone and exit with status 2; programs catch `FashionNBError` to catch them all.
"""

from collections.abc import Iterator
from contextlib import contextmanager


class FashionNBError(Exception):
    """Base class of all errors that fashionnb raises on purpose."""

    # Those that are an OSError, too, would print its errno tuple instead of the message.
    __str__ = Exception.__str__


class CollapseWarning(UserWarning):
    """Warning that the embeddings of a model in training have become nearly one point."""


class DataError(FashionNBError, ValueError):
    """Error about a file or a table that is not what its format says."""


class DataNotFound(FashionNBError, FileNotFoundError):
    """Error about a dataset or file that is neither on this machine nor to be downloaded."""


class MissingExtra(FashionNBError, ImportError):
    """Error about a library that is only installed with an extra of the package."""


class ModelMismatch(FashionNBError, ValueError):
    """Error about a checkpoint, an index or a set of vectors that belongs to another model."""


class ProfileError(FashionNBError, ValueError):
    """Error about an unknown profile, device or precision."""


class PublishError(FashionNBError, RuntimeError):
    """Error about a site that cannot be built from what there is."""


class ResultError(FashionNBError, ValueError):
    """Error about a results file, or a row for it, that breaks the format."""


class RunError(FashionNBError, RuntimeError):
    """Error about a chapter that could not be run, or failed while it ran."""


class TrainingError(FashionNBError, RuntimeError):
    """Error about training that cannot start, resume or go on."""


class UnreadableImages(DataError):
    """Error about images that cannot be read; a command that can leave them out says so."""


class WriteError(FashionNBError, OSError):
    """Error about a file or folder that cannot be written."""


@contextmanager
def needs_extra(extra: str, purpose: str) -> Iterator[None]:
    """Import libraries of an extra in this context: a missing one is reported as `MissingExtra`.

    Parameters
    ----------
    extra : str
        The extra in pyproject.toml that installs the libraries.
    purpose : str
        What needs them; it begins the message.

    Yields
    ------
    None

    Raises
    ------
    MissingExtra
        If a library is not installed. One that is there and fails raises its own error.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingExtra(
            f'{purpose} needs the library {error.name}: `pip install "fashionnb[{extra}]"`.'
        ) from error
