"""The demo's container, as far as it can be looked at without Docker: what goes in, who may come, which versions."""

import re
import subprocess
from fnmatch import fnmatch
from pathlib import Path

import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[3]
LINES = re.sub(r"\\\n", " ", (ROOT / "Dockerfile").read_text()).splitlines()


def instructions(word: str) -> list[str]:
    return [line.removeprefix(f"{word} ") for line in LINES if line.startswith(f"{word} ")]


def test_what_is_copied_is_there_and_nothing_else_is_let_through():
    copied = [source for line in instructions("COPY") for source in line.split()[:-1]]
    assert copied
    assert [source for source in copied if not (ROOT / source).exists()] == []
    rules = [
        line
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line and line[0] != "#"
    ]

    def passes(path: str) -> bool:
        """The last rule that fits a path, or a folder that it lies in, decides."""
        above = [path, *map(str, Path(path).parents)]
        fitting = [
            rule
            for rule in rules
            if any(fnmatch(one, rule.lstrip("!")) for one in above if one != ".")
        ]
        return fitting[-1].startswith("!")

    assert all(passes(source) for source in copied)
    assert not any(
        passes(path)
        for path in (".git", ".venv", "_build", "tests", "book/01-exploring-the-data.md")
    )


def test_the_versions_are_those_of_the_lock(tmp_path):
    [command] = [line for line in instructions("RUN") if "requirements.lock" in line]
    made = command.partition("&&")[0].replace("/tmp/versions.txt", str(tmp_path / "versions.txt"))
    subprocess.run(["bash", "-ec", made], cwd=ROOT, check=True)
    pins = [Requirement(line) for line in (tmp_path / "versions.txt").read_text().splitlines()]
    locked = re.findall(
        r"^[\w.-]+(?:\[.*?\])?==", (ROOT / "requirements.lock").read_text(), re.MULTILINE
    )
    assert len(pins) == len(locked) > 100
    assert {"torch", "gradio", "faiss-cpu"} <= {pin.name for pin in pins}
    assert not any(pin.extras for pin in pins), "pip refuses a constraint with extras"


def test_only_this_machine_is_let_in_and_little_is_allowed():
    demo = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["demo"]
    assert [port.split(":")[0] for port in demo["ports"]] == ["127.0.0.1"]
    assert demo["ports"][0].endswith(f":{instructions('EXPOSE')[0]}")
    assert (demo["read_only"], demo["cap_drop"]) == (True, ["ALL"])
    assert instructions("USER") == ["demo"]
    cache = re.search(r"FASHIONNB_CACHE=(\S+)", instructions("ENV")[0])[1]
    assert f"cache:{cache}" in demo["volumes"]
