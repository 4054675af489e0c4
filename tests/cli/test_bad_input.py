"""Every command and every reader of files, met with hundreds of bad inputs: each is refused in one clear sentence.

The inputs are in `tests/support/bad_inputs.py`; `pytest -s tests/cli/test_bad_input.py` prints the table by kind. The
readers' own tests hold the words of each message; this holds what all must have: exit status 2, no traceback, a message
that names the file or the option and says what to do, and nothing left behind.
"""

import os
from pathlib import Path

import pytest
import typer
from bad_inputs import REMEDY, TABLE, Input, lay, lay_good

from fashionnb import cli

LONGEST = 2_500
"""Letters of a message. Those that list ten problems of a table are the longest."""

INPUTS = [(subject, kind, one) for subject, kinds in TABLE.items() for kind, several in kinds.items() for one in several]  # fmt: skip


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> Path:
    """The folder in which all is well, with an index."""
    folder = lay_good(tmp_path_factory.mktemp("good"))
    with pytest.MonkeyPatch.context() as patch:
        isolate(patch, folder.parent / "cache")
        words = f"index build {folder}/photos --model {folder}/model --out {folder}/photos.index"
        assert cli.main(words.split()) == 0
    return folder


def isolate(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    """No variable of the machine, no network, wide messages."""
    for name in [name for name in os.environ if name.startswith("FASHIONNB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("FASHIONNB_CACHE", str(cache))
    monkeypatch.setenv("FASHIONNB_OFFLINE", "1")
    monkeypatch.setenv("COLUMNS", "200")


def content(folder: Path) -> dict[str, tuple[int, int]]:
    """Each file and folder below a folder, with its size and the time of its last change."""
    return {
        path.relative_to(folder).as_posix(): (status.st_size, status.st_mtime_ns)
        for path in folder.rglob("*")
        if (status := path.stat()) and path.is_file()
    } | {f"{path.relative_to(folder).as_posix()}/": (0, 0) for path in folder.rglob("*") if path.is_dir()}  # fmt: skip


def faults(one: Input, good: Path, folder: Path, capsys) -> list[str]:
    """What is wrong with the refusal of an input."""
    before = content(folder), content(good)
    try:
        status = cli.main(one.words(good))
    except Exception as error:  # a user would see its traceback
        return [f"a traceback: {error!r:.300}"]
    out, said = capsys.readouterr()
    found = [f"exit status {status}"] if status != 2 else []
    found += [f"does not name {name!r}" for name in one.named() if name not in said]
    found += ["does not say what to do"] if not REMEDY.search(said) else []
    found += ["is long"] if len(said) > LONGEST else []
    found += [f"printed {out[:80]!r} as an answer"] if out and "run " not in one.line else []
    after = content(folder), content(good)
    found += [f"left {set(after[n]) ^ set(before[n])}" for n in (0, 1) if after[n] != before[n]]
    return [f"{fault}: {said[:300]!r}" for fault in found]


@pytest.mark.parametrize("subject", TABLE)
def test_bad_inputs_are_refused_in_one_clear_sentence(subject, good, tmp_path, monkeypatch, capsys):
    wrong = []
    for number, (_, kind, one) in enumerate(row for row in INPUTS if row[0] == subject):
        folder = tmp_path / str(number)
        folder.mkdir()
        lay(folder, one.files)
        with monkeypatch.context() as patch:
            isolate(patch, good.parent / "cache")
            if subject.startswith("reader: "):
                patch.setenv("FASHIONNB_DATA", str(folder))
            for name, value in one.environment.items():
                patch.setenv(name, value)
            patch.chdir(folder)
            wrong += [f"{kind}: {one.line}: {fault}" for fault in faults(one, good, folder, capsys)]
    assert not wrong, "\n".join(wrong)


def test_there_are_enough_of_them_and_no_two_alike():
    print(f"\n{'inputs':>7} of {len(INPUTS)}  kind")
    for subject, kinds in TABLE.items():
        print(f"{sum(map(len, kinds.values())):>7}  {subject}, {len(kinds)} kinds")
        print(*(f"{len(several):>12}  {kind}" for kind, several in kinds.items()), sep="\n")
    seen = {(one.line, tuple(one.files.items()), tuple(one.environment.items())) for *_, one in INPUTS}  # fmt: skip
    assert len(seen) == len(INPUTS) >= 200
    assert {subject: len(kinds) for subject, kinds in TABLE.items() if len(kinds) < 8} == {}
    assert max(len(several) for kinds in TABLE.values() for several in kinds.values()) <= 10


def test_every_command_meets_them():
    def names(group, above: str = "") -> set[str]:
        deeper = getattr(group, "commands", {})
        return set().union(*(names(one, f"{above} {name}") for name, one in deeper.items())) if deeper else {above.strip()}  # fmt: skip

    assert names(typer.main.get_command(cli.app)) <= set(TABLE)
