"""Image files as bytes: their type and size without decoding, and PNG as this package writes it.

A header of a few bytes can promise 100,000 × 100,000 pixels, so it is read before anything else.
"""

import hashlib
import struct
import zlib
from collections.abc import Iterator
from typing import TypeAlias

Size: TypeAlias = tuple[int, int]
"""Width and height in pixels."""

_PNG = b"\x89PNG\r\n\x1a\n"
_RGB8 = b"\x08\x02\x00\x00\x00"
"""In a PNG's header: 8 bits for each of red, green and blue; nothing interlaced."""
_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Markers of JPEG that are followed by the size; the three others are tables."""
_ALONE = frozenset((0x01, *range(0xD0, 0xD9)))
"""Markers of JPEG without a segment."""


def media_type(data: bytes) -> str:
    """The type of a PNG, JPEG, WebP or GIF file by its first bytes, "" for any other."""
    if data.startswith(_PNG):
        return "image/png"
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    return "image/webp" if data[:4] == b"RIFF" and data[8:12] == b"WEBP" else ""


def size_of(data: bytes) -> Size | None:
    """The size that the header of such a file tells; None if it tells none."""
    try:
        match media_type(data):
            case "image/png":
                return struct.unpack_from(">II", data, 16) if data[12:16] == b"IHDR" else None
            case "image/gif":
                return struct.unpack_from("<HH", data, 6)
            case "image/webp":
                return _webp_size(data)
            case "image/jpeg":
                return _jpeg_size(data)
    except (struct.error, IndexError):  # it ends within the header
        pass
    return None


def _webp_size(data: bytes) -> Size | None:
    match data[12:16]:
        case b"VP8X":
            low, high, low2, high2 = struct.unpack_from("<HBHB", data, 24)
            return (high << 16 | low) + 1, (high2 << 16 | low2) + 1
        case b"VP8L":
            (bits,) = struct.unpack_from("<I", data, 21)
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8 ":
            width, height = struct.unpack_from("<HH", data, 26)
            return width & 0x3FFF, height & 0x3FFF
    return None


def _jpeg_size(data: bytes) -> Size | None:
    place = 2
    while data[place] == 0xFF:
        marker = data[place + 1]
        if marker == 0xFF or marker in _ALONE:
            place += 1 if marker == 0xFF else 2
            continue
        if marker in _START_OF_FRAME:
            height, width = struct.unpack_from(">HH", data, place + 5)
            return width, height
        (length,) = struct.unpack_from(">H", data, place + 2)
        place += 2 + length
    return None


def png_file(size: Size, pixels: bytes) -> bytes:
    """A PNG of red, green and blue, a byte each, and of nothing else: no name, place or date."""
    width, height = size
    row = 3 * width
    rows = b"".join(b"\0" + pixels[at : at + row] for at in range(0, height * row, row))
    head = struct.pack(">II", width, height) + _RGB8
    return _PNG + _chunk(b"IHDR", head) + _chunk(b"IDAT", zlib.compress(rows)) + _chunk(b"IEND")


def _chunk(name: bytes, data: bytes = b"") -> bytes:
    check = zlib.crc32(name + data)
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", check)


def pixels_of(data: bytes) -> bytes | None:
    """The pixels in a PNG that `png_file` wrote, or may have; None of any other file."""
    size = size_of(data)
    if size is None or not data.startswith(_PNG) or data[24:29] != _RGB8:
        return None
    row, height = 1 + 3 * size[0], size[1]
    unpacking = zlib.decompressobj()
    try:
        rows = unpacking.decompress(b"".join(_packed(data)), row * height)
    except (zlib.error, struct.error):
        return None
    if len(rows) != row * height or any(rows[::row]):  # a filter stands before each row
        return None
    return b"".join(rows[at + 1 : at + row] for at in range(0, row * height, row))


def _packed(data: bytes) -> Iterator[bytes]:
    """What a PNG's pixels are packed in."""
    place = len(_PNG)
    while place < len(data):
        length, name = struct.unpack_from(">I4s", data, place)
        if name == b"IDAT":
            yield data[place + 8 : place + 8 + length]
        place += 12 + length


def pixels_print(data: bytes) -> str:
    """16 hex digits that tell pictures apart by size and pixels, whatever packed a PNG.

    Of a file in another form it is the file.
    """
    pixels = pixels_of(data)
    told = data if pixels is None else data[16:24] + pixels  # its size first
    return hashlib.sha256(told).hexdigest()[:16]


def mean_colour(pixels: bytes) -> str:
    """The mean of all pixels, as "#c8d2e0"."""
    return "#" + "".join(f"{round(sum(p) / len(p)):02x}" for p in (pixels[n::3] for n in range(3)))
