"""The lookbook: outfits and scenes that are composed by written rules, so that what goes together is known exactly.

`rules` says what goes together, `composing` makes outfits that break no rule, `negatives` asks about them, and `files`
writes all in Polyvore Outfits' own format; `scenes` makes pictures of outfits, in Shop-the-Look's format. Any catalogue
will do: product photos, MANGO's, or the drawn `fashionnb.synthetic.drawn_garments`. Numbers measured on composed
outfits say how well a model finds rules that are known, never how well it knows taste: always label them, and never set
them beside a number of Polyvore or Shop-the-Look without saying it.
"""

from fashionnb.data.shop_the_look import read_scenes
from fashionnb.synthetic.composed_outfits.composition import EDITIONS, compose
from fashionnb.synthetic.composed_outfits.hard_questions import HARDNESS, make_blanks, make_judged
from fashionnb.synthetic.composed_outfits.polyvore_files import write
from fashionnb.synthetic.composed_outfits.rules import ROLES, RULES, broken, oracle, roles
from fashionnb.synthetic.composed_outfits.scene_collages import Drawn, draw, write_scenes

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
