"""The role of a garment in an outfit, from any usual word for its category, in several languages.

Shops call a T-shirt "T-shirt/top", "tees", "Herren-Hemden" or "camisetas de manga corta". `role_of`
looks at the words of such a name: capitals, accents, plurals and hyphens do not matter. The names
of the book's own catalogues are in `fashionnb.synthetic.composed_outfits.rules`.
"""

import re
import unicodedata
from functools import cache

# Singular, small letters without accents; plurals only where `_singulars` does not find them.
# English, German, French, Spanish, Italian, Dutch, Polish, Chinese.
_WORDS = {
    "top": (
        "top tshirt tee shirt shirts blouse sweater pullover jumper sweatshirt hoodie hoody "
        "polo poloshirt tank tanktop tunic longsleeve knitwear bodysuit turtleneck henley "
        "kurta kurti hemd bluse pulli oberteil tunika chemise chemisier haut pull tricot "
        "debardeur tunique sweat camisa camiseta blusa sueter jersey sudadera camicia camicie "
        "camicetta maglia maglietta magliette maglione felpa canotta overhemd trui truien "
        "bloes koszula koszulka koszulki bluzka bluzki sweter swetry bluza bluzy 衬衫 t恤 上衣 毛衣"
    ),
    "bottom": (
        "trouser trousers pant pants jean jeans short shorts skirt skirts legging jogger "
        "chino capri slack bottom jegging sweatpant bermuda hose rock pantalon pantalone "
        "pantaloni jupe falda vaquero gonna gonne pantaloncino pantaloncini broek rok rokken "
        "spijkerbroek spodnie spodnica spodnice spodenki dzinsy 裤子 裤 半身裙 牛仔裤"
    ),
    "dress": (
        "dress dresses gown jumpsuit playsuit sundress kleid robe combinaison vestido vestito "
        "vestiti abito abiti jurk sukienka sukienki 连衣裙"
    ),
    "layer": (
        "coat jacket blazer cardigan parka outerwear outwear waistcoat vest gilet windbreaker "
        "anorak poncho cape trench overcoat puffer fleece kimono jacke mantel weste sakko "
        "veste manteau manteaux blouson doudoune impermeable chaqueta abrigo chaleco cazadora "
        "americana giacca giacche cappotto cappotti giubbotto piumino jas jassen colbert "
        "kurtka kurtki plaszcz plaszcze marynarka 外套 大衣 夹克"
    ),
    "shoes": (
        "shoe shoes footwear sneaker trainer boot bootie sandal heel loafer flat pump slipper "
        "flipflop oxford brogue espadrille mule clog moccasin stiletto wedge schuh stiefel "
        "stiefelette sandale chaussure baskets botte bottine escarpin mocassin zapato "
        "zapatilla bota botin sandalia tacon deportiva scarpa scarpe stivale stivali sandalo "
        "sandali schoen laars laarzen buty botki sandaly 鞋"
    ),
    "bag": (
        "bag handbag backpack purse clutch tote satchel rucksack duffel crossbody shopper "
        "hobo tasche beutel sac sacoche pochette bolso mochila borsa borse zaino tas tassen "
        "rugzak torba torebka torebki plecak 包"
    ),
    "accessory": (
        "accessory belt hat cap beanie scarf scarves tie bowtie glove mitten sunglasses "
        "glasses eyewear watch jewelry jewellery necklace bracelet earring ring bangle "
        "pendant brooch bandana shawl stole gurtel hut mutze schal krawatte handschuh brille "
        "uhr schmuck kette halskette armband ohrring accessoire ceinture chapeau chapeaux "
        "casquette echarpe foulard cravate gant lunettes montre bijou bijoux collier cinturon "
        "sombrero gorra bufanda panuelo corbata guante gafas reloj joyas collar pulsera "
        "pendiente anillo cintura cinture cappello cappelli sciarpa sciarpe cravatta guanti "
        "occhiali orologio gioielli collana riem hoed hoeden muts sjaal stropdas horloge "
        "sieraden bril pasek paski czapka szalik krawat okulary zegarek 帽 帽子 围巾 腰带 手表"
    ),
    # Worn, but no piece of an outfit: one such word decides.
    "": (
        "underwear lingerie bra brief boxer panty thong sock stocking tights hosiery bikini "
        "trunk pyjama pajama saree sari dupatta lehenga perfume fragrance wallet bath bed "
        "bedding deco home intimate set slip socke strumpf strumpfhose sous chaussette "
        "interior calcetin banador calzini intimo skarpety bielizna"
    ),
}
WORDS = {word: role for role, words in _WORDS.items() for word in words.split()}
"""Word of a category -> role in an outfit; "" for what is worn, but is no piece of an outfit."""

_NO_ROLE = re.compile("under|unter|night|nacht|swim|bade|schlaf|sleep|inner")  # begins with


@cache
def role_of(name: str) -> str:
    """Find the role of a garment in an outfit, from the usual words in the name of its category.

    Parameters
    ----------
    name : str
        Of a category, such as "T-Shirts", "womens/ankle boots" or "Lederjacken".

    Returns
    -------
    str
        One of `fashionnb.synthetic.composed_outfits.rules.ROLES`, or "" if no word is known.
    """
    plain = unicodedata.normalize("NFKD", name.casefold().replace("ł", "l"))
    letters = "".join(letter for letter in plain if not unicodedata.combining(letter))
    words = re.findall(r"[^\W\d_]+", letters)
    if any(
        _NO_ROLE.match(word) or "" in (WORDS.get(one) for one in _singulars(word)) for word in words
    ):
        return ""
    # In most languages the last word that is known says what it is: "shirt dress", "sac à main".
    for last in reversed(range(len(words))):
        for text in ("".join(words[max(last - 1, 0) : last + 1]), words[last]):
            for word in _singulars(text):
                if word in WORDS:
                    return WORDS[word]
    # A German compound, or one without blanks, ends with it: "Lederjacken", "ankleboots", "运动鞋".
    for text in reversed(words):
        for word in _singulars(text):
            ends = [end for end in WORDS if word.endswith(end) and (len(end) > 3 or end > "z")]
            if ends:
                return WORDS[max(ends, key=len)]
    return ""


def _singulars(word: str) -> list[str]:
    """The word, and what it may be the plural of."""
    found = [word]
    for plural, singular in (
        ("ies", "y"), ("sses", "ss"), ("shes", "sh"), ("ches", "ch"), ("s", ""), ("es", ""),
        ("en", ""), ("n", ""), ("er", ""), ("e", ""), ("i", "o"), ("i", "e"), ("e", "a"),
    ):  # fmt: skip
        if word.endswith(plural) and len(word) > len(plural) + 2:
            found.append(word.removesuffix(plural) + singular)
    return found
