"""One page about this installation, to paste into a report when something is wrong.

It tells versions, device, memory, folders, datasets and links; `fashionnb doctor` prints it. Each
line is found out on its own: what is broken is named in its line and stops no other. So nothing is
imported here but what Python itself has.
"""

import getpass
import importlib.metadata
import os
import platform
import re
import shutil
import tempfile
import textwrap
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import fashionnb
from fashionnb.errors import DataNotFound, FashionNBError, WriteError

SECONDS = 4.0
"""How long all links together have for their answers."""

WIDTH = 100  # of the page, in characters
VARIABLES = ("OMP_NUM_THREADS", "OMP_WAIT_POLICY", "CUDA_VISIBLE_DEVICES")  # and FASHIONNB_…
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")  # may hold a password


@dataclass(frozen=True)
class Finding:
    """One line of the page about this installation.

    Parameters
    ----------
    label : str
        What it is about, such as "cache".
    text : str
        What was found, without personal paths.
    wrong : bool
        Whether chapters cannot run before this is put right.
    """

    label: str
    text: str
    wrong: bool = False


def examine(*, offline: bool = False) -> list[Finding]:
    """Find out all that matters about this installation. Nothing is raised, whatever is broken.

    Parameters
    ----------
    offline : bool
        Do not ask whether links answer. `FASHIONNB_OFFLINE` has the same effect.

    Returns
    -------
    list of Finding
        The lines of the page, from top to bottom.
    """
    looks: list[tuple[str, Callable[[], str]]] = [
        ("fashionnb", _package),
        ("python", _python),
        ("libraries", _libraries),
        ("computer", _computer),
        ("device", _device),
        ("variables", _variables),
        ("data", _data_folder),
        ("cache", _cache),
        ("results", _results),
        ("models", _models),
        ("weights", _weights),
        ("checkpoints", _checkpoints),
    ]
    findings = [_finding(label, look) for label, look in looks]
    return [*findings, *_datasets(), *_links(offline)]


def report(findings: list[Finding]) -> str:
    """Write the findings about this installation as one page of text, with a verdict at its end.

    Parameters
    ----------
    findings : list of Finding
        As `examine` returns them.

    Returns
    -------
    str
        Several lines; those of what is wrong begin with "!".
    """
    column = max(len(finding.label) for finding in findings) + 4
    lines = [
        textwrap.fill(
            f"{'!' if finding.wrong else ' '} {finding.label:<{column - 2}}{finding.text}",
            WIDTH,
            subsequent_indent=" " * column,
            break_long_words=False,
            break_on_hyphens=False,
        )
        for finding in findings
    ]
    wrong = dict.fromkeys(finding.label for finding in findings if finding.wrong)
    verdict = f"Wrong, see above: {', '.join(wrong)}." if wrong else "Well enough to run."
    return "\n".join([*lines, "", verdict])


def _finding(label: str, look: Callable[[], str]) -> Finding:
    """What `look` returns; what it raises is wrong."""
    try:
        return Finding(label, _impersonal(look()))
    except FashionNBError as error:
        return Finding(label, _impersonal(str(error)), wrong=True)
    except Exception as error:  # the page is for installations on which anything may fail
        return Finding(label, _impersonal(f"{type(error).__name__}: {error}"), wrong=True)


def _impersonal(text: str) -> str:
    """The text without line breaks, the home folder and the name of the user."""
    text = " ".join(text.split())
    with suppress(RuntimeError):  # there is no home folder
        homes = {str(Path.home().resolve()), str(Path.home())} - {"/"}
        for home in sorted(homes, key=len, reverse=True):
            text = re.sub(rf"{re.escape(home)}(?=[/\\]|\b)", "~", text)
    with suppress(OSError, KeyError, ImportError):  # no name either
        user = re.escape(getpass.getuser())
        text = re.sub(rf"(?<![A-Za-z0-9]){user}(?![A-Za-z0-9])", "USER", text)
    return text


def _package() -> str:
    return f"{fashionnb.__version__}, in {Path(fashionnb.__file__).parent}"


def _python() -> str:
    return f"{platform.python_version()}, {platform.platform()}"


def _libraries() -> str:
    """Versions of all that fashionnb requires, and of what its extras add if it is there."""
    from packaging.requirements import Requirement

    found, wrong = {}, []
    for requirement in map(Requirement, importlib.metadata.requires("fashionnb") or ()):
        if "dev" in str(requirement.marker):
            continue
        needed = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        try:
            version = importlib.metadata.version(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            wrong += [f"{requirement} is not installed"] if needed else []
            continue
        found[requirement.name] = version
        if needed and not requirement.specifier.contains(version, prereleases=True):
            wrong.append(f"{requirement} is needed")
    versions = ", ".join(f"{name} {version}" for name, version in sorted(found.items()))
    if wrong:
        raise FashionNBError(f"{'; '.join(wrong)}. Install fashionnb again. There is: {versions}")
    return versions


def _computer() -> str:
    from fashionnb.notebook.hardware import hardware

    free = re.search(r"MemAvailable:\s*(\d+) kB", _read(Path("/proc/meminfo")))
    return hardware() + (f", {int(free[1]) / 2**20:.1f} GB of it free" if free else "")


def _device() -> str:
    """What the default profile computes on. Importing torch is part of the test."""
    from fashionnb import profiles

    run = profiles.choose()
    import torch

    gpu = ""
    if run.device.startswith("cuda"):
        about = torch.cuda.get_device_properties(run.device)
        gpu = f" ({about.name}, {about.total_memory / 2**30:.0f} GB)"
    return (
        f"{run.device}{gpu}, precision {run.precision}, {run.threads} threads, "
        f"profile {run.name}, torch {torch.__version__}"
    )


def _variables() -> str:
    given = [name for name in os.environ if name.startswith("FASHIONNB_") or name in VARIABLES]
    proxies = [name for name in os.environ if name.upper() in PROXIES]
    parts = [f"{name}={os.environ[name]}" for name in sorted(given)]
    return ", ".join([*parts, *(f"{name} is set" for name in sorted(proxies))]) or "none set"


def _data_folder() -> str:
    from fashionnb.data import registry

    given = registry.places()[:-1]
    return f"FASHIONNB_DATA is {given[0]}" if given else "FASHIONNB_DATA is not set"


def _cache() -> str:
    from fashionnb.data import registry

    return _writable(registry.cache_folder(), "FASHIONNB_CACHE")


def _results() -> str:
    from fashionnb.notebook import results

    return _writable(results.results_folder(), "FASHIONNB_RESULTS")


def _models() -> str:
    from fashionnb.notebook import results

    return _writable(results.models_folder("", ""), "FASHIONNB_MODELS")


def _weights() -> str:
    """Where published weights of large networks are kept."""
    import torch

    return _writable(Path(torch.hub.get_dir()), "TORCH_HOME")


def _checkpoints() -> str:
    from fashionnb import checkpoints

    known = checkpoints.list_models()
    return f"{', '.join(known.index[known['here']])} can be opened by name"


def _datasets() -> list[Finding]:
    """Where each dataset lies. One that is missing is not wrong: drawn garments take its place."""
    try:
        from fashionnb.data import registry

        names = list(registry.SOURCES)
    except Exception as error:  # the readers import numpy, pandas and Pillow
        return [Finding("dataset", _impersonal(f"{type(error).__name__}: {error}"), wrong=True)]

    def place(name: str) -> str:
        try:
            return f"{name}: {registry.find(name)}"
        except DataNotFound:
            return f"{name}: not here"

    return [_finding("dataset", partial(place, name)) for name in names]


def _links(offline: bool) -> list[Finding]:
    """Which hosts give each dataset and the weights, all asked at once. One that fails is no error.

    Of each host one file is asked for.
    """
    try:
        import requests

        from fashionnb.data import downloads, registry

        if offline or downloads.offline():
            return [Finding("link", "not asked")]
        groups = {name: source.urls.values() for name, source in registry.SOURCES.items()}
        with suppress(ImportError, OSError):  # without torch; its own line says so
            from fashionnb.models import pretrained

            groups |= {name: [[url]] for name, url in pretrained.URLS.items()}
    except Exception as error:
        return [Finding("link", _impersonal(f"{type(error).__name__}: {error}"), wrong=True)]

    asked = {}
    for name, files in groups.items():
        for url in (url for mirrors in files for url in mirrors):
            asked.setdefault((name, urlsplit(url).hostname or url), url)
    answers: dict[tuple[str, str], str] = {}

    def ask(link: tuple[str, str]) -> None:
        begun = time.monotonic()
        try:
            with requests.get(asked[link], stream=True, timeout=SECONDS) as response:
                took = f"in {time.monotonic() - begun:.1f} s"
                answers[link] = (
                    f"answers {took}" if response.ok else f"refuses: {response.status_code}"
                )
        except Exception as error:  # beside those of requests, any that a strange address causes
            answers[link] = f"fails: {type(error).__name__}"

    # Daemons, since a name server can take far longer than the timeout, and nothing waits for it.
    threads = [threading.Thread(target=ask, args=(link,), daemon=True) for link in asked]
    for thread in threads:
        thread.start()
    end = time.monotonic() + SECONDS
    for thread in threads:
        thread.join(max(0, end - time.monotonic()))
    return [
        Finding("link", f"{name}: {host} {answers.get((name, host), 'gives no answer in time')}")
        for name, host in asked
    ]


def _writable(folder: Path, variable: str) -> str:
    """The folder with the room that is left, if a file can be written there; else `WriteError`."""
    try:
        here = next(place for place in (folder, *folder.absolute().parents) if place.exists())
        with tempfile.TemporaryFile(dir=here):
            free = shutil.disk_usage(here).free
    except OSError as error:
        raise WriteError(
            f"{folder} cannot be written ({error.strerror}). {variable} can name another folder."
        ) from error
    made = "" if here == folder else " when it is first needed"
    return f"{folder} can be written{made}, {free / 1e9:,.0f} GB free"


def _read(path: Path) -> str:
    """The text of a file, empty if there is none."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""
