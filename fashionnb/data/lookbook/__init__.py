"""The lookbook: outfits and scenes that are composed by written rules, so that what goes together is known exactly.

`rules` says what goes together, `composing` makes outfits that break no rule, `negatives` asks about them, and `files`
writes all in Polyvore Outfits' own format; `scenes` makes pictures of outfits, in Shop-the-Look's format. Any catalogue
will do: product photos, MANGO's, or the drawn `fashionnb.data.atelier`. Numbers measured on composed outfits say how
well a model finds rules that are known, never how well it knows taste: always label them, and never set them beside a
number of Polyvore or Shop-the-Look without saying it.
"""

from fashionnb.data.lookbook.composing import EDITIONS, compose
from fashionnb.data.lookbook.files import write
from fashionnb.data.lookbook.negatives import HARDNESS, make_blanks, make_judged
from fashionnb.data.lookbook.rules import ROLES, RULES, broken, oracle, roles
from fashionnb.data.lookbook.scenes import Drawn, draw, write_scenes
from fashionnb.data.shop_the_look import read_scenes

__all__ = [
    "EDITIONS",
    "HARDNESS",
    "ROLES",
    "RULES",
    "Drawn",
    "broken",
    "compose",
    "draw",
    "make_blanks",
    "make_judged",
    "oracle",
    "read_scenes",
    "roles",
    "write",
    "write_scenes",
]
