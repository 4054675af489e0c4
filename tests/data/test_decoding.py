"""fashionnb.data.decoding: every kind of picture comes out upright and plain, every kind of bad file says what it is."""

import io
import struct
import sys
import types
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageDraw, PngImagePlugin

from fashionnb.data.decoding import decode, is_blank, is_picture
from fashionnb.errors import DataError


def encoded(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A PNG of a few bytes that claims any size; there are no pixels in it."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b""))
        + chunk(b"IEND", b"")
    )


def photo(height: int = 20, width: int = 12, seed: int = 0) -> Image.Image:
    return Image.fromarray(
        np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    )


@pytest.mark.parametrize(
    ("size", "wanted"),
    [
        (64, (200, 150)),  # an eighth would be 100 x 75, less than twice 64
        (50, (100, 75)),
        (400, (800, 600)),
        (1_000, (800, 600)),
        (
            (64, 1_000),
            (200, 150),
        ),  # 85 x 64 of it are needed, upright; more, if it lies on its side
        ((1, 1), (100, 75)),
    ],
)
def test_a_jpeg_is_decoded_as_small_as_it_may(size, wanted):
    image = photo(600, 800).resize((800, 600))
    assert decode(encoded(image, "JPEG"), "here", size).size == wanted
    assert decode(encoded(image, "PNG"), "here", size).size == (800, 600)


def test_odd_sides_are_halved_too():
    data = encoded(photo(301, 301), "JPEG")
    assert decode(data, "here", 75).size == (151, 151)


def test_a_small_jpeg_that_lies_on_its_side_is_turned_as_ever():
    image = Image.new("RGB", (800, 600), "white")
    ImageDraw.Draw(image).rectangle((0, 0, 399, 599), "red")
    tags = Image.Exif()
    tags[0x0112] = 6  # to be turned clockwise
    found = decode(encoded(image, "JPEG", exif=tags), "here", 50)
    assert found.size == (75, 100)
    assert found.getpixel((37, 10)) == pytest.approx((255, 0, 0), abs=3)
    assert found.getpixel((37, 90)) == (255, 255, 255)


def test_a_jpeg_that_is_cut_short_is_told_at_any_size():
    data = encoded(photo(600, 800), "JPEG")
    with pytest.raises(DataError, match="cut short"):
        decode(data[: len(data) // 2], "here", 50)


def test_grey_and_rgb_come_out_as_they_are():
    for image in (photo(), photo().convert("L")):
        result = decode(encoded(image), "here")
        assert result.mode == image.mode
        assert (np.asarray(result) == np.asarray(image)).all()


@pytest.mark.parametrize(
    ("image", "kind", "mode", "first"),
    [
        (Image.new("1", (4, 4), 1), "PNG", "L", 255),
        (Image.new("I;16", (4, 4), 65535), "PNG", "L", 255),
        (Image.new("I;16", (4, 4), 257 * 100), "PNG", "L", 100),
        (Image.new("I", (4, 4), 257 * 7), "TIFF", "L", 7),
        (Image.new("LA", (4, 4), (0, 255)), "PNG", "L", 0),
        (Image.new("LA", (4, 4), (0, 0)), "PNG", "L", 255),
        (Image.new("RGBA", (4, 4), (200, 0, 0, 255)), "PNG", "RGB", (200, 0, 0)),
        (Image.new("RGBA", (4, 4), (200, 0, 0, 0)), "PNG", "RGB", (255, 255, 255)),
        (Image.new("RGB", (4, 4), (10, 20, 30)).quantize(), "PNG", "RGB", (10, 20, 30)),
        (Image.new("RGB", (4, 4), (10, 20, 30)).quantize(), "GIF", "RGB", (10, 20, 30)),
        (Image.new("CMYK", (4, 4), (0, 255, 255, 0)), "TIFF", "RGB", (255, 0, 0)),
        (Image.new("CMYK", (4, 4), (0, 0, 0, 0)), "JPEG", "RGB", (255, 255, 255)),
    ],
)
def test_every_mode_becomes_grey_or_rgb(image, kind, mode, first):
    result = decode(encoded(image, kind), "here")
    assert result.mode == mode
    assert result.getpixel((0, 0)) == first


def test_a_transparent_palette_and_a_transparent_colour_become_white():
    palette = Image.new("P", (4, 4), 1)
    palette.putpalette([0, 0, 0, 200, 0, 0])
    assert decode(encoded(palette, transparency=1), "here").getpixel((0, 0)) == (255, 255, 255)
    assert decode(encoded(palette), "here").getpixel((0, 0)) == (200, 0, 0)
    keyed = Image.new("RGB", (4, 4), (1, 2, 3))
    assert decode(encoded(keyed, transparency=(1, 2, 3)), "here").getpixel((0, 0)) == (
        255,
        255,
        255,
    )


# How a camera that was held so stores an upright picture, from the definition of the EXIF tag 0x0112.
STORED = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, 1),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a, -1),
}


@pytest.mark.parametrize("orientation", STORED)
def test_pictures_are_turned_upright(orientation):
    upright = np.asarray(photo(5, 3))
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](upright)))
    assert (np.asarray(decode(encoded(stored, exif=exif), "here")) == upright).all()


def test_a_damaged_exif_block_does_not_cost_the_picture(caplog):
    data = encoded(photo(), exif=b"Exif\0\0MX\0*\0\0\0\x08\0\0")
    assert (np.asarray(decode(data, "rack 7")) == np.asarray(photo())).all()
    assert "rack 7: the EXIF block is damaged" in caplog.text


@pytest.mark.parametrize("kind", ["JPEG", "MPO", "WEBP", "BMP", "TIFF"])
def test_the_other_formats_that_garments_come_in_are_read(kind):
    assert (
        decode(encoded(Image.new("RGB", (8, 6), (250, 10, 10)), kind), "here").getpixel((4, 3))[0]
        > 240
    )


def test_the_first_frame_of_an_animation_counts():
    data = encoded(
        Image.new("L", (4, 4), 10),
        "GIF",
        save_all=True,
        append_images=[Image.new("L", (4, 4), 200)],
    )
    assert np.asarray(decode(data, "here").convert("L")).max() == 10


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<!DOCTYPE html>",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        b"\xff\xd8\xff",
    ],
)
def test_what_is_not_a_picture_is_refused(data):
    with pytest.raises(DataError, match=r"rack 7: not a picture"):
        decode(data, "rack 7")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "TIFF"])
def test_a_picture_that_is_cut_short_is_refused(kind):
    data = encoded(photo(64, 64), kind)
    with pytest.raises(DataError, match=r"rack 7: (the picture cannot be decoded|not a picture)"):
        decode(data[: len(data) * 2 // 3], "rack 7")


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("size", [(9_500, 9_500), (10_000, 10_000), (60_000, 60_000)])
def test_a_decompression_bomb_is_recognised_from_its_header(size):
    with pytest.raises(DataError, match=r"rack 7: .*decompression bomb"):
        decode(png_header(*size), "rack 7")


def test_floating_point_pictures_are_refused():
    with pytest.raises(DataError, match="mode 'F'"):
        decode(encoded(Image.new("F", (4, 4), 0.5), "TIFF"), "here")


@given(
    st.binary(max_size=200)
    | st.binary(max_size=200).map(lambda data: encoded(photo(4, 4))[:60] + data)
)
def test_any_bytes_give_a_picture_or_a_data_error(data):
    try:
        assert decode(data, "here").mode in ("L", "RGB")
    except DataError as error:
        assert str(error).startswith("here: ")  # noqa: PT017  either outcome is right


# cut-outs on transparency


def cut_out(colour, alpha=255) -> Image.Image:
    image = Image.new("RGBA", (30, 40), (0, 0, 0, 0))
    ImageDraw.Draw(image).rectangle((5, 5, 20, 30), fill=(*colour, alpha))
    return image


@pytest.mark.parametrize("colour", [(255, 255, 255), (250, 248, 240), (230, 225, 210)])
def test_a_pale_cut_out_stands_out_from_its_ground(colour):
    image = decode(encoded(cut_out(colour)), "here")
    assert image.getpixel((10, 10)) == colour
    assert max(image.getpixel((0, 0))) < 200
    assert not is_blank(image)


@pytest.mark.parametrize("colour", [(20, 20, 20), (200, 30, 40), (250, 230, 60)])
def test_other_cut_outs_are_on_white(colour):
    assert decode(encoded(cut_out(colour)), "here").getpixel((0, 0)) == (255, 255, 255)


def test_a_sheer_white_cut_out_is_not_blank():
    assert not is_blank(decode(encoded(cut_out((255, 255, 255), alpha=90)), "here"))


def test_grey_cut_outs_stay_grey():
    image = Image.new("LA", (4, 4), (255, 0))
    image.putpixel((1, 1), (250, 255))
    found = decode(encoded(image), "here")
    assert (found.mode, found.getpixel((0, 0)), found.getpixel((1, 1))) == ("L", 128, 250)


def test_an_alpha_channel_of_zeros_does_not_hide_a_photo():
    image = photo().copy()
    image.putalpha(0)
    assert (np.asarray(decode(encoded(image), "here")) == np.asarray(photo())).all()


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_blank_is_one_colour_up_to_noise(mode):
    noise = np.random.default_rng(0).integers(200, 212, (20, 20), np.uint8)
    assert is_blank(Image.fromarray(noise).convert(mode))
    noise[5:8, 5:8] = 120
    assert not is_blank(Image.fromarray(noise).convert(mode))


# colour profiles


def profile(*rows: tuple[float, float, float], gamma: float) -> bytes:
    """An ICC profile of version 2 whose three primaries, in XYZ (D50), are the columns of `rows`."""

    def fixed(values):
        return b"".join(struct.pack(">i", round(value * 65536)) for value in values)

    white = (0.9642, 1, 0.8249)
    tags = {b"desc": b"desc\0\0\0\0" + struct.pack(">I", 2) + b"x\0" + bytes(78)}
    tags |= {b"cprt": b"text\0\0\0\0x\0\0\0", b"wtpt": b"XYZ \0\0\0\0" + fixed(white)}
    for column, name in enumerate((b"r", b"g", b"b")):
        tags[name + b"XYZ"] = b"XYZ \0\0\0\0" + fixed(row[column] for row in rows)
        tags[name + b"TRC"] = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"
    table, data, start = b"", b"", 132 + 12 * len(tags)
    for name, value in tags.items():
        value += b"\0" * (-len(value) % 4)
        table += name + struct.pack(">II", start + len(data), len(value))
        data += value
    body = struct.pack(">I", len(tags)) + table + data
    head = struct.pack(">I", 128 + len(body)) + b"\0\0\0\0\2\x10\0\0mntrRGB XYZ " + bytes(12)
    return (head + b"acsp" + bytes(28) + fixed(white)).ljust(128, b"\0") + body


PROPHOTO = profile(
    (0.79767, 0.13519, 0.03135), (0.28804, 0.71187, 0.00009), (0, 0, 0.82521), gamma=1.8
)
P3 = profile(
    (0.51512, 0.29198, 0.1571), (0.2412, 0.69225, 0.06657), (-0.00105, 0.04189, 0.78407), gamma=2.2
)


def as_seen(rgb, icc):
    """What a viewer shows for these numbers in this space."""
    one = Image.new("RGB", (1, 1), rgb)
    space = ImageCms.ImageCmsProfile(io.BytesIO(icc))
    srgb = ImageCms.createProfile("sRGB")
    return ImageCms.profileToProfile(one, space, srgb, renderingIntent=1).getpixel((0, 0))


@pytest.mark.parametrize("icc", [PROPHOTO, P3])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_colours_mean_what_their_profile_says(icc, kind):
    image = Image.new("RGB", (16, 16), (150, 70, 50))
    found = decode(encoded(image, kind, icc_profile=icc), "here").getpixel((8, 8))
    assert np.abs(np.subtract(found, as_seen((150, 70, 50), icc))).max() <= 6
    assert np.abs(np.subtract(found, (150, 70, 50))).max() > 8


def test_a_profile_counts_once_and_with_transparency_and_a_palette():
    image = cut_out((150, 70, 50))
    seen = as_seen((150, 70, 50), PROPHOTO)
    found = decode(encoded(image, icc_profile=PROPHOTO), "here")
    assert np.abs(np.subtract(found.getpixel((10, 10)), seen)).max() <= 1
    assert found.getpixel((0, 0)) == (255, 255, 255)
    assert decode(encoded(found), "here").getpixel((10, 10)) == found.getpixel((10, 10))
    few = Image.new("RGB", (8, 8), (150, 70, 50)).quantize(4)
    found = decode(encoded(few, icc_profile=PROPHOTO), "here").getpixel((4, 4))
    assert np.abs(np.subtract(found, seen)).max() <= 1


@pytest.mark.parametrize(
    "icc",
    [
        b"",
        b"broken",
        PROPHOTO[:200],
        ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
    ],
    ids=["none", "broken", "cut", "sRGB"],
)
def test_srgb_and_broken_profiles_change_nothing(icc):
    assert (np.asarray(decode(encoded(photo(), icc_profile=icc), "x")) == np.asarray(photo())).all()
    grey = photo().convert("L")
    assert (np.asarray(decode(encoded(grey, icc_profile=icc), "x")) == np.asarray(grey)).all()


# what is harmless


def test_a_png_with_much_metadata_is_read():
    text = PngImagePlugin.PngInfo()
    text.add_text("XML:com.adobe.xmp", "x" * 2_000_000, zip=True)
    for options in ({"icc_profile": bytes(2_000_000)}, {"pnginfo": text}):
        found = decode(encoded(photo(), **options), "here")
        assert (np.asarray(found) == np.asarray(photo())).all()
    broken = bytearray(encoded(photo(), dpi=(72, 72)))
    broken[broken.index(b"pHYs") + 14] ^= 1  # its checksum
    assert (np.asarray(decode(bytes(broken), "here")) == np.asarray(photo())).all()
    large = PROPHOTO + bytes(2_000_000)
    found = decode(encoded(Image.new("RGB", (4, 4), (150, 70, 50)), icc_profile=large), "here")
    assert np.abs(np.subtract(found.getpixel((0, 0)), as_seen((150, 70, 50), PROPHOTO))).max() <= 1


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_without_its_last_bytes_is_read_if_all_pixels_are_there(progressive):
    data = encoded(photo(40, 30), "JPEG", progressive=progressive)
    whole = np.asarray(decode(data, "here"))
    for missing in (1, 2):
        assert (np.asarray(decode(data[:-missing], "here")) == whole).all()
    for missing in (8, 30, 200):
        with pytest.raises(DataError, match="cut short"):
            decode(data[:-missing], "here")


@pytest.mark.filterwarnings("error")
def test_a_camera_of_today_is_read_and_a_larger_jpeg_is_decoded_smaller():
    assert decode(encoded(Image.new("L", (9504, 6336)), "JPEG"), "here").size == (9504, 6336)
    # 100 megapixels by its header alone, so that the test need not draw them
    data = bytearray(encoded(Image.new("L", (80, 80)), "JPEG"))
    place = data.index(b"\xff\xc0") + 5
    data[place : place + 4] = struct.pack(">HH", 10_000, 10_000)
    assert decode(bytes(data), "here").size == (5_000, 5_000)
    data[place : place + 4] = struct.pack(">HH", 60_000, 60_000)
    with pytest.raises(DataError, match="decompression bomb"):
        decode(bytes(data), "here")


# AVIF and HEIC


def test_avif_is_read():
    data = encoded(Image.new("RGB", (16, 16), (200, 30, 40)), "AVIF")
    assert is_picture(data[:32])
    assert np.abs(np.subtract(decode(data, "x").getpixel((8, 8)), (200, 30, 40))).max() < 8


HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(40)


def test_heic_without_its_extra_is_one_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    assert is_picture(HEIC)
    with pytest.raises(DataError, match=r"rack 7: a HEIC photo, .*fashionnb\[heic\]"):
        decode(HEIC, "rack 7")


def test_heic_is_read():
    heif = pytest.importorskip("pillow_heif")
    heif.register_heif_opener()
    data = encoded(Image.new("RGB", (64, 48), (200, 30, 40)), "HEIF")
    assert is_picture(data[:32])
    assert np.abs(np.subtract(decode(data, "x").getpixel((8, 8)), (200, 30, 40))).max() < 8


def test_heic_is_opened_by_its_extra(monkeypatch):
    called = []
    extra = types.SimpleNamespace(register_heif_opener=lambda: called.append(1))
    monkeypatch.setitem(sys.modules, "pillow_heif", extra)
    with pytest.raises(DataError, match="rack 7: not a picture"):
        decode(HEIC, "rack 7")  # nothing in it
    assert called == [1]


@pytest.mark.parametrize(
    "data", [b"", b"BM is a text", b"RIFF....WAVE", b"%PDF-1.7", b"\0\0\0\x18ftypmp42"]
)
def test_what_is_no_picture_by_its_first_bytes(data):
    assert not is_picture(data)
