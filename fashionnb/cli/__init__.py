"""The `fashionnb` command: each module parses one group of commands, calls the package, prints.

This file puts the groups together. Heavy imports are inside the commands, so that
`fashionnb --help` answers at once.
"""

import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

import fashionnb
from fashionnb.cli import apps, chapters, data, doctor, models, search
from fashionnb.errors import DataError, FashionNBError

app = typer.Typer(
    help="Run the chapters of the book, fetch their data, read their results, publish the site; "
    "search, recommend and evaluate on your own pictures.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    add_completion=False,
)
for group in (chapters, models, apps, search, doctor):
    app.registered_commands += group.app.registered_commands
app.add_typer(data.app, name="data")
app.add_typer(search.index, name="index")
app.add_typer(models.evaluate, name="evaluate")

INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Parameters
    ----------
    arguments : sequence of str, optional
        By default those of the process.

    Returns
    -------
    int
        The exit status: 0, 2 after a mistake that has a message, 130 after Ctrl-C, or what a
        command ends with.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a name that the terminal cannot show is no reason
            stream.reconfigure(errors="backslashreplace")  # to lose an answer
    try:
        _refuse_empty(words)
        status = app(_join_pairs(words), prog_name="fashionnb", standalone_mode=False) or 0
        sys.stdout.flush()
    except BrokenPipeError:  # as of `fashionnb data list | head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except FashionNBError as error:
        print(error, file=sys.stderr)
        return 2
    except Exception as error:
        if not hasattr(error, "format_message"):  # typer's errors for wrong options have it
            raise
        message = error.format_message()
        if message:  # without a command, the help was printed instead
            print(f"{message}\nTry `fashionnb --help`.", file=sys.stderr)
        return 2
    if status == INTERRUPTED:  # typer has caught the KeyboardInterrupt
        print("Interrupted. Run the same again to resume from what was saved.", file=sys.stderr)
    return status


@app.callback(invoke_without_command=True)
def _version(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version of the package.")
    ] = False,
) -> None:
    if version:
        print(f"fashionnb {fashionnb.__version__}")
        raise typer.Exit


def _refuse_empty(words: Sequence[str]) -> None:
    """Refuse a word that is empty: as a path it would mean the folder that one stands in."""
    for place, word in enumerate(words):
        option, equals, value = word.partition("=")
        if not word.strip() or (option.startswith("--") and equals and not value.strip()):
            after = words[place - 1] if place and not equals else option or "fashionnb"
            raise DataError(
                f"The word after {after!r} is empty. Is it a variable of a script that is not set? "
                "Write what is meant, or leave it out."
            )


def _join_pairs(words: list[str]) -> list[str]:
    """Turn `-p NAME VALUE` into `-p NAME=VALUE`: typer has no repeatable options of two words."""
    joined: list[str] = []
    for word in words:
        named = len(joined) > 1 and joined[-2] in ("-p", "--parameter")
        if named and "=" not in joined[-1]:
            joined[-1] += f"={word}"
        else:
            joined.append(word)
    return joined
