"""All errors that fashionnb raises on purpose, one type for each kind of mistake, and its warning.

A message says what was got, what was wanted, where, and what to do about it. Commands print the
message alone and exit with status 2; programs catch `FashionNBError` to catch them all.
"""


class FashionNBError(Exception):
    """The base class of all errors of fashionnb."""


class CollapseWarning(UserWarning):
    """The embeddings of a model in training have become nearly one point. Training goes on."""


class DataError(FashionNBError, ValueError):
    """A file or a table is not what its format says."""


class DataNotFound(FashionNBError, FileNotFoundError):
    """A dataset is neither in `FASHIONNB_DATA`, nor in the cache, nor to be downloaded."""

    # FileNotFoundError would print its errno tuple instead of the message.
    __str__ = Exception.__str__


class ModelMismatch(FashionNBError, ValueError):
    """A checkpoint, an index or a set of vectors belongs to another model."""


class ProfileError(FashionNBError, ValueError):
    """An unknown profile, device or precision."""


class PublishError(FashionNBError, RuntimeError):
    """The site cannot be built from what there is."""


class ResultError(FashionNBError, ValueError):
    """A results file, or a row for it, breaks the format."""


class RunError(FashionNBError, RuntimeError):
    """A chapter could not be run, or failed while it ran."""


class TrainingError(FashionNBError, RuntimeError):
    """Training cannot start, resume or go on."""


class WriteError(FashionNBError, OSError):
    """A file or folder cannot be written."""

    __str__ = Exception.__str__
