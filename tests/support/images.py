"""Pictures for tests, made by Pillow and matplotlib as a user makes them."""

import io
import struct
import zlib
from typing import TYPE_CHECKING, Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from support.canary import KEY

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RED = (200, 30, 40)


def plain_image(width: int = 8, height: int = 5, colour: Any = RED) -> Image.Image:
    """An image of one colour."""
    return Image.new("RGB", (width, height), colour)


def a_figure(
    *, dpi: float = 100, inches: tuple[float, float] = (4, 3), title: str = "x"
) -> "Figure":
    """A figure with a line in it, which pyplot does not know."""
    from matplotlib.figure import Figure  # not there with the oldest packages

    figure = Figure(figsize=inches, dpi=dpi)
    axes = figure.subplots()
    axes.plot([1, 3, 2])
    axes.set_title(title)
    return figure


def file_of(image: Image.Image, kind: str = "PNG", **how: Any) -> bytes:
    """The bytes of an image's file."""
    file = io.BytesIO()
    image.save(file, kind, **how)
    return file.getvalue()


def png_with_names() -> bytes:
    """A PNG whose metadata holds the key and a name, and that goes on behind its end."""
    told = PngInfo()
    told.add_text("Author", KEY)
    told.add_text("Software", "A Maker 1.0")
    return file_of(plain_image(), pnginfo=told) + b"<script>alert(1)</script>"


def jpeg_with_place() -> bytes:
    """A JPEG on its side, whose EXIF data hold a place and the key."""
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: the camera was turned
    exif[0x010E] = KEY
    exif.get_ifd(0x8825)[2] = (52.0, 31.0, 12.0)
    return file_of(plain_image(8, 5), "JPEG", exif=exif, comment=KEY.encode())


def png_header(width: int, height: int) -> bytes:
    """A PNG that promises this size, and packs 1 kB for it."""

    def chunk(name: bytes, data: bytes = b"") -> bytes:
        check = struct.pack(">I", zlib.crc32(name + data))
        return struct.pack(">I", len(data)) + name + data + check

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    packed = chunk(b"IDAT", zlib.compress(bytes(1_000_000)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + packed + chunk(b"IEND")
