"""fashionnb.data.colour: published values of both colour spaces, names, a garment's own colour, and what goes with
what."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ImageColor

from fashionnb.data import colour
from fashionnb.data.colour import COLOURS, METALS, canonical, dominant_colour, harmony, name_colours
from fashionnb.errors import DataError
from fashionnb.synthetic.drawn_garments.fabrics import COLOURS as ATELIER

RGB = {
    "red": (255, 0, 0),
    "green": (0, 255, 0),
    "blue": (0, 0, 255),
    "white": (255, 255, 255),
    "black": (0, 0, 0),
}
LAB = {  # Lindbloom's calculator, D65
    "red": (53.2408, 80.0925, 67.2032),
    "green": (87.7347, -86.1827, 83.1793),
    "blue": (32.2970, 79.1875, -107.8602),
    "white": (100, 0, 0),
    "black": (0, 0, 0),
}
OKLCH = {  # CSS Color Module Level 4
    "red": (0.62796, 0.25768, 29.234),
    "green": (0.86644, 0.29483, 142.495),
    "blue": (0.45201, 0.31321, 264.052),
}
bytes_of_colour = st.tuples(*[st.integers(0, 255)] * 3)

# Written down from what stylists say, before there were rules. The rule that decides each stands in front.
EXPECTED = {
    ("neutral", "navy, greys, browns and metals go with everything that stands out from them"): [
        ("Navy Blue", "White"), ("Black", "White"), ("Grey", "Black"), ("Charcoal", "White"), ("Grey", "Navy Blue"),
        ("Beige", "Navy Blue"), ("Tan", "Navy Blue"), ("Brown", "Navy Blue"), ("Navy Blue", "Blue"),
        ("Navy Blue", "Red"), ("Navy Blue", "Mustard"), ("Black", "Red"), ("White", "Red"), ("Black", "Yellow"),
        ("Grey", "Pink"), ("Taupe", "Burgundy"), ("Beige", "White"), ("Brown", "White"), ("Brown", "Beige"),
        ("Cream", "Brown"), ("Khaki", "White"), ("Olive", "Beige"), ("Silver", "Purple"), ("Gold", "Black"),
    ],
    ("weak", "two neutrals that are hard to tell apart look like a match that failed"): [
        ("Navy Blue", "Black"), ("Navy Blue", "Charcoal"), ("Navy Blue", "Coffee Brown"), ("Black", "Coffee Brown"),
        ("White", "Off White"), ("White", "Cream"), ("Grey", "Grey Melange"),
    ],
    ("same", "one colour, or two shades of one hue"): [
        ("Black", "Black"), ("Blue", "Blue"), ("Maroon", "Burgundy"), ("Skin", "Nude"),
        ("Cream", "Off White"), ("Red", "Maroon"), ("Purple", "Lavender"), ("Teal", "Turquoise Blue"),
    ],
    ("analogous", "neighbours on the wheel"): [
        ("Red", "Orange"), ("Orange", "Yellow"), ("Yellow", "Lime Green"), ("Green", "Teal"), ("Teal", "Blue"),
        ("Blue", "Purple"), ("Purple", "Pink"), ("Purple", "Magenta"), ("Pink", "Red"), ("Pink", "Peach"),
        ("Rust", "Mustard"),
    ],
    ("complementary", "opposites on the wheel"): [
        ("Red", "Green"), ("Maroon", "Green"), ("Pink", "Green"), ("Blue", "Orange"), ("Blue", "Yellow"),
        ("Yellow", "Purple"), ("Yellow", "Lavender"), ("Teal", "Rust"), ("Turquoise Blue", "Peach"),
        ("Magenta", "Lime Green"),
    ],
    ("weak", "hues that are neither kin nor opposites (blue and green should never be seen)"): [
        ("Blue", "Green"), ("Red", "Purple"), ("Red", "Yellow"), ("Orange", "Green"), ("Orange", "Purple"),
        ("Yellow", "Pink"), ("Blue", "Magenta"),
    ],
    ("unknown", "no colour of its own"): [("Multi", "Red"), ("", "Black"), ("", "Multi"), ("Multi", "Multi")],
}  # fmt: skip
PAIRS = [(kind, *pair) for (kind, _), pairs in EXPECTED.items() for pair in pairs]


@pytest.mark.parametrize("name", RGB)
def test_lab_is_as_published(name):
    assert colour.to_lab(np.array(RGB[name], np.uint8)) == pytest.approx(LAB[name], abs=0.02)


@pytest.mark.parametrize("name", OKLCH)
def test_oklch_is_as_published(name):
    found = colour.to_lch(colour.to_oklab(np.array(RGB[name], np.uint8)))
    assert found == pytest.approx(OKLCH[name], rel=1e-3)


def test_a_grey_has_no_hue_in_either_space():
    greys = np.repeat(np.linspace(0, 1, 11)[:, None], 3, axis=1)
    assert colour.to_lab(greys)[:, 1:] == pytest.approx(0, abs=1e-9)
    assert colour.to_oklab(greys)[:, 1:] == pytest.approx(0, abs=1e-6)


@given(bytes_of_colour)
def test_there_and_back(rgb):
    rgb = np.array(rgb, np.uint8)
    assert np.round(255 * colour.from_lab(colour.to_lab(rgb))).tolist() == rgb.tolist()
    for there in (colour.to_lab, colour.to_oklab):
        space = there(rgb)
        assert there(rgb / 255) == pytest.approx(space)
        lightness, chroma, hue = colour.to_lch(space)
        a, b = chroma * np.cos(np.radians(hue)), chroma * np.sin(np.radians(hue))
        assert (lightness, a, b) == pytest.approx(tuple(space), abs=1e-9)


def test_whole_pictures_at_once():
    picture = np.random.default_rng(0).integers(0, 256, (4, 5, 3), np.uint8)
    assert colour.to_lab(picture)[2, 3] == pytest.approx(colour.to_lab(picture[2, 3]))
    assert colour.from_lab(colour.to_lab(picture)) == pytest.approx(picture / 255, abs=1e-6)


def test_what_a_screen_cannot_show_is_cut_off():
    beyond = colour.from_lab([[50, 200, 0], [150, 0, 0], [-5, 0, 0]])
    assert beyond.min() >= 0
    assert beyond.max() <= 1


@pytest.mark.parametrize(
    ("rgb", "phrase"),
    [
        (np.zeros((2, 4)), "red, green and blue in their last axis"),
        (np.float64(0.5), "red, green and blue in their last axis"),
        (np.array([0, 0, 300]), "uint8"),
        (np.array([0.0, 0.0, 2.0]), "lie in [0, 1]"),
        (np.array([0.0, 0.0, np.nan]), "lie in [0, 1]"),
    ],
)
def test_no_colours(rgb, phrase):
    for there in (colour.to_lab, colour.to_oklab):
        with pytest.raises(DataError) as raised:
            there(rgb)
        assert phrase in str(raised.value)


def test_every_reference_colour_has_its_own_name_but_metals():
    names = [name for name, rgb in COLOURS.items() if rgb and name not in METALS]
    found, scores = name_colours(np.array([COLOURS[name] for name in names], np.uint8))
    assert found == names
    assert scores == pytest.approx(1)


@pytest.mark.parametrize("name", ATELIER)
def test_the_ateliers_cloth_is_called_as_the_atelier_calls_it(name):
    found, scores = name_colours(np.array([ATELIER[name]], np.uint8), tuple(ATELIER))
    assert found == [name]
    assert scores[0] > 0.6


# What people call the colours of the web; where two names are usual, both are right.
CALLED = {
    "Blue": "blue mediumblue royalblue dodgerblue steelblue cornflowerblue skyblue lightskyblue lightblue",
    "Navy Blue": "navy darkblue midnightblue",
    "Turquoise Blue": "cyan turquoise mediumturquoise darkturquoise paleturquoise",
    "Teal": "teal darkcyan",
    "Green": "green darkgreen forestgreen limegreen seagreen mediumseagreen lightgreen palegreen",
    "Lime Green": "chartreuse yellowgreen", "Fluorescent Green": "greenyellow",
    "Olive": "olive olivedrab darkolivegreen", "Yellow": "yellow gold",
    "Mustard": "goldenrod darkgoldenrod", "Orange": "orange darkorange coral",
    "Red": "red crimson firebrick indianred orangered", "Maroon": "maroon darkred",
    "Brown": "saddlebrown", "Rust": "sienna", "Tan": "tan burlywood",
    "Pink": "pink hotpink lightpink palevioletred", "Peach": "peachpuff bisque",
    "Magenta": "magenta deeppink mediumvioletred",
    "Purple": "purple rebeccapurple indigo darkviolet blueviolet darkorchid mediumpurple",
    "Black": "black", "White": "white snow ghostwhite whitesmoke", "Grey": "gray dimgray",
    "Cream": "beige cornsilk", "Grey Melange": "silver darkgray",
}  # fmt: skip


def test_there_are_enough_colours_of_the_web():
    assert sum(len(colours.split()) for colours in CALLED.values()) >= 60


@pytest.mark.parametrize("name", CALLED)
def test_colours_of_the_web_are_called_as_people_call_them(name):
    colours = CALLED[name].split()
    found, scores = name_colours(np.array([ImageColor.getrgb(one) for one in colours], np.uint8))
    assert dict(zip(colours, found, strict=True)) == dict.fromkeys(colours, name)
    assert (scores >= 0.5).all()


@given(st.floats(0, 360), st.floats(0.55, 0.75), st.floats(0.05, 0.3))
def test_a_hue_keeps_its_name_when_it_gets_stronger(hue, lightness, chroma):
    """A blue of any strength is no purple: names of one hue lie within a third of the circle."""
    radians = math.radians(hue)
    lab = np.array([lightness, chroma * math.cos(radians), chroma * math.sin(radians)])
    linear = np.linalg.inv(colour._TO_LMS) @ (np.linalg.inv(colour._TO_OKLAB) @ lab) ** 3
    if linear.min() < 0 or linear.max() > 1:
        return  # no screen shows it
    srgb = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    (found,), _ = name_colours(srgb.clip(0, 1)[None])
    _, strong, own = colour.to_lch(colour.to_oklab(np.array(COLOURS[found], np.uint8)))
    assert strong < 0.06 or abs((own - hue + 180) % 360 - 180) < 60


@given(bytes_of_colour)
def test_the_name_is_the_nearest_with_less_chroma(rgb):
    names = ("Charcoal", "Mustard", "Rust", "Mauve")  # of one reference each

    def place(rgb):
        lightness, a, b = colour.to_oklab(np.array(rgb, np.uint8)).tolist()
        chroma = math.hypot(a, b)
        return lightness, a / (chroma + 0.12), b / (chroma + 0.12)

    apart = {name: math.dist(place(rgb), place(COLOURS[name])) for name in names}
    (found,), (score,) = name_colours(np.array([rgb], np.uint8), names)
    nearest, second = sorted(apart.values())[:2]
    assert apart[found] == pytest.approx(nearest)
    assert score == pytest.approx(second / (nearest + second))
    assert 0.5 <= score <= 1


def test_a_name_that_could_as_well_be_another_is_half_sure():
    ends = colour.to_oklab(np.array([COLOURS["Black"], COLOURS["White"]], np.uint8))[:, 0]
    grey = 1.055 * ends.mean() ** (3 / 2.4) - 0.055
    _, scores = name_colours(np.full((1, 3), grey), ("Black", "White"))
    assert scores[0] == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize(
    ("rgb", "names", "phrase"),
    [
        (np.zeros(3, np.uint8), None, "Colours to be named: expected an array of shape (n, 3)"),
        (np.zeros((1, 3), np.uint8), ["Red", "Multi"], "No pixel can be called 'Multi'"),
        (np.zeros((1, 3), np.uint8), ["Red", "red"], "two or more different ones"),
        (np.zeros((1, 3), np.uint8), ["Red", "Bleu"], "Did you mean Blue"),
    ],
)
def test_colours_that_cannot_be_named(rgb, names, phrase):
    with pytest.raises(DataError) as raised:
        name_colours(rgb, names)
    assert phrase in str(raised.value)


def test_the_dominant_colour_is_one_that_the_garment_has():
    """Stripes, three of five rows blue: neither a mean nor the wall around the garment."""
    picture = np.full((30, 30, 3), 255, np.uint8)
    garment = np.zeros((30, 30), bool)
    garment[5:25, 8:22] = True
    picture[garment] = (200, 40, 40)
    picture[5:25][np.arange(20) % 5 < 3, 8:22] = (30, 60, 160)
    noise = np.random.default_rng(0).integers(-3, 4, picture.shape)
    noisy = np.clip(picture + noise, 0, 255).astype(np.uint8)
    found, share = dominant_colour(noisy, garment)
    assert found.dtype == np.uint8
    assert np.abs(found.astype(int) - (30, 60, 160)).max() <= 2
    assert share == pytest.approx(0.6, abs=0.05)
    wall, _ = dominant_colour(picture)
    assert wall.tolist() == [255, 255, 255]
    assert (
        dominant_colour(noisy[::-1, ::-1] / 255, garment[::-1, ::-1])[0].tolist() == found.tolist()
    )


def test_the_colour_with_the_most_pixels_wins_though_it_is_uneven():
    """Red cloth with folds, and an even rest of the wall that is a tenth of the mask."""
    folds = np.linspace(0.6, 1, 90)[:, None] * (210, 40, 45)
    noise = np.random.default_rng(0).integers(-12, 13, (90, 100, 3))
    picture = np.full((100, 100, 3), 245, np.uint8)
    picture[:90] = np.clip(folds[:, None] + noise, 0, 255).astype(np.uint8)
    found, share = dominant_colour(picture)
    assert name_colours(found[None])[0] == ["Red"]
    assert 0.4 < share <= 0.9


def test_the_dominant_colour_of_one_colour_is_that_colour():
    found, share = dominant_colour(np.full((3, 4, 3), 77, np.uint8))
    assert (found.tolist(), share) == ([77, 77, 77], 1.0)


@pytest.mark.parametrize(
    ("picture", "mask", "phrase"),
    [
        (np.zeros((3, 4, 3), np.uint8), np.zeros((3, 4)), "marks no pixel"),
        (np.zeros((3, 4, 3), np.uint8), np.ones((4, 3)), "and a mask (height, width)"),
        (np.zeros((3, 4), np.uint8), None, "Expected a picture (height, width, 3)"),
    ],
)
def test_no_garment_no_dominant_colour(picture, mask, phrase):
    with pytest.raises(DataError) as raised:
        dominant_colour(picture, mask)
    assert phrase in str(raised.value)


def test_there_are_enough_expectations():
    assert len(PAIRS) >= 60


@pytest.mark.parametrize(("kind", "a", "b"), PAIRS)
def test_colours_go_together_as_stylists_say(kind, a, b):
    found = harmony(a, b)
    assert found.kind == kind, found.reason
    assert harmony(b, a) == found


@pytest.mark.parametrize("a", [*COLOURS, ""])
def test_harmony_is_symmetric_decided_and_scored_by_its_kind(a):
    for b in (*COLOURS, ""):
        found = harmony(a, b)
        assert found == harmony(b, a)
        assert found.kind in colour.BASE
        assert found.reason
        low, high = {"weak": (0.1, 0.35), "unknown": (0.5, 0.5)}.get(found.kind, (0.6, 1))
        assert low <= found.score <= high
        assert math.isnan(found.difference) == (found.kind == "unknown")


def test_the_numbers_that_decided():
    """Against the same numbers worked out by hand from the published conversion."""
    one, other = (colour.to_oklab(np.array(COLOURS[name], np.uint8)) for name in ("Red", "Green"))
    found = harmony("Red", "Green")
    degrees = [math.degrees(math.atan2(b, a)) for _, a, b in (one, other)]
    assert f"{abs(degrees[0] - degrees[1]):.0f}°" in found.reason
    assert found.difference == pytest.approx(math.dist(one, other))
    contrast = abs(one[0] - other[0])
    expected = colour.BASE["complementary"] + contrast / colour.FULL_CONTRAST / 4
    assert found.score == pytest.approx(expected)


def test_navy_and_white_beat_navy_and_black_and_contrast_helps():
    assert harmony("Navy Blue", "White").score > 2 * harmony("Navy Blue", "Black").score
    assert harmony("White", "Black").score > harmony("Grey", "Silver").score
    assert (
        harmony("Yellow", "Purple").score > harmony("Red", "Green").score
    )  # of one lightness: they flicker


def test_a_metal_is_worn_as_a_neutral_though_it_is_colourful():
    assert harmony("Gold", "Green").kind == "neutral"
    assert harmony("Mustard", "Green").kind != "neutral"


@pytest.mark.parametrize(
    ("said", "known"),
    [
        ("gray", "Grey"),
        ("NAVY", "Navy Blue"),
        (" off-white ", "Off White"),
        ("multicolor", "Multi"),
        ("grey_melange", "Grey Melange"),
    ],
)
def test_other_spellings(said, known):
    assert canonical(said) == known
    assert harmony(said, "Red") == harmony(known, "Red")


@pytest.mark.parametrize(
    ("said", "phrase"), [("Bleu", "Did you mean Blue"), ("xyzzy", "Known are: Black, Charcoal")]
)
def test_an_unknown_colour(said, phrase):
    with pytest.raises(DataError) as raised:
        harmony(said, "Red")
    assert f"There is no colour {said!r}. {phrase}" in str(raised.value)
