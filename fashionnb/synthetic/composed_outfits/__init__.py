"""Composed outfits and scenes, made by written rules, so that compatibility is known exactly.

`rules` defines which items go together, `composition` makes outfits that break no rule, and
questions about them, `polyvore_files` writes them in the format of Polyvore Outfits, and
`scene_collages` makes images of outfits in the format of Shop the Look. The items come
from any catalogue: product photos, MANGO's, or `fashionnb.synthetic.drawn_garments`. Numbers
measured on composed outfits say how well a model finds known rules, not how well it predicts what
people wear: always label them, and never compare them with published numbers without saying so.
"""

from fashionnb.data.shop_the_look import read_scenes
from fashionnb.synthetic.composed_outfits.composition import (
    EDITIONS,
    HARDNESS,
    compose,
    make_blanks,
    make_judged,
)
from fashionnb.synthetic.composed_outfits.polyvore_files import write_polyvore
from fashionnb.synthetic.composed_outfits.rules import ROLES, RULES, broken, oracle, roles
from fashionnb.synthetic.composed_outfits.scene_collages import (
    DrawnScene,
    draw_scenes,
    drawn_scenes,
    write_scenes,
)

__all__ = [
    "EDITIONS",
    "HARDNESS",
    "ROLES",
    "RULES",
    "DrawnScene",
    "broken",
    "compose",
    "draw_scenes",
    "drawn_scenes",
    "make_blanks",
    "make_judged",
    "oracle",
    "read_scenes",
    "roles",
    "write_polyvore",
    "write_scenes",
]
