"""Decode image files: formats, limits, orientation, colour profiles, transparency.

Every image comes out upright, grey ("L") or RGB, 8 bits a channel, in sRGB. What is a picture is
told by the first bytes of a file. The stores of images are in `fashionnb.data.images`.
"""

import io
import logging
import struct
import zlib
from contextlib import suppress
from functools import lru_cache

import numpy as np
import PIL
from PIL import Image, ImageCms, ImageOps, JpegImagePlugin

from fashionnb.errors import DataError

MOST_PIXELS = 89_000_000
"""An image whose header gives more pixels than this is refused before it is decoded."""

MOST_JPEG_PIXELS = 250_000_000
"""A JPEG with more than `MOST_PIXELS` and at most so many is decoded at half its size or less."""

SPARE = 2
"""How many times the pixels that are needed along a side a JPEG that is decoded smaller keeps."""

MOST_BYTES = 200_000_000
"""A zip member that would unpack to more bytes than this is refused before it is unpacked."""

SUFFIXES = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif",
    ".heic", ".heif",
)  # fmt: skip
"""Usual endings of image files. Files that end otherwise are told by their first bytes."""

BLANK = 16
"""An image whose channels vary by no more than this, of 255, shows nothing."""

FORMATS = "JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF or HEIC"
"""The formats that are read, for messages."""

# Only formats that garments come in. Above all not EPS, which Pillow would hand to Ghostscript.
_FORMATS = ("PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "HEIF")
_JPEG, _PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
_SIGNATURES = (_JPEG, _PNG, b"GIF8", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_HEIC = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_PALE = 200  # a colour whose channels are all above this vanishes on white
_MOST_PROFILE = 32_000_000  # bytes of a colour profile, unpacked
_SAME_COLOUR = 5  # of 255: a colour profile that changes no colour by more is sRGB
_log = logging.getLogger(__name__)


def decode(data: bytes, where: str, size: int | tuple[int, int] | None = None) -> Image.Image:
    """Decode the bytes of an image file: upright (EXIF orientation applied), grey or RGB.

    Palettes, CMYK and 16-bit images become 8-bit grey or RGB, and colours with an ICC profile
    become sRGB. A cut-out on transparency is put on white; a pale one, which would vanish there, on
    grey. Of an animation the first frame counts. A JPEG with more than 89 megapixels is decoded
    smaller, and so is one that `size` needs far fewer pixels of, which saves most of the time.

    Parameters
    ----------
    data : bytes
        A JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF or HEIC file; HEIC needs the extra "heic".
    where : str
        Names the image in messages.
    size : int or (int, int), optional
        What the image will be scaled down into, in pixels: one number for a square, or (height,
        width). A JPEG may come out at a half, a quarter or an eighth of its size, but still has at
        least `SPARE` times the pixels along each side that fit into `size`.

    Returns
    -------
    PIL.Image.Image
        Of mode "L" or "RGB".

    Raises
    ------
    DataError
        If the bytes are not an image, are cut short, or have more than 89 megapixels, a JPEG 250 (a
        "decompression bomb": a small file that would fill the memory; it is recognised from its
        header, before it is decoded).
    """
    try:
        return upright(_opened(data, where, size), where)
    except DataError:
        if data.startswith(_PNG):
            return upright(_opened_without_metadata(data, where), where)
        if data.startswith(_JPEG) and not data.endswith(b"\xff\xd9"):
            image = _with_end(data, where)
            if image is not None:
                return image
        raise


def is_picture(data: bytes) -> bool:
    """Tell from the first bytes of a file whether it is an image in a format that is read.

    Parameters
    ----------
    data : bytes
        The first 32 bytes or more.

    Returns
    -------
    bool
        True for JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF and HEIC.
    """
    return (
        data.startswith(_SIGNATURES)
        or (data[:4] == b"RIFF" and data[8:12] == b"WEBP")
        or (data[:2] == b"BM" and data[6:10] == bytes(4))
        or (data[4:8] == b"ftyp" and data[8:12] in (b"avif", b"avis", *_HEIC))
    )


def is_blank(image: Image.Image) -> bool:
    """Tell whether an image shows nothing: all of it is one colour, up to noise.

    Parameters
    ----------
    image : PIL.Image.Image
        Grey or RGB, as `decode` gives it.

    Returns
    -------
    bool
        True if no channel varies by more than `BLANK`.
    """
    return all(high - low <= BLANK for low, high in np.reshape(image.getextrema(), (-1, 2)))


def upright(image: Image.Image, where: str) -> Image.Image:
    """Decode an opened image: upright, in sRGB, grey or RGB; `image` itself is left as it is.

    Parameters
    ----------
    image : PIL.Image.Image
        Of any mode.
    where : str
        Names the image in messages.

    Returns
    -------
    PIL.Image.Image
        Of mode "L" or "RGB".

    Raises
    ------
    DataError
        If it is cut short, empty or too large, or its mode cannot be turned into grey or RGB.
    """
    if image.width * image.height > MOST_PIXELS:
        raise DataError(bomb_message(where, f"{image.width} x {image.height} pixels"))
    if not image.width * image.height:
        raise DataError(f"{where}: {image.width} x {image.height} pixels, so there is no picture.")
    try:
        image.load()
    except Exception as error:  # hostile bytes make Pillow raise nearly anything
        raise DataError(
            f"{where}: the picture cannot be decoded ({error}). It looks cut short or damaged; "
            "get it again."
        ) from error
    try:
        image = ImageOps.exif_transpose(image)
    except Exception:  # a damaged EXIF block is no reason to lose a picture that decodes
        _log.warning("%s: the EXIF block is damaged; the picture may lie on its side.", where)
    return as_grey_or_rgb(_in_srgb(image), where)


def as_grey_or_rgb(image: Image.Image, where: str) -> Image.Image:
    """Convert an image to grey or RGB; a cut-out on transparency is put on a ground.

    Parameters
    ----------
    image : PIL.Image.Image
        Of any mode.
    where : str
        Names the image in messages.

    Returns
    -------
    PIL.Image.Image
        Of mode "L" or "RGB".

    Raises
    ------
    DataError
        If its mode cannot be turned into grey or RGB.
    """
    if image.mode in ("F", "La"):  # floats have no agreed black and white; Pillow lacks La to L
        raise DataError(
            f"{where}: pictures of mode {image.mode!r} cannot be turned into grey or RGB."
        )
    if image.mode.startswith("I"):  # 16 bits a pixel, whatever Pillow calls it
        values = np.clip(np.asarray(image).astype(np.int32), 0, 65535)
        return Image.fromarray(((values + 128) // 257).astype(np.uint8))
    grey = image.mode in ("1", "L", "LA")
    if image.has_transparency_data:
        image = _on_ground(image.convert("RGBA"))
    target = "L" if grey else "RGB"
    return image if image.mode == target else image.convert(target)


def bomb_message(where: str, size: str) -> str:
    """Say that an image is too large, perhaps on purpose.

    Parameters
    ----------
    where : str
        Names the image.
    size : str
        How large it is.

    Returns
    -------
    str
        The message of an error.
    """
    return (
        f"{where}: {size} is more than a picture of a garment can be (a decompression bomb?). "
        f"At most {MOST_PIXELS / 1e6:.0f} megapixels (a JPEG {MOST_JPEG_PIXELS / 1e6:.0f}) and "
        f"{MOST_BYTES / 1e6:.0f} MB are accepted; shrink it, or leave it out."
    )


def _opened(data: bytes, where: str, size: int | tuple[int, int] | None = None) -> Image.Image:
    """The image of a file, not decoded yet."""
    if data[4:8] == b"ftyp" and data[8:12] in _HEIC and b"avif" not in data[:64]:
        _register_heic(where)
    try:
        if data.startswith(_JPEG):  # Image.open would refuse what can be decoded smaller
            image = JpegImagePlugin.JpegImageFile(io.BytesIO(data))
            pixels, part = image.width * image.height, 1.0 if size is None else _part(image, size)
            if MOST_PIXELS < pixels <= MOST_JPEG_PIXELS:
                part = min(part, 1 / 2 if pixels <= 4 * MOST_PIXELS else 1 / 4)
                _log.info("%s: %d megapixels, decoded smaller.", where, pixels / 1e6)
            # Pillow takes the smallest of 1/8, 1/4, 1/2 and 1 that is not below this.
            image.draft(None, tuple(max(1, int(side * part)) for side in image.size))
            return image
        Image.init()
        return Image.open(io.BytesIO(data), formats=[one for one in _FORMATS if one in Image.OPEN])
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DataError(bomb_message(where, str(error))) from error
    except Exception as error:  # hostile bytes make Pillow raise nearly anything
        if is_picture(data):
            raise DataError(
                f"{where}: not a picture that Pillow {PIL.__version__} reads ({error!s:.80}). "
                "It looks cut short or damaged; get it again."
            ) from error
        begins = f"begins with {data[:8]!r}" if data else "is empty"
        raise DataError(
            f"{where}: not a picture ({FORMATS}); it {begins}. Replace it, or leave it out."
        ) from error


def _part(image: Image.Image, size: int | tuple[int, int]) -> float:
    """To which part of its sides an image may shrink, if it will then be fitted into a size."""
    height, width = (size, size) if isinstance(size, int) else size
    # The image may lie on its side.
    upright = min(width / image.width, height / image.height)
    turned = min(height / image.width, width / image.height)
    return min(1.0, SPARE * max(upright, turned))


def _register_heic(where: str) -> None:
    try:
        import pillow_heif  # an extra: most users have no such photos
    except ImportError as error:
        raise DataError(
            f"{where}: a HEIC photo, which takes the extra `heic` to read. Install "
            '"fashionnb[heic]" (or pillow-heif), or save the photo as JPEG.'
        ) from error
    pillow_heif.register_heif_opener()


def _opened_without_metadata(png: bytes, where: str) -> Image.Image:
    """A PNG opened without what its pixels do not need: texts may be longer than Pillow reads."""
    kept, profile, start = [png[:8]], b"", 8
    while start + 8 <= len(png):
        length, kind = struct.unpack_from(">I4s", png, start)
        end = start + 12 + length
        if kind == b"iCCP":  # its name, a 0, a 0, and the profile
            packed = png[start + 8 : end - 4].partition(b"\0")[2][1:]
            with suppress(zlib.error):
                profile = zlib.decompressobj().decompress(packed, _MOST_PROFILE)
        elif kind[:1].isupper() or kind in (b"tRNS", b"eXIf"):
            kept.append(png[start:end])
        start = end
    image = _opened(b"".join(kept), where)
    image.info["icc_profile"] = profile
    return image


def _with_end(jpeg: bytes, where: str) -> Image.Image | None:
    """The image of a JPEG that lacks its end mark; None if it lacks pixels, too."""
    jpeg = jpeg.rstrip(b"\xff")
    # If pixels are missing, other bytes in their place give other pixels.
    one, other = (
        upright(_opened(jpeg + filling + b"\xff\xd9", where), where)
        for filling in (b"", 64 * b"\x5a")
    )
    return one if one.tobytes() == other.tobytes() else None


def _in_srgb(image: Image.Image) -> Image.Image:
    """The image with the colours that its ICC profile means; as it is without one."""
    profile = image.info.get("icc_profile")
    if not profile or image.mode == "La":  # which Pillow cannot convert
        return image
    mode = "LA" if image.mode in ("L", "LA") else "RGBA"
    if image.has_transparency_data:
        image = image.convert(mode)
    elif image.mode == "P":
        image = image.convert("RGB")
    colours = image.convert(image.mode[:-1]) if image.mode in ("LA", "RGBA") else image
    transform = _to_srgb(profile, colours.mode)
    if transform is None:
        return image
    colours = transform.apply(colours)
    if image.mode in ("L", "LA"):
        colours = colours.convert("L")
    if image.mode in ("LA", "RGBA"):
        colours.putalpha(image.getchannel("A"))
    colours.info = {}  # its colours are plain now
    return colours


@lru_cache(maxsize=16)
def _to_srgb(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """The way from a profile to sRGB; None if it is broken, of other channels, or sRGB itself."""
    try:
        transform = ImageCms.buildTransform(
            io.BytesIO(profile), ImageCms.createProfile("sRGB"), mode, "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC, ImageCms.Flags.NOCACHE,
        )  # fmt: skip
    except Exception:  # a broken profile is no reason to lose a picture
        return None
    if mode == "RGB":
        levels = np.arange(0, 256, 17, np.uint8)
        colours = np.stack(np.meshgrid(levels, levels, levels), -1).reshape(16, -1, 3)
        seen = np.asarray(transform.apply(Image.fromarray(colours)))
        if np.abs(seen.astype(int) - colours).max() <= _SAME_COLOUR:
            return None
    return transform


def _on_ground(cut_out: Image.Image) -> Image.Image:
    """An RGBA image on white; on grey, if most of what is visible would vanish on white."""
    alpha = np.asarray(cut_out.getchannel("A"))
    colours = cut_out.convert("RGB")
    if not alpha.any() and not is_blank(colours):
        return colours  # a fault of the program that saved it: nobody saves nothing
    visible = np.asarray(colours)[alpha > alpha.max() // 2]
    vanishes = len(visible) and (visible.min(1) >= _PALE).mean() > 0.5
    ground = Image.new("RGBA", cut_out.size, "grey" if vanishes else "white")
    ground.alpha_composite(cut_out)
    return ground
