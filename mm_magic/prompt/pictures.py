"""A value as a picture that can be sent: matplotlib's figures, Pillow's images, bytes and paths.

Whatever a picture comes as, Pillow draws it anew, so that its pixels alone are sent: no name,
place, date or profile, and nothing that stood behind its end. Pillow is imported at the first
picture, and no other library is: who has a figure has imported matplotlib.
"""

import stat
from io import BytesIO
from pathlib import Path, PurePath
from threading import RLock
from typing import TYPE_CHECKING, Any, NamedTuple

from mm_magic.errors import UsageError
from mm_magic.prompt.kinds import is_a
from mm_magic.protocol.image_file import Size, mean_colour, media_type, pixels_of, png_file, size_of
from mm_magic.protocol.messages import LONG_SIDE, ImageBlock
from mm_magic.web_page import way_to

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from PIL.Image import Image

MOST_PIXELS = 50_000_000
"""Of a picture before it is made smaller: what a good camera has. Larger ones are not decoded."""
MOST_BYTES = 50_000_000
"""Of a file."""
SMALL = 200_000
"""Bytes of a PNG up to which it stays one. A photo takes more, and is a fifth of that as JPEG."""
QUALITY = 85
"""Of a JPEG."""

_SUFFIXES = {
    *(".png", ".jpg", ".jpeg", ".webp", ".gif"),
    *(".svg", ".bmp", ".tif", ".tiff", ".heic", ".heif", ".avif", ".ico"),  # refused, not its name
}
_TRANSPARENT = {"RGBA", "RGBa", "LA", "La", "PA"}
"""Pillow's modes in which each pixel has its own transparency."""
_FORMATS = ("PNG", "JPEG", "WEBP", "GIF")
_OTHER_KINDS = (b"II*\0", b"MM\0*", b"8BPS", b"\0\0\0\x0cjP  \r\n", b"\0\0\0\x0cJXL \r\n")
"""How files of TIFF, Photoshop, JPEG 2000 and JPEG XL begin."""
_HEIF = (b"avif", b"avis", b"heic", b"heix", b"hevc", b"mif1", b"msf1")
"""AVIF and HEIC, as their files name them."""
_KINDS = "PNG, JPEG, WebP or GIF"
_SMALLER = "Make it smaller, or send a part of it."
_SAVE_ANEW = "Open it in a viewer and save it as PNG."


_DRAWING = RLock()
"""Held while a user's object is used: matplotlib changes a figure while it draws it, and Pillow
an image while it reads its file, and neither of them is made for several threads."""


class Picture(NamedTuple):
    """A picture as it is sent; `left_out` says what of the value is not in it, "" if all is."""

    block: ImageBlock
    left_out: str = ""


class PictureError(Exception):
    """A picture that can't be sent; its text says why, and `step` what helps.

    {0} stands in `step` for the code of the value.
    """

    def __init__(self, why: str, step: str) -> None:
        super().__init__(why)
        self.step = step


class NoPictureHereError(UsageError):
    """A picture where only text can stand: in a prompt for the rows of a table."""

    def __init__(self) -> None:
        super().__init__(
            "rows are sent as text only, but this prompt has a picture",
            next_steps=(
                "To ask about each picture, use a loop: "
                '`mm.ask(["…", picture], model="MiniMax-M3")`',
            ),
        )


def picture_of(value: Any) -> Picture | None:
    """The picture that a value is, None if it is none. Raises PictureError."""
    if is_a(value, "matplotlib", "Figure SubFigure Axes"):
        return _of_figure(_whole_figure(value))
    if is_a(value, "PIL", "Image"):
        _check(value.size)  # a copy of a file's is decoded
        return _of_image(lambda: _copy(value))
    if is_a(value, "IPython", "Image SVG"):
        return _of_display(value)
    if isinstance(value, bytes | bytearray | memoryview):
        data = bytes(value)
        is_file = media_type(data) or _is_svg(data) or _is_other_kind(data)
        return _of_file(data, "it") if is_file else None
    if isinstance(value, PurePath) and value.suffix.lower() in _SUFFIXES:
        return _of_path(value)
    if way_in := _first_picture(value):
        raise PictureError("it holds pictures, and only one can be inserted at a time", way_in)
    return None


def is_picture(value: object) -> bool:
    """Whether it is a figure, axes, an image or the bytes of one; nothing is drawn."""
    known = ("matplotlib", "Figure SubFigure Axes"), ("PIL IPython", "Image")
    is_file = isinstance(value, bytes | bytearray) and bool(media_type(bytes(value[:12])))
    return is_file or any(is_a(value, *kind) for kind in known)


def mean_colour_of(block: ImageBlock) -> str:
    """The mean of all its pixels, as "#c8d2e0"; "" where only Pillow could tell, and is missing."""
    pixels = pixels_of(block.file)
    if pixels is None:
        try:
            pixels = _flat(_opened(block.file)).tobytes()
        except Exception:  # it may be from a file, and whole in its header alone
            return ""
    return mean_colour(pixels)


# -- in what holds pictures --------------------------------------------------------------------


def _first_picture(value: Any) -> str:
    """How to write the first picture that a container holds; "" if it holds none."""
    if isinstance(value, dict):
        found = _place(value.values())
        return "Run `picture = {0}[…]` in a cell above, and write {{{{picture}}}}." * bool(found)
    way = ""
    if isinstance(value, list | tuple) and not is_a(value, "matplotlib", "Container"):
        found = _place(value)
    elif is_a(value, "numpy", "ndarray") and value.dtype.hasobject:
        way, found = ".flat", _place(value.flat)  # the axes of `plt.subplots(2, 2)`
    elif is_a(value, "pandas", "Series") and value.dtype == object:
        way, found = ".iloc", _place(value)
    else:
        return ""
    return f"Write {{{{{{{{{{0}}{way}[{found - 1}]}}}}}}}}." if found else ""


def _place(values: "Iterable[object]") -> int:
    """The place of the first picture among these, from 1; 0 if none is one."""
    others: set[type] = set()  # a list of a million numbers is asked once
    for place, each in enumerate(values, start=1):
        if type(each) in others:
            continue
        if is_picture(each):
            return place
        if not isinstance(each, bytes | bytearray):
            others.add(type(each))
    return 0


# -- from what a value is ----------------------------------------------------------------------


def _whole_figure(value: Any) -> Any:
    """The figure that axes or a part of a figure stand in."""
    while not is_a(value, "matplotlib", "Figure"):
        value = value.figure
        if value is None:
            raise PictureError(
                "it was removed from its figure", "Draw it again and send the new one."
            )
    return value


def _of_figure(figure: Any) -> Picture:
    """What `savefig` draws of a figure, which stays as it is; no larger than a picture may be.

    Its own dots per inch count, unless that is too large: text stays sharper if it is drawn
    smaller at once.
    """
    file = BytesIO()
    try:
        with _DRAWING:
            own = figure.dpi
            box = figure.get_tightbbox()
            figure.dpi = own  # the canvas of PDF has changed it by now
            dots = min(own, LONG_SIDE / max(box.width, box.height, 0.01))
            figure.savefig(file, format="png", dpi=dots, bbox_inches="tight")
    except Exception as error:  # what is in a figure may be the user's own
        why = f"drawing it raised {type(error).__name__}: {error}"
        raise PictureError(why, "Display {0} in a cell of its own, then correct it.") from None
    return _of_image(lambda: _opened(file.getvalue()))


def _copy(image: "Image") -> "Image":
    with _DRAWING:
        return image.copy()


def _of_display(value: Any) -> Picture:
    data = value.data.encode() if is_a(value, "IPython", "SVG") else value.data
    if isinstance(data, bytes):
        return _of_file(data, "it")
    raise PictureError(
        "it shows a picture at a URL, which is not loaded",
        "Download the file yourself, then send its bytes.",
    )


def _of_path(path: PurePath) -> Picture:
    name = repr(path.name)
    if path.parts[0] in ("http:", "https:"):
        raise PictureError(
            f"{name} is at a URL, and only files on this machine are read",
            "Download the file yourself, then send its bytes.",
        )
    return _of_file(_read(path, name), name)


def _read(path: PurePath, name: str) -> bytes:
    """The bytes of an ordinary file that is not too large. Raises PictureError."""
    wrong = "Correct the path; to send the path itself, write `name = str({0})` and {{{{name}}}}."
    try:
        found = Path(path).stat()
        if not stat.S_ISREG(found.st_mode):
            raise PictureError(f"{name} is not an ordinary file", wrong)
        if found.st_size > MOST_BYTES:
            raise _too_large(name, found.st_size)
        return Path(path).read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = getattr(error, "strerror", None) or error
        raise PictureError(f"{name} can't be read: {reason}", wrong) from None


def _too_large(name: str, size: int) -> PictureError:
    return PictureError(
        f"{name} is {size / 1e6:,.0f} MB, and the limit is {MOST_BYTES // 10**6} MB", _SMALLER
    )


def _of_file(data: bytes, name: str) -> Picture:
    """The picture in a file. Raises PictureError before anything large is decoded."""
    if _is_svg(data):
        raise PictureError(
            f"it is an SVG picture, and a picture must be {_KINDS}",
            "Save it as PNG and send that, or send its source as text.",
        )
    if not media_type(data):
        raise PictureError(f"{name} is not a {_KINDS} picture", _SAVE_ANEW)
    if len(data) > MOST_BYTES:
        raise _too_large(name, len(data))
    size = size_of(data)
    if size is None:
        raise _broken("it ends within its header")
    _check(size)
    return _of_image(lambda: _opened(data))


def _is_svg(data: bytes) -> bool:
    start = data[:1000].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    is_xml = start.startswith(b"<?xml") and b"<svg" in start
    return is_xml or start.startswith((b"<svg", b"<!doctype svg"))


def _is_other_kind(data: bytes) -> bool:
    """Whether it is a picture of a kind that can't be sent; as text it would be a mess of bytes."""
    is_bmp = data[:2] == b"BM" and data[6:10] == bytes(4) and len(data) > 26
    is_heif = data[4:8] == b"ftyp" and data[8:12] in _HEIF
    return is_bmp or is_heif or data.startswith(_OTHER_KINDS)


def _check(size: Size) -> None:
    """Raise PictureError for a picture that has too many pixels, or none."""
    width, height = size
    if width * height > MOST_PIXELS:
        raise PictureError(
            f"the picture is {width:,} × {height:,} pixels, and the limit is "
            f"{MOST_PIXELS // 10**6} million",
            _SMALLER,
        )
    if not width * height:
        raise PictureError(f"the picture is {width:,} × {height:,} pixels", _SAVE_ANEW)


def _broken(why: object) -> PictureError:
    return PictureError(f"the picture can't be read: {why}", _SAVE_ANEW)


# -- with Pillow -------------------------------------------------------------------------------


def _opened(data: bytes) -> "Image":
    """A file as Pillow's image, not decoded yet."""
    image: Image = _pillow().open(BytesIO(data), formats=_FORMATS)
    return image


def _pillow() -> Any:
    try:
        from PIL import Image
    except ImportError:
        step = way_to("PIL", "%pip install pillow")
        raise PictureError("pictures need Pillow, which is not installed", step) from None
    return Image


def _of_image(opened: "Callable[[], Image]") -> Picture:
    """The picture of an image of Pillow's, which is the caller's to change."""
    try:
        image = opened()
        _check(image.size)  # a file can have a second size behind its header
        is_cut = getattr(image, "is_animated", False)
        block = _block(_flat(image))
    except (PictureError, MemoryError):
        raise
    except Exception as error:  # Pillow's own, and those of the many parts it is made of
        raise _broken(str(error) or type(error).__name__) from None
    return Picture(block, "only the first of its frames" if is_cut else "")


def _flat(image: "Image") -> "Image":
    """The image in red, green and blue, upright, no larger than it may be, on white."""
    from PIL import Image, ImageOps

    if image.mode.startswith("I;16"):  # 16 bits of grey; Pillow would cut off what is above 255
        image = image.convert("I").point(lambda value: value * (1 / 256)).convert("L")
    if image.mode in ("I", "F"):
        raise PictureError(
            f"it is not known which of its values is white (Pillow's mode {image.mode})",
            "Scale its values to 0–255 first: `picture = "
            "{0}.point(lambda level: level * 255 / {0}.getextrema()[1]).convert('L')`.",
        )
    image = ImageOps.exif_transpose(image)
    if image.mode in _TRANSPARENT or "transparency" in image.info:
        drawn = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")
        image = Image.new("RGBA", image.size, "white")
        image.alpha_composite(drawn)
    flat = image.convert("RGB")
    flat.thumbnail((LONG_SIDE, LONG_SIDE), Image.Resampling.LANCZOS, reducing_gap=3.0)
    return flat


def _block(flat: "Image") -> ImageBlock:
    """The smaller one of PNG and JPEG, where PNG is large: a drawing is PNG, a photo is JPEG."""
    pixels = flat.tobytes()
    data = png_file(flat.size, pixels)
    if len(data) > SMALL:
        from PIL import Image

        file = BytesIO()
        # Of the pixels alone: an image of Pillow's hands on comments.
        Image.frombytes("RGB", flat.size, pixels).save(file, "JPEG", quality=QUALITY)
        data = min(data, file.getvalue(), key=len)
    block = ImageBlock.of_file(data)
    assert block is not None  # it is small by now
    return block
