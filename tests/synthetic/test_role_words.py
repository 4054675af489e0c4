"""Roles by words: what shops call their garments."""

import pandas as pd
import pytest

from fashionnb import datasets
from fashionnb.data.catalogue import Catalogue
from fashionnb.data.clothing import CLASSES
from fashionnb.synthetic.composed_outfits import roles
from fashionnb.synthetic.composed_outfits.role_words import role_of
from fashionnb.synthetic.composed_outfits.rules import ROLES

NAMES = {
    "top": "shirts; Shirt; T-Shirts; tee shirts; TSHIRT; t_shirt; Herren-Hemden; blouses; hoodies; camisetas; "
    "dress shirt; knitted sweater; Women > Tops; koszulki; 衬衫; longsleeve",
    "bottom": "trousers; JEANS; pants; Röcke; jupes; mini skirts; pantalons; Hosen; shorts; spodnie",
    "dress": "dresses; shirt dress; Abendkleid; Kleider; robes; vestidos; jurken; 连衣裙",
    "layer": "denim jackets; Lederjacken; Mäntel; outwear; giacche; płaszcz; vestes",
    "shoes": "shoes; sneakers; womens/ankle boots; ankleboots; Turnschuhe; chaussures de sport; zapatillas; flip-flops; 运动鞋",
    "bag": "hand-bags; Taschen; sacs à main; backpacks; Totes bag; bolsos",
    "accessory": "hats; scarves; Handschuhe; Gürtel; watches; accessoires; ear rings; Sonnenbrillen",
    "": "socks; Socken; Unterwäsche; swim shorts; night dress; Innerwear Vests; perfume; ; 123; apple; laptop; ☃",
}


@pytest.mark.parametrize(
    ("name", "role"),
    [(name.strip(), role) for role, names in NAMES.items() for name in names.split(";")],
)
def test_usual_words(name, role):
    assert role_of(name) == role


def test_a_catalogue_of_the_book_has_roles_although_it_is_no_catalogue_of_outfits():
    assert all(role_of(name) in ROLES for name in CLASSES)


def test_what_had_no_role_among_the_families_of_mango_has_none(real_data):
    """The outfits that chapters compose of them, and all numbers of those pages, depend on it."""
    table = datasets.load("mango-outfits", real_data, stand_in=False)
    without = set(table.table["family"][roles(table) == ""])
    assert without == {
        "Wallets & cases", "Intimate", "Swimwear", "Fragances", "Gadgets", "Deco Textiles", "Bedding",
        "Deco Accessories", "Glassware",
    }  # fmt: skip


def test_rare_product_types_that_no_composed_outfit_wears_have_no_role():
    """Their words alone would say shoes and dress; composed outfits stay as they were published."""
    kinds = ["Shoe Laces", "Robe", "Shirts"]
    table = pd.DataFrame({"id": kinds, "category": kinds, "image": kinds})
    catalogue = Catalogue("toy", table, None, tuple(kinds))
    assert list(roles(catalogue)) == ["", "", "top"]
