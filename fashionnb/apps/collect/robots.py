"""What a site's robots.txt allows us: RFC 9309, with its wildcards and its longest match.

Python's own `urllib.robotparser` takes the first rule that fits and reads "*" and "$" as plain letters, so it would
visit pages that a site has asked to be left alone. This is the whole of the standard, and Crawl-delay beside it.
"""

import math
import re
from dataclasses import dataclass

MOST_BYTES = 500 * 1024
"""What comes after this many bytes is not read; RFC 9309 asks for no more."""

_UNRESERVED = re.compile(r"[A-Za-z0-9._~-]")


@dataclass(frozen=True)
class Rules:
    """What one site wants of us.

    rules : (pattern of paths, allowed).
    delay : seconds between two requests; 0 where the site does not say.
    """

    rules: tuple[tuple[str, bool], ...] = ()
    delay: float = 0.0

    def allow(self, target: str) -> bool:
        """May this path with its query be asked for? The longest pattern that fits decides; a tie allows."""
        path = _normal(target).replace("*", "%2A").replace("$", "%24")
        fitting = [
            (len(pattern), allowed) for pattern, allowed in self.rules if _fits(pattern, path)
        ]
        return max(fitting, default=(0, True))[1]


def parse(text: str, name: str = "fashionnb") -> Rules:
    """The rules of a robots.txt for the robot called `name`; without any of its own, those for "*".

    Lines that say something else, or nothing that can be read, are passed over: so the standard has it.
    """
    ours: dict[str, list[tuple[str, str]]] = {name.lower(): [], "*": []}
    here, named, open_ = set(), set(), False
    for line in re.split(r"\r\n|\r|\n", text.removeprefix("\ufeff")):
        key, colon, value = line.partition("#")[0].partition(":")
        key, value = key.strip().lower(), value.strip()
        if not colon:
            continue
        if key == "user-agent":
            here = here if open_ else set()
            agent = "*" if value.startswith("*") else re.match(r"[A-Za-z_-]*", value)[0].lower()
            here, open_ = here | ({agent} & ours.keys()), True
            named |= here
        elif key in ("allow", "disallow", "crawl-delay"):
            open_ = False
            for agent in here:
                ours[agent].append((key, value))
    lines = ours[name.lower() if name.lower() in named else "*"]
    rules = tuple(
        (_normal(value), key == "allow") for key, value in lines if key != "crawl-delay" and value
    )
    return Rules(
        rules, max((_seconds(value) for key, value in lines if key == "crawl-delay"), default=0.0)
    )


def _fits(pattern: str, path: str) -> bool:
    """True if the pattern fits the beginning of the path: "*" is any text, a last "$" is the end. One pass."""
    first, *pieces = pattern.removesuffix("$").split("*")
    ends = pattern.endswith("$")
    if not path.startswith(first):
        return False
    at = len(first)
    if not pieces:
        return not ends or at == len(path)
    *middle, last = pieces
    for piece in middle:
        at = path.find(piece, at)
        if at < 0:
            return False
        at += len(piece)
    return len(path) - len(last) >= at and path.endswith(last) if ends else path.find(last, at) >= 0


def _normal(path: str) -> str:
    """One spelling for each path: what needs no percent sign has none, what needs one has it in capitals."""
    path = "".join(
        letter
        if letter.isascii()
        else "".join(f"%{b:02X}" for b in letter.encode("utf-8", "replace"))
        for letter in path
    )

    def spelt(found: re.Match) -> str:
        letter = chr(int(found[1], 16))
        return letter if _UNRESERVED.fullmatch(letter) else found[0].upper()

    return re.sub(r"%([0-9A-Fa-f]{2})", spelt, path)


def _seconds(value: str) -> float:
    try:
        seconds = float(value)
    except ValueError:
        return 0.0
    return seconds if math.isfinite(seconds) and seconds > 0 else 0.0
