"""Lists, tuples and strings out of a pickle file, without running anything that is in it.

A pickle is a small program, and Python's own reader runs it: a file from a stranger may call any function. Here the
program is only looked at. What builds a list, a tuple or a string is followed; at anything else reading ends with an
error. For arrays and models there are better formats: see `fashionnb.checkpoints`.
"""

import pickletools

from fashionnb.errors import DataError

_MARK = object()
_TEXT = {
    "STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8",
}  # fmt: skip
_NOTHING = {"PROTO", "FRAME"}
_TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


def parse_plain(data: bytes, where: str) -> list | tuple | str:
    """Read a pickle that holds strings, and lists and tuples of them. Introduced in chapter 08.

    Parameters
    ----------
    data : of any protocol, written by Python 2 or 3. where : names the file in messages.

    Raises
    ------
    DataError : it is cut short, or holds anything else, such as a function to call; that is not called.
    """
    stack: list = []
    memo: dict[int, object] = {}
    try:
        for opcode, value, _ in pickletools.genops(data):
            if opcode.name == "STOP":
                (result,) = stack
                if not isinstance(result, list | tuple | str):
                    raise ValueError("nothing in it")
                return result
            _step(opcode.name, value, stack, memo, where)
    except DataError:
        raise
    except Exception as error:  # hostile bytes make pickletools raise nearly anything
        raise DataError(
            f"{where}: not a pickle, or one that is cut short ({error!r:.120}). Get it again."
        ) from error
    raise DataError(f"{where}: the pickle is cut short. Get it again.")


def _step(name: str, value: object, stack: list, memo: dict[int, object], where: str) -> None:
    """Follow one instruction."""
    if name in _TEXT:
        stack.append(value)
    elif name == "MARK":
        stack.append(_MARK)
    elif name == "EMPTY_LIST":
        stack.append([])
    elif name in _TUPLES:
        count = _TUPLES[name]
        parts = [stack.pop() for _ in range(count)][::-1]
        stack.append(tuple(parts))
    elif name in ("LIST", "TUPLE"):
        parts = _to_mark(stack)
        stack.append(parts if name == "LIST" else tuple(parts))
    elif name in ("APPEND", "APPENDS"):
        parts = [stack.pop()] if name == "APPEND" else _to_mark(stack)
        if type(stack[-1]) is not list:
            raise ValueError("it appends to what is no list")
        stack[-1].extend(parts)
    elif name in ("PUT", "BINPUT", "LONG_BINPUT"):
        memo[value] = stack[-1]
    elif name == "MEMOIZE":
        memo[len(memo)] = stack[-1]
    elif name in ("GET", "BINGET", "LONG_BINGET"):
        stack.append(memo[value])
    elif name not in _NOTHING:
        raise DataError(
            f"{where}: the pickle holds more than lists, tuples and strings (instruction {name}, {value!r:.60}). "
            "Such a file could run code, so it is refused and nothing in it was run. Do not trust it."
        )


def _to_mark(stack: list) -> list:
    """Take off what lies above the topmost mark, and the mark."""
    parts = []
    while (part := stack.pop()) is not _MARK:
        parts.append(part)
    return parts[::-1]
