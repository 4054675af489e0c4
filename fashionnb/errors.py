"""Every error that fashionnb raises on purpose, and its one warning.

One type for each kind of mistake. A message says what was got, what was wanted, where, and what to do about it.
Commands print the message alone and exit with status 2; programs catch `FashionNBError` to catch them all.
"""


class FashionNBError(Exception):
    """The parent of all errors below."""


class CollapseWarning(UserWarning):
    """The embeddings of a model in training have become all but one point. Training goes on."""


class DataError(FashionNBError, ValueError):
    """A file or a table is not what its format says."""


class DataNotFound(FashionNBError, FileNotFoundError):
    """A dataset is neither in `FASHIONNB_DATA`, nor in the cache, nor to be downloaded."""

    # FileNotFoundError would print its errno tuple; here the message is the whole story.
    __str__ = Exception.__str__


class ModelMismatch(FashionNBError, ValueError):
    """A checkpoint, an index or a set of vectors belongs to another model."""


class ProfileError(FashionNBError, ValueError):
    """An unknown profile, device or precision."""


class ResultError(FashionNBError, ValueError):
    """A results file, or a row for it, breaks the format."""


class RunError(FashionNBError, RuntimeError):
    """A chapter could not be run, or failed while it ran."""


class TrainingError(FashionNBError, RuntimeError):
    """Training cannot start, resume or go on."""


class WriteError(FashionNBError, OSError):
    """A file or folder cannot be written."""

    __str__ = Exception.__str__
